/**
 * The .xz container: streams of blocks, each LZMA2 with an optional x86 filter, each with a check. Decodes what Debian's
 * packages, indices and kernels use. "The .xz File Format", version 1.1.0 (tukaani.org/xz/xz-file-format.txt).
 */

import { XenError } from "../bits/errors.ts";
import { crc32, crc64 } from "./crc.ts";
import { LzmaDecoder, createOutput, reserve } from "./lzma.ts";
import type { Output } from "./lzma.ts";

/** §2.1.1.1: what a stream begins with. */
export const XZ_MAGIC: readonly number[] = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
const FOOTER_MAGIC = [0x59, 0x5a];
const HEADER_BYTES = 12;

/** §2.1.1.2: check ids 0 to 15 have these sizes in bytes. Ids 1, 4 and 10 are CRC32, CRC64 and SHA-256. */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const CHECK_CRC32 = 1;
const CHECK_CRC64 = 4;

const FILTER_X86 = 0x04n;
const FILTER_LZMA2 = 0x21n;

function corrupt(what: string): XenError {
  return new XenError("bad-archive", `xz data is corrupt: ${what}`);
}

/** Looks at what is decoded so far; true ends the decoding there. */
export type Enough = (decoded: Uint8Array) => boolean;

/** A position in the file; every read is checked against the end. */
interface Reader {
  readonly bytes: Uint8Array;
  at: number;
}

function take(reader: Reader, count: number): Uint8Array {
  if (reader.at + count > reader.bytes.length) throw corrupt("it ends too soon");
  reader.at += count;
  return reader.bytes.subarray(reader.at - count, reader.at);
}

