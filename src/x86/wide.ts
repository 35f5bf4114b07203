import { Builder, routine } from "../ir/builder.ts";
import type { Value } from "../ir/node.ts";

const low32 = 0xffffffffn;

/** The high 64 bits of the unsigned product of two i64. Warren, Hacker's Delight, "High-Order Half of 64-Bit Product". */
export function multiplyHighUnsigned(ir: Builder, a: Value, b: Value): Value {
  const [a0, a1] = [ir.and(a, low32), ir.shr(a, 32)];
  const [b0, b1] = [ir.and(b, low32), ir.shr(b, 32)];
  const cross = ir.hold(ir.add(ir.mul(a1, b0), ir.shr(ir.mul(a0, b0), 32)));
  const middle = ir.add(ir.mul(a0, b1), ir.and(cross, low32));
  return ir.add(ir.mul(a1, b1), ir.add(ir.shr(cross, 32), ir.shr(middle, 32)));
}

/** The high 64 bits of the signed product of two i64. */
export function multiplyHighSigned(ir: Builder, a: Value, b: Value): Value {
  const corrections = ir.add(ir.and(ir.sar(a, 63), b), ir.and(ir.sar(b, 63), a));
  return ir.sub(multiplyHighUnsigned(ir, a, b), corrections);
}

/** One quotient digit of 32 bits: [high:…] ÷ divisor, where high < divisor and divisor has its top bit set. */
function quotientDigit(ir: Builder, high: Value, next: Value, divisor: Value): Value {
  const [d1, d0] = [ir.shr(divisor, 32), ir.and(divisor, low32)];
  const digit = ir.variable(ir.op("divu", [high, d1]));
  const rest = ir.variable(ir.sub(high, ir.mul(ir.read(digit), d1)));
  ir.loop((loop) => {
    const [q, r] = [ir.read(digit), ir.read(rest)];
    const tooBig = ir.or(ir.ltu(low32, q), ir.ltu(ir.or(ir.shl(r, 32), next), ir.mul(q, d0)));
    ir.if(ir.eqz(tooBig), () => ir.break(loop));
    const nextRest = ir.hold(ir.add(r, d1));
    ir.assign(digit, ir.sub(q, 1));
    ir.assign(rest, nextRest);
    ir.if(ir.ltu(low32, nextRest), () => ir.break(loop));
    ir.continue(loop);
  });
  return ir.read(digit);
}

/**
 * divideWide(high: i64, low: i64, divisor: i64) → (quotient, remainder), unsigned. The divisor is greater than `high`, so
 * that the quotient fits. Knuth, The Art of Computer Programming Vol. 2, 4.3.1, Algorithm D, with digits of 32 bits.
 */
export const divideWide = routine(
  "divideWide",
  { parameters: ["i64", "i64", "i64"], results: ["i64", "i64"], faults: false },
  () => new Builder(),
  (ir, high, low, divisor) => {
    ir.if(ir.eqz(high), () => ir.return(ir.op("divu", [low, divisor]), ir.op("remu", [low, divisor])));
    const shift = ir.hold(ir.op("clz", [divisor]));
    const normal = ir.hold(ir.shl(divisor, shift));
    // Shifting by 64 − shift in two steps: a shift by 64 would be one by 0.
    const carried = ir.shr(ir.shr(low, 1), ir.sub(63, shift));
    const upper = ir.hold(ir.or(ir.shl(high, shift), carried));
    const lower = ir.hold(ir.shl(low, shift));
    const next1 = ir.hold(ir.shr(lower, 32));
    const q1 = ir.hold(quotientDigit(ir, upper, next1, normal));
    const middle = ir.hold(ir.sub(ir.or(ir.shl(upper, 32), next1), ir.mul(q1, normal)));
    const next0 = ir.hold(ir.and(lower, low32));
    const q0 = ir.hold(quotientDigit(ir, middle, next0, normal));
    const remainder = ir.sub(ir.or(ir.shl(middle, 32), next0), ir.mul(q0, normal));
    ir.return(ir.add(ir.shl(q1, 32), q0), ir.shr(remainder, shift));
  },
);
