import type { Routine } from "../../ir/node.ts";
import type { Code } from "../../wasm/code.ts";
import type { ValueType } from "../../wasm/types.ts";
import { State } from "../../x86/state.ts";
import type { Callees } from "../linker.ts";
import type { SlowFunctions } from "../lower/lowering.ts";
import { exitRecordBytes, flagKinds } from "./exit-word.ts";
import { registerFlow } from "./dirty.ts";
import type { RegisterFlow } from "./dirty.ts";
import { flagKey } from "./fused.ts";
import type { FlagSource } from "./fused.ts";
import { registerType } from "./registers.ts";
import { ControlFlow } from "./region.ts";
import type { Region, RegionInstruction } from "./region.ts";
import { shapeOf } from "./structure.ts";
import type { Shape } from "./structure.ts";
import type { Template } from "./template.ts";
import { usageOf } from "./usage.ts";
import type { Usage } from "./usage.ts";

/** Parameters of a region's function: linker.ts `regionType`. */
export const parameter = { vcpu: 0, remaining: 1, rip: 2, entry: 3 } as const;

/** Everything that emission asks of the world outside the region. */
export interface EmissionContext {
  /** The module that is being made, and its functions for routines. */
  readonly callees: Pick<Callees, "module" | "routine">;
  template(instruction: RegionInstruction): Template;
  /** What records are read from. */
  readonly view: DataView;
  readonly slow: SlowFunctions;
  /** The global that holds the address of the module's exit records, and where this region's begin. */
  readonly recordsGlobal: number;
  readonly recordsOffset: number;
  /** Byte address, from the global, of what the region's pages are compared with: see guard.ts. */
  readonly pagesOffset: number;
}

/** A region's function while it is emitted: its locals, and what passes between them and the state. */
export class RegionFrame {
  readonly code: Code;
  readonly region: Region;
  readonly context: EmissionContext;
  readonly vcpu = parameter.vcpu;
  readonly record = undefined;
  readonly slow: SlowFunctions;
  readonly control: ControlFlow;
  readonly shape: Shape;
  readonly flow: RegisterFlow;
  /** RIP of byte 0 of the base page; where to go on; State.tlbBank and tlbMask. */
  readonly pageLocal: number;
  readonly targetLocal: number;
  readonly tlb: { readonly bank: number; readonly mask: number };
  /** How the region is left: status, exit word, and which registers to store, a bit each. */
  readonly status: number;
  readonly exitWord: number;
  readonly exitMask: number;
  /** The dispatching loop's case. */
  readonly dispatchCase: number;
  /** The instructions whose records exits name. */
  readonly exits: RegionInstruction[] = [];
  /** Registers whose locals may differ from memory where code is being emitted. */
  dirty = new Set<number>();
  readonly #registers: ReadonlyMap<number, number>;
  readonly #bits: ReadonlyMap<number, number>;
  readonly #usages = new Map<RegionInstruction, Usage>();
  readonly #types = new Map<number, ValueType>();
  readonly #exitNumbers = new Map<RegionInstruction, number>();
  /** What may be pending at an exit, in the order of its numbers from 1. */
  readonly #flagKinds = new Map<number, { readonly source: FlagSource; readonly number: number }>();
  /** The locals that hold the operands of pending flags. */
  readonly #flagLocals: Readonly<Record<"i32" | "i64", number[]>> = { i32: [], i64: [] };

  constructor(code: Code, region: Region, context: EmissionContext) {
    this.code = code;
    this.region = region;
    this.context = context;
    this.slow = context.slow;
    this.control = new ControlFlow(region);
    this.shape = shapeOf(this.control.successors(), region.entries);
    const used = new Set<number>();
    for (const { instructions } of region.blocks.values()) {
      for (const instruction of instructions) {
        const usage = usageOf(instruction, context.template(instruction), context.view);
        this.#usages.set(instruction, usage);
        for (const base of usage.reads) used.add(base);
        for (const base of usage.writes) used.add(base);
      }
    }
    this.flow = registerFlow(region, this.shape, this.control, (instruction) => this.usage(instruction));
    this.#registers = new Map([...used].map((base) => [base, this.#local(registerType(base))]));
    this.#bits = new Map([...used].map((base, index) => [base, index]));
    this.pageLocal = code.local("i64");
    this.targetLocal = code.local("i64");
    this.exitMask = code.local("i64");
    this.tlb = { bank: code.local("i32"), mask: code.local("i32") };
    this.status = code.local("i32");
    this.exitWord = code.local("i32");
    this.dispatchCase = code.local("i32");
  }

