import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { exponentMask, integerBit, maximum, unpackExtended } from "./extended.ts";
import { normalised } from "./finite.ts";
import { Exception, defaultNan, double, infinityBits, quietBit, single } from "./format.ts";
import type { Format } from "./format.ts";
import { integral, signedInteger } from "./integral.ts";
import { when } from "./round.ts";
import { roundPack, signed, unpack } from "./unpack.ts";

/** Between the double extended format, the other two, and integers. */

const builder = () => new Builder();
const none = (ir: Builder): Value => ir.const("i64", 0);

/**
 * widen(a) → (significand, head, flags): exact, a NaN's payload and quietness kept. Flags are `denormal`, and `invalid` for
 * a signalling NaN, which the caller may have to make quiet.
 */
function widen(format: Format): Routine {
  return routine(
    `extended.from.${format.name}`,
    { parameters: [format.type], results: ["i64", "i32", "i32"], faults: false },
    builder,
    (ir, value) => {
      const a = unpack(ir, format, ir.zext(value, "i64"));
      const sign = ir.hold(ir.shl(a.sign, 15));
      const special = ir.or(sign, exponentMask);
      ir.if(a.isNan, () => {
        const payload = ir.shl(a.bits, 64 - format.precision);
        ir.return(ir.or(payload, integerBit), special, ir.zext(a.isSignaling, "i32"));
      });
      ir.if(a.isInfinity, () => ir.return(ir.const("i64", integerBit), special, ir.const("i32", 0)));
      ir.if(a.isZero, () => ir.return(none(ir), sign, ir.const("i32", 0)));
      const head = ir.or(sign, ir.add(a.exponent, maximum));
      ir.return(a.significand, head, when(ir, a.isDenormal, Exception.denormal));
    },
  );
}

/** narrow(significand, head, control) → (bits, flags). A NaN keeps its sign and the highest bits of its payload, and becomes quiet. Denormals are no exception here: Intel SDM Vol. 2A, "FST/FSTP—Store Floating-Point Value". */
function narrow(format: Format): Routine {
  return routine(
    `extended.to.${format.name}`,
    { parameters: ["i64", "i32", "i32"], results: [format.type, "i32"], faults: false },
    builder,
    (ir, significand, head, control) => {
      const a = unpackExtended(ir, { significand, head });
      const finish = (bits: Value, flags: Value | number) =>
        ir.return(ir.resize(bits, format.type), typeof flags === "number" ? ir.const("i32", flags) : flags);
      ir.if(a.isUnsupported, () => finish(ir.const("i64", defaultNan(format)), Exception.invalid));
      ir.if(a.isNan, () => {
        const payload = ir.shr(ir.shl(significand, 1), 65 - format.precision);
        const nan = ir.or(payload, infinityBits(format) | quietBit(format));
        finish(ir.or(signed(ir, format, a.sign, 0n), nan), ir.zext(a.isSignaling, "i32"));
      });
      ir.if(a.isInfinity, () => finish(signed(ir, format, a.sign, infinityBits(format)), 0));
      ir.if(a.isZero, () => finish(signed(ir, format, a.sign, 0n), 0));
      const [bits, flags] = roundPack(ir, format, a.sign, a.exponent, a.normal, none(ir), control);
      finish(bits, flags);
    },
  );
}

/**
 * toInteger(significand, head, bits: i32, rounding: i32) → (integer: i64, flags: i32). What does not fit is invalid, and gives
 * the integer indefinite: the smallest of that width.
 */
export const extendedToInteger = routine(
  "extended.toInteger",
  { parameters: ["i64", "i32", "i32", "i32"], results: ["i64", "i32"], faults: false },
  builder,
  (ir, significand, head, bits, rounding) => {
    const a = unpackExtended(ir, { significand, head });
    const smallest = ir.shl(ir.const("i64", -1), ir.zext(ir.sub(bits, 1), "i64"));
    const invalid = () => ir.return(smallest, ir.const("i32", Exception.invalid));
    ir.if(a.isZero, () => ir.return(none(ir), ir.const("i32", 0)));
    const special = ir.or(a.isUnsupported, ir.or(a.isNan, a.isInfinity));
    ir.if(ir.or(special, ir.les(64, a.exponent)), invalid);
    const [magnitude, flags] = ir.call(integral, a.sign, a.exponent, a.normal, rounding) as [Value, Value];
    const [integer, valid] = ir.call(signedInteger, a.sign, magnitude, bits) as [Value, Value];
    ir.if(ir.eqz(valid), invalid);
    ir.return(integer, flags);
  },
);

/** fromInteger(integer: i64) → (significand, head): exact. */
export const extendedFromInteger = routine(
  "extended.fromInteger",
  { parameters: ["i64"], results: ["i64", "i32"], faults: false },
  builder,
  (ir, integer) => {
    ir.if(ir.eqz(integer), () => ir.return(none(ir), ir.const("i32", 0)));
    const negative = ir.hold(ir.lts(integer, 0));
    const [exponent, significand] = normalised(ir, ir.const("i32", 63), ir.select(negative, ir.neg(integer), integer));
    ir.return(significand, ir.or(ir.add(exponent, maximum), when(ir, negative, 0x8000)));
  },
);

export const widening = { single: widen(single), double: widen(double) };
export const narrowing = { single: narrow(single), double: narrow(double) };
