import { Ending } from "../ir/node.ts";
import type { Block, Routine } from "../ir/node.ts";
import type { Code, Label } from "../wasm/code.ts";
import { Vector, contributory } from "../x86/exceptions.ts";
import { Flag } from "../x86/flags.ts";
import { interrupt } from "../x86/routines/interrupt.ts";
import { SegmentField, State, segmentSlot } from "../x86/state.ts";
import { DomainLayout, FetchEntry, HashEntry, VcpuLayout } from "./layout.ts";
import type { Callees } from "./linker.ts";
import { formType } from "./linker.ts";
import { fetch, fetchFrame } from "./mmu/fetch.ts";
import type { LocalPool } from "./hot-forms.ts";
import { updateMode } from "./mmu/tlb.ts";
import { RecordField, recordBytes } from "./record.ts";

/** What the dispatcher does with a record: its case numbers. The hot forms follow. */
export const Handler = {
  /** Calls the form through the table. */
  form: 0,
  /** Looks the instruction at this record's page offset up anew: ends of blocks, and records that were dropped. */
  lookUp: 1,
  /** Raises the exception whose vector is the immediate: bytes that are no instruction. */
  raise: 2,
  /**
   * Guards the record behind it, of an instruction that goes on in the next page: the immediate is the byte address of
   * the frame that the page must lead to, the displacement that of the instruction.
   */
  crossing: 3,
  /** Goes on at the page offset in the immediate, as a jump that is no instruction: where blocks meet. */
  goto: 4,
  /** The first of the hot forms. */
  hot: 5,
} as const;

/** Why the dispatcher returned. */
export const Return = {
  /** The budget is used up or somebody wants attention. */
  budget: 0,
  /** No record for rip: its byte address in linear memory is in State.dispatchFrame. */
  decode: 1,
  /** An instruction wants the hypervisor: State.exitReason. */
  exit: 2,
  tripleFault: 3,
  interruptWindow: 4,
  /** A page-crossing instruction at State.dispatchFrame; its second frame is in State.dispatchSecond. */
  crossing: 5,
} as const;

/** Bit of the mode word: one instruction at a time. */
export const singleBit = 4;

/** A form whose code stands in the dispatcher itself. */
export interface HotForm {
  readonly body: Block;
  /** Emits the case. It ends by branching to one of the labels. */
  emit(code: Code, callees: Callees, around: HotSurroundings, pool: LocalPool): void;
}
export interface HotSurroundings {
  readonly vcpu: number;
  readonly record: number;
  readonly status: number;
  /** Goes on with the record behind this one. */
  readonly next: Label;
  /** Goes on with what `status` says. */
  readonly ended: Label;
  /** Takes a branch to the page offset in the immediate; the record's displacement field links to its target. */
  readonly branch: Label;
}

export const dispatcherRoutines: readonly Routine[] = [fetch, fetchFrame, interrupt, updateMode];

/** Locals of the dispatcher. */
interface Locals {
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

class Dispatcher {
  readonly code: Code;
  readonly callees: Callees;
  readonly locals: Locals;
  readonly counting: boolean;

