import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { product, quotient, root, sum } from "./finite.ts";
import { Exception, defaultNan, double, infinityBits, quietBit, single } from "./format.ts";
import type { Format } from "./format.ts";
import { roundingOf } from "./round.ts";
import { denormalFlag, flushed, isUnmasked, roundPack, signed, unpack } from "./unpack.ts";
import type { Unpacked } from "./unpack.ts";

/**
 * Addition, subtraction, multiplication, division and square root as SSE has them: (a, b, control) → (result, flags), or
 * (a, control) → (result, flags). `control` and the flags are as format.ts says. Where an exception is raised that is not
 * masked, the result is not to be used.
 */

/** Where one operation's routine is built: returns are made through it. */
export interface Site {
  readonly ir: Builder;
  readonly format: Format;
  readonly control: Value;
  /** Returns bits held in an i64, and flags. */
  finish(bits: Value, flags: Value | number): void;
  /** The default NaN of an invalid operation. */
  invalid(): void;
}

/** Declares a routine whose operands and result are numbers of a format. */
export function floatRoutine(
  name: string,
  format: Format,
  operands: number,
  build: (site: Site, ...bits: Value[]) => void,
): Routine {
  const parameters = [...Array.from({ length: operands }, () => format.type), "i32" as const];
  return routine(
    `float.${name}.${format.name}`,
    { parameters, results: [format.type, "i32"], faults: false },
    () => new Builder(),
    (ir, ...values) => {
      const control = values[operands]!;
      const finish = (bits: Value, flags: Value | number) =>
        ir.return(ir.resize(bits, format.type), typeof flags === "number" ? ir.const("i32", flags) : flags);
      const invalid = () => finish(ir.const("i64", defaultNan(format)), Exception.invalid);
      const bits = values.slice(0, operands).map((value) => flushed(ir, format, ir.zext(value, "i64"), control));
      build({ ir, format, control, finish, invalid }, ...bits);
    },
  );
}

/** Where an operand is a NaN: the first one that is, made quiet. Intel SDM Vol. 1, "Rules for Handling NaNs". */
export function propagateNan({ ir, format, finish }: Site, a: Unpacked, b: Unpacked): void {
  ir.if(ir.or(a.isNan, b.isNan), () => {
    const signaling = ir.zext(ir.or(a.isSignaling, b.isSignaling), "i32");
    finish(ir.or(ir.select(a.isNan, a.bits, b.bits), quietBit(format)), signaling);
  });
}

type Result = readonly [sign: Value, exponent: Value, high: Value, low: Value];

/** Notes denormal operands; ends with that alone where it is not masked. Else rounds what `compute` gives. */
function rounded({ ir, format, control, finish }: Site, denormals: Value, compute: () => Result): void {
  ir.if(isUnmasked(ir, control, denormals, Exception.denormal), () => finish(ir.const("i64", 0), denormals));
  const [sign, exponent, high, low] = compute();
  const [bits, flags] = roundPack(ir, format, sign, exponent, high, low, control);
  finish(bits, ir.or(flags, denormals));
}

function addition(negate: "add" | "sub"): (site: Site, ...bits: Value[]) => void {
  return (site, bitsA, bitsB) => {
    const { ir, format, control, finish, invalid } = site;
    const a = unpack(ir, format, bitsA);
    const b = unpack(ir, format, bitsB);
    propagateNan(site, a, b);
    const signB = ir.hold(negate === "sub" ? ir.xor(b.sign, 1) : b.sign);
    const denormals = denormalFlag(ir, ir.or(a.isDenormal, b.isDenormal));
    const infinity = (sign: Value) => finish(signed(ir, format, sign, infinityBits(format)), denormals);
    ir.if(a.isInfinity, () => {
      ir.if(ir.and(b.isInfinity, ir.ne(a.sign, signB)), invalid);
      infinity(a.sign);
    });
    ir.if(b.isInfinity, () => infinity(signB));
    const rounding = ir.hold(roundingOf(ir, control));
    ir.if(ir.and(a.isZero, b.isZero), () => {
      const down = ir.zext(ir.eq(rounding, 1), "i32");
      finish(signed(ir, format, ir.select(ir.eq(a.sign, signB), a.sign, down), 0n), 0);
    });
    const none = ir.const("i64", 0);
    ir.if(a.isZero, () => rounded(site, denormals, () => [signB, b.exponent, b.significand, none]));
    ir.if(b.isZero, () => rounded(site, denormals, () => [a.sign, a.exponent, a.significand, none]));
    rounded(site, denormals, () => {
      const result = ir.call(sum, a.sign, a.exponent, a.significand, signB, b.exponent, b.significand, rounding) as [
        Value,
        Value,
        Value,
        Value,
      ];
      const [sign, , high, low] = result;
      ir.if(ir.eqz(ir.or(high, low)), () => finish(signed(ir, format, sign, 0n), denormals));
      return result;
    });
  };
}

