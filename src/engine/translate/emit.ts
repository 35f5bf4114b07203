import { Ending } from "../../ir/node.ts";
import type { Label } from "../../wasm/code.ts";
import { State } from "../../x86/state.ts";
import { interpret } from "../dispatch.ts";
import { formTypeIndex } from "./types.ts";
import { RecordField } from "../record.ts";
import { dynamicStatus, packExit } from "./exit-word.ts";
import type { PendingFlags } from "./fused.ts";
import { emitPrologue } from "./guard.ts";
import { emitChain, emitOut } from "./leave.ts";
import { Local, parameter } from "./locals.ts";
import { emitNumber, resolve } from "./passage.ts";
import type { Passage, Task } from "./passage.ts";
import { RegionFrame } from "./region-frame.ts";
import { flagRegisters, intersects, maskOf, union } from "./register-set.ts";
import type { RegionBlock, RegionInstruction } from "./region.ts";
import { root } from "./structure.ts";

const unsettled = { trap: false, mxcsr: false } as const;

/** Emits a region as one function. */
export class RegionEmitter extends RegionFrame {
  readonly #labels = new Map<number, Label>();
  readonly #loops = new Map<number, Label>();
  #dispatch!: Label;
  #out!: Label;
  #chain!: Label;
  /** What set the flags that no code has computed yet. */
  #pending: PendingFlags | undefined;
  /** What is known where code is being emitted: that x87 and SSE instructions do not trap, and MXCSR, in its local. */
  #settled: { readonly trap: boolean; readonly mxcsr: boolean } = unsettled;
  /** The instruction that is being emitted, its block, and how many of the block's come with or behind it. */
  #at!: { readonly block: number; readonly instruction: RegionInstruction; readonly left: number };

