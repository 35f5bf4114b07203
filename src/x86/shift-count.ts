import type { Value } from "../ir/node.ts";
import type { Operand } from "./operand.ts";
import type { Semantics } from "./semantics.ts";

/** The count, masked to 5 bits, or 6 for 64-bit operands, as a value of the operand's type. */
export function maskedCount(ir: Semantics, destination: Operand, count: Operand): Value {
  const masked = ir.and(count.read("i8"), destination.bits === 64 ? 63 : 31);
  return ir.hold(ir.resize(masked, destination.type));
}
