/**
 * Compares the tiers on a running guest: a region is run, what it did is taken back, and the interpreter executes as many
 * instructions from the same state.
 */

import { Ending } from "../../ir/node.ts";
import { State } from "../../x86/state.ts";
import { Return, interpret, repeatCost, singleBit } from "../dispatch.ts";
import { FetchEntry, VcpuLayout } from "../layout.ts";
import { fetchFrame } from "../mmu/fetch.ts";
import { AccessFlag } from "../mmu/page-walk.ts";
import { dropJumps } from "../mmu/tlb.ts";
import { RecordField } from "../record.ts";
import type { RegionJob } from "../translate/job.ts";
import type { TranslationService } from "../translate/translator.ts";
import type { Answers } from "./answers.ts";
import { describeEnd, differenceOf } from "./difference.ts";
import type { Entry, Run } from "./difference.ts";
import { PageLog } from "./pages.ts";
import { Phase, countdownSlots, countdowns } from "./phase.ts";
import type { CheckedVcpu, Outcome } from "./checked-vcpu.ts";
import { TierDifference } from "./options.ts";
import type { CheckOptions, CheckStatistics } from "./options.ts";
import { reportDifference } from "./report.ts";
import { VcpuState } from "./vcpu-state.ts";

/** What {@link TierChecker} knows of a region. */
interface Region {
  readonly job: RegionJob;
  entries: number;
}

/** Instructions that a region may execute in one comparison, about: its loops end then. */
const longest = 2000;
/** In one of so many runs of the vCPU jump caches are filled. */
const jumpsEach = 8;
/** Times that the interpreter comes back within one run. */
const mostReturns = 20_000;

/** Compares the tiers for one vCPU. */
export class TierChecker {
  readonly statistics: CheckStatistics = {
    regions: 0,
    entries: 0,
    instructions: 0,
    empty: 0,
    shared: 0,
    refused: 0,
    unsteady: 0,
  };
  readonly #answers: Answers;
  readonly #vcpu: CheckedVcpu;
  readonly #options: CheckOptions;
  readonly #state: VcpuState;
  readonly #pages: PageLog;
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #translations: Uint8Array;
  readonly #regions = new Map<number, Region>();
  #touchedShared = false;
  #runs = 0;
  /** What {@link #hold} keeps away. */
  #attention = 0;
  #pending = 0;

  constructor(vcpu: CheckedVcpu, options: CheckOptions) {
    const { buffer, base } = vcpu;
    this.#vcpu = vcpu;
    this.#options = options;
    this.#state = new VcpuState(buffer, base);
    this.#view = new DataView(buffer);
    this.#words = new Int32Array(buffer);
    this.#pages = new PageLog(this.#words);
    const end = VcpuLayout.fetchTlb + VcpuLayout.fetchEntries * FetchEntry.bytes;
    this.#translations = new Uint8Array(buffer, base + VcpuLayout.kernelBank, end - VcpuLayout.kernelBank);
    this.#answers = vcpu.answers;
  }

  /** A run of the vCPU begins. In some of them regions lead to each other, and what is compared goes through several. */
  begin(): void {
    const { base, linker, state } = this.#vcpu;
    const jumps = this.#runs % jumpsEach === jumpsEach - 1 ? 1 : 0;
    this.#runs += 1;
    if (jumps === 0 && state.u32(State.checkJumps) !== 0) linker.routine(dropJumps)(base);
    state.setU32(State.checkJumps, jumps);
  }

  /** Sees the regions that are translated. */
  watch(service: TranslationService): TranslationService {
    return {
      submit: (job) => {
        for (const region of job.regions) {
          this.#regions.set(region.slot, { job: region, entries: 0 });
          this.#countDown(region.slot, 0);
        }
        service.submit(job);
      },
      poll: () => service.poll(),
      ...(service.recipes === undefined ? {} : { recipes: service.recipes }),
    };
  }

