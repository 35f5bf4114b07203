/** A growing byte string with WebAssembly's number encodings. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  /** @param expected Bytes for which there is room to begin with. */
  constructor(expected = 256) {
    this.#bytes = new Uint8Array(expected);
  }

  #reserve(count: number): void {
    if (this.length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + count));
    larger.set(this.#bytes.subarray(0, this.length));
    this.#bytes = larger;
  }

  u8(value: number): void {
    if (this.length === this.#bytes.length) this.#reserve(1);
    this.#bytes[this.length++] = value;
  }

  /** Unsigned LEB128 of an integer below 2^53. */
  unsigned(value: number): void {
    if (value < 0x80) {
      this.u8(value);
      return;
    }
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.length++] = rest;
  }

  /** Signed LEB128 of an i32. */
  signed32(value: number): void {
    this.#reserve(5);
    let rest = value | 0;
    while (rest < -0x40 || rest >= 0x40) {
      this.#bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>= 7;
    }
    this.#bytes[this.length++] = rest & 0x7f;
  }

  /** Signed LEB128 of an i64, given as any integer that is congruent to it modulo 2^64. */
  signed64(value: bigint | number): void {
    if (value >= -0x80000000 && value <= 0x7fffffff) {
      this.signed32(Number(value));
      return;
    }
    this.#reserve(10);
    let rest = BigInt.asIntN(64, BigInt(value));
    while (rest < -0x40n || rest >= 0x40n) {
      this.#bytes[this.length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#bytes[this.length++] = Number(rest & 0x7fn);
  }

  f64(value: number): void {
    this.#reserve(8);
    new DataView(this.#bytes.buffer).setFloat64(this.length, value, true);
    this.length += 8;
  }

  f32(value: number): void {
    this.#reserve(4);
    new DataView(this.#bytes.buffer).setFloat32(this.length, value, true);
    this.length += 4;
  }

  /** Appends the bytes of `bytes` from `from` to `to`, a few. */
  copy(bytes: Uint8Array, from: number, to: number): void {
    this.#reserve(to - from);
    const mine = this.#bytes;
    let at = this.length;
    for (let index = from; index < to; index++) mine[at++] = bytes[index]!;
    this.length = at;
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** A name: its length in bytes, then ASCII. */
  name(text: string): void {
    this.unsigned(text.length);
    for (let index = 0; index < text.length; index++) this.u8(text.charCodeAt(index));
  }

  /** The bytes so far; valid until the next write. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.length);
  }
}
