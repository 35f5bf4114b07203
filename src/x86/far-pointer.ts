import type { Value } from "../ir/node.ts";
import { bitsOf } from "../ir/types.ts";
import type { Operand } from "./operand.ts";
import type { Semantics } from "./semantics.ts";

/** Reads a far pointer: the offset at the operand size, then the selector. Both are checked as one operand. */
export function readFarPointer(ir: Semantics, source: Operand): { offset: Value; selector: Value } {
  const bytes = bitsOf[ir.operandType] / 8;
  const address = ir.hold(ir.linear(ir.numbers.slot(ir, "segment"), source.offset(), bytes + 2, "read"));
  const offset = ir.load(ir.operandType, address);
  return { offset, selector: ir.zext(ir.load("i16", ir.add(address, bytes)), "i32") };
}
