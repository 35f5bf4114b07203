import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { Control, Exception, Rounding } from "./format.ts";

const builder = () => new Builder();
const half = 1n << 63n;

/** Whether an exception is masked by a control word, as an i1. */
export function isMasked(ir: Builder, control: Value, exception: number): Value {
  return ir.ne(ir.and(control, exception << Control.maskShift), 0);
}

/** The rounding mode of a control word, as an i32. */
export function roundingOf(ir: Builder, control: Value): Value {
  return ir.and(ir.shr(control, Control.roundingShift), 3);
}

/** 1 as an i32 where the condition holds, times `value`. */
export function when(ir: Builder, condition: Value, value: number): Value {
  return ir.select(condition, ir.const("i32", value), ir.const("i32", 0));
}

/**
 * shiftRight(high: i64, low: i64, by: i32) → (high, low): the 128 bits shifted by any non-negative count; bit 0 of the
 * result is also set where a one has been shifted out.
 */
export const shiftRight = routine(
  "float.shiftRight",
  { parameters: ["i64", "i64", "i32"], results: ["i64", "i64"], faults: false },
  builder,
  (ir, high, low, by) => {
    const n = ir.hold(ir.zext(by, "i64"));
    const lost = (value: Value, count: Value) => ir.and(value, ir.sub(ir.shl(ir.const("i64", 1), count), 1));
    const jam = (value: Value) => ir.zext(ir.ne(value, 0), "i64");
    const zero = ir.const("i64", 0);
    ir.if(ir.leu(128, by), () => ir.return(zero, jam(ir.or(high, low))));
    ir.if(ir.leu(64, by), () => {
      const rest = ir.hold(ir.sub(n, 64));
      ir.return(zero, ir.or(ir.shr(high, rest), jam(ir.or(lost(high, rest), low))));
    });
    const carried = ir.shl(ir.shl(high, ir.sub(63, n)), 1);
    ir.return(ir.shr(high, n), ir.or(ir.or(carried, ir.shr(low, n)), jam(lost(low, n))));
  },
);

/**
 * increment(sign: i32, lowest: i64, rest: i64, rounding: i32) → i32: 1 where a magnitude is to be rounded up. `lowest` has
 * its last bit kept as bit 0; `rest` is what follows as a fraction of 2^64, bit 0 standing for all that is smaller.
 */
export const increment = routine(
  "float.increment",
  { parameters: ["i32", "i64", "i64", "i32"], results: ["i32"], faults: false },
  builder,
  (ir, sign, lowest, rest, rounding) => {
    const odd = ir.trunc(lowest, "i1");
    const inexact = ir.ne(rest, 0);
    const one = (condition: Value) => ir.return(ir.zext(condition, "i32"));
    ir.if(ir.eq(rounding, Rounding.nearest), () => one(ir.or(ir.ltu(half, rest), ir.and(ir.eq(rest, half), odd))));
    const outward = ir.select(ir.eq(rounding, Rounding.down), ir.ne(sign, 0), ir.eqz(sign));
    one(ir.and(ir.and(inexact, outward), ir.ne(rounding, Rounding.zero)));
  },
);

/**
 * cut(sign: i32, high: i64, low: i64, precision: i32, rounding: i32) → (significand: i64, carry: i32, flags: i32): keeps
 * `precision` bits, 1 to 64, from the top of `high` on. With a carry the significand is 2^63, and twice as much is meant.
 * Flags are `precision` and `roundedUp`.
 */
const cut = routine(
  "float.cut",
  { parameters: ["i32", "i64", "i64", "i32", "i32"], results: ["i64", "i32", "i32"], faults: false },
  builder,
  (ir, sign, high, low, precision, rounding) => {
    const drop = ir.hold(ir.zext(ir.sub(64, precision), "i64"));
    const sticky = ir.zext(ir.ne(low, 0), "i64");
    const upper = ir.or(ir.shl(high, ir.zext(precision, "i64")), sticky);
    const rest = ir.hold(ir.select(ir.eqz(drop), low, upper));
    const lowest = ir.hold(ir.shr(high, drop));
    const up = ir.hold(ir.call(increment, sign, lowest, rest, rounding)[0]!);
    const sum = ir.hold(ir.shl(ir.add(lowest, ir.zext(up, "i64")), drop));
    const carry = ir.hold(ir.and(ir.ne(up, 0), ir.ltu(sum, high)));
    const flags = ir.or(when(ir, ir.ne(rest, 0), Exception.precision), when(ir, ir.ne(up, 0), Exception.roundedUp));
    ir.return(ir.select(carry, ir.const("i64", half), sum), ir.zext(carry, "i32"), flags);
  },
);

