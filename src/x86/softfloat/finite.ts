import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { divideWide, multiplyHighUnsigned } from "../wide.ts";
import { Rounding } from "./format.ts";
import { shiftRight, when } from "./round.ts";

/**
 * Exact operations on finite numbers other than zero, (exponent, significand) with bit 63 set. Results are
 * (exponent, high, low), normalised, ready for `round`.
 */

const builder = () => new Builder();

/** Shifts left until bit 63 of `high` is set, `high` or `low` not being zero. @returns (exponent, high, low). */
export const normalise = routine(
  "float.normalise",
  { parameters: ["i32", "i64", "i64"], results: ["i32", "i64", "i64"], faults: false },
  builder,
  (ir, exponent, high, low) => {
    ir.if(ir.eqz(high), () => {
      const zeros = ir.hold(ir.op("clz", [low]));
      const less = ir.sub(ir.sub(exponent, 64), ir.trunc(zeros, "i32"));
      ir.return(less, ir.shl(low, zeros), ir.const("i64", 0));
    });
    const zeros = ir.hold(ir.op("clz", [high]));
    const carried = ir.shr(ir.shr(low, 1), ir.sub(63, zeros));
    ir.return(ir.sub(exponent, ir.trunc(zeros, "i32")), ir.or(ir.shl(high, zeros), carried), ir.shl(low, zeros));
  },
);

/** Leading zeros out of a significand that is not zero: (exponent, significand) → (exponent, significand). */
export function normalised(ir: Builder, exponent: Value, significand: Value): [Value, Value] {
  const zeros = ir.hold(ir.op("clz", [significand]));
  return [ir.hold(ir.sub(exponent, ir.trunc(zeros, "i32"))), ir.hold(ir.shl(significand, zeros))];
}

/**
 * sum(signA, exponentA, a, signB, exponentB, b, rounding) → (sign, exponent, high, low). Where the operands cancel, `high`
 * and `low` are zero and the sign is that of an exact zero: negative when rounding down.
 */
export const sum = routine(
  "float.sum",
  {
    parameters: ["i32", "i32", "i64", "i32", "i32", "i64", "i32"],
    results: ["i32", "i32", "i64", "i64"],
    faults: false,
  },
  builder,
  (ir, signA, exponentA, a, signB, exponentB, b, rounding) => {
    const less = ir.hold(ir.or(ir.lts(exponentA, exponentB), ir.and(ir.eq(exponentA, exponentB), ir.ltu(a, b))));
    const sign = ir.hold(ir.select(less, signB, signA));
    const exponent = ir.hold(ir.select(less, exponentB, exponentA));
    const large = ir.hold(ir.select(less, b, a));
    const distance = ir.sub(exponent, ir.select(less, exponentA, exponentB));
    const [high, low] = ir.call(shiftRight, ir.select(less, a, b), ir.const("i64", 0), distance) as [Value, Value];
    ir.if(
      ir.eq(signA, signB),
      () => {
        const added = ir.hold(ir.add(large, high));
        ir.if(ir.eqz(ir.ltu(added, large)), () => ir.return(sign, exponent, added, low));
        const [shifted, rest] = ir.call(shiftRight, added, low, ir.const("i32", 1)) as [Value, Value];
        ir.return(sign, ir.add(exponent, 1), ir.or(shifted, 1n << 63n), rest);
      },
      () => {
        const difference = ir.hold(ir.sub(ir.sub(large, high), ir.zext(ir.ne(low, 0), "i64")));
        const rest = ir.hold(ir.neg(low));
        ir.if(ir.eqz(ir.or(difference, rest)), () => {
          ir.return(when(ir, ir.eq(rounding, Rounding.down), 1), exponent, difference, rest);
        });
        ir.return(sign, ...ir.call(normalise, exponent, difference, rest));
      },
    );
  },
);

/** product(exponentA, a, exponentB, b) → (exponent, high, low). */
export const product = routine(
  "float.product",
  { parameters: ["i32", "i64", "i32", "i64"], results: ["i32", "i64", "i64"], faults: false },
  builder,
  (ir, exponentA, a, exponentB, b) => {
    const high = ir.hold(multiplyHighUnsigned(ir, a, b));
    const low = ir.mul(a, b);
    ir.return(...ir.call(normalise, ir.add(ir.add(exponentA, exponentB), 1), high, low));
  },
);

