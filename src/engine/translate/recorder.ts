import { Ending } from "../../ir/node.ts";
import type { Routine } from "../../ir/node.ts";
import { Code } from "../../wasm/code.ts";
import { interpret } from "../dispatch.ts";
import type { SlowFunctions } from "../lower/lowering.ts";
import { dynamicStatus } from "./exit-word.ts";
import type { FieldReader } from "./folding.ts";
import type { PendingFlags } from "./fused.ts";
import type { InstructionSurroundings } from "./instruction-surroundings.ts";
import { Local, parameter } from "./locals.ts";
import { RegionLowering } from "./lower-instruction.ts";
import type { OpenNumber, Passage, Place, Step, Task } from "./passage.ts";
import { noRegisters, union } from "./register-set.ts";
import type { RegisterSet } from "./register-set.ts";
import { reloadTlb } from "./reload-tlb.ts";
import type { Template } from "./template.ts";

/** Makes passages: lowers instructions by themselves, and writes down what has to be done in their midst. */
export class Recorder implements InstructionSurroundings {
  readonly vcpu = parameter.vcpu;
  readonly record = undefined;
  readonly tlb = { bank: Local.tlbBank, mask: Local.tlbMask };
  readonly slow: SlowFunctions;
  readonly #code = new Code(0);
  readonly #lower: RegionLowering;
  #steps: Step[] = [];
  #dirtied: RegisterSet = noRegisters;

  constructor(slow: SlowFunctions) {
    this.slow = slow;
    this.#lower = new RegionLowering(this.#code, this);
  }

  /** The passage of an instruction before which `pending` flags are pending. */
  passage(template: Template, field: FieldReader, pending: PendingFlags | undefined): Passage {
    return this.#record(() => this.#lower.lower(template, field, pending));
  }
  /** The passage that computes pending flags. */
  flags(pending: PendingFlags): Passage {
    return this.#record(() => this.#lower.canonical(pending));
  }
  #record(lower: () => void): Passage {
    this.#code.clear();
    this.#steps = [];
    this.#dirtied = noRegisters;
    lower();
    return {
      piece: this.#code.take(),
      steps: this.#steps,
      dirtied: this.#dirtied,
      pending: this.#lower.pending,
      locals: this.#lower.localsEnd,
    };
  }

  #step(task: Task): void {
    const { size: at, depth } = this.#code;
    this.#steps.push({ at, task, depth, dirtied: this.#dirtied, pending: this.#lower.pending });
    this.#dirtied = noRegisters;
  }

  /** Registers have been written. */
  dirtied(registers: RegisterSet): void {
    this.#dirtied = union(this.#dirtied, registers);
  }
  /** Goes on at a place, or at the address in the target local. */
  goTo(place: Place | "target"): void {
    this.#step({ kind: "goTo", place });
  }
  /** Puts the address of a place on the stack. */
  address(place: Place): void {
    this.#step({ kind: "address", place });
  }
  /** Puts a number of the record on the stack. */
  number(number: OpenNumber): void {
    this.#step({ kind: "number", number });
  }
  callRoutine(routine: Routine): void {
    this.#step({ kind: "call", routine });
  }
  trapCheck(): void {
    this.#step({ kind: "trapCheck" });
  }
  mxcsr(): void {
    this.#step({ kind: "mxcsr" });
  }
  vector(value: bigint): void {
    this.#step({ kind: "vector", value });
  }
  leave(ending: Ending): void {
    if (!this.#lower.leaveAs(ending)) this.#step({ kind: "exit", status: ending });
  }
  leaveWith(local: number): void {
    this.#code.get(local);
    this.refused();
  }
  faulted(): void {
    this.#step({ kind: "exit", status: Ending.fault });
  }
  refused(): void {
    this.#code.set(Local.status);
    this.#step({ kind: "exit", status: dynamicStatus });
  }
  giveUp(): void {
    this.#step({ kind: "exit", status: interpret });
  }
  /** Which translations are used may have changed. */
  reloadTlb(): void {
    reloadTlb(this.#code);
  }

  local(): number {
    throw new Error("locals are the lowering's own");
  }
  routine(): number {
    throw new Error("a routine's number is the module's");
  }
  host(): number {
    throw new Error("a region asks the platform nothing");
  }
  returnValues(): void {
    throw new Error("an instruction returns no values");
  }
}
