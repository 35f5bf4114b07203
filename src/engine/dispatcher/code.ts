import type { Routine } from "../../ir/node.ts";
import type { Code } from "../../wasm/code.ts";
import { State } from "../../x86/state.ts";
import type { Callees } from "../linker.ts";

/** Locals of the dispatcher. */
export interface Locals {
  readonly vcpu: number;
  readonly record: number;
  readonly remaining: number;
  readonly status: number;
  readonly linear: number;
  readonly entry: number;
  readonly key: number;
  readonly previous: number;
  readonly vector: number;
  readonly errorCode: number;
  readonly traps: number;
}

/** The dispatcher's function while it is emitted: its locals, and what all its parts do. */
export class DispatcherCode {
  readonly code: Code;
  readonly callees: Callees;
  readonly locals: Locals;
  readonly counting: boolean;
  /** Tiers are compared: engine/check. */
  readonly checking: boolean;

  constructor(code: Code, callees: Callees, counting: boolean, checking: boolean) {
    this.counting = counting;
    this.checking = checking;
    this.code = code;
    this.callees = callees;
    const local = () => code.local("i32");
    this.locals = {
      vcpu: 0, remaining: 1,
      record: local(), status: local(), entry: local(), previous: local(), vector: local(), errorCode: local(), traps: local(),
      linear: code.local("i64"), key: code.local("i64"),
    }; // prettier-ignore
  }

  load32(slot: number): void {
    this.code.get(this.locals.vcpu);
    this.code.memory("i32.load", slot);
  }
  load64(slot: number): void {
    this.code.get(this.locals.vcpu);
    this.code.memory("i64.load", slot);
  }
  store(slot: number, type: "i32" | "i64", value: () => void): void {
    this.code.get(this.locals.vcpu);
    value();
    this.code.memory(`${type}.store`, slot);
  }
  callRoutine(routine: Routine): void {
    this.code.call(this.callees.routine(routine));
  }

  /** Leaves the function; the caller finds the unused budget in State.dispatchBudget. */
  leave(reason: number): void {
    this.store(State.dispatchBudget, "i32", () => this.code.get(this.locals.remaining));
    this.code.i32(reason);
    this.code.return();
  }

  /** rip := ripPage + the record's page offset in `field`. */
  setRip(field: number, kind: "start" | "target"): void {
    const { code, locals } = this;
    this.store(State.rip, "i64", () => {
      this.load64(State.ripPage);
      code.get(locals.record);
      code.memory(kind === "start" ? "i64.load16_u" : "i64.load", field);
      code.op("i64.add");
    });
  }
}
