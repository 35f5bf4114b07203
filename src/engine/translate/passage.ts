import type { Routine } from "../../ir/node.ts";
import type { Piece } from "../../wasm/code.ts";
import type { PendingFlags } from "./fused.ts";
import type { RegisterSet } from "./register-set.ts";
import type { RegionInstruction } from "./region.ts";

/** A place in code, by the instruction that names it: an offset from its page, from its own beginning or end, or where it branches to. */
export interface Place {
  readonly from: "page" | "start" | "next" | "target";
  readonly offset: number;
}

/** @returns the offset from the region's base page. */
export function resolve({ from, offset }: Place, { offset: start, next, target }: RegionInstruction): number {
  switch (from) {
    case "page":
      return Math.floor(start / 4096) * 4096 + offset;
    case "start":
      return start + offset;
    case "next":
      return next + offset;
    case "target":
      return target! + offset;
  }
}

/** What of an instruction's code depends on where it stands. */
export type Task =
  /** Leaves with a status. */
  | { readonly kind: "exit"; readonly status: number }
  /** Goes on at a place, or at the address in the target local. */
  | { readonly kind: "goTo"; readonly place: Place | "target" }
  /** Puts the address of a place on the stack. */
  | { readonly kind: "address"; readonly place: Place }
  | { readonly kind: "call"; readonly routine: Routine };

/** A task, and where in the passage's bytes it is due. */
export interface Step {
  readonly at: number;
  readonly task: Task;
  /** Constructs that are open there. */
  readonly depth: number;
  /** Registers that have been written since the step before, and the flags that are pending. */
  readonly dirtied: RegisterSet;
  readonly pending: PendingFlags | undefined;
}

/** An instruction's code, to be copied into any region: bytes, and between them what depends on the region. */
export interface Passage {
  readonly piece: Piece;
  readonly steps: readonly Step[];
  /** Registers that are written behind the last step, and what is pending at the end. */
  readonly dirtied: RegisterSet;
  readonly pending: PendingFlags | undefined;
  /** Locals of a function that has this code. */
  readonly locals: number;
}
