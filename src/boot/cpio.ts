/** Writes cpio archives in the newc format, which Linux unpacks into its root. Linux: Documentation/driver-api/early-userspace/buffer-format.rst. */

import { assert } from "../bits/errors.ts";
import { alignUp } from "../bits/integers.ts";

/** S_IFREG and its kin. Linux: include/uapi/linux/stat.h. */
const TYPE = { file: 0o100000, directory: 0o040000, symlink: 0o120000, character: 0o020000 } as const;
const HEADER_BYTES = 110;
const TRAILER = "TRAILER!!!";

/** An entry of an archive. Paths are ASCII, without a leading slash, each directory before what is in it. */
export type CpioEntry =
  | { readonly type: "directory"; readonly path: string; readonly mode: number }
  | { readonly type: "file"; readonly path: string; readonly mode: number; readonly contents: Uint8Array }
  | { readonly type: "symlink"; readonly path: string; readonly target: string }
  | {
      readonly type: "character";
      readonly path: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    };

/** The bytes of an ASCII text: the core has no TextEncoder. */
export function asciiBytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => {
    const code = character.charCodeAt(0);
    assert(code < 0x80, `"${text}" is not ASCII`);
    return code;
  });
}

/**
 * An archive of these entries, owned by root, with time stamps of zero so that equal contents give equal bytes. Its length
 * is a multiple of 4: Linux accepts several archives one after the other, and later entries replace earlier ones.
 */
export function cpioArchive(entries: readonly CpioEntry[]): Uint8Array<ArrayBuffer> {
  const records = entries.map((entry, index) => ({
    entry,
    inode: index + 1,
    path: entry.path,
    contents: contentsOf(entry),
  }));
  const size = (path: string, contents: number): number =>
    alignUp(HEADER_BYTES + path.length + 1, 4) + alignUp(contents, 4);
  const total = records.reduce((sum, { path, contents }) => sum + size(path, contents.length), size(TRAILER, 0));
  const archive = new Uint8Array(total);
  let at = 0;
  for (const { entry, inode, path, contents } of records) {
    const device = entry.type === "character" ? [entry.major, entry.minor] : [0, 0];
    const mode = TYPE[entry.type] | (entry.type === "symlink" ? 0o777 : entry.mode);
    const links = entry.type === "directory" ? 2 : 1;
    writeHeader(archive, at, path, [inode, mode, 0, 0, links, 0, contents.length, 0, 0, device[0]!, device[1]!]);
    archive.set(contents, at + alignUp(HEADER_BYTES + path.length + 1, 4));
    at += size(path, contents.length);
  }
  writeHeader(archive, at, TRAILER, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return archive;
}

function contentsOf(entry: CpioEntry): Uint8Array {
  if (entry.type === "file") return entry.contents;
  return entry.type === "symlink" ? asciiBytes(entry.target) : new Uint8Array(0);
}

/** The magic, the eleven fields from c_ino to c_rminor, c_namesize, c_check (zero in this variant), then the path. */
function writeHeader(archive: Uint8Array, at: number, path: string, fields: readonly number[]): void {
  const numbers = [...fields, path.length + 1, 0].map((value) => value.toString(16).padStart(8, "0"));
  archive.set(asciiBytes(`070701${numbers.join("")}${path}\0`), at);
}