  constructor(code: Code, callees: Callees, counting: boolean) {
    this.counting = counting;
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

  /** Finds the record at rip, in `record`; otherwise leaves, or raises the fetch's fault by branching to `faulted`. */
  lookUp(faulted: Label): void {
    const { code, locals } = this;
    // linear = CS base + rip; outside 64-bit mode it wraps at 4 GiB.
    this.load32(State.mode);
    code.i32(2);
    code.op("i32.and");
    code.op("i32.eqz");
    code.if();
    this.load64(State.rip);
    this.load64(segmentSlot("cs") + SegmentField.base);
    code.op("i64.add");
    code.i64(0xffffffffn);
    code.op("i64.and");
    code.set(locals.linear);
    code.else();
    this.load64(State.rip);
    code.set(locals.linear);
    code.end();
    // The fetch TLB: tag is page | mode.
    code.get(locals.linear);
    code.i64(12n);
    code.op("i64.shr_u");
    code.op("i32.wrap_i64");
    code.i32(VcpuLayout.fetchEntries - 1);
    code.op("i32.and");
    code.i32(Math.log2(FetchEntry.bytes));
    code.op("i32.shl");
    code.get(locals.vcpu);
    code.op("i32.add");
    code.tee(locals.entry);
    code.memory("i64.load", VcpuLayout.fetchTlb + FetchEntry.tag);
    code.get(locals.linear);
    code.i64(-4096n);
    code.op("i64.and");
    this.load32(State.mode);
    code.op("i64.extend_i32_u");
    code.op("i64.or");
    code.op("i64.ne");
    code.if();
    code.get(locals.vcpu);
    code.get(locals.linear);
    this.callRoutine(fetch);
    code.tee(locals.status);
    code.brIf(faulted);
    code.end();
    // The record hash: key is the code's byte address in linear memory | mode << 32.
    code.get(locals.entry);
    code.memory("i32.load", VcpuLayout.fetchTlb + FetchEntry.frame);
    code.get(locals.linear);
    code.op("i32.wrap_i64");
    code.i32(0xfff);
    code.op("i32.and");
    code.op("i32.or");
    code.tee(locals.entry);
    code.op("i64.extend_i32_u");
    this.load32(State.mode);
    code.op("i64.extend_i32_u");
    code.i64(32n);
    code.op("i64.shl");
    code.op("i64.or");
    code.set(locals.key);
    this.store(State.ripPage, "i64", () => {
      this.load64(State.rip);
      code.get(locals.linear);
      code.i64(0xfffn);
      code.op("i64.and");
      code.op("i64.sub");
    });
    // Hash: the low bits of address ⊕ address >> 16, spread by mode.
    code.get(locals.entry);
    code.get(locals.entry);
    code.i32(hashShift);
    code.op("i32.shr_u");
    code.op("i32.xor");
    this.load32(State.mode);
    code.i32(9);
    code.op("i32.shl");
    code.op("i32.xor");
    code.i32(DomainLayout.hashEntries - 1);
    code.op("i32.and");
    code.i32(Math.log2(HashEntry.bytes));
    code.op("i32.shl");
    code.set(locals.status);
    code.get(locals.status);
    code.memory("i64.load", DomainLayout.recordHash + HashEntry.key);
    code.get(locals.key);
    code.op("i64.ne");
    code.if();
    this.store(State.dispatchFrame, "i32", () => code.get(locals.entry));
    this.leave(Return.decode);
    code.end();
    code.get(locals.status);
    code.memory("i32.load", DomainLayout.recordHash + HashEntry.record);
    code.set(locals.record);
    // A branch inside the page remembers where it led.
    code.get(locals.previous);
    code.if();
    code.get(locals.previous);
    code.get(locals.record);
    code.memory("i32.store", RecordField.displacement);
    code.i32(0);
    code.set(locals.previous);
    code.end();
  }

  /** Delivers vector and errorCode as an exception at rip; what goes wrong on the way makes a double or triple fault. */
  raise(): void {
    const { code, locals } = this;
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
    this.callRoutine(interrupt);
    code.tee(locals.status);
    code.i32(Ending.fault);
    code.op("i32.ne");
    code.brIf(delivered);
    // A fault while delivering #DF ends the machine.
    code.get(locals.vector);
    code.i32(Vector.DF);
    code.op("i32.eq");
    code.if();
    this.leave(Return.tripleFault);
    code.end();
    // Contributory on contributory, and either kind on a page fault, make #DF.
    this.load32(State.faultVector);
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
    this.load32(State.faultCode);
    code.set(locals.errorCode);
    code.end();
    code.br(again);
    code.end();
    code.end();
  }

  /**
   * Recomputes what follows from the mode, leaves for interrupts, and arranges single steps: one instruction is executed
   * alone in the shadow of STI and MOV SS and while TF is set.
   */
  resynchronise(): void {
    const { code, locals } = this;
    code.get(locals.vcpu);
    this.callRoutine(updateMode);
    this.load32(State.interruptPending);
    code.if();
    this.load32(State.flags);
    code.i32(1 << Flag.if);
    code.op("i32.and");
    this.load32(State.shadow);
    code.op("i32.eqz");
    code.i32(0);
    code.op("i32.ne");
    code.i32(Flag.if);
    code.op("i32.shl");
    code.op("i32.and");
    code.if();
    this.leave(Return.interruptWindow);
    code.end();
    code.end();
    this.load32(State.flags);
    code.i32(1 << Flag.tf);
    code.op("i32.and");
    code.tee(locals.traps);
    this.load32(State.shadow);
    code.op("i32.or");
    code.if();
    this.store(State.shadow, "i32", () => code.i32(0));
    this.store(State.mode, "i32", () => {
      this.load32(State.mode);
      code.i32(singleBit);
      code.op("i32.or");
    });
    code.end();
  }

  /** Behind an instruction that was executed alone: the trap of TF, if it was set before it. */
  afterSingle(): void {
    const { code, locals } = this;
    code.get(locals.traps);
    code.if();
    code.i32(0);
    code.set(locals.traps);
    this.store(State.dr + 6 * 8, "i64", () => {
      this.load64(State.dr + 6 * 8);
      code.i64(1n << 14n);
      code.op("i64.or");
    });
    code.i32(Vector.DB);
    code.set(locals.vector);
    code.i32(-1);
    code.set(locals.errorCode);
    this.raise();
    code.end();
  }

  emit(hot: readonly HotForm[], pool: LocalPool): void {
    const { code, locals } = this;
    // A resume always begins with a resynchronisation: whoever called may have changed anything.
    this.resynchronise();
    const lookUp = code.loop();
    {
      const faulted = code.block();
      {
        const resynchronise = code.block();
        {
          const checks = code.block();
          code.get(locals.remaining);
          code.i32(0);
          code.op("i32.le_s");
          this.load32(State.attention);
          code.op("i32.or");
          code.op("i32.eqz");
          code.brIf(checks);
          this.leave(Return.budget);
          code.end();
          this.lookUp(faulted);
          this.#run(hot, pool, lookUp, faulted, resynchronise);
        }
        code.end();
        // Mode, paging or interruptibility may have changed.
        this.load32(State.mode);
        code.i32(singleBit);
        code.op("i32.and");
        code.if();
        this.afterSingle();
        code.end();
        this.resynchronise();
        code.br(lookUp);
      }
      code.end();
      // A fault: the instruction has not retired.
      this.load32(State.faultVector);
      code.set(locals.vector);
      this.load32(State.faultCode);
      code.set(locals.errorCode);
      code.i32(0);
      code.set(locals.traps);
      code.i32(0);
      code.set(locals.previous);
      this.raise();
      this.resynchronise();
      code.br(lookUp);
    }
    code.end();
    code.op("unreachable");
  }

  #countForm(): void {
    const { code, locals } = this;
    code.get(locals.record);
    code.memory("i32.load16_u", RecordField.form);
    code.i32(3);
    code.op("i32.shl");
    code.tee(locals.entry);
    code.get(locals.entry);
    code.memory("i64.load", DomainLayout.formCounts);
    code.i64(1n);
    code.op("i64.add");
    code.memory("i64.store", DomainLayout.formCounts);
  }

