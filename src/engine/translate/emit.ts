import { Ending } from "../../ir/node.ts";
import type { Code, Label } from "../../wasm/code.ts";
import { State } from "../../x86/state.ts";
import { interpret } from "../dispatch.ts";
import { formType } from "../linker.ts";
import { RecordField } from "../record.ts";
import { dynamicStatus, packExit } from "./exit-word.ts";
import { fieldReader } from "./fields.ts";
import { emitPrologue } from "./guard.ts";
import { emitChain, emitOut } from "./leave.ts";
import { RegionLowering } from "./lower-instruction.ts";
import type { RegionSurroundings } from "./region-surroundings.ts";
import { RegionFrame, parameter } from "./region-frame.ts";
import type { EmissionContext } from "./region-frame.ts";
import type { Region, RegionBlock, RegionInstruction } from "./region.ts";
import { root } from "./structure.ts";

/** Emits a region as one function. */
export class RegionEmitter extends RegionFrame implements RegionSurroundings {
  readonly #lower: RegionLowering;
  readonly #labels = new Map<number, Label>();
  readonly #loops = new Map<number, Label>();
  #dispatch!: Label;
  #out!: Label;
  #chain!: Label;
  /** The instruction that is being emitted, its block, and how many of the block's come with or behind it. */
  #at!: { readonly block: number; readonly instruction: RegionInstruction; readonly left: number };

  constructor(code: Code, region: Region, context: EmissionContext) {
    super(code, region, context);
    this.#lower = new RegionLowering(code, this);
  }

