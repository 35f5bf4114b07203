import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { multiplyHighUnsigned } from "../wide.ts";
import { normalise } from "./finite.ts";
import { shiftRight } from "./round.ts";

/**
 * Arithmetic in 128 bits for functions that are approximated: fractions, unsigned, of which 2^128 stands for one; and numbers
 * (exponent, high, low) with the meaning that `round` gives them, bit 63 of `high` set. Errors are a few units of 2^-128.
 */

const builder = () => new Builder();

/** 128 bits. */
export type Wide = readonly [high: Value, low: Value];
/** A positive number. */
export type WideFloat = readonly [exponent: Value, high: Value, low: Value];

const half = 1n << 63n;
const ones = (1n << 64n) - 1n;

export function wide(ir: Builder, value: bigint): Wide {
  return [ir.const("i64", value >> 64n), ir.const("i64", value & ones)];
}
/** The constant `fraction` / 2^128 × 2^(exponent + 1), the fraction's bit 127 set. */
export function wideFloat(ir: Builder, exponent: number, fraction: bigint): WideFloat {
  return [ir.const("i32", exponent), ...wide(ir, fraction)];
}
export function holdWide(ir: Builder, [high, low]: Wide): Wide {
  return [ir.hold(high), ir.hold(low)];
}
/** a + b without the carry. */
export function addWide(ir: Builder, [ah, al]: Wide, [bh, bl]: Wide): Wide {
  const low = ir.hold(ir.add(al, bl));
  return [ir.hold(ir.add(ir.add(ah, bh), ir.zext(ir.ltu(low, bl), "i64"))), low];
}
/** a − b without the borrow. */
export function subWide(ir: Builder, [ah, al]: Wide, [bh, bl]: Wide): Wide {
  const borrow = ir.zext(ir.ltu(al, bl), "i64");
  return [ir.hold(ir.sub(ir.sub(ah, bh), borrow)), ir.hold(ir.sub(al, bl))];
}
export function isBelow(ir: Builder, [ah, al]: Wide, [bh, bl]: Wide): Value {
  return ir.hold(ir.or(ir.ltu(ah, bh), ir.and(ir.eq(ah, bh), ir.ltu(al, bl))));
}
export function selectWide(ir: Builder, condition: Value, [ah, al]: Wide, [bh, bl]: Wide): Wide {
  return [ir.hold(ir.select(condition, ah, bh)), ir.hold(ir.select(condition, al, bl))];
}
export function halved(ir: Builder, [high, low]: Wide): Wide {
  return [ir.hold(ir.shr(high, 1)), ir.hold(ir.or(ir.shr(low, 1), ir.shl(high, 63)))];
}

/** multiplyWide(a, b): the upper half of the product: of fractions, their product. */
const multiplyWide = routine(
  "wide.multiply",
  { parameters: ["i64", "i64", "i64", "i64"], results: ["i64", "i64"], faults: false },
  builder,
  (ir, ah, al, bh, bl) => {
    const cross = ir.hold(multiplyHighUnsigned(ir, ah, bl));
    const first = ir.hold(ir.add(ir.mul(ah, bh), cross));
    const other = ir.hold(multiplyHighUnsigned(ir, al, bh));
    const low = ir.hold(ir.add(first, other));
    const carries = ir.add(ir.zext(ir.ltu(first, cross), "i64"), ir.zext(ir.ltu(low, other), "i64"));
    ir.return(ir.add(multiplyHighUnsigned(ir, ah, bh), carries), low);
  },
);
export function multiply(ir: Builder, a: Wide, b: Wide): Wide {
  return ir.call(multiplyWide, ...a, ...b) as [Value, Value];
}

/** divideWideFraction(n, d) → n / d as a fraction, where n < d and bit 127 of d is set. Bit by bit. */
const divideWideFraction = routine(
  "wide.divide",
  { parameters: ["i64", "i64", "i64", "i64"], results: ["i64", "i64"], faults: false },
  builder,
  (ir, nh, nl, dh, dl) => {
    const rest = [ir.variable(nh), ir.variable(nl)] as const;
    const quotient = [ir.variable(ir.const("i64", 0)), ir.variable(ir.const("i64", 0))] as const;
    const left = ir.variable(ir.const("i32", 128));
    const doubled = (high: Value, low: Value, bit: Value): Wide => [
      ir.hold(ir.or(ir.shl(high, 1), ir.shr(low, 63))),
      ir.hold(ir.or(ir.shl(low, 1), bit)),
    ];
    ir.loop((loop) => {
      const [high, low] = [ir.read(rest[0]), ir.read(rest[1])];
      const twice = doubled(high, low, ir.const("i64", 0));
      const fits = ir.hold(ir.or(ir.lts(high, 0), ir.eqz(isBelow(ir, twice, [dh, dl]))));
      const next = selectWide(ir, fits, subWide(ir, twice, [dh, dl]), twice);
      const digits = doubled(ir.read(quotient[0]), ir.read(quotient[1]), ir.zext(fits, "i64"));
      next.forEach((value, index) => ir.assign(rest[index]!, value));
      digits.forEach((value, index) => ir.assign(quotient[index]!, value));
      ir.assign(left, ir.sub(ir.read(left), 1));
      ir.if(ir.eqz(ir.read(left)), () => ir.break(loop));
    });
    ir.return(ir.read(quotient[0]), ir.read(quotient[1]));
  },
);

