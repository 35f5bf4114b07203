import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { normalised } from "./finite.ts";
import { Exception } from "./format.ts";
import { round, when } from "./round.ts";

/**
 * The double extended format of the x87 FPU: 64 bits of significand, its integer bit explicit, and 16 of sign and exponent.
 * A number is a pair (significand: i64, head: i32), the head being sign and exponent. Intel SDM Vol. 1, "x87 FPU Data Types".
 */

/** A number in the double extended format. */
export interface Extended {
  readonly significand: Value;
  readonly head: Value;
}

/** The largest exponent of a number; the bias, too. */
export const maximum = 16383;
/** Fields of `control` that only the x87 FPU has, beside those of format.ts. */
export const ExtendedControl = {
  /** Significant bits that results of arithmetic are rounded to: 24, 53 or 64, from this bit on. */
  precisionShift: 16,
  /** The second operand was denormal before it was converted. */
  denormalOperand: 1 << 24,
} as const;
/** `control` says so: results are rounded to 64 bits. */
export const fullPrecision = 64 << ExtendedControl.precisionShift;

export const integerBit = 1n << 63n;
const quiet = 1n << 62n;
const signOfHead = 0x8000;
export const exponentMask = 0x7fff;

const builder = () => new Builder();

/** The constant with this head and significand. */
export function extended(ir: Builder, head: number, significand: bigint): Extended {
  return { significand: ir.const("i64", significand), head: ir.const("i32", head) };
}
/** What a masked invalid operation gives. Intel SDM Vol. 1, "QNaN Floating-Point Indefinite". */
export function indefinite(ir: Builder): Extended {
  return extended(ir, 0xffff, integerBit | quiet);
}
export function zero(ir: Builder, sign: Value): Extended {
  return { significand: ir.const("i64", 0), head: ir.shl(sign, 15) };
}
export function infinity(ir: Builder, sign: Value): Extended {
  return { significand: ir.const("i64", integerBit), head: ir.or(ir.shl(sign, 15), exponentMask) };
}
/** A NaN made quiet. */
export function quieted(ir: Builder, { significand, head }: Extended): Extended {
  return { significand: ir.or(significand, quiet), head };
}

/** A number taken apart. */
export interface UnpackedExtended extends Extended {
  /** i32, 0 or 1. */
  readonly sign: Value;
  /** Unnormals, pseudo-infinities and pseudo-NaNs, which every operation takes for invalid. */
  readonly isUnsupported: Value;
  readonly isNan: Value;
  readonly isSignaling: Value;
  readonly isInfinity: Value;
  readonly isZero: Value;
  /** Pseudo-denormals as well. */
  readonly isDenormal: Value;
  /** As format.ts has them; meaningless but for finite numbers other than zero. */
  readonly exponent: Value;
  readonly normal: Value;
}

/** Takes a number apart. */
export function unpackExtended(ir: Builder, { significand, head }: Extended): UnpackedExtended {
  const field = ir.hold(ir.and(head, exponentMask));
  const least = ir.hold(ir.eqz(field));
  const most = ir.hold(ir.eq(field, exponentMask));
  const supported = ir.hold(ir.or(least, ir.lts(significand, 0)));
  const empty = ir.hold(ir.eqz(ir.shl(significand, 1)));
  const isNan = ir.hold(ir.and(ir.and(most, supported), ir.eqz(empty)));
  const isZero = ir.hold(ir.eqz(significand));
  const biased = ir.select(least, ir.const("i32", 1), field);
  const [exponent, normal] = normalised(ir, ir.sub(biased, maximum), significand);
  return {
    significand,
    head,
    sign: ir.hold(ir.and(ir.shr(head, 15), 1)),
    isUnsupported: ir.hold(ir.eqz(supported)),
    isNan,
    isSignaling: ir.hold(ir.and(isNan, ir.eqz(ir.and(significand, quiet)))),
    isInfinity: ir.hold(ir.and(ir.and(most, supported), empty)),
    isZero: ir.hold(ir.and(least, isZero)),
    isDenormal: ir.hold(ir.and(least, ir.eqz(isZero))),
    exponent,
    normal,
  };
}

/** Puts a sign and what `round` gives together. */
export function packExtended(ir: Builder, sign: Value, biased: Value, significand: Value): Extended {
  return { significand, head: ir.hold(ir.or(ir.shl(sign, 15), ir.and(biased, exponentMask))) };
}

/** Rounds to the precision that `control` says. @returns the number and flags. */
export function roundExtended(
  ir: Builder,
  sign: Value,
  exponent: Value,
  high: Value,
  low: Value,
  control: Value,
): [Extended, flags: Value] {
  const precision = ir.and(ir.shr(control, ExtendedControl.precisionShift), 127);
  const target = [precision, ir.const("i32", maximum), control] as const;
  const [biased, significand, flags] = ir.call(round, sign, exponent, high, low, ...target) as [Value, Value, Value];
  return [packExtended(ir, sign, biased, significand), flags];
}