  /** @returns the instructions of which the exit records are to be copies, in their order. */
  emit(): readonly RegionInstruction[] {
    const code = this.code;
    emitPrologue(this);
    this.setVectors();
    this.#out = code.block();
    this.#chain = code.block();
    this.#dispatch = code.loop();
    this.#tree(root);
    code.end();
    code.op("unreachable");
    code.end();
    emitChain(this);
    code.end();
    emitOut(this, (pending) => this.#compute(pending));
    this.declareLocals();
    return this.exits;
  }

  // What instructions ask for.

  /** Copies code, doing what is to be done in its midst. */
  #play({ piece, steps, dirtied, pending, locals }: Passage): void {
    const code = this.code;
    this.needLocals(locals);
    let [from, hint] = [0, 0];
    for (const step of steps) {
      hint = code.copy(piece, from, step.at, hint);
      from = step.at;
      this.dirty = union(this.dirty, step.dirtied);
      this.#pending = step.pending;
      code.deepen(step.depth);
      this.#do(step.task, step.depth);
      code.deepen(-step.depth);
    }
    code.copy(piece, from, piece.bytes.length, hint);
    this.dirty = union(this.dirty, dirtied);
    this.#pending = pending;
  }
  #do(task: Task, depth: number): void {
    switch (task.kind) {
      case "exit":
        this.#exit(task.status);
        return;
      case "goTo":
        if (task.place === "target") this.#goToTarget();
        else this.#goTo(resolve(task.place, this.context.view, this.#at.instruction));
        return;
      case "address":
        this.address(resolve(task.place, this.context.view, this.#at.instruction));
        return;
      case "number":
        emitNumber(this.code, task.number, this.context.view, this.#at.instruction.record);
        return;
      case "call":
        this.call(task.routine);
        return;
      case "trapCheck":
        this.#trapCheck(depth);
        return;
      case "mxcsr":
        this.#mxcsr(depth);
        return;
      case "vector":
        this.vector(task.value);
        return;
    }
  }

  /** Checked once in code that nothing enters in its midst; so is MXCSR read. */
  #trapCheck(depth: number): void {
    const { code } = this;
    if (this.#settled.trap) return;
    code.get(parameter.vcpu);
    code.memory("i32.load", State.fpuTrap);
    code.hint(false);
    code.if();
    this.#exit(interpret);
    code.end();
    if (depth === 0) this.#settled = { ...this.#settled, trap: true };
  }
  #mxcsr(depth: number): void {
    const { code } = this;
    if (this.#settled.mxcsr) {
      code.get(Local.mxcsr);
      return;
    }
    code.get(parameter.vcpu);
    code.memory("i32.load", State.mxcsr);
    if (depth > 0) return;
    code.tee(Local.mxcsr);
    this.#settled = { ...this.#settled, mxcsr: true };
  }

  /** Computes flags in their canonical form. */
  #compute(pending: PendingFlags): void {
    this.#play(this.context.flags(pending));
  }
  /** Computes pending flags. */
  #flush(): void {
    if (this.#pending !== undefined) this.#compute(this.#pending);
  }
  /** The same on a path of its own: others still have them pending. */
  #flushHere(): void {
    const pending = this.#pending;
    this.#flush();
    this.#pending = pending;
  }

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
    code.set(Local.exitWord);
    code.i64(maskOf(this.#pending === undefined ? this.dirty : union(this.dirty, flagRegisters)));
    code.set(Local.exitMask);
    code.br(this.#out);
  }
  /** The number of what is pending, for the way out. */
  #pendingKind(): number {
    if (this.#pending === undefined) return 0;
    const kind = this.flagKind(this.#pending);
    if (kind !== undefined) return kind;
    this.#flushHere();
    return 0;
  }

  #goToTarget(): void {
    const code = this.code;
    this.#giveBack();
    for (const offset of this.control.targets(this.#at.instruction)) {
      code.get(Local.target);
      code.get(Local.page);
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
    const { dirty } = this;
    this.#flushHere();
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
    this.address(offset);
    this.code.set(Local.target);
    this.code.br(this.#chain);
  }

  #goTo(offset: number): void {
    this.#giveBack();
    if (this.region.blocks.has(offset)) {
      this.#edge(this.#at.block, offset);
      return;
    }
    this.#clean();
    this.#leaveTo(offset);
  }

  #edge(from: number, to: number): void {
    const code = this.code;
    const kind = this.shape.edge(from, to);
    if (kind === "inline") {
      const [at, dirty, pending, settled] = [this.#at, this.dirty, this.#pending, this.#settled];
      this.#tree(to);
      this.#at = at;
      this.dirty = dirty;
      this.#pending = pending;
      this.#settled = settled;
      return;
    }
    if (this.flow.isLazy(from, to)) {
      const { dirty } = this;
      this.#flushHere();
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
    code.set(Local.dispatchCase);
    code.br(this.#dispatch);
  }

  // Blocks.

  #tree(node: number): void {
    const code = this.code;
    const isLoop = this.shape.loopHeads.has(node) && node !== root;
    // Those who come round again bring no pending flags.
    if (isLoop) {
      this.#flush();
      this.#loops.set(node, code.loop());
    }
    if (isLoop || this.#labels.has(node)) {
      this.dirty = this.flow.dirtyAt(node);
      this.#settled = unsettled;
    }
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
    this.#pending = undefined;
    this.#tree(merge);
  }

  #table(): void {
    const labels = this.shape.dispatched.map((node) => this.#labels.get(node)!);
    this.code.get(Local.dispatchCase);
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
      const { inline, unsettles } = this.context.known(instruction).template;
      if (inline) this.#play(this.context.passage(instruction, this.#pending));
      else this.#call(instruction);
      if (unsettles || !inline) this.#settled = unsettled;
    });
    const last = instructions.at(-1)!;
    if (next === undefined) {
      // Its semantics has left; what is behind it cannot be reached.
      if (this.context.known(last).template.inline) {
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

  /** Has the interpreter's function do what is too long for a region. Registers that it does not know stay as they are. */
  #call(instruction: RegionInstruction): void {
    const code = this.code;
    const { template, usage } = this.context.known(instruction);
    const { opaque } = template;
    const seen = opaque ? this.registers : union(usage.reads, usage.writes);
    if (opaque || intersects(seen, flagRegisters)) this.#flush();
    this.storeThese(seen);
    this.leaveFor(instruction, this.#at.left - 1);
    code.get(parameter.vcpu);
    this.recordAddress(this.exitRecord(instruction));
    this.recordAddress(this.exitRecord(instruction));
    code.memory("i32.load16_u", RecordField.form);
    code.callIndirect(formTypeIndex);
    code.set(Local.status);
    this.loadRegisters(opaque ? this.registers : usage.writes);
    this.reloadTlb();
    code.get(Local.status);
    code.hint(false);
    code.if();
    code.get(Local.status);
    code.i32(Ending.branch);
    code.op("i32.eq");
    code.if();
    code.get(parameter.vcpu);
    code.memory("i64.load", State.rip);
    code.set(Local.target);
    this.#clean();
    this.#giveBack();
    code.br(this.#chain);
    code.end();
    this.#exit(dynamicStatus);
    code.end();
  }
}
