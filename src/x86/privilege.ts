import { has } from "./descriptors.ts";
import { Vector } from "./exceptions.ts";
import { Cr4 } from "./paging.ts";
import type { Semantics } from "./semantics.ts";
import { State } from "./state.ts";

/** #GP(0) for the instructions that CR4.UMIP keeps from user code. */
export function requireUmip(ir: Semantics): void {
  const prevents = has(ir, ir.get("i64", State.cr4), Cr4.umip);
  ir.if(ir.and(prevents, ir.ne(ir.get("i32", State.cpl), 0)), () => ir.fault(Vector.GP, 0));
}

/** #UD in real and virtual-8086 mode, where there are no LDT and no tasks. */
export function requireProtected(ir: Semantics): void {
  if (!ir.long) ir.if(ir.eqz(ir.isProtected()), () => ir.fault(Vector.UD));
}
