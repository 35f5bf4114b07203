import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { extendedFromInteger } from "../softfloat/extended-convert.ts";
import { indefinite, unpackExtended } from "../softfloat/extended.ts";
import { Exception } from "../softfloat/format.ts";
import { integral } from "../softfloat/integral.ts";
import { isStackEmpty, readRegister, rounding, stackSlot, underflowFlags } from "./x87.ts";

/** Packed decimal: 18 digits in 72 bits, then a byte of which bit 7 is the sign. Intel SDM Vol. 1, "BCD and Packed BCD Integers". */

const builder = () => new Builder();
const digitsInLow = 16;

/** The number that `count` digits stand for, from the lowest bits on, and the bits behind them. */
function digits(ir: Builder, packed: Value, count: number): Value {
  const rest = ir.variable(packed);
  const sum = ir.variable(ir.const("i64", 0));
  const left = ir.variable(ir.const("i32", count));
  ir.loop((loop) => {
    const bits = ir.read(rest);
    ir.assign(sum, ir.add(ir.mul(ir.read(sum), 10), ir.shr(bits, 60)));
    ir.assign(rest, ir.shl(bits, 4));
    ir.assign(left, ir.sub(ir.read(left), 1));
    ir.if(ir.eqz(ir.read(left)), () => ir.break(loop));
  });
  return ir.read(sum);
}

/** fromDecimal(low: i64, high: i32) → (significand, head): the 64 lower and 16 upper bits of a packed decimal. */
export const fromDecimal = routine(
  "x87.fromDecimal",
  { parameters: ["i64", "i32"], results: ["i64", "i32"], faults: false },
  builder,
  (ir, low, high) => {
    const upper = ir.zext(ir.add(ir.mul(ir.and(ir.shr(high, 4), 15), 10), ir.and(high, 15)), "i64");
    const magnitude = ir.add(ir.mul(upper, 10n ** BigInt(digitsInLow)), digits(ir, low, digitsInLow));
    const [significand, head] = ir.call(extendedFromInteger, magnitude) as [Value, Value];
    ir.return(significand, ir.or(head, ir.and(high, 0x8000)));
  },
);

/** () → (low: i64, high: i32, flags): ST(0) as a packed decimal. */
export const storedDecimal = routine(
  "x87.storedDecimal",
  { parameters: [], results: ["i64", "i32", "i32"], faults: false },
  builder,
  (ir) => {
    const nan = indefinite(ir);
    ir.if(isStackEmpty(ir, 0), () => ir.return(nan.significand, nan.head, ir.const("i32", underflowFlags)));
    const a = unpackExtended(ir, readRegister(ir, stackSlot(ir, 0)));
    const invalid = () => ir.return(nan.significand, nan.head, ir.const("i32", Exception.invalid));
    const sign = ir.hold(ir.shl(a.sign, 15));
    ir.if(a.isZero, () => ir.return(ir.const("i64", 0), sign, ir.const("i32", 0)));
    ir.if(ir.or(ir.or(a.isUnsupported, a.isNan), ir.or(a.isInfinity, ir.les(60, a.exponent))), invalid);
    const [magnitude, flags] = ir.call(integral, a.sign, a.exponent, a.normal, rounding(ir)) as [Value, Value];
    ir.if(ir.leu(10n ** 18n, magnitude), invalid);
    const rest = ir.variable(magnitude);
    const low = ir.variable(ir.const("i64", 0));
    const left = ir.variable(ir.const("i32", digitsInLow));
    ir.loop((loop) => {
      const number = ir.read(rest);
      const digit = ir.op("remu", [number, ir.const("i64", 10)]);
      ir.assign(low, ir.or(ir.shr(ir.read(low), 4), ir.shl(digit, 60)));
      ir.assign(rest, ir.op("divu", [number, ir.const("i64", 10)]));
      ir.assign(left, ir.sub(ir.read(left), 1));
      ir.if(ir.eqz(ir.read(left)), () => ir.break(loop));
    });
    const top = ir.trunc(ir.read(rest), "i32");
    const ten = ir.const("i32", 10);
    const byte = ir.or(ir.shl(ir.op("divu", [top, ten]), 4), ir.op("remu", [top, ten]));
    ir.return(ir.read(low), ir.or(sign, byte), flags);
  },
);
