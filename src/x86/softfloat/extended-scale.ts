import type { Value } from "../../ir/node.ts";
import {
  denormalOperands,
  extendedRoutine,
  fullPrecision,
  infinity,
  maximum,
  propagateExtended,
  roundExtended,
  unpackExtended,
  zero,
} from "./extended.ts";
import type { Extended, ExtendedSite, UnpackedExtended } from "./extended.ts";
import { normalised } from "./finite.ts";
import { Exception } from "./format.ts";
import { integral } from "./integral.ts";
import { isMasked, roundingOf } from "./round.ts";
import { isUnmasked } from "./unpack.ts";

/** To integers, scaling by powers of two, and taking exponent and significand apart; in full precision whatever PC says. */

const none = (site: ExtendedSite): Value => site.ir.const("i64", 0);

/** Rounds an exact number, for it may be too large or too small. */
function finishExact(site: ExtendedSite, sign: Value, exponent: Value, significand: Value, denormals: Value): void {
  const { ir, control, finish } = site;
  const full = ir.or(ir.and(control, 0xffff), fullPrecision);
  const [result, flags] = roundExtended(ir, sign, exponent, significand, none(site), full);
  finish(result, ir.or(flags, denormals));
}

/** Ends with the denormal exception alone where it is raised and not masked. */
function checkDenormals({ ir, control, finish }: ExtendedSite, a: Extended, denormals: Value): void {
  ir.if(isUnmasked(ir, control, denormals, Exception.denormal), () => finish(a, denormals));
}

/** FRNDINT. Intel SDM Vol. 2A, "FRNDINT—Round to Integer". */
function toIntegral(site: ExtendedSite, number: Extended): void {
  const { ir, control, finish } = site;
  const a = unpackExtended(ir, number);
  propagateExtended(site, a, a);
  ir.if(ir.or(ir.or(a.isZero, a.isInfinity), ir.les(63, a.exponent)), () => finish(a, 0));
  const denormals = denormalOperands(ir, control, a, a);
  checkDenormals(site, a, denormals);
  const [magnitude, flags] = ir.call(integral, a.sign, a.exponent, a.normal, roundingOf(ir, control)) as [Value, Value];
  const raised = ir.hold(ir.or(flags, denormals));
  ir.if(ir.eqz(magnitude), () => finish(zero(ir, a.sign), raised));
  const [exponent, significand] = normalised(ir, ir.const("i32", 63), magnitude);
  finishExact(site, a.sign, exponent, significand, raised);
}

/** A number's integral part, or one that is far too large for any use as an exponent. */
function truncated(site: ExtendedSite, b: UnpackedExtended): Value {
  const { ir } = site;
  const magnitude = ir.trunc(ir.shr(b.normal, ir.zext(ir.sub(63, b.exponent), "i64")), "i32");
  const limited = ir.select(ir.lts(16, b.exponent), ir.const("i32", 0x10000), magnitude);
  const whole = ir.hold(ir.select(ir.lts(b.exponent, 0), ir.const("i32", 0), limited));
  return ir.hold(ir.select(ir.ne(b.sign, 0), ir.neg(whole), whole));
}

/** What an exponent is off by after an overflow or underflow that is not masked. */
const wrap = 24576;

/**
 * FSCALE — a × 2^b, b truncated. Where even a wrapped exponent does not fit, the result is infinite or zero although the
 * exception is not masked. Intel SDM Vol. 2A, "FSCALE—Scale"; Vol. 1, "Numeric Overflow Exception".
 */
function scale(site: ExtendedSite, first: Extended, second: Extended): void {
  const { ir, control, finish, invalid } = site;
  const [a, b] = [unpackExtended(ir, first), unpackExtended(ir, second)];
  propagateExtended(site, a, b);
  const denormals = denormalOperands(ir, control, a, b);
  const positive = ir.hold(ir.eqz(b.sign));
  ir.if(b.isInfinity, () => {
    ir.if(ir.select(positive, a.isZero, a.isInfinity), invalid);
    ir.if(ir.or(a.isZero, a.isInfinity), () => finish(a, denormals));
    ir.if(positive, () => finish(infinity(ir, a.sign), denormals));
    finish(zero(ir, a.sign), denormals);
  });
  ir.if(ir.or(a.isZero, a.isInfinity), () => finish(a, denormals));
  checkDenormals(site, a, denormals);
  const by = ir.select(b.isZero, ir.const("i32", 0), truncated(site, b));
  const exponent = ir.hold(ir.add(a.exponent, by));
  const massive = (exception: number, extreme: Extended, flags: number) => {
    ir.if(ir.eqz(isMasked(ir, control, exception)), () => finish(extreme, ir.or(denormals, exception | flags)));
  };
  const inexact = Exception.precision;
  ir.if(ir.lts(maximum + wrap, exponent), () =>
    massive(Exception.overflow, infinity(ir, a.sign), inexact | Exception.roundedUp),
  );
  ir.if(ir.lts(exponent, 1 - maximum - wrap), () => massive(Exception.underflow, zero(ir, a.sign), inexact));
  finishExact(site, a.sign, exponent, a.normal, denormals);
}

/** The exponent of a number as a number, by FXTRACT. */
function exponentOf(site: ExtendedSite, number: Extended): void {
  const { ir, control, finish } = site;
  const a = unpackExtended(ir, number);
  propagateExtended(site, a, a);
  const zeroSign = ir.const("i32", 0);
  ir.if(a.isInfinity, () => finish(infinity(ir, zeroSign), 0));
  ir.if(a.isZero, () => finish(infinity(ir, ir.const("i32", 1)), Exception.zeroDivide));
  const denormals = denormalOperands(ir, control, a, a);
  ir.if(ir.eqz(a.exponent), () => finish(zero(ir, zeroSign), denormals));
  const negative = ir.hold(ir.lts(a.exponent, 0));
  const magnitude = ir.zext(ir.select(negative, ir.neg(a.exponent), a.exponent), "i64");
  const [exponent, significand] = normalised(ir, ir.const("i32", 63), magnitude);
  finish({ significand, head: ir.or(ir.shl(ir.zext(negative, "i32"), 15), ir.add(exponent, maximum)) }, denormals);
}

/** The significand of a number, between 1 and 2, by FXTRACT. */
function significandOf(site: ExtendedSite, number: Extended): void {
  const { ir, finish } = site;
  const a = unpackExtended(ir, number);
  propagateExtended(site, a, a);
  ir.if(ir.or(a.isInfinity, a.isZero), () => finish(a, 0));
  finish({ significand: a.normal, head: ir.or(ir.shl(a.sign, 15), maximum) }, 0);
}

export const extendedScaling = {
  toIntegral: extendedRoutine("toIntegral", 1, toIntegral),
  scale: extendedRoutine("scale", 2, scale),
  exponentOf: extendedRoutine("exponentOf", 1, exponentOf),
  significandOf: extendedRoutine("significandOf", 1, significandOf),
};
