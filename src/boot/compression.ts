/**
 * Which compression a kernel or a package uses, and how to undo it. XZ, LZMA and LZ4 are decoded here; gzip, zstd and
 * bzip2 come from the host, which has them built in.
 */

import { XenError } from "../bits/errors.ts";
import { LZ4_LEGACY_MAGIC, decodeLz4Legacy } from "./lz4.ts";
import { decodeLzma } from "./lzma.ts";
import { XZ_MAGIC, decodeXz } from "./xz.ts";

/**
 * Undoes one compression.
 * @param limit the most bytes the result may have; more is an exception.
 */
export type Decompress = (bytes: Uint8Array, limit: number) => Uint8Array;

/** What the host decodes for the core. One that is missing is an "unsupported-compression" when it is met. */
export interface Decompressors {
  readonly gzip?: Decompress;
  readonly zstd?: Decompress;
  readonly bzip2?: Decompress;
}

/** The compressions that Linux kernels and Debian packages come in. */
export type Compression = "gzip" | "bzip2" | "lzma" | "xz" | "lzo" | "lz4" | "zstd";

/** Linux: lib/decompress.c, compressed_formats[]. */
const MAGICS: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["gzip", [0x1f, 0x9e]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["lzma", [0x5d, 0x00, 0x00]],
  ["xz", XZ_MAGIC],
  ["lzo", [0x89, 0x4c, 0x5a]],
  ["lz4", LZ4_LEGACY_MAGIC],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
];

/** @returns the compression that `bytes` begin with, or undefined when they begin with none that is known. */
export function findCompression(bytes: Uint8Array): Compression | undefined {
  return MAGICS.find(([, magic]) => magic.every((byte, i) => bytes[i] === byte))?.[0];
}

/**
 * Undoes a compression.
 * @param what names the data in messages, as in `kernel "vmlinuz"`.
 * @throws XenError "unsupported-compression" when nothing decodes it, "bad-archive" when the data is damaged.
 */
export function decompress(
  compression: Compression,
  bytes: Uint8Array,
  limit: number,
  decompressors: Decompressors,
  what: string,
): Uint8Array {
  const decode = decoderOf(compression, decompressors);
  if (decode === undefined) {
    throw new XenError(
      "unsupported-compression",
      `${what}: compressed with ${compression}, which is not supported here`,
    );
  }
  try {
    return decode(bytes, limit);
  } catch (cause) {
    if (cause instanceof XenError && cause.code !== "bad-archive") throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new XenError("bad-archive", `${what}: damaged ${compression} data (${reason})`, { cause });
  }
}

function decoderOf(compression: Compression, decompressors: Decompressors): Decompress | undefined {
  switch (compression) {
    case "xz":
      return decodeXz;
    case "lzma":
      return decodeLzma;
    case "lz4":
      return decodeLz4Legacy;
    case "gzip":
    case "zstd":
    case "bzip2":
      return decompressors[compression];
    case "lzo":
      return undefined;
  }
}