/** quotient(exponentA, a, exponentB, b) → (exponent, high, low). */
export const quotient = routine(
  "float.quotient",
  { parameters: ["i32", "i64", "i32", "i64"], results: ["i32", "i64", "i64"], faults: false },
  builder,
  (ir, exponentA, a, exponentB, b) => {
    const exponent = ir.hold(ir.sub(exponentA, exponentB));
    // The dividend is to be less than the divisor: halved where it is not, and the exponent is one less where it was.
    const halved = ir.hold(ir.leu(b, a));
    const high = ir.select(halved, ir.shr(a, 1), a);
    const low = ir.select(halved, ir.shl(a, 63), ir.const("i64", 0));
    const [digits, rest] = ir.call(divideWide, high, low, b) as [Value, Value];
    const [fraction, remainder] = ir.call(divideWide, rest, ir.const("i64", 0), b) as [Value, Value];
    const sticky = ir.zext(ir.ne(remainder, 0), "i64");
    ir.return(ir.sub(exponent, ir.zext(ir.eqz(halved), "i32")), digits, ir.or(fraction, sticky));
  },
);

/** The integer square root of an i64 whose bit 63 or 62 is set: 32 bits, one at a time. */
function rootOfWord(ir: Builder, value: Value): Value {
  const root = ir.variable(ir.const("i64", 0));
  const rest = ir.variable(value);
  const bit = ir.variable(ir.const("i64", 1n << 62n));
  ir.loop((loop) => {
    const [r, left, b] = [ir.read(root), ir.read(rest), ir.read(bit)];
    ir.if(ir.eqz(b), () => ir.break(loop));
    const trial = ir.hold(ir.or(r, b));
    const fits = ir.hold(ir.leu(trial, left));
    ir.assign(rest, ir.select(fits, ir.sub(left, trial), left));
    ir.assign(root, ir.select(fits, ir.or(ir.shr(r, 1), b), ir.shr(r, 1)));
    ir.assign(bit, ir.shr(b, 2));
  });
  return ir.read(root);
}

/**
 * root(exponent, a) → (exponent, high, low). The upper 32 bits bit by bit, the lower ones by one division of what is left:
 * Zimmermann, "Karatsuba Square Root". The third word, of which only round and sticky bits are wanted, from the remainder.
 */
export const root = routine(
  "float.root",
  { parameters: ["i32", "i64"], results: ["i32", "i64", "i64"], faults: false },
  builder,
  (ir, exponent, a) => {
    const odd = ir.hold(ir.ne(ir.and(exponent, 1), 0));
    // The radicand as a fraction of four, so that the root's bit 63 is set: an even exponent leaves a quarter of it.
    const radicand = ir.hold(ir.select(odd, a, ir.shr(a, 1)));
    const rest0 = ir.select(odd, ir.const("i64", 0), ir.shl(a, 63));
    const upper = ir.hold(rootOfWord(ir, radicand));
    const left = ir.hold(ir.sub(radicand, ir.mul(upper, upper)));
    // left × 2^32 + the next 32 bits, by 2 × upper: halved on both sides so that it fits a word.
    const dividend = ir.hold(ir.or(ir.shl(left, 31), ir.shr(rest0, 33)));
    const found = ir.op("divu", [dividend, upper]);
    const digit = ir.hold(ir.select(ir.ltu(0xffffffffn, found), ir.const("i64", 0xffffffffn), found));
    const over = ir.hold(ir.sub(dividend, ir.mul(digit, upper)));
    const candidate = ir.hold(ir.or(ir.shl(upper, 32), digit));
    // The remainder of the whole: over × 2^33 + the radicand's last bits − digit²; a word and a bit above it.
    const square = ir.hold(ir.mul(digit, digit));
    const low = ir.hold(ir.sub(ir.shl(over, 33), square));
    const high = ir.hold(ir.sub(ir.shr(over, 31), ir.zext(ir.ltu(ir.shl(over, 33), square), "i64")));
    const half = ir.sar(exponent, 1);
    const fraction = (above: Value, inexact: Value) =>
      ir.or(ir.shl(ir.zext(above, "i64"), 63), ir.zext(inexact, "i64"));
    ir.if(
      ir.lts(high, 0),
      () => {
        // Too large by one; then the remainder is 2 × candidate − 1 more, and above the root where the deficit is less than it.
        const deficit = ir.neg(low);
        ir.return(half, ir.sub(candidate, 1), fraction(ir.ltu(deficit, candidate), ir.const("i1", 1)));
      },
      () => {
        const above = ir.or(ir.ne(high, 0), ir.ltu(candidate, low));
        ir.return(half, candidate, fraction(above, ir.ne(ir.or(high, low), 0)));
      },
    );
  },
);