  /** Handler.crossing: compares the frame of the next page with the one that the record behind was made from. */
  #crossing(faulted: Label, advance: Label): void {
    const { code, locals } = this;
    code.get(locals.remaining);
    code.i32(1);
    code.op("i32.add");
    code.set(locals.remaining);
    this.setRip(RecordField.start, "start");
    code.get(locals.vcpu);
    this.load64(State.ripPage);
    this.load64(segmentSlot("cs") + SegmentField.base);
    code.op("i64.add");
    code.i64(4096n);
    code.op("i64.add");
    this.callRoutine(fetchFrame);
    code.set(locals.status);
    code.set(locals.entry);
    code.get(locals.status);
    code.brIf(faulted);
    code.get(locals.entry);
    code.get(locals.record);
    code.memory("i32.load", RecordField.immediate);
    code.op("i32.eq");
    code.brIf(advance);
    this.store(State.dispatchFrame, "i32", () => {
      code.get(locals.record);
      code.memory("i32.load", RecordField.displacement);
    });
    this.store(State.dispatchSecond, "i32", () => code.get(locals.entry));
    this.leave(Return.crossing);
  }

  /** The loop over records. */
  #run(hot: readonly HotForm[], pool: LocalPool, lookUp: Label, faulted: Label, resynchronise: Label): void {
    const { code, locals } = this;
    const next = code.loop();
    code.get(locals.remaining);
    code.i32(1);
    code.op("i32.sub");
    code.set(locals.remaining);
    const ended = code.block();
    const advance = code.block();
    const branch = code.block();
    const cases = hot.map(() => code.block());
    const goes = code.block();
    const crosses = code.block();
    const raises = code.block();
    const looksUp = code.block();
    const calls = code.block();
    code.get(locals.record);
    code.memory("i32.load16_u", RecordField.handler);
    code.brTable([calls, looksUp, raises, crosses, goes, ...cases.toReversed()], calls);
    code.end();
    // Handler.form
    if (this.counting) this.#countForm();
    code.get(locals.vcpu);
    code.get(locals.record);
    code.get(locals.record);
    code.memory("i32.load16_u", RecordField.form);
    code.callIndirect(this.callees.module.type(formType));
    code.tee(locals.status);
    code.op("i32.eqz");
    code.brIf(advance);
    code.br(ended);
    code.end();
    // Handler.lookUp: not an instruction.
    code.get(locals.remaining);
    code.i32(1);
    code.op("i32.add");
    code.set(locals.remaining);
    this.setRip(RecordField.start, "start");
    this.load32(State.mode);
    code.i32(singleBit);
    code.op("i32.and");
    code.brIf(resynchronise);
    code.br(lookUp);
    code.end();
    // Handler.raise
    this.setRip(RecordField.start, "start");
    this.store(State.faultVector, "i32", () => {
      code.get(locals.record);
      code.memory("i32.load", RecordField.immediate);
    });
    this.store(State.faultCode, "i32", () => {
      code.get(locals.record);
      code.memory("i32.load", RecordField.displacement);
    });
    code.br(faulted);
    code.end();
    this.#crossing(faulted, advance);
    code.end();
    // Handler.goto
    code.get(locals.remaining);
    code.i32(1);
    code.op("i32.add");
    code.set(locals.remaining);
    code.br(branch);
    const around: HotSurroundings = {
      vcpu: locals.vcpu,
      record: locals.record,
      status: locals.status,
      next: advance,
      ended,
      branch,
    };
    for (const form of hot) {
      code.end();
      form.emit(code, this.callees, around, pool);
    }
    code.end();
    // A taken branch to a page offset: to its remembered record, or by way of a look-up that remembers it.
    code.get(locals.record);
    code.memory("i32.load", RecordField.displacement);
    code.tee(locals.entry);
    code.if();
    code.get(locals.remaining);
    code.i32(0);
    code.op("i32.gt_s");
    this.load32(State.attention);
    code.op("i32.eqz");
    code.op("i32.and");
    code.if();
    code.get(locals.entry);
    code.set(locals.record);
    code.br(next);
    code.end();
    code.end();
    this.setRip(RecordField.immediate, "target");
    // Only targets in this page are remembered: the others depend on translations.
    code.get(locals.record);
    code.i32(0);
    code.get(locals.record);
    code.memory("i64.load", RecordField.immediate);
    code.i64(4096n);
    code.op("i64.lt_u");
    this.load32(State.mode);
    code.i32(singleBit);
    code.op("i32.and");
    code.op("i32.eqz");
    code.op("i32.and");
    code.op("select");
    code.set(locals.previous);
    this.load32(State.mode);
    code.i32(singleBit);
    code.op("i32.and");
    code.brIf(resynchronise);
    code.br(lookUp);
    code.end();
    // The record behind this one.
    code.get(locals.record);
    code.i32(recordBytes);
    code.op("i32.add");
    code.set(locals.record);
    code.br(next);
    code.end();
    // An ending other than next.
    code.get(locals.status);
    code.i32(Ending.branch);
    code.op("i32.eq");
    code.if();
    this.load32(State.mode);
    code.i32(singleBit);
    code.op("i32.and");
    code.brIf(resynchronise);
    code.br(lookUp);
    code.end();
    code.get(locals.status);
    code.i32(Ending.resynchronise);
    code.op("i32.eq");
    code.brIf(resynchronise);
    code.get(locals.status);
    code.i32(Ending.exit);
    code.op("i32.eq");
    code.if();
    this.leave(Return.exit);
    code.end();
    // A fault, or a REP that goes on: rip is this instruction's, which has not retired.
    code.get(locals.remaining);
    code.i32(1);
    code.op("i32.add");
    code.set(locals.remaining);
    this.setRip(RecordField.start, "start");
    code.get(locals.status);
    code.i32(Ending.fault);
    code.op("i32.eq");
    code.brIf(faulted);
    // A REP that goes on is a point where budget runs down, so that it cannot keep others waiting.
    code.get(locals.remaining);
    code.i32(repeatCost);
    code.op("i32.sub");
    code.set(locals.remaining);
    this.store(State.dispatchPenalty, "i32", () => {
      this.load32(State.dispatchPenalty);
      code.i32(repeatCost);
      code.op("i32.add");
    });
    code.br(lookUp);
    code.end();
    code.op("unreachable");
  }
}

/** What one chunk of a REP instruction takes from the budget, in instructions, without retiring any. */
export const repeatCost = 64;
export const hashShift = 13;

/** The index in the record hash of code at a byte address of linear memory, in a mode. */
export function hashIndex(address: number, mode: number): number {
  return ((address ^ (address >>> hashShift) ^ (mode << 9)) & (DomainLayout.hashEntries - 1)) >>> 0;
}

export interface DispatcherOptions {
  readonly hot: readonly HotForm[];
  readonly pool: (code: Code) => LocalPool;
  /** Count the calls of each form, at DomainLayout.formCounts. */
  readonly counting: boolean;
}

/** Defines `run(vcpu, budget) → Return`. */
export function defineDispatcher(callees: Callees, { hot, pool, counting }: DispatcherOptions): void {
  const index = callees.module.function({ parameters: ["i32", "i32"], results: ["i32"] }, (code) =>
    new Dispatcher(code, callees, counting).emit(hot, pool(code)),
  );
  callees.module.export("run", index);
  callees.module.name(index, "run");
}
