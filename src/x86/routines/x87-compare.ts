import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { Relation } from "../softfloat/compare.ts";
import { compareExtended } from "../softfloat/extended-compare.ts";
import { Hint, conclude, floatControl, readRegister, stackSlot, underflowFlags } from "./x87.ts";

const builder = () => new Builder();

/**
 * compareTop(other: i32, quietToo: i32, hints: i32) → (relation: i32, stored: i32): ST(0) with another register by slot; what
 * that raises is noted.
 */
export const compareTop = routine(
  "x87.compare",
  { parameters: ["i32", "i32", "i32"], results: ["i32", "i32"], faults: true },
  builder,
  (ir, other, quietToo, hints) => {
    ir.if(ir.ne(ir.and(hints, Hint.empty), 0), () => {
      const [stored] = ir.call(conclude, ir.const("i32", underflowFlags)) as [Value];
      ir.return(ir.const("i32", Relation.unordered), stored);
    });
    const [a, b] = [readRegister(ir, stackSlot(ir, 0)), readRegister(ir, other)];
    const control = ir.or(floatControl(ir), ir.and(hints, Hint.denormal));
    const operands = [a.significand, a.head, b.significand, b.head, quietToo, control];
    const [relation, flags] = ir.call(compareExtended, ...operands) as [Value, Value];
    const [stored] = ir.call(conclude, flags) as [Value];
    ir.return(relation, stored);
  },
);
