/** What passes between a vCPU and the comparison of its tiers. */

import type { CodeCache } from "../code-cache.ts";
import type { ContextView } from "../context.ts";
import type { Linker } from "../linker.ts";
import type { Answers } from "./answers.ts";

/** What the comparison needs of the vCPU. */
export interface CheckedVcpu {
  readonly buffer: ArrayBufferLike;
  readonly base: number;
  readonly state: ContextView;
  readonly linker: Linker;
  readonly cache: CodeCache;
  readonly run: (vcpu: number, budget: number) => number;
  readonly answers: Answers;
}

/** How the guest goes on. */
export interface Outcome {
  /** What is left of the budget, and how many instructions retired. */
  readonly remaining: number;
  readonly retired: number;
  /** As if the dispatcher had returned it; undefined where it is to be called again. */
  readonly reason: number | undefined;
}
