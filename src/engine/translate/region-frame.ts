import type { Routine } from "../../ir/node.ts";
import type { Code } from "../../wasm/code.ts";
import { State } from "../../x86/state.ts";
import { recordBytes } from "../record.ts";
import { exitRecordBytes, flagKinds } from "./exit-word.ts";
import { registerFlow } from "./dirty.ts";
import type { RegisterFlow } from "./dirty.ts";
import type { PendingFlags } from "./fused.ts";
import { pageGuardBytes } from "./page-guard.ts";
import type { KnownInstruction } from "./known-instructions.ts";
import { Local, constantVectors, fixedLocals, localType, parameter, registerLocal } from "./locals.ts";
import { common, forEachRegister, noRegisters, union, without } from "./register-set.ts";
import type { RegisterSet } from "./register-set.ts";
import type { Passage } from "./passage.ts";
import { registerType } from "./registers.ts";
import { reloadTlb } from "./reload-tlb.ts";
import { ControlFlow } from "./region.ts";
import type { Region, RegionInstruction } from "./region.ts";
import { shapeOf } from "./structure.ts";
import type { Shape } from "./structure.ts";

/** Everything that emission asks of the world outside the region. */
export interface EmissionContext {
  known(instruction: RegionInstruction): KnownInstruction;
  /** What records are read from. */
  readonly view: DataView;
  /** An instruction's code behind pending flags, and the code that computes pending flags. */
  passage(instruction: RegionInstruction, pending: PendingFlags | undefined): Passage;
  flags(pending: PendingFlags): Passage;
}

/** A region's function while it is emitted: its locals, and what passes between them and the state. */
export class RegionFrame {
  readonly code: Code;
  readonly region: Region;
  readonly context: EmissionContext;
  readonly control: ControlFlow;
  readonly shape: Shape;
  readonly flow: RegisterFlow;
  /** The instructions whose records exits name. */
  readonly exits: RegionInstruction[] = [];
  /** What the open calls of its code are to call, in their order. */
  readonly calls: Routine[] = [];
  /** Registers whose locals may differ from memory where code is being emitted. */
  dirty: RegisterSet = noRegisters;
  /** Registers that the region has in locals. */
  readonly registers: RegisterSet;
  /** Their places there, by the instructions' numbers. */
  readonly #exitNumbers: number[] = [];
  /** What may be pending at an exit, in the order of its numbers from 1. */
  readonly #flagKinds: PendingFlags[] = [];
  /** What is in the locals for constant vectors: to make one takes V8 up to four instructions. */
  readonly #vectors: bigint[] = [];
  #locals = fixedLocals;

