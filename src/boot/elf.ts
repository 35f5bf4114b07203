/**
 * ELF files, as far as loading a kernel needs them: program headers and notes, in 32- and 64-bit little-endian form.
 * System V ABI, "Object Files" and "Program Loading"; Xen: xen/common/libelf.
 */

import { XenError } from "../bits/errors.ts";
import { alignUp } from "../bits/integers.ts";

/** Values of e_machine that a PVH kernel may have. */
const MACHINE = { i386: 3, x86_64: 62 } as const;
const PT_LOAD = 1;
const PT_NOTE = 4;
const SHT_NOTE = 7;

/** A PT_LOAD segment. Addresses and sizes are in bytes. */
export interface ElfSegment {
  readonly physicalAddress: number;
  /** What the file has of it; the rest, up to `memoryBytes`, is zero. */
  readonly contents: Uint8Array;
  readonly memoryBytes: number;
}

/** A note: a small typed record by which a program describes itself to its loader. */
export interface ElfNote {
  readonly owner: string;
  readonly type: number;
  readonly description: Uint8Array;
}

/** What a loader needs of an ELF file. */
export interface ElfFile {
  readonly class: 32 | 64;
  readonly segments: readonly ElfSegment[];
  readonly notes: readonly ElfNote[];
}

/** @returns whether the file begins as ELF does. */
export function isElf(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

interface Table {
  readonly offset: number;
  readonly entryBytes: number;
  readonly entries: number;
}

/**
 * Parses an ELF file that {@link isElf}. The contents are views of `bytes`.
 * @param name for messages.
 * @throws XenError "not-a-kernel" when it is damaged, or for another kind of machine.
 */
export function parseElf(bytes: Uint8Array, name: string): ElfFile {
  const fail = (what: string): XenError => new XenError("not-a-kernel", `kernel "${name}": ${what}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 52 || bytes[5] !== 1 || (bytes[4] !== 1 && bytes[4] !== 2)) {
    throw fail("not a little-endian ELF file");
  }
  const wide = bytes[4] === 2;
  if (wide && bytes.length < 64) throw fail("cut off inside its ELF header");
  const machine = view.getUint16(18, true);
  if (machine !== MACHINE.i386 && machine !== MACHINE.x86_64) {
    throw fail(`an ELF file for machine type ${machine}, not for x86`);
  }
  /** An address, offset or size: 64 bits wide in the 64-bit form. Beyond 2^53 it is nonsense in a kernel. */
  const natural = (at: number): number => {
    if (!wide) return view.getUint32(at, true);
    const value = view.getBigUint64(at, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw fail(`a header holds the impossible value 0x${value.toString(16)}`);
    return Number(value);
  };
  const slice = (offset: number, size: number, what: string): Uint8Array => {
    if (offset + size > bytes.length) throw fail(`cut off: ${what} ends at byte ${offset + size} of ${bytes.length}`);
    return bytes.subarray(offset, offset + size);
  };
  const table = (offset: number, entryBytesAt: number, least: number, what: string): Table => {
    const entries = view.getUint16(entryBytesAt + 2, true);
    const entryBytes = view.getUint16(entryBytesAt, true);
    if (entries > 0 && entryBytes < least) throw fail(`its ${what} are ${entryBytes} bytes each, too few`);
    slice(offset, entryBytes * entries, what);
    return { offset, entryBytes, entries };
  };
  const programHeaders = wide
    ? table(natural(32), 54, 56, "program headers")
    : table(natural(28), 42, 32, "program headers");

  const segments: ElfSegment[] = [];
  const notes: ElfNote[] = [];
  for (const at of positions(programHeaders)) {
    const type = view.getUint32(at, true);
    const offset = natural(wide ? at + 8 : at + 4);
    const physicalAddress = type === PT_LOAD ? natural(wide ? at + 24 : at + 12) : 0;
    const fileBytes = natural(wide ? at + 32 : at + 16);
    if (type === PT_LOAD) {
      const memoryBytes = natural(wide ? at + 40 : at + 20);
      if (fileBytes > memoryBytes) throw fail("a segment has more bytes in the file than in memory");
      if (memoryBytes > 0)
        segments.push({ physicalAddress, contents: slice(offset, fileBytes, "a segment"), memoryBytes });
    } else if (type === PT_NOTE && offset !== 0) {
      // Xen skips a segment at offset zero, which some linkers made for notes that are not in the file.
      notes.push(...parseNotes(slice(offset, fileBytes, "a note segment")));
    }
  }
  if (notes.length === 0) {
    const sectionHeaders = wide
      ? table(natural(40), 58, 64, "section headers")
      : table(natural(32), 46, 40, "section headers");
    for (const at of positions(sectionHeaders)) {
      if (view.getUint32(at + 4, true) !== SHT_NOTE) continue;
      const offset = natural(wide ? at + 24 : at + 16);
      notes.push(...parseNotes(slice(offset, natural(wide ? at + 32 : at + 20), "a note section")));
    }
  }
  return { class: wide ? 64 : 32, segments, notes };
}

function positions(table: Table): number[] {
  return Array.from({ length: table.entries }, (_, i) => table.offset + i * table.entryBytes);
}

/** Name and description are each padded to 4 bytes, in the 64-bit form too. A note that is cut off ends the list. */
function parseNotes(bytes: Uint8Array): ElfNote[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const notes: ElfNote[] = [];
  for (let at = 0; at + 12 <= bytes.length;) {
    const ownerBytes = view.getUint32(at, true);
    const descriptionBytes = view.getUint32(at + 4, true);
    const description = at + 12 + alignUp(ownerBytes, 4);
    if (description + descriptionBytes > bytes.length) break;
    // The owner's size counts its terminating NUL.
    const owner = String.fromCharCode(...bytes.subarray(at + 12, at + 12 + Math.min(Math.max(ownerBytes - 1, 0), 64)));
    notes.push({
      owner,
      type: view.getUint32(at + 8, true),
      description: bytes.subarray(description, description + descriptionBytes),
    });
    at = description + alignUp(descriptionBytes, 4);
  }
  return notes;
}