  pageOffset(): number {
    return Math.floor(this.#at.instruction.offset / 4096) * 4096;
  }

  /** @returns the instructions of which the exit records are to be copies, in their order. */
  emit(): readonly RegionInstruction[] {
    const code = this.code;
    emitPrologue(this);
    this.#out = code.block();
    this.#chain = code.block();
    this.#dispatch = code.loop();
    this.#tree(root);
    code.end();
    code.op("unreachable");
    code.end();
    emitChain(this);
    code.end();
    emitOut(this, this.#lower);
    return this.exits;
  }

  // What instructions ask for.

  /** Ends the instruction with a status, or with the one in the local. */
  #exit(status: number): void {
    const code = this.code;
    const { instruction, left } = this.#at;
    code.i32(
      packExit({
        record: this.exitRecord(instruction),
        page: Math.floor(instruction.offset / 4096),
        adjust: status === interpret ? left : left - 1,
        flags: this.#pendingKind(),
        status,
      }),
    );
    code.set(this.exitWord);
    const { pending } = this.#lower;
    code.i64(this.maskOf(pending === undefined ? this.dirty : [...this.dirty, State.ccAux, State.ccResult]));
    code.set(this.exitMask);
    code.br(this.#out);
  }
  /** The number of what is pending, for the way out. */
  #pendingKind(): number {
    const { pending } = this.#lower;
    if (pending === undefined) return 0;
    const kind = this.flagKind(pending);
    if (kind !== undefined) return kind;
    this.#lower.flushHere();
    return 0;
  }
  leave(ending: Ending): void {
    if (!this.#lower.leaveAs(ending)) this.#exit(ending);
  }
  leaveWith(local: number): void {
    this.code.get(local);
    this.refused();
  }
  faulted(): void {
    this.#exit(Ending.fault);
  }
  refused(): void {
    this.code.set(this.status);
    this.#exit(dynamicStatus);
  }
  giveUp(): void {
    this.#exit(interpret);
  }

  goToTarget(): void {
    const code = this.code;
    this.#giveBack();
    for (const offset of this.control.targets(this.#at.instruction)) {
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
    this.code.br(this.#chain);
  }
  /** Makes memory true on this path, which leads away from code that is emitted after it. */
  #clean(): void {
    const dirty = new Set(this.dirty);
    this.#lower.flushHere();
    this.storeDirty();
    this.dirty = dirty;
  }
  /** What the block took from the budget for instructions that are not executed now. */
  #giveBack(): void {
    const left = this.#at.left - 1;
    if (left === 0) return;
    const code = this.code;
    code.get(parameter.remaining);
    code.i32(left);
    code.op("i32.add");
    code.set(parameter.remaining);
  }

  #leaveTo(offset: number): void {
    const code = this.code;
    code.get(this.pageLocal);
    code.i64(BigInt(offset));
    code.op("i64.add");
    code.set(this.targetLocal);
    code.br(this.#chain);
  }

  goTo(offset: number): void {
    this.#giveBack();
    if (!this.region.blocks.has(offset)) {
      this.#clean();
      this.#leaveTo(offset);
      return;
    }
    this.#edge(this.#at.block, offset);
  }

  #edge(from: number, to: number): void {
    const code = this.code;
    const kind = this.shape.edge(from, to);
    if (kind === "inline") {
      const [at, dirty] = [this.#at, new Set(this.dirty)];
      this.#lower.apart(() => this.#tree(to));
      this.#at = at;
      this.dirty = dirty;
      return;
    }
    if (this.flow.isLazy(from, to)) {
      const dirty = new Set(this.dirty);
      this.#lower.flushHere();
      this.dirty = dirty;
    } else this.#clean();
    if (kind === "forward") {
      code.br(this.#labels.get(to)!);
      return;
    }
    this.mustStop();
    code.hint(false);
    code.if();
    // What a lazy edge does not store has to be stored here.
    if (this.flow.isLazy(from, to)) this.#clean();
    this.#leaveTo(to);
    code.end();
    if (kind === "backward") {
      code.br(this.#loops.get(to)!);
      return;
    }
    code.i32(this.shape.dispatched.indexOf(to));
    code.set(this.dispatchCase);
    code.br(this.#dispatch);
  }

  // Blocks.

  #tree(node: number): void {
    const code = this.code;
    const isLoop = this.shape.loopHeads.has(node) && node !== root;
    // Those who come round again bring no pending flags.
    if (isLoop) {
      this.#lower.flush();
      this.#loops.set(node, code.loop());
    }
    if (isLoop || this.#labels.has(node)) this.dirty = new Set(this.flow.dirtyAt(node));
    this.#within(node, this.shape.merges.get(node) ?? []);
    if (isLoop) code.end();
  }

  #within(node: number, merges: readonly number[]): void {
    const [merge, ...rest] = merges;
    if (merge === undefined) {
      if (node === root) this.#table();
      else this.#block(node, this.region.blocks.get(node)!);
      return;
    }
    // Computed before the label: behind it nothing is pending.
    this.#labels.set(merge, this.code.block());
    this.#within(node, rest);
    this.code.end();
    this.#lower.pending = undefined;
    this.#tree(merge);
  }

  #table(): void {
    const labels = this.shape.dispatched.map((node) => this.#labels.get(node)!);
    this.code.get(this.dispatchCase);
    this.code.brTable(labels, labels[0]!);
  }

  #block(node: number, { instructions, next }: RegionBlock): void {
    const code = this.code;
    code.get(parameter.remaining);
    code.i32(instructions.length);
    code.op("i32.sub");
    code.set(parameter.remaining);
    instructions.forEach((instruction, index) => {
      this.#at = { block: node, instruction, left: instructions.length - index };
      const template = this.context.template(instruction);
      if (template.inline) this.#lower.lower(template, fieldReader(this.context.view, instruction.record));
      else this.#call(instruction);
    });
    const last = instructions.at(-1)!;
    if (next === undefined) {
      // Its semantics has left; what is behind it cannot be reached.
      if (this.context.template(last).inline) {
        code.op("unreachable");
        return;
      }
      this.#clean();
      this.#leaveTo(last.next);
      return;
    }
    if (this.region.blocks.has(next)) {
      this.#edge(node, next);
      return;
    }
    this.#clean();
    this.#leaveTo(next);
  }

  /** Has the interpreter's function do what is too long for a region. */

  /** Has the interpreter's function do what is too long for a region. Registers that it does not know stay as they are. */
  #call(instruction: RegionInstruction): void {
    const code = this.code;
    const { callees } = this.context;
    const { opaque } = this.context.template(instruction);
    const { reads, writes } = this.usage(instruction);
    const seen = opaque ? [...this.registers] : [...reads, ...writes];
    if (opaque || seen.includes(State.ccAux) || seen.includes(State.ccResult)) this.#lower.flush();
    this.storeThese(seen);
    this.leaveFor(instruction, this.#at.left - 1);
    code.get(parameter.vcpu);
    this.recordAddress(this.exitRecord(instruction));
    this.recordAddress(this.exitRecord(instruction));
    code.memory("i32.load16_u", RecordField.form);
    code.callIndirect(callees.module.type(formType));
    code.set(this.status);
    this.loadRegisters(opaque ? this.registers : writes);
    this.reloadTlb();
    code.get(this.status);
    code.hint(false);
    code.if();
    code.get(this.status);
    code.i32(Ending.branch);
    code.op("i32.eq");
    code.if();
    code.get(parameter.vcpu);
    code.memory("i64.load", State.rip);
    code.set(this.targetLocal);
    this.#clean();
    this.#giveBack();
    code.br(this.#chain);
    code.end();
    this.#exit(dynamicStatus);
    code.end();
  }
}
