/** Bit fields by name: no shift and mask is written by hand, and no two fields can overlap. */

import { assert } from "./errors.ts";
import type { IntegerMember, Member } from "./integers.ts";

/** A range of bits, both ends included, as manuals write it. */
export interface BitRange {
  readonly from: number;
  readonly to: number;
}

/** Bits `from` to `to`, both included: `bits(12, 51)`. */
export function bits(from: number, to: number): BitRange {
  return { from, to };
}

/** A field is one bit, which reads as a boolean, or a range, which reads as an integer of the carrier's type. */
export type BitFields = Readonly<Record<string, number | BitRange>>;

type Unpacked<T, F extends BitFields> = { -readonly [K in keyof F]: F[K] extends number ? boolean : T };

/** A word made of named fields; also a member of structures. Bits that no field names read as nothing and pack as zero. */
export interface Bitfield<T, V> extends Member<V> {
  /** The bits of each field, in place. */
  readonly masks: { readonly [K in keyof V]: T };
  unpack(word: T): V;
  /** Omitted fields are zero. A range value that does not fit its field is our fault. */
  pack(value: Partial<V>): T;
}

interface Field {
  readonly key: string;
  readonly shift: bigint;
  readonly mask: bigint;
  readonly single: boolean;
}

/**
 * Names the bits of a word.
 * @param carrier u8, u16, u32 or u64; ranges of a u64 are bigints, of the others numbers.
 */
export function bitfield<T extends number | bigint, const F extends BitFields>(
  carrier: IntegerMember<T>,
  fields: F,
): Bitfield<T, Unpacked<T, F>> {
  type V = Unpacked<T, F>;
  const wide = typeof carrier.zero() === "bigint";
  const word = (value: bigint): T => (wide ? value : Number(value)) as T;
  let taken = 0n;
  const list: Field[] = Object.entries(fields).map(([key, field]) => {
    const single = typeof field === "number";
    const { from, to } = single ? { from: field, to: field } : field;
    assert(from >= 0 && to >= from && to < carrier.bits, `bit field ${key}: bits ${from} to ${to} of ${carrier.bits}`);
    const mask = ((1n << BigInt(to - from + 1)) - 1n) << BigInt(from);
    assert((taken & mask) === 0n, `bit field ${key} overlaps another`);
    taken |= mask;
    return { key, shift: BigInt(from), mask, single };
  });
  const unpack = (raw: T): V => {
    const value = BigInt(raw);
    const result: Record<string, boolean | T> = {};
    for (const { key, shift, mask, single } of list) {
      const field = (value & mask) >> shift;
      result[key] = single ? field !== 0n : word(field);
    }
    return result as V;
  };
  const pack = (value: Partial<V>): T => {
    let result = 0n;
    for (const { key, shift, mask } of list) {
      const given = value[key] ?? 0;
      const field = BigInt(given) << shift;
      assert((field & ~mask) === 0n, `bit field ${key}: ${String(given)} does not fit`);
      result |= field;
    }
    return word(result);
  };
  return {
    sizeof: carrier.sizeof,
    alignof: carrier.alignof,
    masks: Object.fromEntries(list.map(({ key, mask }) => [key, word(mask)])) as Bitfield<T, V>["masks"],
    unpack,
    pack,
    get: (view, at) => unpack(carrier.get(view, at)),
    set: (view, at, value) => carrier.set(view, at, pack(value)),
    zero: () => unpack(carrier.zero()),
  };
}
