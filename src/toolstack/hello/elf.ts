/** The smallest kernel file that a PVH domain can be built from. */

import { XEN_ELFNOTE } from "../../abi/elfnote.ts";

/**
 * A 32-bit ELF file with one segment and the note that makes it a PVH kernel. System V ABI, "Object Files".
 * @param address where the code is loaded. @param entry where it begins.
 */
export function pvhElf(code: Uint8Array, address: number, entry: number): Uint8Array<ArrayBuffer> {
  const headers = 52 + 2 * 32;
  const noteSize = 20;
  const codeAt = 4096;
  const file = new Uint8Array(codeAt + code.length);
  const view = new DataView(file.buffer);
  const words = (at: number, values: readonly number[]): void =>
    values.forEach((value, i) => view.setUint32(at + i * 4, value, true));
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  // e_type 2 (EXEC), e_machine 3 (386); then e_version, e_entry, e_phoff, e_shoff, e_flags.
  words(16, [0x0003_0002, 1, entry, 52, 0, 0]);
  // e_ehsize 52, e_phentsize 32, e_phnum 2.
  words(40, [0x0020_0034, 2, 0]);
  // p_type, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_flags, p_align.
  words(52, [1, codeAt, address, address, code.length, code.length, 7, 4096]);
  words(84, [4, headers, 0, 0, noteSize, noteSize, 4, 4]);
  // The note: sizes of name and contents, type, "Xen", the entry point.
  words(headers, [4, 4, XEN_ELFNOTE.PHYS32_ENTRY, 0x006e_6558, entry]);
  file.set(code, codeAt);
  return file;
}