/**
 * The result of two operands of which one at least is a NaN: (a, b) → number. The one with the larger significand, a quiet
 * one before a signalling one; of equal ones the positive. Intel SDM Vol. 1, "Rules for Handling NaNs".
 */
export const chooseNan = routine(
  "float.chooseNan",
  { parameters: ["i64", "i32", "i64", "i32"], results: ["i64", "i32"], faults: false },
  builder,
  (ir, significandA, headA, significandB, headB) => {
    const [a, b] = [
      unpackExtended(ir, { significand: significandA, head: headA }),
      unpackExtended(ir, { significand: significandB, head: headB }),
    ];
    const first = () => ir.return(ir.or(significandA, quiet), headA);
    const second = () => ir.return(ir.or(significandB, quiet), headB);
    ir.if(ir.eqz(b.isNan), first);
    ir.if(ir.eqz(a.isNan), second);
    ir.if(ir.and(a.isSignaling, ir.eqz(b.isSignaling)), second);
    ir.if(ir.and(b.isSignaling, ir.eqz(a.isSignaling)), first);
    ir.if(ir.ltu(significandA, significandB), second);
    ir.if(ir.ltu(significandB, significandA), first);
    ir.if(ir.ltu(headB, headA), second);
    first();
  },
);

/** Where an extended routine is built: returns are made through it. */
export interface ExtendedSite {
  readonly ir: Builder;
  readonly control: Value;
  finish(result: Extended, flags: Value | number): void;
  /** The default NaN of an invalid operation. */
  invalid(): void;
}

/**
 * Ends with a number of 128 bits rounded to 64; `inexact` is 1 where that is not all of it. Precision is raised in any case,
 * as processors do it for functions that they approximate.
 */
export function finishRounded(
  { ir, control, finish }: ExtendedSite,
  sign: Value,
  [exponent, high, low]: readonly [Value, Value, Value],
  inexact: Value,
  denormals: Value,
): void {
  const full = ir.or(ir.and(control, 0xffff), fullPrecision);
  const [result, flags] = roundExtended(ir, sign, exponent, high, ir.or(low, ir.zext(inexact, "i64")), full);
  finish(result, ir.or(ir.or(flags, Exception.precision), denormals));
}
/** Ends with a number that can only be approximated. */
export function finishInexact(
  site: ExtendedSite,
  sign: Value,
  number: readonly [Value, Value, Value],
  denormals: Value,
): void {
  finishRounded(site, sign, number, site.ir.const("i32", 1), denormals);
}

/** Declares a routine (a, b, …, control) → (number, flags), every number being (significand, head). */
export function extendedRoutine(
  name: string,
  operands: 1 | 2,
  build: (site: ExtendedSite, a: Extended, b: Extended) => void,
): Routine {
  const parameters = Array.from({ length: operands }, () => ["i64", "i32"] as const).flat();
  return routine(
    `extended.${name}`,
    { parameters: [...parameters, "i32"], results: ["i64", "i32", "i32"], faults: false },
    builder,
    (ir, ...values) => {
      const number = (index: number): Extended => ({ significand: values[index]!, head: values[index + 1]! });
      const finish = ({ significand, head }: Extended, flags: Value | number) =>
        ir.return(significand, head, typeof flags === "number" ? ir.const("i32", flags) : flags);
      const site: ExtendedSite = {
        ir,
        control: values.at(-1)!,
        finish,
        invalid: () => finish(indefinite(ir), Exception.invalid),
      };
      build(site, number(0), number(operands === 1 ? 0 : 2));
    },
  );
}

/** Ends a routine where an operand is unsupported, or a NaN. */
export function propagateExtended(
  { ir, finish, invalid }: ExtendedSite,
  a: UnpackedExtended,
  b: UnpackedExtended,
): void {
  ir.if(ir.or(a.isUnsupported, b.isUnsupported), invalid);
  ir.if(ir.or(a.isNan, b.isNan), () => {
    const [significand, head] = ir.call(chooseNan, a.significand, a.head, b.significand, b.head) as [Value, Value];
    finish({ significand, head }, ir.zext(ir.or(a.isSignaling, b.isSignaling), "i32"));
  });
}

/** The denormal exception of the operands, memory's included. */
export function denormalOperands(ir: Builder, control: Value, a: UnpackedExtended, b: UnpackedExtended): Value {
  const fromMemory = ir.ne(ir.and(control, ExtendedControl.denormalOperand), 0);
  return ir.hold(when(ir, ir.or(ir.or(a.isDenormal, b.isDenormal), fromMemory), Exception.denormal));
}

/** `head` with its sign changed where the condition holds. */
export function negatedIf(ir: Builder, condition: Value, head: Value): Value {
  return ir.xor(head, when(ir, condition, signOfHead));
}
