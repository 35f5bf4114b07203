import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { floatRoutine } from "./arithmetic.ts";
import { normalised } from "./finite.ts";
import { Exception, double, quietBit, single } from "./format.ts";
import type { Format } from "./format.ts";
import { increment, roundingOf, shiftRight, when } from "./round.ts";
import { flushed, roundPack, signed, unpack } from "./unpack.ts";

/** Between floating-point numbers and integers, and to integral values. */

const builder = () => new Builder();

/**
 * integral(sign: i32, exponent: i32, significand: i64, rounding: i32) → (magnitude: i64, flags: i32): a finite number other
 * than zero, its exponent below 64, rounded to an integer. Flags are `precision` and `roundedUp`.
 */
export const integral = routine(
  "float.integral",
  { parameters: ["i32", "i32", "i64", "i32"], results: ["i64", "i32"], faults: false },
  builder,
  (ir, sign, exponent, significand, rounding) => {
    const [whole, rest] = ir.call(shiftRight, significand, ir.const("i64", 0), ir.sub(63, exponent)) as [Value, Value];
    const up = ir.hold(ir.call(increment, sign, whole, rest, rounding)[0]!);
    const flags = ir.or(when(ir, ir.ne(rest, 0), Exception.precision), when(ir, ir.ne(up, 0), Exception.roundedUp));
    ir.return(ir.add(whole, ir.zext(up, "i64")), flags);
  },
);

/**
 * signedInteger(sign: i32, magnitude: i64, bits: i32) → (integer: i64, valid: i32): the two's complement integer of `bits` bits,
 * where there is one.
 */
export const signedInteger = routine(
  "float.signedInteger",
  { parameters: ["i32", "i64", "i32"], results: ["i64", "i32"], faults: false },
  builder,
  (ir, sign, magnitude, bits) => {
    const negative = ir.ne(sign, 0);
    const limit = ir.shl(ir.const("i64", 1), ir.zext(ir.sub(bits, 1), "i64"));
    const valid = ir.leu(magnitude, ir.sub(limit, ir.select(negative, ir.const("i64", 0), ir.const("i64", 1))));
    ir.return(ir.select(negative, ir.neg(magnitude), magnitude), ir.zext(valid, "i32"));
  },
);

/**
 * toInteger(a, bits: i32, rounding: i32, control: i32) → (integer: i64, flags: i32). What does not fit `bits` bits is
 * invalid, and gives the integer indefinite: the smallest of that width.
 */
function toInteger(format: Format): Routine {
  return routine(
    `float.toInteger.${format.name}`,
    { parameters: [format.type, "i32", "i32", "i32"], results: ["i64", "i32"], faults: false },
    builder,
    (ir, value, bits, rounding, control) => {
      const a = unpack(ir, format, flushed(ir, format, ir.zext(value, "i64"), control));
      const indefinite = ir.shl(ir.const("i64", -1), ir.zext(ir.sub(bits, 1), "i64"));
      const invalid = () => ir.return(indefinite, ir.const("i32", Exception.invalid));
      ir.if(a.isZero, () => ir.return(ir.const("i64", 0), ir.const("i32", 0)));
      ir.if(ir.or(ir.or(a.isNan, a.isInfinity), ir.les(64, a.exponent)), invalid);
      const [magnitude, flags] = ir.call(integral, a.sign, a.exponent, a.significand, rounding) as [Value, Value];
      const [integer, valid] = ir.call(signedInteger, a.sign, magnitude, bits) as [Value, Value];
      ir.if(ir.eqz(valid), invalid);
      ir.return(integer, flags);
    },
  );
}

/** fromInteger(integer: i64, control: i32) → (a, flags: i32). */
function fromInteger(format: Format): Routine {
  return routine(
    `float.fromInteger.${format.name}`,
    { parameters: ["i64", "i32"], results: [format.type, "i32"], faults: false },
    builder,
    (ir, integer, control) => {
      const none = ir.const("i32", 0);
      ir.if(ir.eqz(integer), () => ir.return(ir.const(format.type, 0), none));
      const negative = ir.hold(ir.lts(integer, 0));
      const magnitude = ir.hold(ir.select(negative, ir.neg(integer), integer));
      const [exponent, significand] = normalised(ir, ir.const("i32", 63), magnitude);
      const sign = ir.zext(negative, "i32");
      const [bits, flags] = roundPack(ir, format, sign, exponent, significand, ir.const("i64", 0), control);
      ir.return(ir.resize(bits, format.type), flags);
    },
  );
}

/** toIntegral(a, control: i32) → (a, flags: i32): to an integral value in `control`'s rounding mode. */
function toIntegral(format: Format): Routine {
  return floatRoutine("toIntegral", format, 1, ({ ir, control, finish }, bits) => {
    const a = unpack(ir, format, bits);
    ir.if(a.isNan, () => finish(ir.or(a.bits, quietBit(format)), ir.zext(a.isSignaling, "i32")));
    ir.if(ir.or(a.isZero, ir.les(format.precision - 1, a.exponent)), () => finish(a.bits, 0));
    const rounding = roundingOf(ir, control);
    const [magnitude, flags] = ir.call(integral, a.sign, a.exponent, a.significand, rounding) as [Value, Value];
    ir.if(ir.eqz(magnitude), () => finish(signed(ir, format, a.sign, 0n), flags));
    const [exponent, significand] = normalised(ir, ir.const("i32", 63), magnitude);
    const [result] = roundPack(ir, format, a.sign, exponent, significand, ir.const("i64", 0), control);
    finish(result, flags);
  });
}

function family(format: Format) {
  return { toInteger: toInteger(format), fromInteger: fromInteger(format), toIntegral: toIntegral(format) };
}
export const integers = { single: family(single), double: family(double) };
