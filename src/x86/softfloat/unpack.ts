import type { Builder } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { normalised } from "./finite.ts";
import { Control, Exception, quietBit, signBit, specialExponent } from "./format.ts";
import type { Format } from "./format.ts";
import { isMasked, round } from "./round.ts";

/** A number taken apart. Its bits are handled as an i64 whatever the format. */
export interface Unpacked {
  readonly bits: Value;
  /** i32, 0 or 1. */
  readonly sign: Value;
  readonly isNan: Value;
  readonly isSignaling: Value;
  readonly isInfinity: Value;
  readonly isZero: Value;
  readonly isDenormal: Value;
  /** As format.ts has them; meaningless for NaNs, infinities and zeros. */
  readonly exponent: Value;
  readonly significand: Value;
}

/** Zero of the same sign in a denormal's place, where the control word says so. */
export function flushed(ir: Builder, format: Format, bits: Value, control: Value): Value {
  const magnitude = ir.and(bits, signBit(format) - 1n);
  const denormal = ir.ltu(magnitude, 1n << BigInt(format.precision - 1));
  const flush = ir.ne(ir.and(control, Control.denormalsAreZero), 0);
  return ir.hold(ir.select(ir.and(denormal, flush), ir.and(bits, signBit(format)), bits));
}

/** Takes the i64 that holds a number apart. */
export function unpack(ir: Builder, format: Format, bits: Value): Unpacked {
  const { precision, maximum } = format;
  const shift = precision - 1;
  const fraction = ir.hold(ir.and(bits, (1n << BigInt(shift)) - 1n));
  const special = specialExponent(format);
  const field = ir.hold(ir.and(ir.trunc(ir.shr(bits, shift), "i32"), special));
  const empty = ir.hold(ir.eqz(fraction));
  const least = ir.hold(ir.eqz(field));
  const most = ir.hold(ir.eq(field, special));
  const isNan = ir.hold(ir.and(most, ir.eqz(empty)));
  const left = ir.shl(fraction, 64 - precision);
  const explicit = ir.select(least, left, ir.or(left, 1n << 63n));
  const [exponent, significand] = normalised(
    ir,
    ir.sub(ir.select(least, ir.const("i32", 1), field), maximum),
    explicit,
  );
  return {
    bits,
    sign: ir.hold(ir.trunc(ir.shr(bits, format.bits - 1), "i32")),
    isNan,
    isSignaling: ir.hold(ir.and(isNan, ir.eqz(ir.and(bits, quietBit(format))))),
    isInfinity: ir.hold(ir.and(most, empty)),
    isZero: ir.hold(ir.and(least, empty)),
    isDenormal: ir.hold(ir.and(least, ir.eqz(empty))),
    exponent,
    significand,
  };
}

/** The bits of a sign and of what `round` gives. */
export function pack(ir: Builder, format: Format, sign: Value, biased: Value, significand: Value): Value {
  const { precision } = format;
  const fraction = ir.and(ir.shr(significand, 64 - precision), (1n << BigInt(precision - 1)) - 1n);
  const upper = ir.or(ir.shl(sign, format.bits - precision), biased);
  return ir.or(ir.shl(ir.zext(upper, "i64"), precision - 1), fraction);
}

/** Rounds and packs. @returns bits and flags. */
export function roundPack(
  ir: Builder,
  format: Format,
  sign: Value,
  exponent: Value,
  high: Value,
  low: Value,
  control: Value,
): [bits: Value, flags: Value] {
  const { precision, maximum } = format;
  const target = [ir.const("i32", precision), ir.const("i32", maximum)] as const;
  const [biased, significand, flags] = ir.call(round, sign, exponent, high, low, ...target, control) as [
    Value,
    Value,
    Value,
  ];
  return [ir.hold(pack(ir, format, sign, biased, significand)), flags];
}

/** A zero or an infinity (as `magnitude` is) with a sign. */
export function signed(ir: Builder, format: Format, sign: Value, magnitude: bigint): Value {
  return ir.or(ir.shl(ir.zext(sign, "i64"), format.bits - 1), magnitude);
}

/** Whether an exception flag is raised that the control word does not mask: then there is no result. */
export function isUnmasked(ir: Builder, control: Value, flags: Value, exception: number): Value {
  return ir.and(ir.ne(ir.and(flags, exception), 0), ir.eqz(isMasked(ir, control, exception)));
}

/** `flags` with the denormal exception where the condition holds. */
export function denormalFlag(ir: Builder, condition: Value): Value {
  return ir.hold(ir.select(condition, ir.const("i32", Exception.denormal), ir.const("i32", 0)));
}
