import { Vector } from "../../x86/exceptions.ts";
import { Flag } from "../../x86/flags.ts";
import { State } from "../../x86/state.ts";
import { Return, singleBit } from "../dispatch.ts";
import { updateMode } from "../mmu/tlb.ts";
import type { DispatcherCode } from "./code.ts";
import { raise } from "./exceptions.ts";

/**
 * Recomputes what follows from the mode, leaves for interrupts, and arranges single steps: one instruction is executed
 * alone in the shadow of STI and MOV SS and while TF is set.
 */
export function resynchronise(d: DispatcherCode): void {
  const { code, locals } = d;
  code.get(locals.vcpu);
  d.callRoutine(updateMode);
  d.load32(State.interruptPending);
  code.if();
  d.load32(State.flags);
  code.i32(1 << Flag.if);
  code.op("i32.and");
  d.load32(State.shadow);
  code.op("i32.eqz");
  code.i32(0);
  code.op("i32.ne");
  code.i32(Flag.if);
  code.op("i32.shl");
  code.op("i32.and");
  code.if();
  d.leave(Return.interruptWindow);
  code.end();
  code.end();
  d.load32(State.flags);
  code.i32(1 << Flag.tf);
  code.op("i32.and");
  code.tee(locals.traps);
  d.load32(State.shadow);
  code.op("i32.or");
  code.if();
  d.store(State.shadow, "i32", () => code.i32(0));
  d.store(State.noTrap, "i32", () => code.i32(0));
  d.store(State.mode, "i32", () => {
    d.load32(State.mode);
    code.i32(singleBit);
    code.op("i32.or");
  });
  code.end();
}

/** Behind an instruction that was executed alone: the trap of TF, if it was set before it. */
export function afterSingle(d: DispatcherCode): void {
  const { code, locals } = d;
  code.i32(0);
  code.get(locals.traps);
  d.load32(State.noTrap);
  code.op("select");
  code.if();
  code.i32(0);
  code.set(locals.traps);
  d.store(State.dr + 6 * 8, "i64", () => {
    d.load64(State.dr + 6 * 8);
    code.i64(1n << 14n);
    code.op("i64.or");
  });
  code.i32(Vector.DB);
  code.set(locals.vector);
  code.i32(-1);
  code.set(locals.errorCode);
  raise(d);
  code.end();
}
