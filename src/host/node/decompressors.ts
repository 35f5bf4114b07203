/** The decompressors that Node.js has built in. */

import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { Decompressors } from "../../boot/compression.ts";

/** For kernels and packages: gzip and zstd. XZ, LZMA and LZ4 need no host. */
export const decompressors: Decompressors = {
  gzip: (bytes, limit) => gunzipSync(bytes, { maxOutputLength: limit }),
  zstd: (bytes, limit) => zstdDecompressSync(bytes, { maxOutputLength: limit }),
};
