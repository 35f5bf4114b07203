import { Ending } from "../../ir/node.ts";
import type { Routine } from "../../ir/node.ts";
import type { Code, Label } from "../../wasm/code.ts";
import type { ValueType } from "../../wasm/types.ts";
import { State } from "../../x86/state.ts";
import { interpret } from "../dispatch.ts";
import { FetchEntry, JumpEntry, VcpuLayout, jumpShift } from "../layout.ts";
import { formType, regionType } from "../linker.ts";
import type { Callees } from "../linker.ts";
import { fetchFrame } from "../mmu/fetch.ts";
import { RecordField, recordBytes } from "../record.ts";
import type { SlowFunctions } from "../lower/lowering.ts";
import { fieldReader } from "./fields.ts";
import { registerFlow } from "./dirty.ts";
import type { RegisterFlow } from "./dirty.ts";
import { flagKey } from "./fused.ts";
import type { FlagSource } from "./fused.ts";
import { RegionLowering } from "./lower-instruction.ts";
import type { RegionSurroundings } from "./lower-instruction.ts";
import { registerType } from "./registers.ts";
import { ControlFlow } from "./region.ts";
import type { Region, RegionBlock, RegionInstruction } from "./region.ts";
import { root, shapeOf } from "./structure.ts";
import type { Shape } from "./structure.ts";
import type { Template } from "./template.ts";
import { usageOf } from "./usage.ts";
import type { Usage } from "./usage.ts";

/** Parameters of a region's function: linker.ts `regionType`. */
const parameter = { vcpu: 0, remaining: 1, rip: 2, entry: 3 } as const;

/**
 * Where and how a region leaves off, in one word: the copy of the record, its page, what the budget gets back, how the
 * pending flags are to be computed, and the status.
 */
interface ExitWord {
  readonly record: number;
  readonly page: number;
  readonly adjust: number;
  /** 0: none are pending. */
  readonly flags: number;
  readonly status: number;
}
type ExitField = keyof ExitWord;
const exitFields: Readonly<Record<ExitField, { readonly shift: number; readonly bits: number }>> = {
  record: { shift: 0, bits: 9 },
  page: { shift: 9, bits: 3 },
  adjust: { shift: 12, bits: 9 },
  flags: { shift: 21, bits: 7 },
  status: { shift: 28, bits: 3 },
};
const pageBias = 4;
/** The status is in the local; `interpret` gives the instruction itself back. */
const dynamicStatus = 7;
/** Kinds of pending flags that one region's exits can tell apart. */
const flagKinds = 2 ** exitFields.flags.bits - 1;

const exitFieldNames = Object.keys(exitFields) as ExitField[];

function packExit(word: ExitWord): number {
  let packed = 0;
  for (const name of exitFieldNames) {
    const { shift, bits } = exitFields[name];
    const value = name === "page" ? word.page + pageBias : word[name];
    if (value < 0 || value >= 2 ** bits) throw new Error(`an exit's ${name} is out of range`);
    packed |= value << shift;
  }
  return packed;
}

/** Bytes of an exit's record: a copy of the instruction's, and one that leads back to the code behind it. */
export const exitRecordBytes = 2 * recordBytes;

/** What the records of a region's exits are copies of. */
export interface EmittedRegion {
  readonly exits: readonly RegionInstruction[];
}

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
  /** Byte address, from the global, of a list of the region's frames: one i32 a page, in the order of the pages. */
  readonly framesOffset: number;
}

