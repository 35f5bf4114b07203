import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { divideWide } from "../wide.ts";
import {
  chooseNan,
  denormalOperands,
  fullPrecision,
  indefinite,
  roundExtended,
  unpackExtended,
  zero,
} from "./extended.ts";
import type { Extended } from "./extended.ts";
import { normalised } from "./finite.ts";
import { Exception } from "./format.ts";
import { isUnmasked } from "./unpack.ts";

/** Whether the quotient is truncated, as by FPREM, or rounded to the nearest, as IEEE 754 wants it and FPREM1 does it. */
type Quotient = "truncated" | "nearest";

/** What a remainder is when exponents are too far apart for one step: so many of the quotient's bits are done. */
function stepBits(ir: Builder, distance: Value): Value {
  return ir.or(ir.and(distance, 31), 32);
}

/**
 * remainder(a, b, control) → (result, flags, quotient: i32, partial: i32): the low bits of the quotient, −1 where
 * there is none; or `partial` set and a result that is congruent to the remainder. Intel SDM Vol. 2A, "FPREM—Partial Remainder" and "FPREM1".
 */
function remainder(rounding: Quotient): Routine {
  return routine(
    `extended.remainder.${rounding}`,
    { parameters: ["i64", "i32", "i64", "i32", "i32"], results: ["i64", "i32", "i32", "i32", "i32"], faults: false },
    () => new Builder(),
    (ir, significandA, headA, significandB, headB, control) => {
      const a = unpackExtended(ir, { significand: significandA, head: headA });
      const b = unpackExtended(ir, { significand: significandB, head: headB });
      const none = ir.const("i32", 0);
      const noQuotient = ir.const("i32", -1);
      const finish = ({ significand, head }: Extended, flags: Value, quotient = none, partial = none) =>
        ir.return(significand, head, flags, quotient, partial);
      const invalid = () => finish(indefinite(ir), ir.const("i32", Exception.invalid), noQuotient);
      ir.if(ir.or(a.isUnsupported, b.isUnsupported), invalid);
      ir.if(ir.or(a.isNan, b.isNan), () => {
        const [significand, head] = ir.call(chooseNan, significandA, headA, significandB, headB) as [Value, Value];
        finish({ significand, head }, ir.zext(ir.or(a.isSignaling, b.isSignaling), "i32"), noQuotient);
      });
      ir.if(ir.or(a.isInfinity, b.isZero), invalid);
      const denormals = denormalOperands(ir, control, a, b);
      ir.if(a.isZero, () => finish(a, denormals));
      ir.if(isUnmasked(ir, control, denormals, Exception.denormal), () => finish(a, denormals));
      const full = ir.hold(ir.or(ir.and(control, 0xffff), fullPrecision));
      const exact = (sign: Value, exponent: Value, significand: Value, quotient: Value, partial = none) => {
        ir.if(ir.eqz(significand), () => finish(zero(ir, sign), denormals, quotient, partial));
        const [from, normal] = normalised(ir, exponent, significand);
        const [result, flags] = roundExtended(ir, sign, from, normal, ir.const("i64", 0), full);
        finish(result, ir.or(flags, denormals), quotient, partial);
      };
      ir.if(b.isInfinity, () => exact(a.sign, a.exponent, a.normal, none));
      const distance = ir.hold(ir.sub(a.exponent, b.exponent));
      const opposite = ir.xor(a.sign, 1);
      ir.if(ir.lts(distance, 0), () => {
        if (rounding === "nearest") {
          const above = ir.and(ir.eq(distance, -1), ir.ltu(b.normal, a.normal));
          ir.if(above, () => exact(opposite, a.exponent, ir.sub(ir.shl(b.normal, 1), a.normal), ir.const("i32", 1)));
        }
        exact(a.sign, a.exponent, a.normal, none);
      });
      const partial = ir.hold(ir.les(64, distance));
      const bits = ir.hold(ir.select(partial, stepBits(ir, distance), distance));
      const wide = ir.hold(ir.zext(bits, "i64"));
      const high = ir.shr(ir.shr(a.normal, 1), ir.sub(63, wide));
      const [digits, rest] = ir.call(divideWide, high, ir.shl(a.normal, wide), b.normal) as [Value, Value];
      const scale = ir.add(b.exponent, ir.sub(distance, bits));
      ir.if(partial, () => exact(a.sign, scale, rest, none, ir.const("i32", 1)));
      const quotient = ir.hold(ir.and(ir.trunc(digits, "i32"), 7));
      if (rounding === "nearest") {
        const other = ir.hold(ir.sub(b.normal, rest));
        const odd = ir.ne(ir.and(quotient, 1), 0);
        const up = ir.or(ir.ltu(other, rest), ir.and(ir.eq(other, rest), odd));
        ir.if(up, () => exact(opposite, scale, other, ir.add(quotient, 1)));
      }
      exact(a.sign, scale, rest, quotient);
    },
  );
}

export const remainders = { truncated: remainder("truncated"), nearest: remainder("nearest") };
