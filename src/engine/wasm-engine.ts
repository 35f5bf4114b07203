import { pushesErrorCode } from "../x86/exceptions.ts";
import { Flag } from "../x86/flags.ts";
import { interrupt } from "../x86/routines/interrupt.ts";
import { State, gprSlot } from "../x86/state.ts";
import { Answers } from "./check/answers.ts";
import { TierChecker } from "./check/checker.ts";
import type { CheckOptions, CheckStatistics } from "./check/options.ts";
import { CodeCache } from "./code-cache.ts";
import { ContextView } from "./context.ts";
import { Return, singleBit } from "./dispatch.ts";
import { defineDispatcher, dispatcherRoutines } from "./dispatcher.ts";
import { Exit } from "./engine.ts";
import type { DomainMemory, Engine, Platform, Vcpu, VcpuContext } from "./engine.ts";
import { FormLibrary } from "./form-library.ts";
import { LocalPool } from "./hot-form.ts";
import { hotForms } from "./hot-profile.ts";
import { theOpcodeMap } from "./opcodes.ts";
import { VcpuLayout, DomainLayout, vcpuBase } from "./layout.ts";
import { Linker, regionType } from "./linker.ts";
import type { HostFunction } from "./linker.ts";
import { localTranslation } from "./translate/local-translation.ts";
import { Translator, emitStub } from "./translate/translator.ts";
import type { TranslationService, TranslatorStatistics } from "./translate/translator.ts";
import { platformCalls } from "./platform-calls.ts";
import { SampledTime } from "./time-stamp.ts";
import { meetsCode, slowLoad, slowProbe, slowStore } from "./mmu/slow-access.ts";
import { forbidWrites } from "./mmu/forbid-writes.ts";
import { slowFunctions } from "./mmu/slow-functions.ts";
import { AccessFlag, translate } from "./mmu/page-walk.ts";
import { flushAll, updateMode } from "./mmu/tlb.ts";
import { Mmu } from "./mmu/state.ts";

export { theOpcodeMap };

/** What the engine has done since its creation, for `--stats`. */
export interface EngineStatistics {
  readonly blocks: number;
  readonly instructions: number;
  readonly invalidations: number;
  readonly flushes: number;
  readonly forms: number;
  /** WebAssembly instructions of the interpreter's loop. */
  readonly dispatcherOperations: number;
  /** What the translator did, where there is one. */
  readonly translation: TranslatorStatistics | undefined;
  /** How often the dispatcher came back to JavaScript, by reason. */
  readonly returns: Readonly<Record<keyof typeof Return, number>>;
}

/** Blocks that one run decodes at most. */
const decodesPerRun = 10_000;

const statesByReason = Object.keys(Return) as (keyof typeof Return)[];

/** How an engine is to work. */
export interface EngineOptions {
  /** Count how often each form is executed, for {@link WasmVcpu.formCounts}; no form is hot then. */
  readonly counting?: boolean;
  /** Estimate time stamps within a run: for a vCPU that is alone in its domain. Otherwise the platform is asked each time. */
  readonly sampledTime?: boolean;
  /** Translate code that has been entered this often; 0, the default: interpret everything. */
  readonly translation?: number;
  /** Who translates; by default this thread, at once. */
  readonly translator?: TranslationService;
  /** Milliseconds, for statistics. */
  readonly now?: () => number;
  /** Compare regions with the interpreter. For a vCPU that is alone in its domain. */
  readonly check?: CheckOptions;
}

/** The WebAssembly engine of one domain on one thread. */
export class WasmEngine implements Engine {
  readonly #memory: DomainMemory;

  readonly #options: EngineOptions;

  constructor(memory: DomainMemory, options: EngineOptions = {}) {
    this.#memory = memory;
    this.#options = options;
  }

  createVcpu(index: number, platform: Platform): WasmVcpu {
    return new WasmVcpu(this.#memory, index, platform, this.#options);
  }
}

/** A virtual processor: the dispatcher's instance, its caches, and its state in the domain's memory. */
export class WasmVcpu implements Vcpu {
  readonly #base: number;
  readonly #state: ContextView;
  readonly #linker: Linker;
  readonly #forms: FormLibrary;
  readonly #cache: CodeCache;
  #translator: Translator | undefined;
  readonly #checker: TierChecker | undefined;
  readonly #run: (vcpu: number, budget: number) => number;
  readonly #memory: DomainMemory;
  readonly #words: Int32Array;
  readonly #dispatcherOperations: number;
  readonly #returns = statesByReason.map(() => 0);
  readonly #time: SampledTime | undefined;
  #retired = 0;
  /** See {@link transitions}: calls out of WebAssembly. */
  #calls = 0;

