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
import type { Extended, ExtendedSite, UnpackedExtended } from "./extended.ts";
import { Exception } from "./format.ts";
import { isUnmasked } from "./unpack.ts";
import { factorialCoefficients } from "./wide-constants.ts";
import { fraction, isBelow, multiply, normal, over, selectWide, series, shrunk, subWide, wide } from "./wide-fixed.ts";
import type { Wide, WideFloat } from "./wide-fixed.ts";

/** Sine, cosine and tangent of numbers below 2^63. */

const builder = () => new Builder();

/**
 * π/2 in units of 2^-65: the processor's π has 66 bits, and an argument is reduced by it exactly. Intel SDM Vol. 1,
 * "Approximation of Pi".
 */
const quarterTurn = 0x3243f6a8885a308d3n;
/** π/4 with exponent −1. */
const eighthTurn = 0xc90fdaa22168c234n;

/**
 * reduce(exponent, significand) → (quadrant: i32, negative: i32, exponent, high, low): x = quadrant × π/2 ± r, r at most π/4;
 * of the quadrant the last two bits.
 */
const reduce = routine(
  "trigonometry.reduce",
  { parameters: ["i32", "i64"], results: ["i32", "i32", "i32", "i64", "i64"], faults: false },
  builder,
  (ir, exponent, significand) => {
    const none = ir.const("i32", 0);
    const small = ir.or(ir.lts(exponent, -1), ir.and(ir.eq(exponent, -1), ir.leu(significand, eighthTurn)));
    ir.if(small, () => ir.return(none, none, exponent, significand, ir.const("i64", 0)));
    const divisor = wide(ir, quarterTurn);
    const rest = [ir.variable(ir.const("i64", 0)), ir.variable(significand)] as const;
    const turns = ir.variable(none);
    const left = ir.variable(ir.add(exponent, 2));
    ir.loop((loop) => {
      ir.if(ir.eqz(ir.read(left)), () => ir.break(loop));
      const [high, low] = [ir.read(rest[0]), ir.read(rest[1])];
      const twice: Wide = [ir.hold(ir.or(ir.shl(high, 1), ir.shr(low, 63))), ir.hold(ir.shl(low, 1))];
      const fits = ir.hold(ir.eqz(isBelow(ir, twice, divisor)));
      selectWide(ir, fits, subWide(ir, twice, divisor), twice).forEach((value, index) =>
        ir.assign(rest[index]!, value),
      );
      ir.assign(turns, ir.or(ir.shl(ir.read(turns), 1), ir.zext(fits, "i32")));
      ir.assign(left, ir.sub(ir.read(left), 1));
    });
    const below: Wide = [ir.read(rest[0]), ir.read(rest[1])];
    const above = subWide(ir, divisor, below);
    const nearer = isBelow(ir, above, below);
    const distance = selectWide(ir, nearer, above, below);
    const negative = ir.zext(nearer, "i32");
    ir.return(ir.and(ir.add(ir.read(turns), negative), 3), negative, ...normal(ir, 62, distance));
  },
);

function square(ir: Builder, r: WideFloat): Wide {
  const fixed = fraction(ir, r);
  return multiply(ir, fixed, fixed);
}

/** sine(r) and cosine(r) for 0 < r ≤ π/4. */
const sine = routine(
  "trigonometry.sine",
  { parameters: ["i32", "i64", "i64"], results: ["i32", "i64", "i64"], faults: false },
  builder,
  (ir, ...r) => {
    const value = r as unknown as WideFloat;
    ir.return(...shrunk(ir, value, series(ir, square(ir, value), factorialCoefficients(3, 2), "alternating")));
  },
);
const cosine = routine(
  "trigonometry.cosine",
  { parameters: ["i32", "i64", "i64"], results: ["i32", "i64", "i64"], faults: false },
  builder,
  (ir, ...r) => {
    const value = r as unknown as WideFloat;
    const [high, low] = series(ir, square(ir, value), factorialCoefficients(2, 2), "alternating");
    ir.return(...normal(ir, -1, [ir.not(high), ir.not(low)]));
  },
);

/** Ends the cases that all three functions have in common. `atZero` is the function of zero. */
function begin(site: ExtendedSite, a: UnpackedExtended, atZero: Extended): Value {
  const { ir, control, finish, invalid } = site;
  propagateExtended(site, a, a);
  ir.if(a.isInfinity, invalid);
  ir.if(a.isZero, () => finish(atZero, 0));
  const denormals = denormalOperands(ir, control, a, a);
  ir.if(isUnmasked(ir, control, denormals, Exception.denormal), () => finish(a, denormals));
  return denormals;
}

/** Sine, or cosine as the sine of a quarter turn more. */
function circular(shift: 0 | 1) {
  return (site: ExtendedSite, number: Extended): void => {
    const { ir } = site;
    const a = unpackExtended(ir, number);
    const denormals = begin(site, a, shift === 0 ? a : extended(ir, 0x3fff, 1n << 63n));
    const [turns, negative, ...r] = ir.call(reduce, a.exponent, a.normal) as [Value, Value, Value, Value, Value];
    const quadrant = ir.hold(ir.add(turns, shift));
    const turned = ir.hold(ir.and(ir.shr(quadrant, 1), 1));
    const argumentSign = shift === 0 ? a.sign : ir.const("i32", 0);
    ir.if(ir.ne(ir.and(quadrant, 1), 0), () => {
      finishInexact(site, ir.xor(turned, argumentSign), ir.call(cosine, ...r) as [Value, Value, Value], denormals);
    });
    const sign = ir.xor(ir.xor(turned, argumentSign), negative);
    finishInexact(site, sign, ir.call(sine, ...r) as [Value, Value, Value], denormals);
  };
}

function tangent(site: ExtendedSite, number: Extended): void {
  const { ir } = site;
  const a = unpackExtended(ir, number);
  const denormals = begin(site, a, a);
  const [turns, negative, ...r] = ir.call(reduce, a.exponent, a.normal) as [Value, Value, Value, Value, Value];
  const sign = ir.hold(ir.xor(ir.xor(a.sign, negative), ir.and(turns, 1)));
  const [s, c] = [ir.call(sine, ...r), ir.call(cosine, ...r)] as unknown as [WideFloat, WideFloat];
  ir.if(ir.ne(ir.and(turns, 1), 0), () => finishInexact(site, sign, over(ir, c, s), denormals));
  // As x itself is, the tangent of a very small x: a little more.
  finishInexact(site, sign, over(ir, s, c), denormals);
}

export const trigonometry = {
  sine: extendedRoutine("sine", 1, circular(0)),
  cosine: extendedRoutine("cosine", 1, circular(1)),
  tangent: extendedRoutine("tangent", 1, tangent),
};