  usage(instruction: RegionInstruction): Usage {
    return this.#usages.get(instruction)!;
  }
  #local(type: ValueType): number {
    const local = this.code.local(type);
    this.#types.set(local, type);
    return local;
  }
  localType(local: number): ValueType {
    return this.#types.get(local)!;
  }
  local(type: ValueType): number {
    return this.code.local(type);
  }
  register(base: number): number {
    const local = this.#registers.get(base);
    if (local === undefined) throw new Error(`register ${base} was not foreseen`);
    return local;
  }
  get registers(): Iterable<number> {
    return this.#registers.keys();
  }
  flagLocal(position: number, type: ValueType): number {
    const locals = this.#flagLocals[type as "i32" | "i64"];
    return (locals[position] ??= this.code.local(type));
  }
  routine(routine: Routine): number {
    return this.context.callees.routine(routine);
  }
  host(): number {
    throw new Error("a region asks the platform nothing");
  }
  returnValues(): void {
    throw new Error("an instruction returns no values");
  }

  loadRegisters(bases: Iterable<number>): void {
    for (const base of bases) {
      this.code.get(parameter.vcpu);
      this.code.memory(registerType(base) === "v128" ? "v128.load" : "i64.load", base);
      this.code.set(this.register(base));
    }
  }
  storeRegister(base: number): void {
    this.code.get(parameter.vcpu);
    this.code.get(this.register(base));
    this.code.memory(registerType(base) === "v128" ? "v128.store" : "i64.store", base);
  }
  /** Stores what memory does not have yet. Others may still emit code on a path on which it was not stored. */
  storeDirty(): void {
    for (const base of this.dirty) this.storeRegister(base);
  }
  /** Makes memory true of some registers. */
  storeThese(bases: Iterable<number>): void {
    for (const base of bases) if (this.dirty.delete(base)) this.storeRegister(base);
  }
  /** Stores the registers of the exit's mask. */
  storeMasked(): void {
    const { code } = this;
    for (const [base, bit] of this.#bits) {
      code.get(this.exitMask);
      code.i64(1n << BigInt(bit));
      code.op("i64.and");
      code.op("i64.eqz");
      code.op("i32.eqz");
      code.if();
      this.storeRegister(base);
      code.end();
    }
  }
  /** The mask of some registers. There are 34 at most, so that a number is exact. */
  maskOf(bases: Iterable<number>): number {
    let mask = 0;
    for (const base of new Set(bases)) mask += 2 ** this.#bits.get(base)!;
    return mask;
  }
  dirtied(base: number): void {
    this.dirty.add(base);
  }
  reloadTlb(): void {
    const { code } = this;
    code.get(parameter.vcpu);
    code.memory("i32.load", State.tlbBank);
    code.set(this.tlb.bank);
    code.get(parameter.vcpu);
    code.memory("i32.load", State.tlbMask);
    code.set(this.tlb.mask);
  }

  /** The number of what is pending, for the way out; undefined where there are too many to tell apart. */
  flagKind(pending: FlagSource): number | undefined {
    const key = flagKey(pending);
    const known = this.#flagKinds.get(key);
    if (known !== undefined) return known.number;
    if (this.#flagKinds.size === flagKinds) return undefined;
    const number = this.#flagKinds.size + 1;
    this.#flagKinds.set(key, { source: pending, number });
    return number;
  }
  /** What flagKind has given numbers to, in their order. */
  get flagSources(): FlagSource[] {
    return [...this.#flagKinds.values()].map(({ source }) => source);
  }

  /** The exit record of an instruction. */
  exitRecord(instruction: RegionInstruction): number {
    const known = this.#exitNumbers.get(instruction);
    if (known !== undefined) return known;
    const number = this.exits.push(instruction) - 1;
    this.#exitNumbers.set(instruction, number);
    return number;
  }
  /** Puts an exit record's address on the stack. */
  recordAddress(index: number): void {
    const { code, context } = this;
    code.global(context.recordsGlobal);
    code.i32(context.recordsOffset + index * exitRecordBytes);
    code.op("i32.add");
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
    code.get(this.pageLocal);
    code.i64(Math.floor(instruction.offset / 4096) * 4096);
    code.op("i64.add");
    code.memory("i64.store", State.ripPage);
    this.store32(State.dispatchRemaining, () => {
      code.get(parameter.remaining);
      if (adjust === 0) return;
      code.i32(adjust);
      code.op("i32.add");
    });
  }
}
