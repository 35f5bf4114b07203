/**
 * LZMA, the entropy coder and match finder inside .xz, .lzma and Linux's XZ and LZMA kernel payloads. Our own, because
 * the core may not depend on a package and no package decodes the x86 filter that kernels use on every host.
 * LZMA specification (LZMA SDK, "lzma-specification.txt").
 */

import { XenError } from "../bits/errors.ts";

/** Bytes that grow as they are produced. What was written stays readable: it is LZMA's dictionary as well. */
export interface Output {
  bytes: Uint8Array<ArrayBuffer>;
  /** How many of {@link bytes} are valid. */
  length: number;
}

/** @returns an empty output that expects about `expected` bytes. */
export function createOutput(expected: number): Output {
  return { bytes: new Uint8Array(expected), length: 0 };
}

/** Makes room for `extra` more bytes. Throws XenError "bad-archive" beyond `limit`. */
export function reserve(output: Output, extra: number, limit: number): void {
  const needed = output.length + extra;
  if (needed > limit) {
    throw new XenError("bad-archive", `compressed data: expands to more than the ${limit} bytes allowed for it`);
  }
  if (needed <= output.bytes.length) return;
  const bytes = new Uint8Array(Math.min(limit, Math.max(needed, output.bytes.length * 2)));
  bytes.set(output.bytes.subarray(0, output.length));
  output.bytes = bytes;
}

const PROBABILITY_INITIAL = 1024;
const STATES = 12;
const MATCH_LENGTH_MINIMUM = 2;
/** The literal coder keeps 0x300 probabilities for each context of previous byte and position. */
const LITERAL_CODER = 0x300;
/** A length coder: two choice bits, sixteen low and sixteen middle trees of 3 bits, one high tree of 8 bits. */
const LENGTH_LOW = 2;
const LENGTH_MIDDLE = LENGTH_LOW + 16 * 8;
const LENGTH_HIGH = LENGTH_MIDDLE + 16 * 8;
const LENGTH_CODER = LENGTH_HIGH + 256;

// One array holds every probability; these are where its parts begin.
const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * 16;
const IS_REP_G0 = IS_REP + STATES;
const IS_REP_G1 = IS_REP_G0 + STATES;
const IS_REP_G2 = IS_REP_G1 + STATES;
const IS_REP0_LONG = IS_REP_G2 + STATES;
const POSITION_SLOT = IS_REP0_LONG + STATES * 16;
const POSITION_SPECIAL = POSITION_SLOT + 4 * 64;
const POSITION_ALIGN = POSITION_SPECIAL + 128;
const MATCH_LENGTH = POSITION_ALIGN + 16;
const REP_LENGTH = MATCH_LENGTH + LENGTH_CODER;
const LITERAL = REP_LENGTH + LENGTH_CODER;

function corrupt(what: string): XenError {
  return new XenError("bad-archive", `LZMA data is corrupt: ${what}`);
}

/**
 * One LZMA decoder: its probabilities and its four last distances outlive a chunk, since LZMA2 continues them. A class
 * because V8 keeps its hot fields in one shape; the decoder is most of the time an image takes to unpack.
 */
export class LzmaDecoder {
  private probabilities = new Uint16Array(LITERAL);
  private literalContextBits = 0;
  private literalPositionMask = 0;
  private positionMask = 0;
  private state = 0;
  private rep0 = 0;
  private rep1 = 0;
  private rep2 = 0;
  private rep3 = 0;
  private range = 0;
  private code = 0;
  private input: Uint8Array = new Uint8Array(0);
  private at = 0;

  /** Sets lc, lp and pb from the properties byte, (pb * 5 + lp) * 9 + lc, and resets the state. */
  setProperties(properties: number): void {
    if (properties >= 9 * 5 * 5) throw corrupt(`properties byte ${properties}`);
    this.literalContextBits = properties % 9;
    const literalPositionBits = Math.floor(properties / 9) % 5;
    this.literalPositionMask = (1 << literalPositionBits) - 1;
    this.positionMask = (1 << Math.floor(properties / 45)) - 1;
    const size = LITERAL + (LITERAL_CODER << (this.literalContextBits + literalPositionBits));
    this.probabilities = new Uint16Array(size);
    this.resetState();
  }