  constructor(code: Code, region: Region, context: EmissionContext) {
    this.code = code;
    this.region = region;
    this.context = context;
    this.control = new ControlFlow(region);
    this.shape = shapeOf(this.control.successors, region.entries);
    let registers = noRegisters;
    const once = new Set<bigint>();
    for (const { instructions } of region.blocks.values()) {
      for (const instruction of instructions) {
        const { template, usage } = context.known(instruction);
        registers = union(union(registers, usage.reads), usage.writes);
        if (template.vectors.size > 0 && template.inline) this.#collectVectors(template.vectors, once);
      }
    }
    this.registers = registers;
    this.flow = registerFlow(region, this.shape, this.control, (instruction) => context.known(instruction).usage);
    if (registers.vector !== 0 || this.#vectors.length > 0) this.needLocals(Local.more);
  }

  #collectVectors(vectors: ReadonlySet<bigint>, once: Set<bigint>): void {
    for (const value of vectors) {
      if (!once.has(value)) once.add(value);
      else if (this.#vectors.length < constantVectors && !this.#vectors.includes(value)) this.#vectors.push(value);
    }
  }
  /** Sets the locals of constant vectors. */
  setVectors(): void {
    for (const [index, value] of this.#vectors.entries()) {
      this.code.v128(value);
      this.code.set(Local.vectors + index);
    }
  }
  /** Puts a constant vector on the stack. */
  vector(value: bigint): void {
    const index = this.#vectors.indexOf(value);
    if (index < 0) this.code.v128(value);
    else this.code.get(Local.vectors + index);
  }

  /** The function's locals are to go up to `end`. */
  needLocals(end: number): void {
    if (end > this.#locals) this.#locals = end;
  }
  /** Declares the locals that have been asked for. */
  declareLocals(): void {
    for (let local: number = Local.gpr; local < this.#locals; local++) this.code.local(localType(local));
  }
  /** Calls a routine, whose function has another index in each module. */
  call(routine: Routine): void {
    this.code.openCall();
    this.calls.push(routine);
  }

  loadRegisters(registers: RegisterSet): void {
    forEachRegister(registers, (base) => {
      this.code.get(parameter.vcpu);
      this.code.memory(registerType(base) === "v128" ? "v128.load" : "i64.load", base);
      this.code.set(registerLocal(base));
    });
  }
  storeRegister(base: number): void {
    this.code.get(parameter.vcpu);
    this.code.get(registerLocal(base));
    this.code.memory(registerType(base) === "v128" ? "v128.store" : "i64.store", base);
  }
  /** Stores what memory does not have yet. Others may still emit code on a path on which it was not stored. */
  storeDirty(): void {
    forEachRegister(this.dirty, (base) => this.storeRegister(base));
  }
  /** Makes memory true of some registers. */
  storeThese(registers: RegisterSet): void {
    forEachRegister(common(this.dirty, registers), (base) => this.storeRegister(base));
    this.dirty = without(this.dirty, registers);
  }
  /** Stores the registers of the exit's mask. */
  storeMasked(): void {
    const { code } = this;
    forEachRegister(this.registers, (base, bit) => {
      code.get(Local.exitMask);
      code.i64(2 ** bit);
      code.op("i64.and");
      code.op("i64.eqz");
      code.op("i32.eqz");
      code.if();
      this.storeRegister(base);
      code.end();
    });
  }
  reloadTlb(): void {
    reloadTlb(this.code);
  }

  /** The number of what is pending, for the way out; undefined where there are too many to tell apart. */
  flagKind(pending: PendingFlags): number | undefined {
    const known = this.#flagKinds.indexOf(pending);
    if (known >= 0) return known + 1;
    return this.#flagKinds.length === flagKinds ? undefined : this.#flagKinds.push(pending);
  }
  /** What flagKind has given numbers to, in their order. */
  get flagSources(): readonly PendingFlags[] {
    return this.#flagKinds;
  }

  /** The exit record of an instruction. */
  exitRecord(instruction: RegionInstruction): number {
    return (this.#exitNumbers[instruction.record / recordBytes] ??= this.exits.push(instruction) - 1);
  }
  /** Puts an exit record's address on the stack. */
  recordAddress(index: number): void {
    const { code } = this;
    code.get(Local.base);
    code.i32(pageGuardBytes(this.region.pages.length) + index * exitRecordBytes);
    code.op("i32.add");
  }
  /** Puts the address at an offset from the base page on the stack. */
  address(offset: number): void {
    const { code } = this;
    code.get(Local.page);
    if (offset === 0) return;
    code.i64(offset);
    code.op("i64.add");
  }
  /** Leaves on the stack whether the budget is used up or somebody wants attention. */
  mustStop(): void {
    const { code } = this;
    code.get(parameter.remaining);
    code.i32(0);
    code.op("i32.le_s");
    code.get(parameter.vcpu);
    code.memory("i32.load", State.attention);
    code.op("i32.or");
  }
  store32(slot: number, value: () => void): void {
    this.code.get(parameter.vcpu);
    value();
    this.code.memory("i32.store", slot);
  }
  /** Writes down at which record, and with how much budget, the region leaves off. */
  leaveFor(instruction: RegionInstruction, adjust: number): void {
    const { code } = this;
    this.store32(State.dispatchRecord, () => this.recordAddress(this.exitRecord(instruction)));
    code.get(parameter.vcpu);
    this.address(Math.floor(instruction.offset / 4096) * 4096);
    code.memory("i64.store", State.ripPage);
    this.store32(State.dispatchRemaining, () => {
      code.get(parameter.remaining);
      if (adjust === 0) return;
      code.i32(adjust);
      code.op("i32.add");
    });
  }
}
