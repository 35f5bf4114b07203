import { Builder, routine } from "../ir/builder.ts";
import { State } from "../x86/state.ts";
import type { ContextView } from "./context.ts";

/**
 * The body of x86/routines/clock.ts `timeStamp`. With a rate it leads into no JavaScript: time is what it was when the run
 * began, plus what the instructions since then take by estimate.
 */
export const timeStamp = routine(
  "timeStamp",
  { parameters: [], results: ["i64"], faults: false },
  () => new Builder(),
  (ir) => {
    const rate = ir.get("i32", State.timeRate);
    ir.if(ir.eqz(rate), () => {
      ir.host("timestamp");
      ir.return(ir.get("i64", State.hostValue));
    });
    const passed = ir.sub(ir.get("i32", State.timeBudget), ir.get("i32", State.dispatchRemaining));
    const ticks = ir.shr(ir.mul(ir.zext(passed, "i64"), ir.zext(rate, "i64")), 16);
    ir.return(ir.add(ir.get("i64", State.timeBase), ticks));
  },
);

/** Ticks an instruction × 65536: the estimate to begin with, and its bounds. */
const Rate = { first: 4 << 16, least: 1 << 13, most: 1000 << 16 } as const;
/** Runs shorter than this say little about speed. */
const longRun = 5000;
/** The estimate stays below what was measured: time that runs slow catches up, time that runs fast has to stand still. */
const caution = 0.9;

/**
 * Time stamps of a vCPU that is alone in its domain: sampled at the beginning of each run, estimated within it, never going
 * backwards. Where several vCPUs compare theirs, the platform is asked each time instead.
 */
export class SampledTime {
  readonly #state: ContextView;
  readonly #now: () => number;
  #rate: number = Rate.first;
  #base = 0;
  /** The highest time stamp that the guest may have seen. */
  #last = 0;

  constructor(state: ContextView, now: () => number) {
    this.#state = state;
    this.#now = now;
  }

  begin(budget: number): void {
    this.#base = Math.max(this.#now(), this.#last);
    this.#state.setU32(State.timeBase, this.#base % 2 ** 32);
    this.#state.setU32(State.timeBase + 4, Math.floor(this.#base / 2 ** 32));
    this.#state.setU32(State.timeBudget, budget);
    this.#state.setU32(State.timeRate, this.#rate);
  }

  /** @param passed What the run took from its budget. */
  end(passed: number): void {
    this.#last = this.#base + Math.floor((passed * this.#rate) / 65536);
    if (passed < longRun) return;
    const measured = ((this.#now() - this.#base) / passed) * 65536 * caution;
    // A run during which the host did something else says that a guest is slow; the fastest of late is to be believed.
    const believed = Math.min(measured, this.#rate * 1.02 + 1);
    this.#rate = Math.floor(Math.min(Math.max(believed, Rate.least), Rate.most));
  }
}
