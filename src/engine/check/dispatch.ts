/** What the dispatcher does besides where tiers are compared. None of it is emitted where they are not. */

import type { Label } from "../../wasm/code.ts";
import { State } from "../../x86/state.ts";
import { Return } from "../dispatch.ts";
import type { DispatcherCode } from "../dispatcher/code.ts";
import { RecordField } from "../record.ts";
import { Phase, countdownSlots, countdowns } from "./phase.ts";

/** Before each record: leaves where as many instructions have been executed as were asked for. */
export function stopExactly(d: DispatcherCode): void {
  const { code, locals } = d;
  d.load32(State.checking);
  code.if();
  code.get(locals.remaining);
  d.load32(State.checkStop);
  code.op("i32.le_s");
  code.if();
  d.setRip(RecordField.start, "start");
  d.leave(Return.budget);
  code.end();
  code.end();
}

/** Puts the budget at which a run ends on the stack: 0, but where instructions are repeated. */
export function loadStop(d: DispatcherCode): void {
  d.load32(State.checkStop);
}

/** At an exception that has not been delivered: leaves where its delivery is not to be seen. */
export function leaveFaulted(d: DispatcherCode): void {
  const { code } = d;
  d.load32(State.checking);
  code.i32(Phase.interpreter);
  code.op("i32.eq");
  code.if();
  d.leave(Return.fault);
  code.end();
}

/** Before anything else: delivers an exception that was left so, by branching to `faulted`. */
export function deliverFault(d: DispatcherCode, faulted: Label): void {
  const { code } = d;
  d.load32(State.checking);
  code.i32(Phase.deliver);
  code.op("i32.eq");
  code.if();
  d.store(State.checking, "i32", () => code.i32(Phase.step));
  code.br(faulted);
  code.end();
}

/** At a head: goes on behind it where the interpreter is to execute everything. */
export function passHead(d: DispatcherCode, behind: Label): void {
  d.load32(State.checking);
  d.code.brIf(behind);
}

/** At a region: leaves where this entry is one to be compared. */
export function leaveToCheck(d: DispatcherCode): void {
  const { code, locals } = d;
  code.get(locals.record);
  code.memory("i32.load", RecordField.displacement);
  code.i32(countdownSlots - 1);
  code.op("i32.and");
  code.i32(2);
  code.op("i32.shl");
  code.tee(locals.entry);
  code.memory("i32.load", countdowns);
  code.tee(locals.status);
  code.op("i32.eqz");
  code.if();
  d.setRip(RecordField.start, "start");
  d.store(State.dispatchRecord, "i32", () => code.get(locals.record));
  d.leave(Return.check);
  code.end();
  code.get(locals.entry);
  code.get(locals.status);
  code.i32(1);
  code.op("i32.sub");
  code.memory("i32.store", countdowns);
}

/** Begins what is done where jump caches are filled. Most of the time they are not: then no entry is passed over. @returns its label. */
export function onlyWithJumps(d: DispatcherCode): Label {
  d.load32(State.checkJumps);
  return d.code.if();
}
