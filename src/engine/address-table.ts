/** A table from byte addresses of code to numbers above 0, in two words an entry: a guest's code has a million instructions. */

/** No code is at address 0. */
const free = 0;
const firstBits = 16;

/** Open addressing with steps of one. Entries that were deleted keep their key, with 0 for a value, until the table grows. */
export class AddressTable {
  /** Keys and values in turn. */
  #words = new Int32Array(2 << firstBits);
  #mask = (1 << firstBits) - 1;
  /** What is left of a product of 32 bits: its upper ones, which all of the factor's bits reach. */
  #shift = 32 - firstBits;
  /** Places that have a key, those of deleted entries too. */
  #taken = 0;

  /** Where a key is, or where it would be. */
  #place(address: number): number {
    const words = this.#words;
    const key = address | 0;
    let place = Math.imul(key, 0x9e3779b1) >>> this.#shift;
    while (words[place * 2] !== key && words[place * 2] !== free) place = (place + 1) & this.#mask;
    return place;
  }

  /** @returns 0 for none. */
  get(address: number): number {
    return this.#words[this.#place(address) * 2 + 1]!;
  }

  set(address: number, value: number): void {
    const place = this.#place(address);
    if (this.#words[place * 2] === free) {
      this.#taken += 1;
      this.#words[place * 2] = address | 0;
    }
    this.#words[place * 2 + 1] = value;
    if (this.#taken * 2 > this.#mask) this.#grow();
  }

  /** Deletes an entry if it has this value. */
  delete(address: number, value: number): void {
    const place = this.#place(address);
    if (this.#words[place * 2 + 1] === value) this.#words[place * 2 + 1] = 0;
  }

  #grow(): void {
    const before = this.#words;
    let live = 0;
    for (let at = 1; at < before.length; at += 2) if (before[at] !== 0) live += 1;
    // A table full of deleted entries is cleaned, and not made larger.
    if (live * 4 > this.#mask) this.#shift -= 1;
    const entries = 2 ** (32 - this.#shift);
    this.#words = new Int32Array(entries * 2);
    this.#mask = entries - 1;
    this.#taken = live;
    for (let at = 0; at < before.length; at += 2) {
      if (before[at + 1] === 0) continue;
      const place = this.#place(before[at]!) * 2;
      this.#words[place] = before[at]!;
      this.#words[place + 1] = before[at + 1]!;
    }
  }
}