function multiplication(site: Site, ...bits: Value[]): void {
  const { ir, format, finish, invalid } = site;
  const [a, b] = bits.map((each) => unpack(ir, format, each)) as [Unpacked, Unpacked];
  propagateNan(site, a, b);
  const sign = ir.hold(ir.xor(a.sign, b.sign));
  const denormals = denormalFlag(ir, ir.or(a.isDenormal, b.isDenormal));
  const zero = ir.hold(ir.or(a.isZero, b.isZero));
  ir.if(ir.or(a.isInfinity, b.isInfinity), () => {
    ir.if(zero, invalid);
    finish(signed(ir, format, sign, infinityBits(format)), denormals);
  });
  ir.if(zero, () => finish(signed(ir, format, sign, 0n), denormals));
  rounded(site, denormals, () => [
    sign,
    ...(ir.call(product, a.exponent, a.significand, b.exponent, b.significand) as [Value, Value, Value]),
  ]);
}

function division(site: Site, ...bits: Value[]): void {
  const { ir, format, finish, invalid } = site;
  const [a, b] = bits.map((each) => unpack(ir, format, each)) as [Unpacked, Unpacked];
  propagateNan(site, a, b);
  const sign = ir.hold(ir.xor(a.sign, b.sign));
  const denormals = denormalFlag(ir, ir.or(a.isDenormal, b.isDenormal));
  const infinity = (flags: Value | number) => finish(signed(ir, format, sign, infinityBits(format)), flags);
  ir.if(ir.or(ir.and(a.isInfinity, b.isInfinity), ir.and(a.isZero, b.isZero)), invalid);
  ir.if(a.isInfinity, () => infinity(denormals));
  ir.if(ir.or(b.isInfinity, a.isZero), () => finish(signed(ir, format, sign, 0n), denormals));
  ir.if(b.isZero, () => infinity(Exception.zeroDivide));
  rounded(site, denormals, () => [
    sign,
    ...(ir.call(quotient, a.exponent, a.significand, b.exponent, b.significand) as [Value, Value, Value]),
  ]);
}

function squareRoot(site: Site, ...bits: Value[]): void {
  const { ir, format, finish, invalid } = site;
  const a = unpack(ir, format, bits[0]!);
  propagateNan(site, a, a);
  ir.if(a.isZero, () => finish(a.bits, 0));
  ir.if(ir.ne(a.sign, 0), invalid);
  ir.if(a.isInfinity, () => finish(a.bits, 0));
  const denormals = denormalFlag(ir, a.isDenormal);
  rounded(site, denormals, () => [a.sign, ...(ir.call(root, a.exponent, a.significand) as [Value, Value, Value])]);
}

function family(format: Format) {
  return {
    add: floatRoutine("add", format, 2, addition("add")),
    sub: floatRoutine("sub", format, 2, addition("sub")),
    mul: floatRoutine("mul", format, 2, multiplication),
    div: floatRoutine("div", format, 2, division),
    sqrt: floatRoutine("sqrt", format, 1, squareRoot),
  };
}

export const arithmetic = { single: family(single), double: family(double) };
export type ArithmeticOperation = keyof ReturnType<typeof family>;
