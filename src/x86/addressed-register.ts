import type { Value } from "../ir/node.ts";
import type { Semantics } from "./semantics.ts";
import { gprSlot, Gpr } from "./state.ts";

/** The address size of an instruction whose addresses or counts are in fixed registers. */
export function addressBits(ir: Semantics): 16 | 32 | 64 {
  if (ir.form.addressing === "long") return 64;
  return ir.form.addressing === "long32" ? 32 : ir.form.addressSize;
}

/** An offset cut to the address size. */
export function cutAddress(ir: Semantics, offset: Value): Value {
  const bits = addressBits(ir);
  return bits === 64 ? offset : ir.and(offset, bits === 32 ? 0xffffffff : 0xffff);
}

/** As much of a register as the address size has, as an i64. */
export function readAddressed(ir: Semantics, name: Gpr): Value {
  const bits = addressBits(ir);
  return ir.zext(ir.gpr(name, bits === 64 ? "i64" : bits === 32 ? "i32" : "i16"), "i64");
}

/** Writes as much of a register as the address size has; 32 bits clear the upper half. */
export function writeAddressed(ir: Semantics, name: Gpr, value: Value): void {
  const bits = addressBits(ir);
  if (bits === 16) ir.set(gprSlot(Gpr[name]), ir.trunc(value, "i16"));
  else ir.setGpr(name, cutAddress(ir, value));
}
