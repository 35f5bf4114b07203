import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import {
  denormalOperands,
  extendedRoutine,
  finishInexact,
  propagateExtended,
  unpackExtended,
  zero,
} from "./extended.ts";
import type { Extended, ExtendedSite } from "./extended.ts";
import { Exception } from "./format.ts";
import { isUnmasked } from "./unpack.ts";
import { arctangents, oddCoefficients, pi128 } from "./wide-constants.ts";
import {
  addWide,
  fraction,
  isBelow,
  multiply,
  normal,
  over,
  selectWide,
  series,
  shrunk,
  subWide,
  wide,
} from "./wide-fixed.ts";
import type { Wide, WideFloat } from "./wide-fixed.ts";

const builder = () => new Builder();
const float = (values: readonly Value[]): WideFloat => values as unknown as WideFloat;

/** Angles are fractions of which 2^125 stands for one. */
const integerBits = 3;
const pi = pi128 >> BigInt(integerBits);

/** x × factor for a factor below 2^16, the 48 lowest bits of x being zero. */
function scaled(ir: Builder, [high, low]: Wide, factor: Value): Wide {
  const carry = ir.shr(ir.mul(ir.shr(low, 48), factor), 16);
  return [ir.hold(ir.add(ir.mul(high, factor), carry)), ir.hold(ir.mul(low, factor))];
}

/** small(t) for 0 < t ≤ 1/8: its arctangent. */
const small = routine(
  "arctangent.small",
  { parameters: ["i32", "i64", "i64"], results: ["i32", "i64", "i64"], faults: false },
  builder,
  (ir, ...number) => {
    const t = float(number);
    const fixed = fraction(ir, t);
    // t² is at most 2^-6: each coefficient is worth six bits.
    ir.return(...shrunk(ir, t, series(ir, multiply(ir, fixed, fixed), oddCoefficients(22), "alternating")));
  },
);

/** The table's entry for k from 0 to 8. */
function entry(ir: Builder, k: Value): Wide {
  return arctangents.reduceRight<Wide>(
    (others, angle, index) => selectWide(ir, ir.eq(k, index), wide(ir, angle), others),
    wide(ir, 0n),
  );
}

/**
 * ratio(exponentA, a, exponentB, b) → number: the arctangent of a / b, where a ≤ b. With k / 8 near a / b, it is
 * atan(k / 8) + atan((8a − kb) / (8b + ka)).
 */
const ratio = routine(
  "arctangent.ratio",
  { parameters: ["i32", "i64", "i32", "i64"], results: ["i32", "i64", "i64"], faults: false },
  builder,
  (ir, exponentA, a, exponentB, b) => {
    const none = ir.const("i64", 0);
    const distance = ir.hold(ir.zext(ir.sub(exponentB, exponentA), "i64"));
    const eighth = ir.hold(ir.shr(b, 4));
    const approximate = ir.add(ir.shr(ir.shr(a, 1), distance), ir.shr(eighth, 1));
    const nearest = ir.op("divu", [approximate, eighth]);
    const k = ir.hold(ir.select(ir.ltu(4, distance), none, nearest));
    ir.if(ir.eqz(k), () => ir.return(...ir.call(small, ...over(ir, [exponentA, a, none], [exponentB, b, none]))));
    // Shifting left by 64 − distance in two steps: a shift by 64 would be one by 0.
    const carried = ir.shl(ir.shl(ir.shr(a, 8), ir.sub(63, distance)), 1);
    const y: Wide = [ir.hold(ir.shr(ir.shr(a, 8), distance)), ir.hold(ir.or(ir.shr(ir.shl(a, 56), distance), carried))];
    const x: Wide = [ir.hold(ir.shr(b, 8)), ir.hold(ir.shl(b, 56))];
    const eight = ir.const("i64", 8);
    const [eightY, kX] = [scaled(ir, y, eight), scaled(ir, x, k)];
    const denominator = normal(ir, 0, addWide(ir, scaled(ir, x, eight), scaled(ir, y, k)));
    const negative = isBelow(ir, eightY, kX);
    const numerator = selectWide(ir, negative, subWide(ir, kX, eightY), subWide(ir, eightY, kX));
    const angle = entry(ir, ir.trunc(k, "i32"));
    ir.if(ir.eqz(ir.or(numerator[0], numerator[1])), () => ir.return(...normal(ir, integerBits - 1, angle)));
    const rest = fraction(ir, float(ir.call(small, ...over(ir, normal(ir, 0, numerator), denominator))), integerBits);
    const total = selectWide(ir, negative, subWide(ir, angle, rest), addWide(ir, angle, rest));
    ir.return(...normal(ir, integerBits - 1, total));
  },
);

/** Ends with a multiple of π/4, or with one of π and an angle taken from it. */
function finishAngle(site: ExtendedSite, sign: Value, angle: Wide, denormals: Value): void {
  finishInexact(site, sign, normal(site.ir, integerBits - 1, angle), denormals);
}

/** FPATAN — the angle of the point (x, y), x being the first operand. Intel SDM Vol. 2A, "FPATAN—Partial Arctangent". */
function arctangent(site: ExtendedSite, first: Extended, second: Extended): void {
  const { ir, control, finish } = site;
  const [x, y] = [unpackExtended(ir, first), unpackExtended(ir, second)];
  propagateExtended(site, x, y);
  const denormals = denormalOperands(ir, control, x, y);
  const refused = ir.hold(isUnmasked(ir, control, denormals, Exception.denormal));
  ir.if(refused, () => finish(y, denormals));
  const left = ir.hold(ir.ne(x.sign, 0));
  const quarters = (count: bigint) => wide(ir, (pi * count) >> 2n);
  const fixed = (angle: Wide) => finishAngle(site, y.sign, angle, denormals);
  ir.if(y.isInfinity, () => {
    ir.if(x.isInfinity, () => fixed(selectWide(ir, left, quarters(3n), quarters(1n))));
    fixed(quarters(2n));
  });
  ir.if(ir.or(y.isZero, x.isInfinity), () => {
    ir.if(left, () => fixed(quarters(4n)));
    finish(zero(ir, y.sign), denormals);
  });
  ir.if(x.isZero, () => fixed(quarters(2n)));
  const steep = ir.hold(
    ir.or(ir.lts(x.exponent, y.exponent), ir.and(ir.eq(x.exponent, y.exponent), ir.ltu(x.normal, y.normal))),
  );
  const choose = (ifSteep: Value, otherwise: Value) => ir.hold(ir.select(steep, ifSteep, otherwise));
  const smaller = [choose(x.exponent, y.exponent), choose(x.normal, y.normal)] as const;
  const larger = [choose(y.exponent, x.exponent), choose(y.normal, x.normal)] as const;
  const angle = float(ir.call(ratio, ...smaller, ...larger));
  ir.if(ir.and(ir.eqz(steep), ir.eqz(left)), () => finishInexact(site, y.sign, angle, denormals));
  const part = fraction(ir, angle, integerBits);
  const base = selectWide(ir, steep, quarters(2n), quarters(4n));
  fixed(selectWide(ir, ir.and(steep, left), addWide(ir, base, part), subWide(ir, base, part)));
}

export const arctangentRoutine = extendedRoutine("arctangent", 2, arctangent);