  /** The body of the platform's "pageTouched": a page's translation is made, for an access with AccessFlags. */
  pageTouched(frameAt: number, flags: number): number {
    const frame = frameAt >>> 12;
    if (this.#options.isShared?.(frame) === true) this.#touchedShared = true;
    if ((flags & AccessFlag.write) !== 0) this.#pages.save(frame);
    return 0;
  }

  /** Runs the region at State.dispatchRecord, and compares it with the interpreter. @throws TierDifference */
  check(remaining: number): Outcome {
    const { linker, state } = this.#vcpu;
    const record = state.u32(State.dispatchRecord);
    const slot = this.#view.getInt32(record + RecordField.displacement, true);
    const entry: Entry = {
      slot,
      code: linker.table.get(slot) as Entry["code"],
      entry: this.#view.getInt32(record + RecordField.immediate, true),
      rip: state.u64(State.rip),
    };
    this.#hold();
    const budget = Math.min(remaining, longest);
    // Time stamps count from the budget that the run began with.
    const timeBudget = state.u32(State.timeBudget);
    state.setU32(State.timeBudget, timeBudget - (remaining - budget));
    const first = this.#compare(entry, budget);
    state.setU32(State.timeBudget, timeBudget);
    state.setU64(State.translated, state.u64(State.translated) + BigInt(first.retired));
    state.setU64(State.regionEntries, state.u64(State.regionEntries) + 1n);
    const left = remaining - (budget - first.left);
    const outcome = this.#goOn(first, left);
    state.setU32(State.dispatchBudget, outcome.remaining);
    this.#release();
    return { ...outcome, retired: outcome.retired + first.retired };
  }

  #countDown(slot: number, entries: number): void {
    this.#words[countdowns / 4 + (slot & (countdownSlots - 1))] = entries;
  }

