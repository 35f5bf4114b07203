import type { Value } from "../ir/node.ts";
import { isCanonical } from "./descriptors.ts";
import { Vector } from "./exceptions.ts";
import type { Semantics } from "./semantics.ts";
import { SegmentField, segmentSlot } from "./state.ts";

/**
 * What a near branch to `target` (an i64) puts into RIP: cut to the operand size, and outside 64-bit mode found to be inside
 * CS's limit, #GP(0) otherwise. For instructions that change anything before they jump.
 */
export function checkedTarget(ir: Semantics, target: Value): Value {
  if (ir.long) return target;
  const cut = ir.hold(ir.and(target, ir.operandSize === 16 ? 0xffff : 0xffffffff));
  const limit = ir.zext(ir.get("i32", segmentSlot("cs") + SegmentField.limit), "i64");
  ir.if(ir.ltu(limit, cut), () => ir.fault(Vector.GP, 0));
  return cut;
}

/**
 * The same for a target that the program computed or loaded: in 64-bit mode it must be canonical, else the branch itself is
 * #GP(0), with nothing changed. Intel SDM Vol. 2A, "JMP—Jump", 64-Bit Mode Exceptions.
 */
export function checkedIndirectTarget(ir: Semantics, target: Value): Value {
  if (!ir.long) return checkedTarget(ir, target);
  const goal = ir.hold(target);
  ir.if(ir.eqz(isCanonical(ir, goal)), () => ir.fault(Vector.GP, 0));
  return goal;
}
