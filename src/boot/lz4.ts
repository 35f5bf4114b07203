/**
 * LZ4's legacy frame, which `lz4 -l` writes and Linux kernels use. lz4: doc/lz4_Frame_format.md, "Legacy frame", and
 * doc/lz4_Block_format.md.
 */

import { XenError } from "../bits/errors.ts";
import { createOutput, reserve } from "./lzma.ts";
import type { Output } from "./lzma.ts";

/** The frame's first four bytes, 0x184C2102 little-endian. */
export const LZ4_LEGACY_MAGIC: readonly number[] = [0x02, 0x21, 0x4c, 0x18];
/** A block expands to at most this much. */
const BLOCK_BYTES = 8 << 20;
const MATCH_LENGTH_MINIMUM = 4;

function corrupt(what: string): XenError {
  return new XenError("bad-archive", `LZ4 data is corrupt: ${what}`);
}

/** Decodes one block to the end of `output`. Matches reach back no further than the block's own start. */
function decodeBlock(block: Uint8Array, output: Output, limit: number): void {
  const start = output.length;
  let at = 0;
  const extended = (nibble: number): number => {
    if (nibble < 15) return nibble;
    let length = nibble;
    for (;;) {
      const byte = block[at++];
      if (byte === undefined) throw corrupt("it ends inside a length");
      length += byte;
      if (byte !== 255) return length;
    }
  };
  while (at < block.length) {
    const token = block[at++]!;
    const literals = extended(token >> 4);
    if (at + literals > block.length) throw corrupt("it ends inside literals");
    if (output.length + literals - start > BLOCK_BYTES) throw corrupt("a block is larger than 8 MiB");
    reserve(output, literals, limit);
    output.bytes.set(block.subarray(at, at + literals), output.length);
    output.length += literals;
    at += literals;
    // A block ends with literals: only the last sequence has no match.
    if (at === block.length) return;

    const low = block[at++];
    const high = block[at++];
    if (low === undefined || high === undefined) throw corrupt("it ends inside an offset");
    const offset = low | (high << 8);
    const length = extended(token & 15) + MATCH_LENGTH_MINIMUM;
    if (offset === 0 || offset > output.length - start) throw corrupt("an offset before the first byte");
    if (output.length + length - start > BLOCK_BYTES) throw corrupt("a block is larger than 8 MiB");
    reserve(output, length, limit);
    const { bytes } = output;
    const stop = output.length + length;
    // Byte by byte: a match may overlap what it produces.
    for (let to = output.length; to < stop; to++) bytes[to] = bytes[to - offset]!;
    output.length = stop;
  }
}

/**
 * Decodes a legacy LZ4 frame, or several one after the other.
 * @param limit the most bytes it may expand to.
 * @throws XenError "bad-archive".
 */
export function decodeLz4Legacy(bytes: Uint8Array, limit: number): Uint8Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = 0x184c2102;
  if (bytes.length < 4 || view.getUint32(0, true) !== magic) throw corrupt("it does not begin as a legacy frame does");
  const output = createOutput(Math.min(limit, bytes.length * 4));
  let at = 4;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) throw corrupt("it ends inside a block's size");
    const size = view.getUint32(at, true);
    at += 4;
    if (size === magic) continue;
    if (at + size > bytes.length) throw corrupt("it ends inside a block");
    decodeBlock(bytes.subarray(at, at + size), output, limit);
    at += size;
  }
  return output.bytes.subarray(0, output.length);
}