function takeByte(reader: Reader): number {
  return take(reader, 1)[0]!;
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** §1.2: seven bits a byte, least significant first, at most nine bytes. */
function takeVariableLength(reader: Reader): bigint {
  let value = 0n;
  for (let i = 0n; i < 9n; i++) {
    const byte = takeByte(reader);
    value |= BigInt(byte & 0x7f) << (7n * i);
    if (byte < 0x80) {
      if (byte === 0 && i > 0n) throw corrupt("a number with needless bytes");
      return value;
    }
  }
  throw corrupt("a number is too long");
}

/** §2.1.1.2: the first byte is zero, the second holds the check id. */
function checkId(flags: Uint8Array): number {
  if (flags[0] !== 0 || flags[1]! > 15) throw new XenError("unsupported-compression", "xz data uses unknown flags");
  return flags[1]!;
}

interface BlockHeader {
  /** Where the x86 filter counts from, or undefined without one. */
  readonly x86Start: number | undefined;
  readonly uncompressedSize: bigint | undefined;
}

/** §3.1. `sizeByte` is the block's first byte, already read. */
function takeBlockHeader(reader: Reader, sizeByte: number): BlockHeader {
  const start = reader.at - 1;
  const size = (sizeByte + 1) * 4;
  const body = take(reader, size - 1);
  const whole = reader.bytes.subarray(start, start + size);
  if (crc32(whole.subarray(0, size - 4)) !== word(whole, size - 4)) throw corrupt("a block header's check fails");
  const header: Reader = { bytes: body.subarray(0, size - 5), at: 0 };
  const flags = takeByte(header);
  const filters = (flags & 3) + 1;
  if (flags & 0x40) takeVariableLength(header);
  const uncompressedSize = flags & 0x80 ? takeVariableLength(header) : undefined;

  let x86Start: number | undefined;
  for (let i = 1; i <= filters; i++) {
    const id = takeVariableLength(header);
    const properties = take(header, Number(takeVariableLength(header)));
    if (id === FILTER_LZMA2 && i === filters) continue;
    if (id !== FILTER_X86 || filters !== 2) {
      throw new XenError(
        "unsupported-compression",
        `xz data uses filter 0x${id.toString(16)}; only x86 and LZMA2 are known`,
      );
    }
    x86Start = properties.length === 4 ? word(properties, 0) : 0;
  }
  return { x86Start, uncompressedSize };
}

/** LZMA2: chunks that are stored or LZMA-coded, each saying what it resets. xz's lzma2_decoder.c names the control bytes. */
function takeLzma2(reader: Reader, output: Output, limit: number, enough: Enough | undefined): "whole" | "enough" {
  const decoder = new LzmaDecoder();
  let dictionaryStart = output.length;
  let needsDictionary = true;
  let needsProperties = true;
  for (;;) {
    const control = takeByte(reader);
    if (control === 0) return "whole";
    if (enough?.(output.bytes.subarray(0, output.length))) return "enough";
    if (control === 1 || control >= 0xe0) {
      dictionaryStart = output.length;
      needsDictionary = false;
    } else if (needsDictionary) throw corrupt("the first chunk does not reset the dictionary");

    if (control < 0x80) {
      if (control > 2) throw corrupt(`control byte ${control}`);
      const size = ((takeByte(reader) << 8) | takeByte(reader)) + 1;
      reserve(output, size, limit);
      output.bytes.set(take(reader, size), output.length);
      output.length += size;
      continue;
    }
    const size = (((control & 0x1f) << 16) | (takeByte(reader) << 8) | takeByte(reader)) + 1;
    const compressedSize = ((takeByte(reader) << 8) | takeByte(reader)) + 1;
    if (control >= 0xc0) {
      decoder.setProperties(takeByte(reader));
      needsProperties = false;
    } else if (needsProperties) throw corrupt("the first chunk has no properties");
    else if (control >= 0xa0) decoder.resetState();
    const chunk = take(reader, compressedSize);
    reserve(output, size, limit);
    const used = decoder.decode(chunk, 0, output, dictionaryStart, size, limit);
    if (used !== compressedSize || !decoder.ended) {
      throw corrupt("a chunk's size is wrong");
    }
  }
}

function verifyCheck(id: number, stored: Uint8Array, data: Uint8Array): void {
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  // SHA-256 is left to whoever knows the file's own digest: the core has no hash, and Debian's files use the CRCs.
  const good =
    id === CHECK_CRC32
      ? crc32(data) === view.getUint32(0, true)
      : id === CHECK_CRC64
        ? crc64(data) === view.getBigUint64(0, true)
        : true;
  if (!good) throw corrupt("the check of its contents fails");
}

/** §4: the list of block sizes, which must agree with the blocks. The leading zero byte is already read. */
function takeIndex(reader: Reader, blocks: readonly bigint[]): void {
  const start = reader.at - 1;
  if (takeVariableLength(reader) !== BigInt(blocks.length)) throw corrupt("the index counts other blocks");
  for (const uncompressed of blocks) {
    takeVariableLength(reader);
    if (takeVariableLength(reader) !== uncompressed) throw corrupt("the index has another size for a block");
  }
  while ((reader.at - start) % 4 !== 0) if (takeByte(reader) !== 0) throw corrupt("the index's padding is not zero");
  const stored = word(take(reader, 4), 0);
  if (crc32(reader.bytes.subarray(start, reader.at - 4)) !== stored) throw corrupt("the index's check fails");
}

function takeStream(reader: Reader, output: Output, limit: number, enough: Enough | undefined): "whole" | "enough" {
  const header = take(reader, HEADER_BYTES);
  if (XZ_MAGIC.some((byte, i) => header[i] !== byte)) throw corrupt("it does not begin as xz does");
  if (crc32(header.subarray(6, 8)) !== word(header, 8)) throw corrupt("the stream header's check fails");
  const check = checkId(header.subarray(6, 8));

  const blocks: bigint[] = [];
  for (let sizeByte = takeByte(reader); sizeByte !== 0; sizeByte = takeByte(reader)) {
    const { x86Start, uncompressedSize } = takeBlockHeader(reader, sizeByte);
    const start = output.length;
    const compressedStart = reader.at;
    // What a filter has yet to undo is of no use to whoever looks at it early.
    const ended = takeLzma2(reader, output, limit, x86Start === undefined ? enough : undefined);
    if (ended === "enough") return "enough";
    const data = output.bytes.subarray(start, output.length);
    if (x86Start !== undefined) undoX86Filter(data, x86Start);
    if (uncompressedSize !== undefined && uncompressedSize !== BigInt(data.length))
      throw corrupt("a block's size is wrong");
    while ((reader.at - compressedStart) % 4 !== 0) if (takeByte(reader) !== 0) throw corrupt("padding is not zero");
    verifyCheck(check, take(reader, CHECK_BYTES[check]!), data);
    blocks.push(BigInt(data.length));
  }
  takeIndex(reader, blocks);
  const footer = take(reader, HEADER_BYTES);
  if (FOOTER_MAGIC.some((byte, i) => footer[10 + i] !== byte)) throw corrupt("its footer is missing");
  if (crc32(footer.subarray(4, 10)) !== word(footer, 0)) throw corrupt("the footer's check fails");
  if (checkId(footer.subarray(8, 10)) !== check) throw corrupt("header and footer differ");
  return "whole";
}

/** The opcodes whose operand the filter made absolute: CALL and JMP with a 32-bit displacement. */
const CALL = 0xe8;
const JMP = 0xe9;

const isSignByte = (byte: number): boolean => byte === 0x00 || byte === 0xff;

/**
 * Turns the absolute branch targets of xz's x86 filter back into displacements, in place. `mask` remembers which of the
 * last bytes looked like opcodes or sign bytes, since operands may overlap. xz: src/liblzma/simple/x86.c.
 */
function undoX86Filter(bytes: Uint8Array, start: number): void {
  const allowed = [true, true, true, false, true, false, false, false];
  const bitNumber = [0, 1, 2, 2, 3, 3, 3, 3];
  let mask = 0;
  let last = -5;
  let at = 0;
  while (at + 5 <= bytes.length) {
    if (bytes[at] !== CALL && bytes[at] !== JMP) {
      at++;
      continue;
    }
    const passed = at - last;
    last = at;
    if (passed > 5) mask = 0;
    else for (let i = 0; i < passed; i++) mask = (mask & 0x77) << 1;

    const top = bytes[at + 4]!;
    if (!isSignByte(top) || !allowed[(mask >> 1) & 7] || mask >> 1 >= 0x10) {
      at++;
      mask |= isSignByte(top) ? 0x11 : 1;
      continue;
    }
    let absolute = word(bytes, at + 1);
    let relative: number;
    for (;;) {
      relative = (absolute - (start + at + 5)) >>> 0;
      if (mask === 0) break;
      const shift = 32 - bitNumber[mask >> 1]! * 8;
      if (!isSignByte((relative >>> (shift - 8)) & 0xff)) break;
      absolute = (relative ^ (2 ** shift - 1)) >>> 0;
    }
    bytes[at + 1] = relative;
    bytes[at + 2] = relative >>> 8;
    bytes[at + 3] = relative >>> 16;
    bytes[at + 4] = relative & 0x1000000 ? 0xff : 0;
    at += 5;
    mask = 0;
  }
}

/**
 * Decodes an .xz file: one stream or several, with the padding §2.2 allows between and after them.
 * @param limit the most bytes it may expand to.
 * @param enough stops early, with the checks of what follows left undone: for files whose digest is known to be right.
 * @throws XenError "bad-archive" or "unsupported-compression".
 */
export function decodeXz(bytes: Uint8Array, limit: number, enough?: Enough): Uint8Array<ArrayBuffer> {
  const output = createOutput(Math.min(limit, bytes.length * 5));
  const reader: Reader = { bytes, at: 0 };
  do {
    if (takeStream(reader, output, limit, enough) === "enough") break;
    while (reader.at + 4 <= bytes.length && word(bytes, reader.at) === 0) reader.at += 4;
  } while (reader.at < bytes.length);
  return output.bytes.subarray(0, output.length);
}