  /** Forgets what was learned: every probability one half, all distances zero. */
  resetState(): void {
    this.probabilities.fill(PROBABILITY_INITIAL);
    this.state = 0;
    this.rep0 = this.rep1 = this.rep2 = this.rep3 = 0;
  }

  /**
   * Decodes one range-coded stretch that begins at `from` in `input`.
   * @param output receives the bytes; room for `size` must be reserved. Its bytes from `dictionaryStart` may be referred to.
   * @param size how many bytes to produce, or undefined to decode until the end marker (`limit` bounds it then).
   * @returns where the input was left.
   */
  decode(
    input: Uint8Array,
    from: number,
    output: Output,
    dictionaryStart: number,
    size: number | undefined,
    limit: number,
  ): number {
    this.input = input;
    this.at = from + 5;
    this.range = 0xffffffff;
    if (this.at > input.length) throw corrupt("it ends too soon");
    if (input[from] !== 0) throw corrupt("the range coder does not begin with zero");
    this.code =
      ((input[from + 1]! << 24) | (input[from + 2]! << 16) | (input[from + 3]! << 8) | input[from + 4]!) >>> 0;

    const end = size === undefined ? undefined : output.length + size;
    while (end === undefined || output.length < end) {
      if (output.length === output.bytes.length) reserve(output, 1, limit);
      const positionState = (output.length - dictionaryStart) & this.positionMask;
      const state = this.state;
      if (this.bit(IS_MATCH + state * 16 + positionState) === 0) {
        this.literal(output, dictionaryStart);
        continue;
      }
      let length: number;
      if (this.bit(IS_REP + state) === 0) {
        this.rep3 = this.rep2;
        this.rep2 = this.rep1;
        this.rep1 = this.rep0;
        length = this.length(MATCH_LENGTH, positionState);
        this.state = state < 7 ? 7 : 10;
        this.rep0 = this.distance(length);
        if (this.rep0 === 0xffffffff) {
          if (end !== undefined && output.length !== end) throw corrupt("an end marker inside the data");
          break;
        }
      } else {
        if (output.length === dictionaryStart) throw corrupt("a repeat before the first byte");
        if (this.bit(IS_REP_G0 + state) === 0) {
          if (this.bit(IS_REP0_LONG + state * 16 + positionState) === 0) {
            this.state = state < 7 ? 9 : 11;
            this.copy(output, dictionaryStart, 1, end);
            continue;
          }
        } else {
          let distance: number;
          if (this.bit(IS_REP_G1 + state) === 0) distance = this.rep1;
          else {
            if (this.bit(IS_REP_G2 + state) === 0) distance = this.rep2;
            else {
              distance = this.rep3;
              this.rep3 = this.rep2;
            }
            this.rep2 = this.rep1;
          }
          this.rep1 = this.rep0;
          this.rep0 = distance;
        }
        length = this.length(REP_LENGTH, positionState);
        this.state = state < 7 ? 8 : 11;
      }
      length += MATCH_LENGTH_MINIMUM;
      if (output.length + length > output.bytes.length) {
        if (end !== undefined) throw corrupt("a match goes past the end");
        reserve(output, length, limit);
      }
      this.copy(output, dictionaryStart, length, end);
    }
    // The encoder always shifts out what remains; a decoder that has read past the input met cut-off data.
    if (this.at > input.length) throw corrupt("it ends too soon");
    if (this.range < 0x1000000) this.normalize();
    this.input = new Uint8Array(0);
    return this.at;
  }

  /** Whether the last stretch ended as the encoder ends one: an end marker may still follow where this says no. */
  get ended(): boolean {
    return this.code === 0;
  }

  private normalize(): void {
    this.range = (this.range << 8) >>> 0;
    this.code = ((this.code << 8) | (this.input[this.at++] ?? 0)) >>> 0;
  }

