import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import {
  denormalOperands,
  extendedRoutine,
  finishRounded,
  infinity,
  propagateExtended,
  unpackExtended,
  zero,
} from "./extended.ts";
import type { Extended, ExtendedSite } from "./extended.ts";
import { Exception } from "./format.ts";
import { shiftRight } from "./round.ts";
import { isUnmasked } from "./unpack.ts";
import { oddCoefficients, twoOverLn2 } from "./wide-constants.ts";
import {
  addWide,
  fraction,
  grown,
  halved,
  isBelow,
  multiply,
  normal,
  over,
  selectWide,
  series,
  subWide,
  times,
  wide,
  wideFloat,
} from "./wide-fixed.ts";
import type { Wide, WideFloat } from "./wide-fixed.ts";

/** Logarithms to base 2, times a factor. */

const builder = () => new Builder();
const float = (values: readonly Value[]): WideFloat => values as unknown as WideFloat;

/** √2 × 2^127. */
const rootOfTwo = 0xb504f333f9de6484597d89b3754abe9fn;

/** log2Ratio(z) for 0 < z < 0.172: 2 atanh(z) / ln 2, which is log2((1 + z) / (1 − z)). */
const log2Ratio = routine(
  "logarithm.ratio",
  { parameters: ["i32", "i64", "i64"], results: ["i32", "i64", "i64"], faults: false },
  builder,
  (ir, ...number) => {
    const z = float(number);
    const fixed = fraction(ir, z);
    // z² is below 2^-5: each coefficient is worth five bits.
    const tail = series(ir, multiply(ir, fixed, fixed), oddCoefficients(26), "same");
    ir.return(...times(ir, grown(ir, z, tail), wideFloat(ir, 1, twoOverLn2)));
  },
);

/**
 * log2(exponent, high, low) → (sign, exponent, high, low, inexact: i32) of a number other than 1. Its significand is taken
 * between √½ and √2.
 */
const log2 = routine(
  "logarithm.log2",
  { parameters: ["i32", "i64", "i64"], results: ["i32", "i32", "i64", "i64", "i32"], faults: false },
  builder,
  (ir, exponent, high, low) => {
    const m: Wide = [high, low];
    const large = ir.hold(ir.eqz(isBelow(ir, m, wide(ir, rootOfTwo))));
    const whole = ir.hold(ir.add(exponent, ir.zext(large, "i32")));
    // m − 1 and m + 1, or 2 − m and 2 + m; halves of the sums, that they fit.
    const distance = selectWide(ir, large, subWide(ir, wide(ir, 0n), m), subWide(ir, m, wide(ir, 1n << 127n)));
    const offset: Wide = [ir.select(large, ir.const("i64", 1n << 63n), ir.const("i64", 1n << 62n)), ir.const("i64", 0)];
    const sum = addWide(ir, halved(ir, m), offset);
    const wholeNegative = ir.hold(ir.lts(whole, 0));
    const magnitude = ir.hold(ir.zext(ir.select(wholeNegative, ir.neg(whole), whole), "i64"));
    const wholeSign = ir.zext(wholeNegative, "i32");
    ir.if(ir.eqz(ir.or(distance[0], distance[1])), () => {
      ir.return(wholeSign, ...normal(ir, 63, [magnitude, ir.const("i64", 0)]), ir.const("i32", 0));
    });
    const z = over(ir, normal(ir, -1, distance), [ir.const("i32", 0), ...sum]);
    const part = float(ir.call(log2Ratio, ...z));
    const inexact = ir.const("i32", 1);
    ir.if(ir.eqz(whole), () => ir.return(ir.zext(large, "i32"), ...part, inexact));
    // 16 bits before the point.
    const small = fraction(ir, part, 16);
    const integer: Wide = [ir.shl(magnitude, 48), ir.const("i64", 0)];
    const apart = ir.ne(large, wholeNegative);
    const total = selectWide(ir, apart, subWide(ir, integer, small), addWide(ir, integer, small));
    ir.return(wholeSign, ...normal(ir, 15, total), inexact);
  },
);

/** The factor and the logarithm multiplied, and rounded. */
function finishProduct(
  site: ExtendedSite,
  y: { sign: Value; exponent: Value; normal: Value },
  logarithm: readonly Value[],
  denormals: Value,
): void {
  const { ir } = site;
  const [sign, exponent, high, low, inexact] = logarithm as [Value, Value, Value, Value, Value];
  const result = times(ir, [exponent, high, low], [y.exponent, y.normal, ir.const("i64", 0)]);
  finishRounded(site, ir.xor(sign, y.sign), result, inexact, denormals);
}

