import type { Routine } from "../../ir/node.ts";
import { bitsOf } from "../../ir/types.ts";
import type { Type } from "../../ir/types.ts";
import type { Code, Piece } from "../../wasm/code.ts";
import { RecordField } from "../record.ts";
import type { PendingFlags } from "./fused.ts";
import type { RegisterSet } from "./register-set.ts";
import type { RegionInstruction } from "./region.ts";

/**
 * A place in code, by the instruction that names it: an offset from its page, from its own beginning or end, from where it
 * branches to, or from what its displacement says.
 */
export interface Place {
  readonly from: "page" | "start" | "next" | "target" | "displacement";
  readonly offset: number;
}

/** @returns the offset from the region's base page. Records are in `view`. */
export function resolve({ from, offset }: Place, view: DataView, instruction: RegionInstruction): number {
  const { offset: start, next, target } = instruction;
  const page = Math.floor(start / 4096) * 4096;
  switch (from) {
    case "page":
      return page + offset;
    case "displacement":
      return page + view.getInt32(instruction.record + RecordField.displacement, true) + offset;
    case "start":
      return start + offset;
    case "next":
      return next + offset;
    case "target":
      return target! + offset;
  }
}

/** A number of a record that comes into code as it is, cut to a type. */
export interface OpenNumber {
  readonly name: "immediate" | "displacement";
  readonly type: Type;
}

/** Puts the number of the instruction whose record is at `record` on the stack. */
export function emitNumber(code: Code, { name, type }: OpenNumber, view: DataView, record: number): void {
  const low = view.getInt32(record + RecordField[name], true);
  if (type === "i64") {
    const wide = name === "immediate" && view.getInt32(record + RecordField.immediate + 4, true) !== low >> 31;
    code.i64(wide ? view.getBigInt64(record + RecordField.immediate, true) : low);
  } else code.i32(type === "i32" ? low : low & (2 ** bitsOf[type] - 1));
}

/** What of an instruction's code depends on where it stands, and on its numbers. */
export type Task =
  /** Leaves with a status. */
  | { readonly kind: "exit"; readonly status: number }
  /** Goes on at a place, or at the address in the target local. */
  | { readonly kind: "goTo"; readonly place: Place | "target" }
  /** Puts the address of a place on the stack. */
  | { readonly kind: "address"; readonly place: Place }
  | { readonly kind: "number"; readonly number: OpenNumber }
  | { readonly kind: "call"; readonly routine: Routine }
  /** Leaves the instruction to the interpreter where x87 and SSE instructions trap. */
  | { readonly kind: "trapCheck" }
  /** Puts MXCSR on the stack, as a settled read has it. */
  | { readonly kind: "mxcsr" }
  /** Puts a constant on the stack. */
  | { readonly kind: "vector"; readonly value: bigint };

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