/** Puts (exponent, high, low) into the form of a number, where it is not zero. */
export function normal(ir: Builder, exponent: Value | number, [high, low]: Wide): WideFloat {
  const from = typeof exponent === "number" ? ir.const("i32", exponent) : exponent;
  return ir.call(normalise, from, high, low) as [Value, Value, Value];
}

/** product(a, b) of numbers. */
export const product = routine(
  "wide.product",
  { parameters: ["i32", "i64", "i64", "i32", "i64", "i64"], results: ["i32", "i64", "i64"], faults: false },
  builder,
  (ir, ea, ah, al, eb, bh, bl) => ir.return(...normal(ir, ir.add(ir.add(ea, eb), 1), multiply(ir, [ah, al], [bh, bl]))),
);
export function times(ir: Builder, a: WideFloat, b: WideFloat): WideFloat {
  return ir.call(product, ...a, ...b) as [Value, Value, Value];
}

/** quotient(a, b) of numbers. */
const quotient = routine(
  "wide.quotient",
  { parameters: ["i32", "i64", "i64", "i32", "i64", "i64"], results: ["i32", "i64", "i64"], faults: false },
  builder,
  (ir, ea, ah, al, eb, bh, bl) => {
    const less = isBelow(ir, [ah, al], [bh, bl]);
    const numerator = selectWide(ir, less, [ah, al], halved(ir, [ah, al]));
    const exponent = ir.sub(ir.sub(ea, eb), ir.zext(less, "i32"));
    const [high, low] = ir.call(divideWideFraction, ...numerator, bh, bl) as [Value, Value];
    ir.return(exponent, high, low);
  },
);
export function over(ir: Builder, a: WideFloat, b: WideFloat): WideFloat {
  return ir.call(quotient, ...a, ...b) as [Value, Value, Value];
}

/** A number below one as a fraction; below 2^`integerBits` as one of which 2^(128 − integerBits) stands for one. */
export function fraction(ir: Builder, [exponent, high, low]: WideFloat, integerBits = 0): Wide {
  return ir.call(shiftRight, high, low, ir.sub(integerBits - 1, exponent)) as [Value, Value];
}

/** a × (1 + v), v a fraction. */
export function grown(ir: Builder, [exponent, high, low]: WideFloat, v: Wide): WideFloat {
  const sum = addWide(ir, [high, low], multiply(ir, [high, low], v));
  const carry = ir.hold(ir.ltu(sum[0], high));
  const [shifted, rest] = halved(ir, sum);
  const value = selectWide(ir, carry, [ir.or(shifted, half), rest], sum);
  return [ir.hold(ir.add(exponent, ir.zext(carry, "i32"))), ...value];
}
/** a × (1 − v), v a fraction; less than a even where v is 0, for that only stands for something very small. */
export function shrunk(ir: Builder, [exponent, high, low]: WideFloat, [vh, vl]: Wide): WideFloat {
  return normal(ir, exponent, multiply(ir, [high, low], [ir.not(vh), ir.not(vl)]));
}

/** How the terms of a series follow each other. */
export type Signs = "same" | "alternating";

/** u × (c0 ± u × (c1 ± u × (c2 ± …))) with fractions for coefficients, by Horner's rule. */
export function series(ir: Builder, u: Wide, coefficients: readonly bigint[], signs: Signs): Wide {
  const combine = signs === "same" ? addWide : subWide;
  const inner = coefficients.reduceRight<Wide | undefined>((sum, coefficient) => {
    const constant = wide(ir, coefficient);
    return sum === undefined ? constant : combine(ir, constant, multiply(ir, u, sum));
  }, undefined);
  return multiply(ir, u, inner ?? wide(ir, 0n));
}