  /** Keeps interrupts and requests for attention away until {@link #release}, those too that have come since. */
  #hold(): void {
    const { base, state } = this.#vcpu;
    this.#attention |= Atomics.exchange(this.#words, (base + State.attention) / 4, 0);
    this.#pending |= state.u32(State.interruptPending);
    state.setU32(State.interruptPending, 0);
  }
  #release(): void {
    const { base, state } = this.#vcpu;
    if (this.#attention !== 0) Atomics.store(this.#words, (base + State.attention) / 4, this.#attention);
    state.setU32(State.interruptPending, this.#pending | state.u32(State.interruptPending));
    this.#attention = 0;
    this.#pending = 0;
  }

  /** @returns how the region's run ended; the guest is where it is to go on. */
  #compare(entry: Entry, budget: number): Run {
    const { statistics } = this;
    const start = this.#state.copy();
    this.#touchedShared = false;
    this.#answers.record();
    this.#pages.begin();
    const first = this.#runRegion(entry, budget);
    this.#answers.ask();
    if (this.#touchedShared) statistics.shared += 1;
    else if (this.#answers.refused) statistics.refused += 1;
    else if (first.retired === 0 && first.ending !== Ending.fault && first.ending !== Ending.again)
      statistics.empty += 1;
    else {
      this.#repeat(entry, budget, start, first);
      return first;
    }
    this.#count(entry.slot, false);
    return first;
  }

  #repeat(entry: Entry, budget: number, start: Uint8Array, first: Run): void {
    const second = this.#interpretAgain(budget, start, first);
    const difference = this.#differenceOf(first, second);
    if (difference !== undefined) {
      // Whatever another thread did in between it hardly does again.
      const [region, interpreter] = this.#again(entry, budget, start);
      const still = this.#differenceOf(region, interpreter);
      if (still !== undefined) throw new TierDifference(this.#report(entry, budget, start));
      this.statistics.unsteady += 1;
    }
    this.statistics.instructions += first.retired;
    this.#count(entry.slot, true);
  }

  /** Both runs once more, from the beginning. */
  #again(entry: Entry, budget: number, start: Uint8Array): [region: Run, interpreter: Run] {
    this.#takeBack(start);
    this.#pages.begin();
    this.#answers.repeat();
    const region = this.#runRegion(entry, budget);
    this.#answers.ask();
    return [region, this.#interpretAgain(budget, start, region)];
  }
  #takeBack(start: Uint8Array): void {
    this.#pages.undo((frame) => this.#rewritten(frame));
    this.#state.restore(start);
  }

  #interpretAgain(budget: number, start: Uint8Array, first: Run): Run {
    this.#pages.repeat((frame) => this.#rewritten(frame));
    this.#state.restore(start);
    this.#answers.repeat();
    const second = this.#runInterpreter(budget, first);
    this.#answers.ask();
    return second;
  }

  /** What is in a frame has been taken back: what was decoded from it is not there any more. */
  #rewritten(frame: number): void {
    this.#vcpu.cache.invalidate(frame * 4096);
  }

  #count(slot: number, compared: boolean): void {
    const region = this.#regions.get(slot);
    if (region === undefined) return;
    if (compared) {
      if (region.entries === 0) this.statistics.regions += 1;
      region.entries += 1;
      this.statistics.entries += 1;
    }
    const { first, every } = this.#options;
    this.#countDown(slot, region.entries < first ? 0 : every - 1);
  }

  /** Every translation goes, so that the first access to each page is seen. */
  #forgetTranslations(): void {
    this.#translations.fill(0xff);
  }

  #runRegion({ code, entry, rip }: Entry, budget: number): Run {
    const { base, state } = this.#vcpu;
    this.#forgetTranslations();
    state.setU32(State.checking, Phase.region);
    const ending = code(base, budget, BigInt.asIntN(64, rip), entry);
    this.#hold();
    const unfinished = ending === Ending.fault || ending === Ending.again;
    const left = (state.u32(State.dispatchRemaining) | 0) + (unfinished ? 1 : 0);
    if (unfinished || ending === interpret) {
      const record = state.u32(State.dispatchRecord);
      const offset = this.#view.getUint16(record + RecordField.start, true);
      state.setU64(State.rip, state.u64(State.ripPage) + BigInt(offset));
    }
    return this.#ended(ending, left - (ending === Ending.again ? repeatCost : 0), budget - left);
  }

  /** The interpreter's run of as many instructions as another had. */
  #runInterpreter(budget: number, { ending, retired }: Run): Run {
    const { base, cache, run, state } = this.#vcpu;
    this.#forgetTranslations();
    state.setU32(State.checking, Phase.interpreter);
    const unfinished = ending === Ending.fault || ending === Ending.again;
    const stop = budget - retired - (unfinished ? 1 : 0);
    state.setU32(State.checkStop, stop);
    let left = budget;
    let penalty = 0;
    for (let returns = 0; returns < mostReturns; returns++) {
      state.setU32(State.dispatchPenalty, 0);
      const reason = run(base, left);
      this.#hold();
      left = state.u32(State.dispatchBudget) | 0;
      penalty += state.u32(State.dispatchPenalty);
      const went = budget - left - penalty;
      if (reason === Return.exit) return this.#ended(Ending.exit, left, went);
      if (reason === Return.fault) return this.#ended(Ending.fault, left, went);
      if (reason === Return.decode) cache.decodeBlock(state.u32(State.dispatchFrame), state.u32(State.mode));
      else if (reason === Return.crossing)
        cache.decodeCrossing(state.u32(State.dispatchFrame), state.u32(State.mode), state.u32(State.dispatchSecond));
      else if (reason !== Return.budget) return this.#ended(-1, left, went);
      // The region has ended so, if as many retired; but there was no exit and no exception.
      else if (left <= stop)
        return this.#ended(ending === Ending.exit || ending === Ending.fault ? Ending.branch : ending, left, went);
      this.#keepShadow();
    }
    return this.#ended(-1, left, budget - left - penalty);
  }

  /** An instruction that was to be executed alone still is. */
  #keepShadow(): void {
    const { state } = this.#vcpu;
    if ((state.u32(State.mode) & singleBit) !== 0) state.setU32(State.shadow, 1);
  }

  /** Brings what follows from the mode up to date, as the dispatcher does before it goes on. */
  #ended(ending: number, left: number, retired: number): Run {
    const { base, run, state } = this.#vcpu;
    if (ending !== Ending.exit && ending !== Ending.fault) {
      this.#keepShadow();
      state.setU32(State.checkStop, 0);
      run(base, 0);
      this.#keepShadow();
    }
    state.setU32(State.checkStop, 0);
    state.setU32(State.checking, Phase.none);
    return { ending, left, retired, state: this.#state.copy() };
  }

  /** Has an exception delivered, or the instruction executed that a region left to the interpreter. */
  #goOn({ ending }: Run, left: number): Outcome {
    if (ending === Ending.fault) return this.#step(Phase.deliver, left, left);
    if (ending === interpret) return this.#step(Phase.step, left, left - 1);
    return { remaining: left, retired: 0, reason: ending === Ending.exit ? Return.exit : undefined };
  }

  #step(phase: number, remaining: number, stop: number): Outcome {
    const { base, cache, run, state } = this.#vcpu;
    state.setU32(State.checking, phase);
    state.setU32(State.checkStop, stop);
    this.#pages.begin();
    let left = remaining;
    let retired = 0;
    let reason: number;
    for (;;) {
      state.setU32(State.dispatchPenalty, 0);
      reason = run(base, left);
      this.#hold();
      const now = state.u32(State.dispatchBudget) | 0;
      retired += left - now - state.u32(State.dispatchPenalty);
      left = now;
      if (reason === Return.decode) cache.decodeBlock(state.u32(State.dispatchFrame), state.u32(State.mode));
      else if (reason === Return.crossing)
        cache.decodeCrossing(state.u32(State.dispatchFrame), state.u32(State.mode), state.u32(State.dispatchSecond));
      else if (reason !== Return.budget || left <= stop) break;
      this.#keepShadow();
    }
    const done = reason === Return.budget;
    if (done) this.#keepShadow();
    state.setU32(State.checkStop, 0);
    state.setU32(State.checking, Phase.none);
    return { remaining: left, retired, reason: done ? undefined : reason };
  }

  /** How the interpreter's run, which has just ended, differs from the region's. */
  #differenceOf(region: Run, interpreter: Run): string[] | undefined {
    return differenceOf(region, interpreter, this.#state, this.#pages, this.#answers.difference());
  }

  /** The report of a difference, for which the shortest run is looked for that has one. */
  #report(entry: Entry, budget: number, start: Uint8Array): string {
    let found: { difference: readonly string[]; region: Run; interpreter: Run } | undefined;
    for (let wanted = 1, tries = 0; found === undefined && tries < 1000; tries++) {
      const least = Math.min(wanted, budget);
      const [region, interpreter] = this.#again(entry, least, start);
      const difference = this.#differenceOf(region, interpreter);
      if (difference !== undefined) found = { difference, region, interpreter };
      else if (least === budget) break;
      wanted = region.retired + 1;
    }
    const job = this.#regions.get(entry.slot)?.job;
    const retired = found?.region.retired ?? 0;
    return reportDifference({
      entry,
      job,
      start,
      difference: found?.difference ?? ["it was there twice, and not when it was looked for a third time"],
      ending: found === undefined ? "" : describeEnd(found.region),
      region: found?.region.state,
      interpreter: found?.interpreter.state,
      trace: this.#trace(start, Math.min(retired, 400) + 1),
      view: this.#view,
      frameOf: (linear) => this.#frameOf(linear),
      statistics: this.statistics,
    });
  }

  /** RIP before each of the first instructions. */
  #trace(start: Uint8Array, instructions: number): bigint[] {
    const { state } = this.#vcpu;
    this.#takeBack(start);
    this.#answers.repeat();
    const trace: bigint[] = [];
    for (let count = 0; count < instructions; count++) {
      trace.push(state.u64(State.rip));
      // Nothing is taken back here.
      this.#runInterpreter(1, { ending: Ending.branch, left: 0, retired: 1, state: start });
    }
    this.#takeBack(start);
    return trace;
  }

  /** The byte address of the frame that instructions at a linear address come from; 0 where there is none. */
  #frameOf(linear: bigint): number {
    const { base, linker } = this.#vcpu;
    const [frame, status] = linker.routine(fetchFrame)(base, BigInt.asIntN(64, linear)) as [number, number];
    return status === 0 ? frame >>> 0 : 0;
  }
}
