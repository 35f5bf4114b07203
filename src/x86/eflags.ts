import type { Builder } from "../ir/builder.ts";
import type { Value } from "../ir/node.ts";
import { Flag, flagForms, materialise, statusFlagsMask } from "./flags.ts";
import { State } from "./state.ts";

/** One bit of EFLAGS. */
export const FlagBit = {
  tf: 1 << Flag.tf, if: 1 << Flag.if, df: 1 << Flag.df, nt: 1 << Flag.nt, rf: 1 << Flag.rf, vm: 1 << Flag.vm,
  ac: 1 << Flag.ac, vif: 1 << Flag.vif, vip: 1 << Flag.vip, id: 1 << Flag.id, iopl: 3 << Flag.iopl,
} as const; // prettier-ignore

/** EFLAGS as PUSHF would store it, VM included, an i32. RF is never kept: instruction breakpoints do not exist. */
export function readEflags(ir: Builder): Value {
  return ir.or(ir.get("i32", State.flags), materialise(ir));
}

/** Replaces the bits of `mask` that are not status flags, and all status flags. */
export function writeEflags(ir: Builder, value: Value, mask: Value): void {
  const replaced = ir.and(mask, ~(statusFlagsMask | FlagBit.rf));
  const kept = ir.and(ir.get("i32", State.flags), ir.not(replaced));
  const system = ir.hold(ir.or(ir.or(kept, ir.and(value, replaced)), 2));
  const { result, aux } = flagForms.explicit(ir, [value]);
  const [heldAux, heldResult] = [ir.hold(aux), ir.hold(result)];
  ir.set(State.flags, system);
  ir.set(State.ccAux, heldAux);
  ir.set(State.ccResult, heldResult);
}

export function iopl(ir: Builder): Value {
  return ir.and(ir.shr(ir.get("i32", State.flags), Flag.iopl), 3);
}
/** Virtual-8086 mode. */
export function isVirtual8086(ir: Builder): Value {
  return ir.ne(ir.and(ir.get("i32", State.flags), FlagBit.vm), 0);
}
/** CR0.PE is set, VM or not. */
export function isProtectionEnabled(ir: Builder): Value {
  return ir.trunc(ir.get("i64", State.cr0), "i1");
}

/**
 * The bits that IRET and POPF may change beside the status flags, by CPL and IOPL and the operand size.
 * Intel SDM Vol. 2A, "IRET/IRETD/IRETQ—Interrupt Return", RETURN-TO-SAME-PRIVILEGE-LEVEL.
 */
export function changeableFlags(ir: Builder, size: 16 | 32 | 64, cpl: Value): Value {
  const always = FlagBit.tf | FlagBit.df | FlagBit.nt | (size === 16 ? 0 : FlagBit.ac | FlagBit.id);
  const kernel = FlagBit.iopl | (size === 16 ? 0 : FlagBit.vif | FlagBit.vip);
  const none = ir.const("i32", 0);
  const interrupt = ir.select(ir.leu(cpl, iopl(ir)), ir.const("i32", FlagBit.if), none);
  return ir.or(ir.or(interrupt, always), ir.select(ir.eqz(cpl), ir.const("i32", kernel), none));
}
