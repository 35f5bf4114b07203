/** Kernels that the tests build: ELF files in either form, with notes, alone or inside a bzImage. */

import { XEN_ELFNOTE } from "../abi/elfnote.ts";
import { asciiBytes } from "./cpio.ts";

/** A note of the owner "Xen". */
export function xenNote(type: number, description: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + 4 + Math.ceil(description.length / 4) * 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 4, true);
  view.setUint32(4, description.length, true);
  view.setUint32(8, type, true);
  bytes.set(asciiBytes("Xen\0"), 12);
  bytes.set(description, 16);
  return bytes;
}

/** A little-endian number of 4 or 8 bytes. */
export function littleEndian(value: number, bytes: 4 | 8): Uint8Array {
  const encoded = new Uint8Array(bytes);
  new DataView(encoded.buffer).setUint32(0, value, true);
  return encoded;
}

/** What {@link syntheticElf} builds. */
export interface SyntheticElf {
  readonly class: 32 | 64;
  readonly machine?: number;
  readonly segments: readonly {
    readonly address: number;
    readonly contents: Uint8Array;
    readonly memoryBytes: number;
  }[];
  readonly notes: readonly Uint8Array[];
  /** Where the notes are declared. */
  readonly notesIn?: "segment" | "section";
}

/** An ELF file: header, program headers, section headers, contents. */
export function syntheticElf({
  class: width,
  machine,
  segments,
  notes,
  notesIn = "segment",
}: SyntheticElf): Uint8Array {
  const wide = width === 64;
  const [headerBytes, programBytes, sectionBytes] = wide ? [64, 56, 64] : [52, 32, 40];
  const noteBytes = notes.reduce((sum, note) => sum + note.length, 0);
  const programs = segments.length + (notesIn === "segment" ? 1 : 0);
  const sections = notesIn === "section" ? 1 : 0;
  let at = headerBytes + programs * programBytes + sections * sectionBytes;
  const file = new Uint8Array(at + noteBytes + segments.reduce((sum, { contents }) => sum + contents.length, 0));
  const view = new DataView(file.buffer);
  const natural = (offset: number, value: number): void =>
    wide ? view.setBigUint64(offset, BigInt(value), true) : view.setUint32(offset, value, true);
  file.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, machine ?? (wide ? 62 : 3), true);
  natural(wide ? 32 : 28, headerBytes);
  natural(wide ? 40 : 32, headerBytes + programs * programBytes);
  view.setUint16(wide ? 54 : 42, programBytes, true);
  view.setUint16(wide ? 56 : 44, programs, true);
  view.setUint16(wide ? 58 : 46, sectionBytes, true);
  view.setUint16(wide ? 60 : 48, sections, true);

  const program = (index: number, type: number, address: number, contents: number, memoryBytes: number): void => {
    const header = headerBytes + index * programBytes;
    view.setUint32(header, type, true);
    const fields = wide ? [8, 16, 24, 32, 40] : [4, 8, 12, 16, 20];
    // The virtual address is left zero, as a per-CPU segment's is: loading goes by the physical one.
    [at, 0, address, contents, memoryBytes].forEach((value, i) => natural(header + fields[i]!, value));
  };
  segments.forEach(({ address, contents, memoryBytes }, i) => {
    program(i, 1, address, contents.length, memoryBytes);
    file.set(contents, at);
    at += contents.length;
  });
  if (notesIn === "segment") program(segments.length, 4, 0, noteBytes, noteBytes);
  else {
    const header = headerBytes + programs * programBytes;
    view.setUint32(header + 4, 7, true);
    natural(header + (wide ? 24 : 16), at);
    natural(header + (wide ? 32 : 20), noteBytes);
  }
  for (const note of notes) {
    file.set(note, at);
    at += note.length;
  }
  return file;
}

/** A small 64-bit kernel at 16 MiB whose PVH entry is 0x10 bytes in. */
export function smallKernel(changes: Partial<SyntheticElf> = {}): Uint8Array {
  return syntheticElf({
    class: 64,
    segments: [
      { address: 0x1000000, contents: Uint8Array.from({ length: 0x40 }, (_, i) => i), memoryBytes: 0x40 },
      { address: 0x1200000, contents: Uint8Array.of(1, 2, 3), memoryBytes: 0x5000 },
    ],
    notes: [
      xenNote(XEN_ELFNOTE.GUEST_OS, asciiBytes("linux\0")),
      xenNote(XEN_ELFNOTE.SUPPORTED_FEATURES, littleEndian(0x8801, 4)),
      xenNote(XEN_ELFNOTE.PHYS32_ENTRY, littleEndian(0x1000010, 8)),
    ],
    ...changes,
  });
}

/** A bzImage around a payload, as the kernel's build makes it; `payload` must have the size appended where it wants one. */
export function bzImage(payload: Uint8Array, { version = 0x20f, initBytes = 0x300000 } = {}): Uint8Array {
  const setupSectors = 3;
  const offset = 0x2c0;
  const file = new Uint8Array((setupSectors + 1) * 512 + offset + payload.length + 100);
  const view = new DataView(file.buffer);
  view.setUint8(0x1f1, setupSectors);
  file.set(asciiBytes("HdrS"), 0x202);
  view.setUint16(0x206, version, true);
  view.setUint32(0x248, offset, true);
  view.setUint32(0x24c, payload.length, true);
  view.setUint32(0x260, initBytes, true);
  file.set(payload, (setupSectors + 1) * 512 + offset);
  return file;
}
