/** What the platform answered in the first run of a comparison is what it answers in the second. */

import { State } from "../../x86/state.ts";
import type { ContextView } from "../context.ts";
import type { HostFunction } from "../linker.ts";

interface Answer {
  readonly name: string;
  readonly parameters: readonly number[];
  /** What was passed through the state: the question's, and the answer's. */
  readonly asked: readonly [bigint, bigint];
  readonly value: number;
  readonly answered: bigint;
  readonly scratch: readonly [bigint, bigint];
}

/** Questions with a parameter in State.hostValue, and in State.hostValue2. */
const byValue = new Set(["mmioRead", "mmioWrite"]);
const byValue2 = new Set(["mmioWrite"]);

/** The platform's answers to one vCPU. Nothing is asked twice, so that what an access does to a device happens once. */
export class Answers {
  readonly #state: ContextView;
  #answers: Answer[] = [];
  #next = 0;
  /** A question that was not the first run's. */
  #strange: string | undefined;
  #mode: "ask" | "record" | "repeat" = "ask";
  /** Whether something was asked whose effect cannot be left out of a comparison. */
  refused = false;

  constructor(state: ContextView) {
    this.#state = state;
  }

  record(): void {
    this.#answers = [];
    this.#mode = "record";
    this.refused = false;
  }
  repeat(): void {
    this.#next = 0;
    this.#strange = undefined;
    this.#mode = "repeat";
  }
  ask(): void {
    this.#mode = "ask";
  }

  /** What the run that has ended asked otherwise than the first. */
  difference(): string | undefined {
    if (this.#strange !== undefined) return this.#strange;
    const missing = this.#answers[this.#next];
    return missing === undefined ? undefined : `${describe(missing.name, missing.parameters)} was not asked`;
  }

  /** Makes a way to ask one that is recorded. A write of a model-specific register may change anything. */
  wrap(name: string, answer: HostFunction): HostFunction {
    if (name === "codeWritten") return answer;
    return (vcpu, ...parameters) => {
      if (this.#mode === "ask") return answer(vcpu, ...parameters);
      if (this.#mode === "repeat") return this.#repeat(name, parameters);
      if (name === "wrmsr") this.refused = true;
      const state = this.#state;
      const asked = this.#asked(name);
      const value = answer(vcpu, ...parameters);
      this.#answers.push({
        name,
        parameters,
        asked,
        value,
        answered: state.u64(State.hostValue),
        scratch: [state.u64(State.scratch), state.u64(State.scratch + 8)],
      });
      return value;
    };
  }

  #asked(name: string): [bigint, bigint] {
    return [
      byValue.has(name) ? this.#state.u64(State.hostValue) : 0n,
      byValue2.has(name) ? this.#state.u64(State.hostValue2) : 0n,
    ];
  }

  #repeat(name: string, parameters: readonly number[]): number {
    const known = this.#answers[this.#next];
    const asked = this.#asked(name);
    const same =
      known?.name === name &&
      known.parameters.every((value, index) => value === parameters[index]) &&
      known.asked.every((value, index) => value === asked[index]);
    if (!same || known === undefined) {
      const was = known === undefined ? "nothing" : describe(known.name, known.parameters, known.asked);
      this.#strange ??= `${describe(name, parameters, asked)} was asked in place of ${was}`;
      return 0;
    }
    this.#next += 1;
    this.#state.setU64(State.hostValue, known.answered);
    this.#state.setU64(State.scratch, known.scratch[0]);
    this.#state.setU64(State.scratch + 8, known.scratch[1]);
    return known.value;
  }
}

function describe(name: string, parameters: readonly number[], asked: readonly bigint[] = []): string {
  return `${name}(${[...parameters, ...asked].map((each) => each.toString(16)).join(", ")})`;
}
