/**
 * A .deb: an ar archive of two compressed tar archives, of which the second has the files. deb(5), and POSIX for ar and
 * ustar; GNU tar's long names and pax's path records are understood.
 */

import { XenError } from "../bits/errors.ts";
import { decompress } from "../boot/compression.ts";
import type { Compression, Decompressors } from "../boot/compression.ts";
import { decodeXz } from "../boot/xz.ts";

/** A package's tar archive may expand to this much: the largest kernel's is about half of it. */
const MAXIMUM_TAR_BYTES = 1 << 30;
const BLOCK_BYTES = 512;

const ascii = new TextDecoder("latin1");

/**
 * The first file in a package whose path matches.
 * @param what names the package in messages.
 * @param matches is given paths without leading `./`.
 * @returns its path and contents.
 * @throws XenError "bad-archive" when the package is damaged or has no such file.
 */
export function fileInPackage(
  deb: Uint8Array,
  matches: (path: string) => boolean,
  decompressors: Decompressors,
  what: string,
): TarFile {
  const member = dataMember(deb, what);
  const tar = unpackTar(member, (soFar) => findInTar(soFar, matches) !== "cut-off", decompressors, what);
  const found = findInTar(tar, matches);
  if (found === "absent" || found === "cut-off") {
    throw new XenError("bad-archive", `${what}: does not contain the file that is needed`);
  }
  return { path: found.path, contents: found.contents.slice() };
}

/** The tar archive of a package's files. Throws XenError "bad-archive" when the package is damaged. */
export function packageTar(deb: Uint8Array, decompressors: Decompressors, what: string): Uint8Array {
  return unpackTar(dataMember(deb, what), () => false, decompressors, what);
}

interface Member {
  readonly name: string;
  readonly contents: Uint8Array;
}

/** The ar member `data.tar` with whatever suffix. */
function dataMember(deb: Uint8Array, what: string): Member {
  if (ascii.decode(deb.subarray(0, 8)) !== "!<arch>\n")
    throw new XenError("bad-archive", `${what}: not a Debian package`);
  for (let at = 8; at + 60 <= deb.length;) {
    const name = ascii
      .decode(deb.subarray(at, at + 16))
      .trim()
      .replace(/\/$/, "");
    const bytes = Number(ascii.decode(deb.subarray(at + 48, at + 58)).trim());
    const start = at + 60;
    if (!Number.isSafeInteger(bytes) || bytes < 0 || start + bytes > deb.length) break;
    if (/^data\.tar(?:\.[a-z0-9]+)?$/.test(name)) return { name, contents: deb.subarray(start, start + bytes) };
    at = start + bytes + (bytes % 2);
  }
  throw new XenError("bad-archive", `${what}: has no data archive`);
}

const SUFFIXES: Readonly<Record<string, Compression>> = {
  ".xz": "xz",
  ".gz": "gzip",
  ".zst": "zstd",
  ".bz2": "bzip2",
  ".lzma": "lzma",
};

function unpackTar(
  member: Member,
  enough: (soFar: Uint8Array) => boolean,
  decompressors: Decompressors,
  what: string,
): Uint8Array {
  const suffix = member.name.slice("data.tar".length);
  if (suffix === "") return member.contents;
  // The package's own digest has been checked, so that what follows the wanted file need not be decoded.
  if (suffix === ".xz") return decodeXz(member.contents, MAXIMUM_TAR_BYTES, enough);
  const compression = SUFFIXES[suffix];
  if (compression === undefined)
    throw new XenError("unsupported-compression", `${what}: ${member.name} is not supported`);
  return decompress(compression, member.contents, MAXIMUM_TAR_BYTES, decompressors, what);
}

/** A file out of a tar archive. */
export interface TarFile {
  readonly path: string;
  readonly contents: Uint8Array;
}

/**
 * Looks for a regular file.
 * @returns the file, "absent" when the archive has ended without it, or "cut-off" when more bytes could still bring it.
 */
export function findInTar(tar: Uint8Array, matches: (path: string) => boolean): TarFile | "absent" | "cut-off" {
  let longPath: string | undefined;
  for (let at = 0; at + BLOCK_BYTES <= tar.length;) {
    const header = tar.subarray(at, at + BLOCK_BYTES);
    if (header[0] === 0) return "absent";
    const bytes = Number.parseInt(text(header, 124, 12), 8);
    if (!Number.isSafeInteger(bytes) || bytes < 0)
      throw new XenError("bad-archive", "tar archive: a header is damaged");
    const start = at + BLOCK_BYTES;
    const contents = tar.subarray(start, start + bytes);
    at = start + Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
    const type = String.fromCharCode(header[156]!);
    if (contents.length < bytes) return "cut-off";
    if (type === "L") {
      longPath = text(contents, 0, contents.length);
      continue;
    }
    if (type === "x") {
      longPath = /(?:^|\n)\d+ path=([^\n]*)\n/.exec(ascii.decode(contents))?.[1];
      continue;
    }
    const prefix =
      text(header, 257, 5) === "ustar" && text(header, 345, 155) !== "" ? `${text(header, 345, 155)}/` : "";
    const path = (longPath ?? `${prefix}${text(header, 0, 100)}`).replace(/^\.\//, "");
    longPath = undefined;
    if ((type === "0" || type === "\0") && matches(path)) return { path, contents };
  }
  return "cut-off";
}

/** A field that ends with its first NUL or its own end. */
function text(bytes: Uint8Array, at: number, length: number): string {
  return ascii.decode(bytes.subarray(at, at + length)).split("\0", 1)[0]!;
}