  constructor(
    memory: DomainMemory,
    index: number,
    platform: Platform,
    {
      counting = false,
      sampledTime = false,
      translation = 0,
      now = () => 0,
      translator = localTranslation(),
      check,
    }: EngineOptions,
  ) {
    this.#base = vcpuBase(index);
    this.#memory = memory;
    this.#words = new Int32Array(memory.bytes.buffer);
    this.#state = new ContextView(new DataView(memory.bytes.buffer, this.#base, VcpuLayout.bytes));
    this.#time = sampledTime ? new SampledTime(this.#state, () => platform.timestamp()) : undefined;
    const pages = memory.bytes.length / 65536;
    let checker: TierChecker | undefined;
    const answers = check === undefined ? undefined : new Answers(this.#state);
    this.#linker = new Linker(
      memory.memory,
      { minimum: pages, maximum: pages },
      {
        ...this.#counted(
          platformCalls(platform, this.#state, (address) => this.#cache.invalidate(address)),
          answers,
        ),
        pageTouched: (_, frame = 0, flags = 0) => checker?.pageTouched(frame, flags) ?? 0,
      },
      [slowLoad, slowStore, slowProbe],
    );
    const hot = counting ? [] : hotForms(theOpcodeMap());
    this.#forms = new FormLibrary(this.#linker, hot);
    const threshold = counting ? 0 : translation;
    const watcher = {
      frameBecameCode: (frame: number) => forbidWrites(this.#words, this.#base, frame),
      frameForgotten: (frame: number) => this.#translator?.forgetFrame(frame),
      flushed: () => this.#translator?.forgetEverything(),
    };
    this.#cache = new CodeCache(theOpcodeMap(), this.#forms, memory.memory, watcher, threshold);
    const bodies = hot.map(({ hot: { body } }) => body);
    let operations = 0;
    const exports = this.#linker.link([], [...dispatcherRoutines, meetsCode], bodies, (callees) => {
      if (threshold > 0) {
        callees.module.export("stub", callees.module.function(regionType, emitStub));
        for (const { name, type, emit } of slowFunctions)
          callees.module.export(
            name,
            callees.module.function(type, (code) => emit(code, callees)),
          );
      }
      operations = defineDispatcher(callees, {
        hot: hot.map((form) => form.hot),
        pool: (code) => new LocalPool(code),
        counting,
        checking: check !== undefined,
      });
    });
    this.#dispatcherOperations = operations;
    this.#run = exports["run"] as (vcpu: number, budget: number) => number;
    const { buffer } = memory.bytes;
    if (check !== undefined && answers !== undefined) {
      const [base, state, linker, cache, run] = [this.#base, this.#state, this.#linker, this.#cache, this.#run];
      checker = new TierChecker({ buffer, base, state, linker, cache, run, answers }, check);
    }
    this.#checker = checker;
    if (threshold > 0) {
      this.#translator = new Translator(
        {
          linker: this.#linker,
          forms: this.#forms,
          cache: this.#cache,
          view: new DataView(buffer),
          base: this.#base,
          now,
          threshold,
          service: checker?.watch(translator) ?? translator,
        },
        exports,
      );
    }
    const state = this.#state;
    state.setU32(Mmu.userBank, VcpuLayout.userBanks);
    state.setU32(State.flags, 2);
    state.setU32(State.mxcsr, 0x1f80);
    state.setU32(State.fcw, 0x37f);
    state.setU64(State.pat, 0x0007040600070406n);
    state.setU64(State.xcr0, 1n);
    this.flushTlb();
  }