/** Emits a region as one function. */
export class RegionEmitter implements RegionSurroundings {
  readonly vcpu = parameter.vcpu;
  readonly record = undefined;
  readonly pageLocal: number;
  readonly targetLocal: number;
  readonly tlb: { readonly bank: number; readonly mask: number };
  readonly #code: Code;
  readonly #region: Region;
  readonly #context: EmissionContext;
  readonly #shape: Shape;
  readonly #lower: RegionLowering;
  readonly #registers: ReadonlyMap<number, number>;
  readonly #control: ControlFlow;
  readonly #flow: RegisterFlow;
  /** Registers whose locals may differ from memory where code is being emitted. */
  #dirty = new Set<number>();
  /** Which registers an exit stores: a bit each. */
  readonly #exitMask: number;
  readonly #bits: ReadonlyMap<number, number>;
  readonly #types = new Map<number, ValueType>();
  readonly #status: number;
  readonly #exitWord: number;
  readonly #case: number;
  readonly #labels = new Map<number, Label>();
  readonly #loops = new Map<number, Label>();
  readonly #exits: RegionInstruction[] = [];
  /** What may be pending at an exit, in the order of its numbers from 1. */
  readonly #flagKinds = new Map<number, { readonly source: FlagSource; readonly number: number }>();
  /** The locals that hold the operands of pending flags. */
  readonly #flagLocals: Readonly<Record<"i32" | "i64", number[]>> = { i32: [], i64: [] };
  readonly slow: SlowFunctions;
  #dispatch!: Label;
  #out!: Label;
  #chain!: Label;
  /** The instruction that is being emitted, its block, and how many of the block's come with or behind it. */
  #at!: { readonly block: number; readonly instruction: RegionInstruction; readonly left: number };

  constructor(code: Code, region: Region, context: EmissionContext) {
    this.#code = code;
    this.#region = region;
    this.#context = context;
    this.#control = new ControlFlow(region);
    this.#shape = shapeOf(this.#control.successors(), region.entries);
    const usages = new Map<RegionInstruction, Usage>();
    const used = new Set<number>();
    for (const { instructions } of region.blocks.values()) {
      for (const instruction of instructions) {
        const usage = usageOf(instruction, context.template(instruction), context.view);
        usages.set(instruction, usage);
        for (const base of usage.reads) used.add(base);
        for (const base of usage.writes) used.add(base);
      }
    }
    this.#flow = registerFlow(region, this.#shape, this.#control, (instruction) => usages.get(instruction)!);
    this.#registers = new Map([...used].map((base) => [base, this.#local(registerType(base))]));
    this.#bits = new Map([...used].map((base, index) => [base, index]));
    this.#exitMask = code.local("i64");
    this.pageLocal = code.local("i64");
    this.targetLocal = code.local("i64");
    this.tlb = { bank: code.local("i32"), mask: code.local("i32") };
    this.#status = code.local("i32");
    this.#exitWord = code.local("i32");
    this.#case = code.local("i32");
    this.slow = context.slow;
    this.#lower = new RegionLowering(code, this);
  }

