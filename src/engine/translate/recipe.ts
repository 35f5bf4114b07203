/** Which code was worth translating before, and what its regions were made of: for the next boot of the same guest. */

const pageBytes = 4096;

/** A number of 53 bits for the contents of a page. It need not be strong: what is made by a recipe is compared otherwise. */
export function hashPage(words: Int32Array): number {
  let low = 0x2545f491;
  let high = 0x6c078965;
  for (let index = 0; index < words.length; index += 2) {
    low = Math.imul(low ^ words[index]!, 0x2c1b3c6d);
    high = Math.imul(high ^ words[index + 1]!, 0x297a2d39);
    low = (low ^ (low >>> 15)) + high;
    high ^= high >>> 13;
  }
  high = Math.imul(high ^ (high >>> 16) ^ low, 0x7feb352d);
  return (((high ^ (high >>> 15)) >>> 0) & 0x1fffff) * 2 ** 32 + (low >>> 0);
}

/** A region, by places in pages. Offsets count from byte 0 of the region's base page. */
export interface Recipe {
  readonly mode: number;
  /** The pages that it has instructions in, by their distance from the base page, with the hashes of their contents. */
  readonly pages: readonly { readonly page: number; readonly hash: number }[];
  /** The first is where it became hot. */
  readonly entries: readonly number[];
  readonly leaders: readonly number[];
  readonly instructions: readonly number[];
}

/** Bytes that recipes begin with, and of each page. */
const headerBytes = 10;
const pageEntryBytes = 10;

/** Writes a recipe down. The base page is its first. */
export function encodeRecipe({ mode, pages, entries, leaders, instructions }: Recipe): Uint8Array<ArrayBuffer> {
  const lists = [entries, leaders, instructions];
  const numbers = lists.reduce((count, list) => count + list.length, 0);
  const bytes = new Uint8Array(headerBytes + pages.length * pageEntryBytes + numbers * 2);
  const view = new DataView(bytes.buffer);
  [mode, pages.length, ...lists.map(({ length }) => length)].forEach((number, index) =>
    view.setUint16(index * 2, number, true),
  );
  let at = headerBytes;
  for (const { page, hash } of pages) {
    view.setInt16(at, page, true);
    view.setFloat64(at + 2, hash, true);
    at += pageEntryBytes;
  }
  for (const list of lists) {
    for (const number of list) {
      view.setInt16(at, number, true);
      at += 2;
    }
  }
  return bytes;
}

/** Reads what {@link encodeRecipe} has written. @throws RangeError where it is something else. */
export function decodeRecipe(bytes: Uint8Array): Recipe {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = (index: number): number => view.getUint16(index * 2, true);
  let at = headerBytes;
  const pages = Array.from({ length: count(1) }, () => {
    at += pageEntryBytes;
    return { page: view.getInt16(at - pageEntryBytes, true), hash: view.getFloat64(at - pageEntryBytes + 2, true) };
  });
  const list = (length: number): number[] =>
    Array.from({ length }, () => {
      at += 2;
      return view.getInt16(at - 2, true);
    });
  return { mode: count(0), pages, entries: list(count(2)), leaders: list(count(3)), instructions: list(count(4)) };
}

/** The recipes of earlier boots, by the contents of the page and the place at which they are entered. */
export class Recipes {
  readonly #byPage = new Map<number, Map<number, Uint8Array>>();

  /** @param all Recipes, each behind its length (u32). */
  constructor(all: Uint8Array) {
    const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
    for (let at = 0; at < all.length;) {
      const length = view.getUint32(at, true);
      this.#add(all.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
  }

  #add(bytes: Uint8Array): void {
    // The base page comes first, and so does the entry: the rest is read when it is asked for.
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const hash = view.getFloat64(headerBytes + 2, true);
    const entry = view.getUint16(headerBytes + view.getUint16(2, true) * pageEntryBytes, true);
    let places = this.#byPage.get(hash);
    if (places === undefined) {
      places = new Map();
      this.#byPage.set(hash, places);
    }
    places.set(view.getUint16(0, true) * pageBytes + entry, bytes);
  }

  /** Places (mode × 4096 + page offset) in pages with such contents that were hot. */
  places(hash: number): ReadonlyMap<number, unknown> | undefined {
    return this.#byPage.get(hash);
  }
  find(hash: number, place: number): Recipe | undefined {
    const bytes = this.#byPage.get(hash)?.get(place);
    return bytes === undefined ? undefined : decodeRecipe(bytes);
  }
}
