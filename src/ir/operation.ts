import type { Type } from "./types.ts";

/** How an operation's result type follows from its operands. "same" is the type of the first operand. */
export type ResultType = Type | "same";

/** One pure operation: what it takes, what it gives, and what it means, in BigInts. */
export interface Operation {
  /** Types of the operands; "same" is the type of the first one that says "any". */
  readonly operands: readonly (Type | "any" | "same")[];
  readonly result: ResultType;
  /**
   * The meaning, over unsigned values of `bits` bits (the width of the first "any" operand). The result is cut to its
   * type by the caller. `lane` is the constant of a lane operation.
   */
  readonly evaluate: (bits: number, values: readonly bigint[], lane: number) => bigint;
}