/** FYL2X — y × log2(x), x being the first operand. Intel SDM Vol. 2A, "FYL2X—Compute y ∗ log2x". */
function timesLogarithm(site: ExtendedSite, first: Extended, second: Extended): void {
  const { ir, control, finish, invalid } = site;
  const [x, y] = [unpackExtended(ir, first), unpackExtended(ir, second)];
  propagateExtended(site, x, y);
  const denormals = denormalOperands(ir, control, x, y);
  const refused = ir.hold(isUnmasked(ir, control, denormals, Exception.denormal));
  const flipped = ir.hold(ir.xor(y.sign, 1));
  ir.if(x.isZero, () => {
    ir.if(y.isZero, invalid);
    ir.if(y.isInfinity, () => finish(infinity(ir, flipped), denormals));
    finish(infinity(ir, flipped), Exception.zeroDivide);
  });
  ir.if(ir.ne(x.sign, 0), invalid);
  ir.if(x.isInfinity, () => {
    ir.if(y.isZero, invalid);
    finish(infinity(ir, y.sign), denormals);
  });
  const isOne = ir.hold(ir.and(ir.eqz(x.exponent), ir.eq(x.normal, 1n << 63n)));
  const sign = ir.hold(ir.select(ir.lts(x.exponent, 0), flipped, y.sign));
  ir.if(y.isInfinity, () => {
    ir.if(isOne, invalid);
    finish(infinity(ir, sign), denormals);
  });
  ir.if(refused, () => finish(y, denormals));
  ir.if(ir.or(y.isZero, isOne), () => finish(zero(ir, sign), denormals));
  finishProduct(site, y, ir.call(log2, x.exponent, x.normal, ir.const("i64", 0)), denormals);
}

/** FYL2XP1 — y × log2(x + 1) for small x; undefined for others. Intel SDM Vol. 2A, "FYL2XP1—Compute y ∗ log2(x +1)". */
function timesLogarithmPlusOne(site: ExtendedSite, first: Extended, second: Extended): void {
  const { ir, control, finish, invalid } = site;
  const [x, y] = [unpackExtended(ir, first), unpackExtended(ir, second)];
  propagateExtended(site, x, y);
  const denormals = denormalOperands(ir, control, x, y);
  const sign = ir.hold(ir.xor(x.sign, y.sign));
  const negative = ir.hold(ir.ne(x.sign, 0));
  ir.if(x.isInfinity, () => {
    ir.if(ir.or(negative, y.isZero), invalid);
    finish(infinity(ir, sign), denormals);
  });
  ir.if(ir.and(y.isInfinity, x.isZero), invalid);
  ir.if(y.isInfinity, () => finish(infinity(ir, sign), denormals));
  ir.if(isUnmasked(ir, control, denormals, Exception.denormal), () => finish(y, denormals));
  ir.if(ir.or(x.isZero, y.isZero), () => finish(zero(ir, sign), denormals));
  ir.if(ir.and(negative, ir.les(0, x.exponent)), invalid);
  const none = ir.const("i64", 0);
  ir.if(ir.les(-2, x.exponent), () => {
    // 1 ± x, with as many bits before the point as x has.
    const integer = ir.hold(ir.select(ir.lts(x.exponent, 0), ir.const("i32", 0), ir.add(x.exponent, 1)));
    const shift = ir.sub(integer, x.exponent);
    const fixed = ir.call(shiftRight, x.normal, none, shift) as [Value, Value];
    const one = ir.call(shiftRight, ir.const("i64", 1n << 63n), none, integer) as [Value, Value];
    const total = selectWide(ir, negative, subWide(ir, one, fixed), addWide(ir, one, fixed));
    const [exponent, high, low] = normal(ir, integer, total);
    finishProduct(site, y, ir.call(log2, exponent, high, low), denormals);
  });
  // x / (2 + x), both halved.
  const fixed = halved(ir, ir.call(shiftRight, x.normal, none, ir.neg(x.exponent)) as [Value, Value]);
  const one = wide(ir, 1n << 127n);
  const sum = selectWide(ir, negative, subWide(ir, one, fixed), addWide(ir, one, fixed));
  const z = over(ir, [ir.sub(x.exponent, 1), x.normal, none], normal(ir, 0, sum));
  const [exponent, high, low] = ir.call(log2Ratio, ...z) as [Value, Value, Value];
  finishProduct(site, y, [x.sign, exponent, high, low, ir.const("i32", 1)], denormals);
}

export const logarithms = {
  timesLogarithm: extendedRoutine("timesLogarithm", 2, timesLogarithm),
  timesLogarithmPlusOne: extendedRoutine("timesLogarithmPlusOne", 2, timesLogarithmPlusOne),
};
