/** Kernel files: whatever a user may name, to an image that can start as a PVH domain. */

import { XEN_ELFNOTE } from "../abi/elfnote.ts";
import { XENFEAT } from "../abi/features.ts";
import { XenError } from "../bits/errors.ts";
import { isBzImage, unpackBzImage } from "./bzimage.ts";
import { decompress, findCompression } from "./compression.ts";
import type { Decompressors } from "./compression.ts";
import { isElf, parseElf } from "./elf.ts";
import type { ElfNote, ElfSegment } from "./elf.ts";

/** The most that a kernel may expand to. */
const MAXIMUM_BYTES = 512 << 20;

/** A kernel with a PVH entry point. Addresses are guest-physical. */
export interface Kernel {
  /** As the user named it, for messages. */
  readonly name: string;
  readonly segments: readonly ElfSegment[];
  /** Where the first processor starts, in 32-bit mode without paging. */
  readonly entry: number;
  /** The first byte that the kernel occupies, and the first after those it needs before it reads the memory map. */
  readonly start: number;
  readonly end: number;
  /** GUEST_OS of its notes, as in "linux", or "" without that note. */
  readonly guestOs: string;
  /** Whether it finds ACPI's RSDP where start_info says, and not only below 1 MiB. */
  readonly findsRsdpAnywhere: boolean;
}

/**
 * Reads a kernel file: a bzImage, an ELF file, or an ELF file that is compressed as a whole.
 * @param name for messages, usually the path.
 * @throws XenError "not-a-kernel", "no-pvh-entry", "unsupported-compression" or "bad-archive".
 */
export function loadKernel(file: Uint8Array, name: string, decompressors: Decompressors): Kernel {
  const { image, initialBytes } = unwrap(file, name, decompressors);
  if (!isElf(image)) {
    throw new XenError("not-a-kernel", `kernel "${name}": not a kernel; neither a bzImage nor an ELF file`);
  }
  const elf = parseElf(image, name);
  const notes = elf.notes.filter((note) => note.owner === "Xen");
  const entryNote = notes.find((note) => note.type === XEN_ELFNOTE.PHYS32_ENTRY);
  const entry = entryNote && numericNote(entryNote);
  if (entry === undefined) {
    throw new XenError(
      "no-pvh-entry",
      `kernel "${name}": has no PVH entry point (ELF note XEN_ELFNOTE_PHYS32_ENTRY); for Linux, set CONFIG_PVH=y`,
    );
  }
  if (elf.segments.length === 0) throw new XenError("not-a-kernel", `kernel "${name}": nothing in it is to be loaded`);
  const start = Math.min(...elf.segments.map((segment) => segment.physicalAddress));
  const loadedEnd = Math.max(...elf.segments.map((segment) => segment.physicalAddress + segment.memoryBytes));
  if (entry < start || entry >= loadedEnd) {
    throw new XenError(
      "no-pvh-entry",
      `kernel "${name}": its PVH entry point 0x${entry.toString(16)} lies outside the kernel`,
    );
  }
  const guestOs = textNote(notes.find((note) => note.type === XEN_ELFNOTE.GUEST_OS));
  const features = notes.find((note) => note.type === XEN_ELFNOTE.SUPPORTED_FEATURES);
  const supported = (features && numericNote(features)) ?? 0;
  return {
    name,
    segments: elf.segments,
    entry,
    start,
    end: Math.max(loadedEnd, start + (initialBytes ?? 0)),
    guestOs,
    // Xen: libxl_x86_acpi.c, libxl__dom_load_acpi(). Only old Linux searches below 1 MiB.
    findsRsdpAnywhere: guestOs !== "linux" || ((supported >>> XENFEAT.linux_rsdp_unrestricted) & 1) === 1,
  };
}

function unwrap(
  file: Uint8Array,
  name: string,
  decompressors: Decompressors,
): { readonly image: Uint8Array; readonly initialBytes: number | undefined } {
  if (isBzImage(file)) return unpackBzImage(file, decompressors, name, MAXIMUM_BYTES);
  const compression = isElf(file) ? undefined : findCompression(file);
  if (compression === undefined) return { image: file, initialBytes: undefined };
  return {
    image: decompress(compression, file, MAXIMUM_BYTES, decompressors, `kernel "${name}"`),
    initialBytes: undefined,
  };
}

/** Numbers may be 4 or 8 bytes long; 32-bit kernels of some build systems write 8. */
function numericNote(note: ElfNote): number | undefined {
  const view = new DataView(note.description.buffer, note.description.byteOffset, note.description.byteLength);
  if (view.byteLength === 4) return view.getUint32(0, true);
  if (view.byteLength !== 8) return undefined;
  const value = view.getBigUint64(0, true);
  return value <= 0xffffffffn ? Number(value) : undefined;
}

function textNote(note: ElfNote | undefined): string {
  if (note === undefined) return "";
  const end = note.description.indexOf(0);
  return String.fromCharCode(...note.description.subarray(0, end < 0 ? 64 : Math.min(end, 64)));
}
