/**
 * The fixed-width little-endian integers of C structures, and the few operations on addresses and words that the
 * language does not have.
 */

/** How a value lies in memory: what {@link ./struct.ts} lays out. `get` and `set` are little-endian, as x86 is. */
export interface Member<T> {
  /** Bytes, padding at the end included. */
  readonly sizeof: number;
  /** The alignment C gives it: a power of two. */
  readonly alignof: number;
  get(view: DataView, at: number): T;
  set(view: DataView, at: number, value: T): void;
  /** A fresh value with every bit clear. */
  zero(): T;
}

/** An integer member, with the number of bits it holds. */
export interface IntegerMember<T extends number | bigint> extends Member<T> {
  readonly bits: number;
  readonly signed: boolean;
}

function integer<T extends number | bigint>(
  bits: number,
  signed: boolean,
  zero: T,
  get: (view: DataView, at: number) => T,
  set: (view: DataView, at: number, value: T) => void,
): IntegerMember<T> {
  return { bits, signed, sizeof: bits / 8, alignof: bits / 8, get, set, zero: () => zero };
}

/** uint8_t. Values outside the type wrap on write, here and below, as a C conversion does. */
export const u8 = integer<number>(
  8,
  false,
  0,
  (view, at) => view.getUint8(at),
  (view, at, value) => view.setUint8(at, value),
);
/** int8_t */
export const i8 = integer<number>(
  8,
  true,
  0,
  (view, at) => view.getInt8(at),
  (view, at, value) => view.setInt8(at, value),
);
/** uint16_t */
export const u16 = integer<number>(
  16,
  false,
  0,
  (view, at) => view.getUint16(at, true),
  (view, at, value) => view.setUint16(at, value, true),
);
/** int16_t */
export const i16 = integer<number>(
  16,
  true,
  0,
  (view, at) => view.getInt16(at, true),
  (view, at, value) => view.setInt16(at, value, true),
);
/** uint32_t, as a number from 0 to 2^32 - 1. */
export const u32 = integer<number>(
  32,
  false,
  0,
  (view, at) => view.getUint32(at, true),
  (view, at, value) => view.setUint32(at, value, true),
);
/** int32_t */
export const i32 = integer<number>(
  32,
  true,
  0,
  (view, at) => view.getInt32(at, true),
  (view, at, value) => view.setInt32(at, value, true),
);
/** uint64_t, as a bigint. */
export const u64 = integer<bigint>(
  64,
  false,
  0n,
  (view, at) => view.getBigUint64(at, true),
  (view, at, value) => view.setBigUint64(at, value, true),
);
/** int64_t, as a bigint. */
export const i64 = integer<bigint>(
  64,
  true,
  0n,
  (view, at) => view.getBigInt64(at, true),
  (view, at, value) => view.setBigInt64(at, value, true),
);

/** A 32-bit word read as a bigint: how `unsigned long` and pointers of 32-bit code become those of 64-bit code. */
export const u32AsBigint: IntegerMember<bigint> = integer<bigint>(
  32,
  false,
  0n,
  (view, at) => BigInt(view.getUint32(at, true)),
  (view, at, value) => view.setUint32(at, Number(BigInt.asUintN(32, value)), true),
);

/** Rounds up to a multiple of `alignment`, which is a power of two. Exact up to 2^53. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** Rounds down to a multiple of `alignment`, which is a power of two. */
export function alignDown(value: number, alignment: number): number {
  return Math.floor(value / alignment) * alignment;
}

/** The number of the lowest set bit of a 32-bit word, or 32 when none is. */
export function lowestBit(word: number): number {
  return word === 0 ? 32 : 31 - Math.clz32(word & -word);
}