  #counted(hosts: Readonly<Record<string, HostFunction>>, answers: Answers | undefined): Record<string, HostFunction> {
    const counted = (answer: HostFunction): HostFunction => {
      return (vcpu, ...parameters) => {
        this.#calls += 1;
        return answer(vcpu, ...parameters);
      };
    };
    return Object.fromEntries(
      Object.entries(hosts).map(([name, answer]) => [name, answers?.wrap(name, counted(answer)) ?? counted(answer)]),
    );
  }

  run(budget: number): Exit {
    const state = this.#state;
    if (this.#stale()) this.#cache.invalidateStale();
    this.#translator?.work();
    this.#checker?.begin();
    this.#time?.begin(budget);
    try {
      return this.#dispatch(budget);
    } finally {
      this.#time?.end(budget - (state.u32(State.dispatchBudget) | 0));
    }
  }

  #dispatch(budget: number): Exit {
    const state = this.#state;
    let remaining = budget;
    let decodes = 0;
    for (;;) {
      state.setU32(State.dispatchPenalty, 0);
      let reason = this.#run(this.#base, remaining);
      const left = state.u32(State.dispatchBudget) | 0;
      this.#retired += remaining - left - state.u32(State.dispatchPenalty);
      remaining = left;
      if (reason === Return.check && this.#checker !== undefined) {
        const outcome = this.#checker.check(remaining);
        this.#retired += outcome.retired;
        remaining = outcome.remaining;
        if (outcome.reason === undefined) continue;
        reason = outcome.reason;
      }
      this.#returns[reason] = (this.#returns[reason] ?? 0) + 1;
      switch (reason) {
        case Return.decode:
          this.#cache.decodeBlock(state.u32(State.dispatchFrame), state.u32(State.mode));
          break;
        case Return.crossing:
          this.#cache.decodeCrossing(
            state.u32(State.dispatchFrame),
            state.u32(State.mode),
            state.u32(State.dispatchSecond),
          );
          break;
        case Return.hot:
          this.#translator?.want(state.u32(State.dispatchRecord), BigInt.asIntN(64, state.u64(State.rip)));
          this.#translator?.work();
          break;
        case Return.exit:
          return state.u32(State.exitReason) as Exit;
        case Return.tripleFault:
          return Exit.tripleFault;
        case Return.interruptWindow:
          return Exit.interruptWindow;
        default:
          return Exit.budget;
      }
      // An instruction that was to be executed alone still is.
      if ((state.u32(State.mode) & singleBit) !== 0) state.setU32(State.shadow, 1);
      // Code that is always new must not keep the guest in here.
      decodes += 1;
      if (decodes > decodesPerRun) return Exit.budget;
    }
  }

  /** Executes one instruction, with the next one's interrupts held off. An exception in it is delivered. */
  step(): Exit {
    this.#state.setU32(State.shadow, 1);
    return this.run(1);
  }

  #stale(): boolean {
    return Atomics.exchange(this.#words, DomainLayout.staleCode / 4, 0) !== 0;
  }

  /** How often each form was executed, if that was counted, most often first. */
  formCounts(): { readonly name: string; readonly count: number }[] {
    const counts = new BigUint64Array(this.#memory.bytes.buffer, DomainLayout.formCounts, 1 << 14);
    const forms = [...this.#forms.entries()].map(([slot, name]) => ({ name, count: Number(counts[slot] ?? 0n) }));
    return forms.toSorted((a, b) => b.count - a.count);
  }

  /** How often guest code led into JavaScript: by a return of the dispatcher, or by asking the platform. */
  get transitions(): number {
    return this.#calls + this.#returns.reduce((all, count) => all + count, 0);
  }
  get retired(): number {
    return this.#retired;
  }
  /** How many of these were executed in translated code. */
  get translated(): number {
    return Number(this.#state.u64(State.translated));
  }
  /** How often regions were entered otherwise than from a region. */
  get regionEntries(): number {
    return Number(this.#state.u64(State.regionEntries));
  }
  /** What was compared, where that was asked for. */
  get checks(): CheckStatistics | undefined {
    return this.#checker?.statistics;
  }
  get translation(): TranslatorStatistics | undefined {
    return this.#translator?.statistics;
  }
  statistics(): EngineStatistics {
    const returns = Object.fromEntries(statesByReason.map((name) => [name, this.#returns[Return[name]] ?? 0]));
    return {
      ...this.#cache.statistics,
      forms: this.#forms.size,
      translation: this.#translator?.statistics,
      dispatcherOperations: this.#dispatcherOperations,
      returns: returns as EngineStatistics["returns"],
    };
  }
  context(): VcpuContext {
    return this.#state.context();
  }
  setContext(context: VcpuContext): void {
    this.#state.setContext(context);
    this.flushTlb();
  }
  gpr(index: number): bigint {
    return this.#state.u64(gprSlot(index));
  }
  setGpr(index: number, value: bigint): void {
    this.#state.setU64(gprSlot(index), value);
  }
  get rip(): bigint {
    return this.#state.u64(State.rip);
  }
  set rip(value: bigint) {
    this.#state.setU64(State.rip, value);
  }
  get codeSize(): 16 | 32 | 64 {
    return ([16, 32, 64] as const)[this.#state.u32(State.mode) & 3] ?? 64;
  }
  get cpl(): number {
    return this.#state.u32(State.cpl);
  }
  get interruptFlag(): boolean {
    return (this.#state.u32(State.flags) & (1 << Flag.if)) !== 0;
  }
  get interruptible(): boolean {
    return this.interruptFlag && this.#state.u32(State.shadow) === 0;
  }
  get interruptPending(): boolean {
    return this.#state.u32(State.interruptPending) !== 0;
  }
  set interruptPending(value: boolean) {
    this.#state.setU32(State.interruptPending, value ? 1 : 0);
  }

  injectInterrupt(vector: number): void {
    this.#deliver(vector, -1);
  }
  injectException(vector: number, errorCode?: number): void {
    this.#deliver(vector, pushesErrorCode.has(vector) ? (errorCode ?? 0) : -1);
  }
  #deliver(vector: number, errorCode: number): void {
    const status = this.#linker.routine(interrupt)(this.#base, vector, errorCode, 0) as number;
    // What goes wrong in delivery is an exception of its own; a second one in its place is left to the guest's #DF.
    if (status !== 0)
      this.#linker.routine(interrupt)(
        this.#base,
        this.#state.u32(State.faultVector),
        this.#state.u32(State.faultCode),
        0,
      );
  }

  translate(linear: bigint, access: "read" | "write"): number | undefined {
    const cr2 = this.#state.u64(State.cr2);
    const flags = AccessFlag.system | (access === "write" ? AccessFlag.write : 0);
    const [physical, , status] = this.#linker.routine(translate)(this.#base, BigInt.asIntN(64, linear), flags) as [
      bigint,
      number,
      number,
    ];
    if (status === 0) return Number(BigInt.asUintN(64, physical));
    this.#state.setU64(State.cr2, cr2);
    return undefined;
  }

  flushTlb(): void {
    this.#linker.routine(flushAll)(this.#base);
    this.#linker.routine(updateMode)(this.#base);
  }
}
