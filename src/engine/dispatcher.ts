/** The interpreter's loop: one WebAssembly function that finds records and runs their forms. */

import type { Routine } from "../ir/node.ts";
import type { Code } from "../wasm/code.ts";
import { interrupt } from "../x86/routines/interrupt.ts";
import { State } from "../x86/state.ts";
import { deliverFault, leaveFaulted, loadStop } from "./check/dispatch.ts";
import { Return, singleBit } from "./dispatch.ts";
import { DispatcherCode } from "./dispatcher/code.ts";
import { raise } from "./dispatcher/exceptions.ts";
import { lookUp } from "./dispatcher/look-up.ts";
import { runRecords } from "./dispatcher/records.ts";
import { afterSingle, resynchronise } from "./dispatcher/resynchronise.ts";
import type { HotForm, LocalPool } from "./hot-form.ts";
import type { Callees } from "./linker.ts";
import { fetch, fetchFrame } from "./mmu/fetch.ts";
import { noteJump, updateMode } from "./mmu/tlb.ts";

/** What the dispatcher calls. */
export const dispatcherRoutines: readonly Routine[] = [fetch, fetchFrame, interrupt, noteJump, updateMode];

function emit(d: DispatcherCode, hot: readonly HotForm[], pool: LocalPool): void {
  const { code, locals } = d;
  // A resume always begins with a resynchronisation: whoever called may have changed anything.
  resynchronise(d);
  const again = code.loop();
  {
    const faulted = code.block();
    {
      const changed = code.block();
      {
        if (d.checking) deliverFault(d, faulted);
        const checks = code.block();
        code.get(locals.remaining);
        if (d.checking) loadStop(d);
        else code.i32(0);
        code.op("i32.le_s");
        d.load32(State.attention);
        code.op("i32.or");
        code.op("i32.eqz");
        code.brIf(checks);
        d.leave(Return.budget);
        code.end();
        lookUp(d, faulted);
        runRecords(d, hot, pool, again, faulted, changed);
      }
      code.end();
      // Mode, paging or interruptibility may have changed.
      d.load32(State.mode);
      code.i32(singleBit);
      code.op("i32.and");
      code.if();
      afterSingle(d);
      code.end();
      resynchronise(d);
      code.br(again);
    }
    code.end();
    // A fault: the instruction has not retired.
    if (d.checking) leaveFaulted(d);
    d.load32(State.faultVector);
    code.set(locals.vector);
    d.load32(State.faultCode);
    code.set(locals.errorCode);
    code.i32(0);
    code.set(locals.traps);
    code.i32(0);
    code.set(locals.previous);
    raise(d);
    resynchronise(d);
    code.br(again);
  }
  code.end();
  code.op("unreachable");
}

export interface DispatcherOptions {
  readonly hot: readonly HotForm[];
  readonly pool: (code: Code) => LocalPool;
  /** Count the calls of each form, at DomainLayout.formCounts. */
  readonly counting: boolean;
  /** Leave where tiers are to be compared: engine/check. */
  readonly checking: boolean;
}

/**
 * Defines `run(vcpu, budget) → Return`.
 * @returns how many WebAssembly instructions it has: beyond about 10,000 V8's code for it gets worse (engine.md §5).
 */
export function defineDispatcher(callees: Callees, { hot, pool, counting, checking }: DispatcherOptions): number {
  let operations = 0;
  const index = callees.module.function({ parameters: ["i32", "i32"], results: ["i32"] }, (code) => {
    emit(new DispatcherCode(code, callees, counting, checking), hot, pool(code));
    operations = code.operations;
  });
  callees.module.export("run", index);
  callees.module.name(index, "run");
  return operations;
}
