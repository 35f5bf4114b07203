import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import {
  denormalOperands,
  extended,
  extendedRoutine,
  finishInexact,
  propagateExtended,
  unpackExtended,
} from "./extended.ts";
import type { Extended, ExtendedSite } from "./extended.ts";
import { Exception } from "./format.ts";
import { isUnmasked } from "./unpack.ts";
import { factorialCoefficients, ln2Fraction } from "./wide-constants.ts";
import { fraction, grown, series, shrunk, times, wideFloat } from "./wide-fixed.ts";
import type { WideFloat } from "./wide-fixed.ts";

/** expm1(negative: i32, t) for 0 < t < 1 → e^±t − 1 without its sign: t × (1 ± t/2 + t²/6 ± …). */
const expm1 = routine(
  "exponential.expm1",
  { parameters: ["i32", "i32", "i64", "i64"], results: ["i32", "i64", "i64"], faults: false },
  () => new Builder(),
  (ir, negative, ...number) => {
    const t = number as unknown as WideFloat;
    const coefficients = factorialCoefficients(2, 1);
    const argument = fraction(ir, t);
    ir.if(ir.ne(negative, 0), () => ir.return(...shrunk(ir, t, series(ir, argument, coefficients, "alternating"))));
    ir.return(...grown(ir, t, series(ir, argument, coefficients, "same")));
  },
);

/** F2XM1 — 2^x − 1 for x from −1 to 1; undefined for others, which stay. Intel SDM Vol. 2A, "F2XM1—Compute 2x–1". */
function powerOfTwoLessOne(site: ExtendedSite, number: Extended): void {
  const { ir, control, finish } = site;
  const a = unpackExtended(ir, number);
  propagateExtended(site, a, a);
  const negative = ir.hold(ir.ne(a.sign, 0));
  ir.if(a.isZero, () => finish(a, 0));
  const minusOne = extended(ir, 0xbfff, 1n << 63n);
  ir.if(ir.and(a.isInfinity, negative), () => finish(minusOne, 0));
  ir.if(a.isInfinity, () => finish(a, 0));
  ir.if(ir.les(0, a.exponent), () => {
    const isMinusOne = ir.and(ir.eq(a.head, 0xbfff), ir.eq(a.significand, 1n << 63n));
    ir.if(isMinusOne, () => finish(extended(ir, 0xbffe, 1n << 63n), 0));
    finish(a, 0);
  });
  const denormals = denormalOperands(ir, control, a, a);
  ir.if(isUnmasked(ir, control, denormals, Exception.denormal), () => finish(a, denormals));
  const t = times(ir, [a.exponent, a.normal, ir.const("i64", 0)], wideFloat(ir, -1, ln2Fraction));
  const result = ir.call(expm1, a.sign, ...t) as [Value, Value, Value];
  finishInexact(site, a.sign, result, denormals);
}

export const exponential = extendedRoutine("exponential", 1, powerOfTwoLessOne);
