import type { Builder } from "../ir/builder.ts";
import type { Value } from "../ir/node.ts";
import type { OperationName } from "../ir/operations.ts";
import { Exception, signBit } from "./softfloat/format.ts";
import type { Format } from "./softfloat/format.ts";
import { State } from "./state.ts";

/**
 * When WebAssembly's own arithmetic does exactly what SSE does, flags included. An operand that is a NaN makes a NaN, so
 * that looking at the result finds it; a denormal operand has to be looked for.
 */

const control = 0xffe0;
/** Round to nearest, every exception masked, FTZ and DAZ off, and PE sticky already: a rounded result changes nothing. */
const ordinary = 0x1fa0;

/** Not zero unless MXCSR is such that a rounded, normal result has no effect on it. */
function rounding(ir: Builder): Value {
  return ir.xor(ir.and(ir.settled("i32", State.mxcsr), control), ordinary);
}
/** Whether MXCSR is such that a rounded, normal result has no effect on it. */
export function roundsFreely(ir: Builder): Value {
  return ir.eqz(rounding(ir));
}
/** The same but for PE, which may not be set yet. */
export function roundsToNearest(ir: Builder): Value {
  return ir.eq(ir.and(ir.get("i32", State.mxcsr), control & ~Exception.precision), ordinary & ~Exception.precision);
}

function hidden(format: Format): bigint {
  return 1n << BigInt(format.precision);
}
/** The bits of a scalar without its sign, one place to the left. */
function magnitude(ir: Builder, value: Value): Value {
  return ir.shl(value, 1);
}
/** Infinity, as {@link magnitude} has it. */
function infinite(format: Format): bigint {
  return (signBit(format) << 1n) - hidden(format);
}

export function isDenormal(ir: Builder, format: Format, value: Value): Value {
  return ir.ltu(ir.sub(magnitude(ir, value), 1), hidden(format) - 1n);
}
export function isZero(ir: Builder, value: Value): Value {
  return ir.eqz(magnitude(ir, value));
}
export function isNan(ir: Builder, format: Format, value: Value): Value {
  return ir.ltu(infinite(format), magnitude(ir, value));
}
/** Neither infinite nor a NaN. */
export function isFinite(ir: Builder, format: Format, value: Value): Value {
  return ir.ltu(magnitude(ir, value), infinite(format));
}
/** Neither zero, denormal, infinite nor a NaN. */
export function isNormal(ir: Builder, format: Format, value: Value): Value {
  return ir.ltu(ir.sub(magnitude(ir, value), hidden(format)), infinite(format) - hidden(format));
}

/** All lanes of a format, or the lowest. */
interface Lanes {
  readonly format: Format;
  readonly packed: boolean;
}
type Shape = "i32x4" | "i64x2";
function shapeOf(format: Format): Shape {
  return format.name === "single" ? "i32x4" : "i64x2";
}
/** A vector with the same number in every lane. */
export function everyLane(ir: Builder, format: Format, bits: bigint): Value {
  const lanes = Array.from(
    { length: 128 / format.bits },
    (_, lane) => BigInt.asUintN(format.bits, bits) << BigInt(lane * format.bits),
  );
  return ir.const(
    "v128",
    lanes.reduce((all, lane) => all | lane, 0n),
  );
}
function exponents(ir: Builder, format: Format, vector: Value): Value {
  return ir.op("v128.and", [vector, everyLane(ir, format, infinite(format) >> 1n)]);
}

/** Lanes that are denormal, as a mask. */
export function denormalLanes(ir: Builder, format: Format, vector: Value): Value {
  const shape = shapeOf(format);
  const zero = ir.const("v128", 0);
  const least = ir.op(`${shape}.eq`, [exponents(ir, format, vector), zero]);
  const none = ir.op(`${shape}.eq`, [ir.op(`${shape}.shl`, [vector, ir.const("i32", 1)]), zero]);
  return ir.op("v128.andnot", [least, none]);
}
/** Lanes that are infinite or NaNs. */
export function specialLanes(ir: Builder, format: Format, vector: Value): Value {
  return ir.op(`${shapeOf(format)}.eq`, [exponents(ir, format, vector), everyLane(ir, format, infinite(format) >> 1n)]);
}
/** Lanes that are zero or denormal. */
export function smallLanes(ir: Builder, format: Format, vector: Value): Value {
  return ir.op(`${shapeOf(format)}.eq`, [exponents(ir, format, vector), ir.const("v128", 0)]);
}
/** Lanes that are NaNs. */
export function nanLanes(ir: Builder, format: Format, vector: Value): Value {
  return ir.op("v128.not", [ir.op(format.name === "single" ? "f32x4.eq" : "f64x2.eq", [vector, vector])]);
}

/** Whether no lane is set in any of the masks. */
export function none(ir: Builder, masks: readonly Value[]): Value {
  const any = masks.reduce((all, mask) => ir.op("v128.or", [all, mask]));
  return ir.eqz(ir.op("v128.any_true", [any]));
}

/**
 * Lanes whose sign says that a number is none of the middle half of its format's exponents: too large, too small, zero, or no
 * number. Of operands that half is 2^−511 to 2^513 (single: 2^−63 to 2^65); of results it is eight times that, so that a
 * result over or times an operand's magnitude is surely not denormal.
 */
export function outsideLanes(ir: Builder, format: Format, vector: Value, of: "operand" | "result"): Value {
  const shape = shapeOf(format);
  const least = ((format.maximum + 1) >> 1) + (of === "result" ? 3 : 0);
  // Without the sign, and from the least exponent on: the upper half of that range is outside.
  const magnitudes = ir.op(`${shape}.add`, [vector, vector]);
  return ir.op(`${shape}.sub`, [magnitudes, everyLane(ir, format, BigInt(least) << BigInt(format.precision))]);
}

/** The signs of vectors' lanes, all or the lowest: not zero where one is set. */
export function anySign(ir: Builder, { format, packed }: Lanes, vectors: readonly Value[]): Value {
  const any = vectors.reduce((all, each) => ir.op("v128.or", [all, each]));
  const signs = ir.op(`${shapeOf(format)}.bitmask`, [any]);
  return packed ? signs : ir.and(signs, 1);
}
/** `fast` where no lane's sign is set in any of the vectors and MXCSR lets it round, else what `slow` computes. */
export function unlessOdd(ir: Builder, lanes: Lanes, vectors: readonly Value[], fast: Value, slow: () => Value): Value {
  const result = ir.variable(fast);
  ir.unless(ir.ne(ir.or(anySign(ir, lanes, vectors), rounding(ir)), 0), () => ir.assign(result, slow()));
  return ir.read(result);
}

/** WebAssembly's name of an operation on a format's numbers, and on vectors of them. */
export function scalarName(format: Format, operation: string): OperationName {
  return `${format.name === "single" ? "f32" : "f64"}.${operation}` as OperationName;
}
export function vectorName(format: Format, operation: string): OperationName {
  return `${format.name === "single" ? "f32x4" : "f64x2"}.${operation}` as OperationName;
}

/** An operation's name on lowest lanes (ir/low-lane-operations.ts). */
export function lowName(format: Format, operation: string): OperationName {
  return `${format.name === "single" ? "f32x4" : "f64x2"}.${operation}_low` as OperationName;
}

/** `fast` where the condition holds, else what `slow` computes. */
export function either(ir: Builder, condition: Value, fast: Value, slow: () => Value): Value {
  const result = ir.variable(fast);
  ir.unless(ir.eqz(condition), () => ir.assign(result, slow()));
  return ir.read(result);
}
