/**
 * Exact floating-point arithmetic in integers, shared by SSE and x87: routines of the IR, so that both tiers and the oracle
 * have the same. A finite number other than zero is (sign, exponent, significand): (−1)^sign × significand × 2^(exponent − 63),
 * the significand's bit 63 set. A result that is yet to be rounded has 64 more bits below it, `low`, whose bit 0 is set
 * when anything non-zero has been cut off.
 */

/** Exceptions, in the bits that MXCSR and the x87 status word have in common. Intel SDM Vol. 1, "MXCSR Control and Status Register". */
export const Exception = {
  invalid: 1,
  denormal: 2,
  zeroDivide: 4,
  overflow: 8,
  underflow: 16,
  precision: 32,
  /** No exception: the significand was rounded away from zero. C1's place in the x87 status word. */
  roundedUp: 0x200,
} as const;
export const allExceptions = 0x3f;

/**
 * How a routine rounds and what it does about exceptions: an i32 laid out as MXCSR. For x87, whose control word has the
 * same fields elsewhere: (fcw & 0x3f) << 7 | (fcw & 0xc00) << 3.
 */
export const Control = {
  denormalsAreZero: 1 << 6,
  /** Added to an exception's bit number: its mask. */
  maskShift: 7,
  /** Two bits: {@link Rounding}. */
  roundingShift: 13,
  flushToZero: 1 << 15,
} as const;

export const Rounding = { nearest: 0, down: 1, up: 2, zero: 3 } as const;

/** A format of IEEE 754 with a hidden integer bit. */
export interface Format {
  readonly name: "single" | "double";
  readonly type: "i32" | "i64";
  readonly bits: 32 | 64;
  /** Significant bits, the hidden one included. */
  readonly precision: 24 | 53;
  /** The largest exponent of a number; the bias, too. The smallest is 1 − maximum. */
  readonly maximum: 127 | 1023;
}
export const single: Format = { name: "single", type: "i32", bits: 32, precision: 24, maximum: 127 };
export const double: Format = { name: "double", type: "i64", bits: 64, precision: 53, maximum: 1023 };

/** The exponent field of an infinity or NaN. */
export function specialExponent(format: Format): number {
  return 2 * format.maximum + 1;
}
/** The highest bit of the fraction: a NaN without it is signalling. */
export function quietBit(format: Format): bigint {
  return 1n << BigInt(format.precision - 2);
}
export function signBit(format: Format): bigint {
  return 1n << BigInt(format.bits - 1);
}
export function infinityBits(format: Format): bigint {
  return BigInt(specialExponent(format)) << BigInt(format.precision - 1);
}
/** What a masked invalid operation gives: negative, quiet, no payload. Intel SDM Vol. 1, "QNaN Floating-Point Indefinite". */
export function defaultNan(format: Format): bigint {
  return signBit(format) | infinityBits(format) | quietBit(format);
}