  #local(type: ValueType): number {
    const local = this.#code.local(type);
    this.#types.set(local, type);
    return local;
  }
  localType(local: number): ValueType {
    return this.#types.get(local)!;
  }
  local(type: ValueType): number {
    return this.#code.local(type);
  }
  register(base: number): number {
    const local = this.#registers.get(base);
    if (local === undefined) throw new Error(`register ${base} was not foreseen`);
    return local;
  }
  flagLocal(position: number, type: ValueType): number {
    const locals = this.#flagLocals[type as "i32" | "i64"];
    return (locals[position] ??= this.#code.local(type));
  }
  routine(routine: Routine): number {
    return this.#context.callees.routine(routine);
  }
  host(): number {
    throw new Error("a region asks the platform nothing");
  }
  returnValues(): void {
    throw new Error("an instruction returns no values");
  }
  pageOffset(): number {
    return Math.floor(this.#at.instruction.offset / 4096) * 4096;
  }

  emit(): EmittedRegion {
    const code = this.#code;
    this.#prologue();
    this.#out = code.block();
    this.#chain = code.block();
    this.#dispatch = code.loop();
    this.#tree(root);
    code.end();
    code.op("unreachable");
    code.end();
    this.#chainEpilogue();
    code.end();
    this.#outEpilogue();
    return { exits: this.#exits };
  }

  // The ways in and out.

  #loadRegisters(bases: Iterable<number>): void {
    for (const base of bases) {
      this.#code.get(parameter.vcpu);
      this.#code.memory(registerType(base) === "v128" ? "v128.load" : "i64.load", base);
      this.#code.set(this.register(base));
    }
  }
  #storeRegister(base: number): void {
    this.#code.get(parameter.vcpu);
    this.#code.get(this.register(base));
    this.#code.memory(registerType(base) === "v128" ? "v128.store" : "i64.store", base);
  }
  /** Stores what memory does not have yet. Others may still emit code on a path on which it was not stored. */
  #storeDirty(): void {
    for (const base of this.#dirty) this.#storeRegister(base);
  }
  dirtied(base: number): void {
    this.#dirty.add(base);
  }
  reloadTlb(): void {
    const code = this.#code;
    code.get(parameter.vcpu);
    code.memory("i32.load", State.tlbBank);
    code.set(this.tlb.bank);
    code.get(parameter.vcpu);
    code.memory("i32.load", State.tlbMask);
    code.set(this.tlb.mask);
  }

  #prologue(): void {
    const code = this.#code;
    const { entries } = this.#region;
    this.reloadTlb();
    // The base page's RIP, and the registers that are needed from this entry on.
    code.get(parameter.rip);
    code.i64(-4096n);
    code.op("i64.and");
    code.set(this.pageLocal);
    const entered = code.block();
    const labels = entries.map(() => code.block()).toReversed();
    if (entries.length > 1) {
      code.get(parameter.entry);
      code.brTable(labels.slice(0, -1), labels.at(-1)!);
    }
    entries.forEach((offset) => {
      code.end();
      const page = Math.floor(offset / 4096);
      if (page !== 0) {
        code.get(this.pageLocal);
        code.i64(-page * 4096);
        code.op("i64.add");
        code.set(this.pageLocal);
      }
      this.#loadRegisters(this.#flow.liveAt(offset));
      code.br(entered);
    });
    code.end();
    // The dispatcher's case is the entry's number.
    code.get(parameter.entry);
    code.set(this.#case);
    this.#guardPages();
  }

  /** The other pages must still lead to the frames that the region was made of. */
  #guardPages(): void {
    const code = this.#code;
    const { callees, recordsGlobal, framesOffset } = this.#context;
    this.#region.pages.forEach((page, index) => {
      if (page === 0) return;
      const linear = () => {
        code.get(this.pageLocal);
        code.i64(BigInt(page * 4096));
        code.op("i64.add");
      };
      const entry = this.#case;
      // The entry of the fetch TLB; `case` is put back below.
      linear();
      code.i64(12n);
      code.op("i64.shr_u");
      code.op("i32.wrap_i64");
      code.i32(VcpuLayout.fetchEntries - 1);
      code.op("i32.and");
      code.i32(Math.log2(FetchEntry.bytes));
      code.op("i32.shl");
      code.get(parameter.vcpu);
      code.op("i32.add");
      code.tee(entry);
      code.memory("i64.load", VcpuLayout.fetchTlb + FetchEntry.tag);
      linear();
      code.i64(BigInt(this.#region.mode));
      code.op("i64.or");
      code.op("i64.eq");
      code.if("i32");
      code.get(entry);
      code.memory("i32.load", VcpuLayout.fetchTlb + FetchEntry.frame);
      code.else();
      // A page that cannot be fetched from is no reason for a fault yet: CR2 stays.
      code.get(parameter.vcpu);
      code.memory("i64.load", State.cr2);
      code.set(this.targetLocal);
      code.get(parameter.vcpu);
      linear();
      code.call(callees.routine(fetchFrame));
      code.op("drop");
      code.get(parameter.vcpu);
      code.get(this.targetLocal);
      code.memory("i64.store", State.cr2);
      code.end();
      code.global(recordsGlobal);
      code.memory("i32.load", framesOffset + index * 4);
      code.op("i32.ne");
      code.if();
      this.#refuse();
      code.end();
      code.get(parameter.entry);
      code.set(this.#case);
    });
  }

  /** Lets the interpreter go on where the region would have begun. */
  #refuse(): void {
    const code = this.#code;
    const { entries, blocks } = this.#region;
    entries.forEach((offset, index) => {
      const instruction = blocks.get(offset)!.instructions[0]!;
      code.get(parameter.entry);
      code.i32(index);
      code.op("i32.eq");
      code.if();
      this.#leaveFor(instruction, 0);
      code.i32(interpret);
      code.return();
      code.end();
    });
    code.op("unreachable");
  }

  /** Writes down at which record, and with how much budget, the region leaves off. */
  #leaveFor(instruction: RegionInstruction, adjust: number): void {
    const code = this.#code;
    this.#store32(State.dispatchRecord, () => this.#recordAddress(this.#exitRecord(instruction)));
    code.get(parameter.vcpu);
    code.get(this.pageLocal);
    code.i64(BigInt(Math.floor(instruction.offset / 4096) * 4096));
    code.op("i64.add");
    code.memory("i64.store", State.ripPage);
    this.#store32(State.dispatchRemaining, () => {
      code.get(parameter.remaining);
      if (adjust === 0) return;
      code.i32(adjust);
      code.op("i32.add");
    });
  }
  #store32(slot: number, value: () => void): void {
    this.#code.get(parameter.vcpu);
    value();
    this.#code.memory("i32.store", slot);
  }
  #recordAddress(index: number): void {
    const code = this.#code;
    code.global(this.#context.recordsGlobal);
    code.i32(this.#context.recordsOffset + index * exitRecordBytes);
    code.op("i32.add");
  }
  #exitRecord(instruction: RegionInstruction): number {
    const known = this.#exits.indexOf(instruction);
    return known >= 0 ? known : this.#exits.push(instruction) - 1;
  }

  /** Goes on at `target`: in the region that a jump cache knows, or by way of the dispatcher. */
  #chainEpilogue(): void {
    const code = this.#code;
    const { callees } = this.#context;
    const entry = this.#case;
    const user = (this.#region.mode & 8) !== 0;
    const low = () => {
      code.get(this.targetLocal);
      code.op("i32.wrap_i64");
    };
    const cold = code.block();
    code.get(parameter.remaining);
    code.i32(0);
    code.op("i32.le_s");
    code.get(parameter.vcpu);
    code.memory("i32.load", State.attention);
    code.op("i32.or");
    code.brIf(cold);
    low();
    low();
    code.i32(jumpShift);
    code.op("i32.shr_u");
    code.op("i32.xor");
    code.i32((user ? VcpuLayout.userJumpEntries : VcpuLayout.kernelJumpEntries) - 1);
    code.op("i32.and");
    code.i32(JumpEntry.shift);
    code.op("i32.shl");
    code.get(parameter.vcpu);
    code.memory("i32.load", State.jumpCache);
    code.op("i32.add");
    code.tee(entry);
    code.memory("i64.load", JumpEntry.rip);
    code.get(this.targetLocal);
    code.op("i64.ne");
    code.brIf(cold);
    code.get(parameter.vcpu);
    code.get(parameter.remaining);
    code.get(this.targetLocal);
    code.get(entry);
    code.memory("i32.load", JumpEntry.entry);
    code.get(entry);
    code.memory("i32.load", JumpEntry.slot);
    code.returnCallIndirect(callees.module.type(regionType));
    code.end();
    code.get(parameter.vcpu);
    code.get(this.targetLocal);
    code.memory("i64.store", State.rip);
    this.#store32(State.dispatchRemaining, () => code.get(parameter.remaining));
    code.i32(Ending.branch);
    code.return();
  }

  #exitField(name: ExitField): void {
    const code = this.#code;
    const { shift, bits } = exitFields[name];
    code.get(this.#exitWord);
    code.i32(shift);
    code.op("i32.shr_u");
    code.i32(2 ** bits - 1);
    code.op("i32.and");
  }

  /** Leaves as the exit word says: as if its record had said so. */
  #outEpilogue(): void {
    const code = this.#code;
    this.#computeFlags();
    for (const [base, bit] of this.#bits) {
      code.get(this.#exitMask);
      code.i64(1n << BigInt(bit));
      code.op("i64.and");
      code.op("i64.eqz");
      code.op("i32.eqz");
      code.if();
      this.#storeRegister(base);
      code.end();
    }
    this.#store32(State.dispatchRecord, () => {
      this.#exitField("record");
      code.i32(exitRecordBytes);
      code.op("i32.mul");
      this.#recordAddress(0);
      code.op("i32.add");
    });
    code.get(parameter.vcpu);
    code.get(this.pageLocal);
    this.#exitField("page");
    code.i32(pageBias);
    code.op("i32.sub");
    code.i32(12);
    code.op("i32.shl");
    code.op("i64.extend_i32_s");
    code.op("i64.add");
    code.memory("i64.store", State.ripPage);
    this.#exitField("status");
    code.i32(dynamicStatus);
    code.op("i32.ne");
    code.if();
    this.#exitField("status");
    code.set(this.#status);
    code.else();
    code.get(this.#status);
    code.i32(interpret);
    code.op("i32.eq");
    code.get(parameter.remaining);
    code.op("i32.add");
    code.set(parameter.remaining);
    code.end();
    this.#store32(State.dispatchRemaining, () => {
      code.get(parameter.remaining);
      this.#exitField("adjust");
      code.op("i32.add");
    });
    code.get(this.#status);
  }

  /** Computes the flags that were pending at the exit. */
  #computeFlags(): void {
    const code = this.#code;
    const kinds = [...this.#flagKinds.values()].map(({ source }) => source);
    if (kinds.length === 0) return;
    const done = code.block();
    const labels = kinds.map(() => code.block()).toReversed();
    this.#exitField("flags");
    code.brTable([done, ...labels], done);
    for (const source of kinds) {
      code.end();
      this.#lower.pending = source;
      this.#lower.flush();
      code.br(done);
    }
    code.end();
  }

  // What instructions ask for.

  /** Ends the instruction with a status, or with the one in the local. */
  #exit(status: number): void {
    const code = this.#code;
    const { instruction, left } = this.#at;
    code.i32(
      packExit({
        record: this.#exitRecord(instruction),
        page: Math.floor(instruction.offset / 4096),
        adjust: status === interpret ? left : left - 1,
        flags: this.#pendingKind(),
        status,
      }),
    );
    code.set(this.#exitWord);
    const { pending } = this.#lower;
    code.i64(this.#maskOf(pending === undefined ? this.#dirty : [...this.#dirty, State.ccAux, State.ccResult]));
    code.set(this.#exitMask);
    code.br(this.#out);
  }
  /** A bit for each register. As a number it would be inexact beyond 53 of them; there are 34. */
  #maskOf(bases: Iterable<number>): number {
    let mask = 0;
    for (const base of new Set(bases)) mask += 2 ** this.#bits.get(base)!;
    return mask;
  }
  /** The number of what is pending, for the way out. */
  #pendingKind(): number {
    const { pending } = this.#lower;
    if (pending === undefined) return 0;
    const key = flagKey(pending);
    if (!this.#flagKinds.has(key) && this.#flagKinds.size === flagKinds) {
      this.#lower.flushHere();
      return 0;
    }
    const known = this.#flagKinds.get(key);
    if (known !== undefined) return known.number;
    const number = this.#flagKinds.size + 1;
    this.#flagKinds.set(key, { source: pending, number });
    return number;
  }
  leave(ending: Ending): void {
    if (!this.#lower.leaveAs(ending)) this.#exit(ending);
  }
  leaveWith(local: number): void {
    this.#code.get(local);
    this.refused();
  }
  faulted(): void {
    this.#exit(Ending.fault);
  }
  refused(): void {
    this.#code.set(this.#status);
    this.#exit(dynamicStatus);
  }
  giveUp(): void {
    this.#exit(interpret);
  }

  goToTarget(): void {
    const code = this.#code;
    this.#giveBack();
    for (const offset of this.#control.targets(this.#at.instruction)) {
      code.get(this.targetLocal);
      code.get(this.pageLocal);
      code.i64(offset);
      code.op("i64.add");
      code.op("i64.eq");
      code.if();
      this.#edge(this.#at.block, offset);
      code.end();
    }
    this.#clean();
    this.#code.br(this.#chain);
  }
  /** Makes memory true on this path, which leads away from code that is emitted after it. */
  #clean(): void {
    const dirty = new Set(this.#dirty);
    this.#lower.flushHere();
    this.#storeDirty();
    this.#dirty = dirty;
  }
  /** What the block took from the budget for instructions that are not executed now. */
  #giveBack(): void {
    const left = this.#at.left - 1;
    if (left === 0) return;
    const code = this.#code;
    code.get(parameter.remaining);
    code.i32(left);
    code.op("i32.add");
    code.set(parameter.remaining);
  }

  #leaveTo(offset: number): void {
    const code = this.#code;
    code.get(this.pageLocal);
    code.i64(BigInt(offset));
    code.op("i64.add");
    code.set(this.targetLocal);
    code.br(this.#chain);
  }

  goTo(offset: number): void {
    this.#giveBack();
    if (!this.#region.blocks.has(offset)) {
      this.#clean();
      this.#leaveTo(offset);
      return;
    }
    this.#edge(this.#at.block, offset);
  }

  #edge(from: number, to: number): void {
    const code = this.#code;
    const kind = this.#shape.edge(from, to);
    if (kind === "inline") {
      const [at, dirty] = [this.#at, new Set(this.#dirty)];
      this.#lower.apart(() => this.#tree(to));
      this.#at = at;
      this.#dirty = dirty;
      return;
    }
    if (this.#flow.isLazy(from, to)) {
      const dirty = new Set(this.#dirty);
      this.#lower.flushHere();
      this.#dirty = dirty;
    } else this.#clean();
    if (kind === "forward") {
      code.br(this.#labels.get(to)!);
      return;
    }
    code.get(parameter.remaining);
    code.i32(0);
    code.op("i32.le_s");
    code.get(parameter.vcpu);
    code.memory("i32.load", State.attention);
    code.op("i32.or");
    code.if();
    // What a lazy edge does not store has to be stored here.
    if (this.#flow.isLazy(from, to)) this.#clean();
    this.#leaveTo(to);
    code.end();
    if (kind === "backward") {
      code.br(this.#loops.get(to)!);
      return;
    }
    code.i32(this.#shape.dispatched.indexOf(to));
    code.set(this.#case);
    code.br(this.#dispatch);
  }

  // Blocks.

  #tree(node: number): void {
    const code = this.#code;
    const isLoop = this.#shape.loopHeads.has(node) && node !== root;
    // Those who come round again bring no pending flags.
    if (isLoop) {
      this.#lower.flush();
      this.#loops.set(node, code.loop());
    }
    if (isLoop || this.#labels.has(node)) this.#dirty = new Set(this.#flow.dirtyAt(node));
    this.#within(node, this.#shape.merges.get(node) ?? []);
    if (isLoop) code.end();
  }

  #within(node: number, merges: readonly number[]): void {
    const [merge, ...rest] = merges;
    if (merge === undefined) {
      if (node === root) this.#table();
      else this.#block(node, this.#region.blocks.get(node)!);
      return;
    }
    // Computed before the label: behind it nothing is pending.
    this.#labels.set(merge, this.#code.block());
    this.#within(node, rest);
    this.#code.end();
    this.#lower.pending = undefined;
    this.#tree(merge);
  }

  #table(): void {
    const labels = this.#shape.dispatched.map((node) => this.#labels.get(node)!);
    this.#code.get(this.#case);
    this.#code.brTable(labels, labels[0]!);
  }

  #block(node: number, { instructions, next }: RegionBlock): void {
    const code = this.#code;
    code.get(parameter.remaining);
    code.i32(instructions.length);
    code.op("i32.sub");
    code.set(parameter.remaining);
    instructions.forEach((instruction, index) => {
      this.#at = { block: node, instruction, left: instructions.length - index };
      const template = this.#context.template(instruction);
      if (template.inline) this.#lower.instruction(template, fieldReader(this.#context.view, instruction.record));
      else this.#call(instruction);
    });
    const last = instructions.at(-1)!;
    if (next === undefined) {
      // Its semantics has left; what is behind it cannot be reached.
      if (!this.#context.template(last).inline) this.#leaveTo(last.next);
      else code.op("unreachable");
      return;
    }
    if (this.#region.blocks.has(next)) {
      this.#edge(node, next);
      return;
    }
    this.#clean();
    this.#leaveTo(next);
  }

  /** Has the interpreter's function do what is too long for a region. */
  #call(instruction: RegionInstruction): void {
    const code = this.#code;
    const { callees } = this.#context;
    this.#lower.flush();
    this.#storeDirty();
    this.#dirty = new Set();
    this.#leaveFor(instruction, this.#at.left - 1);
    code.get(parameter.vcpu);
    this.#recordAddress(this.#exitRecord(instruction));
    this.#recordAddress(this.#exitRecord(instruction));
    code.memory("i32.load16_u", RecordField.form);
    code.callIndirect(callees.module.type(formType));
    code.set(this.#status);
    this.#loadRegisters(this.#registers.keys());
    this.reloadTlb();
    code.get(this.#status);
    code.if();
    code.get(this.#status);
    code.i32(Ending.branch);
    code.op("i32.eq");
    code.if();
    code.get(parameter.vcpu);
    code.memory("i64.load", State.rip);
    code.set(this.targetLocal);
    this.#giveBack();
    code.br(this.#chain);
    code.end();
    this.#exit(dynamicStatus);
    code.end();
  }
}