/**
 * round(sign: i32, exponent: i32, high: i64, low: i64, precision: i32, maximum: i32, control: i32)
 *   → (biased: i32, significand: i64, flags: i32)
 *
 * Rounds a number, bit 63 of `high` set, to `precision` bits and an exponent of 1 − maximum to maximum. Tininess is
 * detected after rounding. Intel SDM Vol. 1, "Numeric Overflow Exception" and "Numeric Underflow Exception".
 *
 * `biased` is the exponent's field: 0 for a denormal, 2 × maximum + 1 for an infinity (significand 2^63). The significand
 * is left-aligned with its integer bit explicit, zeros behind the precision. Where overflow or underflow is not masked, the
 * exponent is off by 3 × 2^(width − 2), as x87 instructions write to a register; SSE writes nothing.
 */
export const round = routine(
  "float.round",
  { parameters: ["i32", "i32", "i64", "i64", "i32", "i32", "i32"], results: ["i32", "i64", "i32"], faults: false },
  builder,
  (ir, sign, exponent, high, low, precision, maximum, control) => {
    const rounding = ir.hold(roundingOf(ir, control));
    const [significand, carry, flags] = ir.call(cut, sign, high, low, precision, rounding) as [Value, Value, Value];
    const reached = ir.hold(ir.add(exponent, carry));
    const minimum = ir.hold(ir.sub(1, maximum));
    const wrap = ir.hold(ir.shr(ir.mul(ir.add(maximum, 1), 3), 1));
    const biased = ir.hold(ir.add(reached, maximum));

    ir.if(ir.lts(reached, minimum), () => {
      ir.if(ir.eqz(isMasked(ir, control, Exception.underflow)), () => {
        ir.return(ir.add(biased, wrap), significand, ir.or(flags, Exception.underflow));
      });
      const inexact = Exception.underflow | Exception.precision;
      ir.if(ir.ne(ir.and(control, Control.flushToZero), 0), () => {
        ir.return(ir.const("i32", 0), ir.const("i64", 0), ir.const("i32", inexact));
      });
      const shifted = ir.call(shiftRight, high, low, ir.sub(minimum, exponent)) as [Value, Value];
      const [denormal, , lost] = ir.call(cut, sign, ...shifted, precision, rounding) as [Value, Value, Value];
      const underflow = when(ir, ir.ne(ir.and(lost, Exception.precision), 0), Exception.underflow);
      ir.return(ir.zext(ir.lts(denormal, 0), "i32"), denormal, ir.or(lost, underflow));
    });

    ir.if(ir.lts(maximum, reached), () => {
      ir.if(ir.eqz(isMasked(ir, control, Exception.overflow)), () => {
        ir.return(ir.sub(biased, wrap), significand, ir.or(flags, Exception.overflow));
      });
      const outward = ir.select(ir.ne(sign, 0), ir.eq(rounding, Rounding.down), ir.eq(rounding, Rounding.up));
      const infinite = ir.hold(ir.or(outward, ir.eq(rounding, Rounding.nearest)));
      const ones = ir.shl(ir.const("i64", -1), ir.zext(ir.sub(64, precision), "i64"));
      const raised = ir.or(when(ir, infinite, Exception.roundedUp), Exception.overflow | Exception.precision);
      const field = ir.add(ir.shl(maximum, 1), ir.zext(infinite, "i32"));
      ir.return(field, ir.select(infinite, ir.const("i64", half), ones), raised);
    });

    ir.return(biased, significand, flags);
  },
);
