import type { Value } from "../../ir/node.ts";
import { product, quotient, root, sum } from "./finite.ts";
import { Exception, Rounding } from "./format.ts";
import { roundingOf, when } from "./round.ts";
import {
  denormalOperands,
  extendedRoutine,
  infinity,
  propagateExtended,
  roundExtended,
  unpackExtended,
  zero,
} from "./extended.ts";
import type { Extended, ExtendedSite } from "./extended.ts";
import { isUnmasked } from "./unpack.ts";

/**
 * Addition, subtraction, multiplication, division and square root in the double extended format:
 * (a, b, control) → (result, flags). Where an exception of the operands is raised that is not masked, the result is not
 * to be used; one of overflow or underflow has its exponent wrapped.
 */

type Result = readonly [sign: Value, exponent: Value, high: Value, low: Value];

/** Notes denormal operands; ends with that alone where it is not masked. Else rounds what `compute` gives. */
function rounded({ ir, control, finish }: ExtendedSite, denormals: Value, compute: () => Result): void {
  ir.if(isUnmasked(ir, control, denormals, Exception.denormal), () => finish(zero(ir, ir.const("i32", 0)), denormals));
  const [result, flags] = roundExtended(ir, ...compute(), control);
  finish(result, ir.or(flags, denormals));
}

function addition(operation: "add" | "sub") {
  return (site: ExtendedSite, first: Extended, second: Extended): void => {
    const { ir, control, finish, invalid } = site;
    const [a, b] = [unpackExtended(ir, first), unpackExtended(ir, second)];
    propagateExtended(site, a, b);
    const signB = ir.hold(operation === "sub" ? ir.xor(b.sign, 1) : b.sign);
    const denormals = denormalOperands(ir, control, a, b);
    ir.if(a.isInfinity, () => {
      ir.if(ir.and(b.isInfinity, ir.ne(a.sign, signB)), invalid);
      finish(infinity(ir, a.sign), denormals);
    });
    ir.if(b.isInfinity, () => finish(infinity(ir, signB), denormals));
    const rounding = ir.hold(roundingOf(ir, control));
    ir.if(ir.and(a.isZero, b.isZero), () => {
      const down = when(ir, ir.eq(rounding, Rounding.down), 1);
      finish(zero(ir, ir.select(ir.eq(a.sign, signB), a.sign, down)), 0);
    });
    const none = ir.const("i64", 0);
    ir.if(a.isZero, () => rounded(site, denormals, () => [signB, b.exponent, b.normal, none]));
    ir.if(b.isZero, () => rounded(site, denormals, () => [a.sign, a.exponent, a.normal, none]));
    rounded(site, denormals, () => {
      const result = ir.call(sum, a.sign, a.exponent, a.normal, signB, b.exponent, b.normal, rounding) as [
        Value,
        Value,
        Value,
        Value,
      ];
      const [sign, , high, low] = result;
      ir.if(ir.eqz(ir.or(high, low)), () => finish(zero(ir, sign), denormals));
      return result;
    });
  };
}

function multiplication(site: ExtendedSite, first: Extended, second: Extended): void {
  const { ir, control, finish, invalid } = site;
  const [a, b] = [unpackExtended(ir, first), unpackExtended(ir, second)];
  propagateExtended(site, a, b);
  const sign = ir.hold(ir.xor(a.sign, b.sign));
  const denormals = denormalOperands(ir, control, a, b);
  const empty = ir.hold(ir.or(a.isZero, b.isZero));
  ir.if(ir.or(a.isInfinity, b.isInfinity), () => {
    ir.if(empty, invalid);
    finish(infinity(ir, sign), denormals);
  });
  ir.if(empty, () => finish(zero(ir, sign), denormals));
  rounded(site, denormals, () => [
    sign,
    ...(ir.call(product, a.exponent, a.normal, b.exponent, b.normal) as [Value, Value, Value]),
  ]);
}

function division(site: ExtendedSite, first: Extended, second: Extended): void {
  const { ir, control, finish, invalid } = site;
  const [a, b] = [unpackExtended(ir, first), unpackExtended(ir, second)];
  propagateExtended(site, a, b);
  const sign = ir.hold(ir.xor(a.sign, b.sign));
  const denormals = denormalOperands(ir, control, a, b);
  ir.if(ir.or(ir.and(a.isInfinity, b.isInfinity), ir.and(a.isZero, b.isZero)), invalid);
  ir.if(a.isInfinity, () => finish(infinity(ir, sign), denormals));
  ir.if(ir.or(b.isInfinity, a.isZero), () => finish(zero(ir, sign), denormals));
  ir.if(b.isZero, () => finish(infinity(ir, sign), Exception.zeroDivide));
  rounded(site, denormals, () => [
    sign,
    ...(ir.call(quotient, a.exponent, a.normal, b.exponent, b.normal) as [Value, Value, Value]),
  ]);
}

function squareRoot(site: ExtendedSite, number: Extended): void {
  const { ir, control, finish, invalid } = site;
  const a = unpackExtended(ir, number);
  propagateExtended(site, a, a);
  ir.if(a.isZero, () => finish(a, 0));
  ir.if(ir.ne(a.sign, 0), invalid);
  ir.if(a.isInfinity, () => finish(a, 0));
  rounded(site, denormalOperands(ir, control, a, a), () => [
    a.sign,
    ...(ir.call(root, a.exponent, a.normal) as [Value, Value, Value]),
  ]);
}

export const extendedArithmetic = {
  add: extendedRoutine("add", 2, addition("add")),
  sub: extendedRoutine("sub", 2, addition("sub")),
  mul: extendedRoutine("mul", 2, multiplication),
  div: extendedRoutine("div", 2, division),
  sqrt: extendedRoutine("sqrt", 1, squareRoot),
};
export type ExtendedOperation = keyof typeof extendedArithmetic;