  /** One bit with the probability at `index`, which learns from it. */
  private bit(index: number): 0 | 1 {
    if (this.range < 0x1000000) this.normalize();
    const probability = this.probabilities[index]!;
    const bound = (this.range >>> 11) * probability;
    if (this.code < bound) {
      this.range = bound;
      this.probabilities[index] = probability + ((2048 - probability) >> 5);
      return 0;
    }
    this.range -= bound;
    this.code -= bound;
    this.probabilities[index] = probability - (probability >> 5);
    return 1;
  }

  /** A number of `bits` bits, most significant first, through a tree of probabilities. */
  private tree(base: number, bits: number): number {
    let node = 1;
    for (let i = 0; i < bits; i++) node = (node << 1) | this.bit(base + node);
    return node - (1 << bits);
  }

  private reverseTree(base: number, bits: number): number {
    let node = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.bit(base + node);
      node = (node << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  private length(base: number, positionState: number): number {
    if (this.bit(base) === 0) return this.tree(base + LENGTH_LOW + positionState * 8, 3);
    if (this.bit(base + 1) === 0) return 8 + this.tree(base + LENGTH_MIDDLE + positionState * 8, 3);
    return 16 + this.tree(base + LENGTH_HIGH, 8);
  }

  private distance(length: number): number {
    const slot = this.tree(POSITION_SLOT + Math.min(length, 3) * 64, 6);
    if (slot < 4) return slot;
    const directBits = (slot >> 1) - 1;
    const base = ((2 | (slot & 1)) << directBits) >>> 0;
    if (slot < 14) return base + this.reverseTree(POSITION_SPECIAL + base - slot, directBits);
    let direct = 0;
    for (let i = directBits - 4; i > 0; i--) {
      if (this.range < 0x1000000) this.normalize();
      this.range >>>= 1;
      const one = this.code >= this.range;
      if (one) this.code -= this.range;
      direct = (direct << 1) | (one ? 1 : 0);
    }
    return base + direct * 16 + this.reverseTree(POSITION_ALIGN, 4);
  }

  private literal(output: Output, dictionaryStart: number): void {
    const { bytes } = output;
    const position = output.length;
    const relative = position - dictionaryStart;
    const previous = relative > 0 ? bytes[position - 1]! : 0;
    const context =
      ((relative & this.literalPositionMask) << this.literalContextBits) + (previous >> (8 - this.literalContextBits));
    const base = LITERAL + LITERAL_CODER * context;
    let symbol = 1;
    if (this.state >= 7) {
      if (this.rep0 >= relative) throw corrupt("a distance before the first byte");
      let match = bytes[position - this.rep0 - 1]!;
      do {
        const expected = (match >> 7) & 1;
        match <<= 1;
        const bit = this.bit(base + ((1 + expected) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (expected !== bit) break;
      } while (symbol < 0x100);
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.bit(base + symbol);
    bytes[position] = symbol;
    output.length = position + 1;
    const state = this.state;
    this.state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
  }

  private copy(output: Output, dictionaryStart: number, length: number, end: number | undefined): void {
    const { bytes } = output;
    let to = output.length;
    if (this.rep0 >= to - dictionaryStart) throw corrupt("a distance before the first byte");
    if (end !== undefined && to + length > end) throw corrupt("a match goes past the end");
    const distance = this.rep0 + 1;
    const stop = to + length;
    // Byte by byte: a match may overlap what it produces.
    for (; to < stop; to++) bytes[to] = bytes[to - distance]!;
    output.length = stop;
  }
}

/**
 * Decodes a `.lzma` ("LZMA alone") file: properties, dictionary size, uncompressed size or -1, data.
 * @param limit the most bytes it may expand to.
 * @throws XenError "bad-archive".
 */
export function decodeLzma(bytes: Uint8Array, limit: number): Uint8Array<ArrayBuffer> {
  if (bytes.length < 18) throw corrupt("it ends too soon");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const low = view.getUint32(5, true);
  const high = view.getUint32(9, true);
  const size = low === 0xffffffff && high === 0xffffffff ? undefined : high * 2 ** 32 + low;
  const output = createOutput(0);
  reserve(output, size ?? Math.min(limit, bytes.length * 4), limit);
  const decoder = new LzmaDecoder();
  decoder.setProperties(bytes[0]!);
  decoder.decode(bytes, 13, output, 0, size, limit);
  return output.bytes.subarray(0, output.length);
}
