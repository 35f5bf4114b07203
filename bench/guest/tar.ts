/** Everything in a package's tar archive, as entries of an initramfs. POSIX ustar; GNU tar's long names and links. */

import type { CpioEntry } from "../../src/boot/cpio.ts";

const BLOCK_BYTES = 512;
const ascii = new TextDecoder("latin1");

function text(bytes: Uint8Array, at: number, length: number): string {
  return ascii.decode(bytes.subarray(at, at + length)).split("\0", 1)[0]!;
}

/** Without device nodes, and with a copy for each hard link. Contents are views of `tar`. */
export function tarEntries(tar: Uint8Array): CpioEntry[] {
  const entries: CpioEntry[] = [];
  const files = new Map<string, CpioEntry & { type: "file" }>();
  let longPath: string | undefined;
  let longTarget: string | undefined;
  for (let at = 0; at + BLOCK_BYTES <= tar.length && tar[at] !== 0;) {
    const header = tar.subarray(at, at + BLOCK_BYTES);
    const bytes = Number.parseInt(text(header, 124, 12), 8);
    const mode = Number.parseInt(text(header, 100, 8), 8);
    const contents = tar.subarray(at + BLOCK_BYTES, at + BLOCK_BYTES + bytes);
    at += BLOCK_BYTES + Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
    const kind = String.fromCharCode(header[156]!);
    if (kind === "L" || kind === "K") {
      if (kind === "L") longPath = text(contents, 0, bytes);
      else longTarget = text(contents, 0, bytes);
      continue;
    }
    const prefix = text(header, 345, 155);
    const path = plain(longPath ?? `${prefix === "" ? "" : `${prefix}/`}${text(header, 0, 100)}`);
    const target = longTarget ?? text(header, 157, 100);
    longPath = longTarget = undefined;
    if (path === "") continue;
    if (kind === "5") entries.push({ type: "directory", path, mode: mode & 0o777 });
    else if (kind === "2") entries.push({ type: "symlink", path, target });
    else if (kind === "0" || kind === "\0" || kind === "1") {
      const linked = kind === "1" ? files.get(plain(target)) : undefined;
      const file = { type: "file", path, mode: mode & 0o7777, contents: linked?.contents ?? contents } as const;
      files.set(path, file);
      entries.push(file);
    }
  }
  return entries;
}

function plain(path: string): string {
  return path.replace(/^\.?\//, "").replace(/\/$/, "");
}
