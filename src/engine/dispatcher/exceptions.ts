import { Ending } from "../../ir/node.ts";
import { Vector, contributory } from "../../x86/exceptions.ts";
import { interrupt } from "../../x86/routines/interrupt.ts";
import { State } from "../../x86/state.ts";
import { Return } from "../dispatch.ts";
import type { DispatcherCode } from "./code.ts";

/** Delivers vector and errorCode as an exception at rip; what goes wrong on the way makes a double or triple fault. */
export function raise(d: DispatcherCode): void {
  const { code, locals } = d;
  const isContributory = (local: number) => {
    code.i32([...contributory].reduce((set, vector) => set | (1 << vector), 0));
    code.get(local);
    code.op("i32.shr_u");
    code.i32(1);
    code.op("i32.and");
  };
  const isPageFault = (local: number) => {
    code.get(local);
    code.i32(Vector.PF);
    code.op("i32.eq");
  };
  const delivered = code.block();
  const again = code.loop();
  code.get(locals.vcpu);
  code.get(locals.vector);
  code.get(locals.errorCode);
  code.i32(0);
  d.callRoutine(interrupt);
  code.tee(locals.status);
  code.i32(Ending.fault);
  code.op("i32.ne");
  code.brIf(delivered);
  // A fault while delivering #DF ends the machine.
  code.get(locals.vector);
  code.i32(Vector.DF);
  code.op("i32.eq");
  code.if();
  d.leave(Return.tripleFault);
  code.end();
  // Contributory on contributory, and either kind on a page fault, make #DF.
  d.load32(State.faultVector);
  code.set(locals.entry);
  isContributory(locals.entry);
  isContributory(locals.vector);
  isPageFault(locals.vector);
  code.op("i32.or");
  code.op("i32.and");
  isPageFault(locals.entry);
  isPageFault(locals.vector);
  code.op("i32.and");
  code.op("i32.or");
  code.if();
  code.i32(Vector.DF);
  code.set(locals.vector);
  code.i32(0);
  code.set(locals.errorCode);
  code.else();
  code.get(locals.entry);
  code.set(locals.vector);
  d.load32(State.faultCode);
  code.set(locals.errorCode);
  code.end();
  code.br(again);
  code.end();
  code.end();
}
