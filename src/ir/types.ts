/**
 * Value types. Integers are bit patterns: an operation says whether it reads them as signed. Floating-point values are the
 * integers that hold their bits, so that a NaN's payload is never left to the host.
 */
export const bitsOf = { i1: 1, i8: 8, i16: 16, i32: 32, i64: 64, v128: 128 } as const;
export type Type = keyof typeof bitsOf;
export type IntegerType = Exclude<Type, "v128">;

const byBits = new Map<number, Type>(Object.entries(bitsOf).map(([type, bits]) => [bits, type as Type]));

/** The type of `bits` bits. */
export function typeOf(bits: number): Type {
  const type = byBits.get(bits);
  if (type === undefined) throw new Error(`no type has ${bits} bits`);
  return type;
}
