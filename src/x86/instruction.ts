import { parseEncoding } from "./encoding.ts";
import type { Encoding } from "./encoding.ts";
import type { Operand } from "./operand.ts";
import type { Semantics } from "./semantics.ts";
import type { StatusFlag } from "./flags.ts";

/** The second column of a row, at the type level, so that `semantics` must take as many operands as the row has. */
type AfterBlanks<Text extends string> = Text extends ` ${infer Rest}` ? AfterBlanks<Rest> : Text;
type SecondColumn<Row extends string> = Row extends `${string}  ${infer Rest}`
  ? AfterBlanks<Rest> extends `${infer Column}  ${string}`
    ? Column
    : AfterBlanks<Rest>
  : "-";
type OperandsOf<Column extends string> = Column extends "-" | ""
  ? []
  : Column extends `${string},${infer Rest}`
    ? [Operand, ...OperandsOf<Rest>]
    : [Operand];

/**
 * What becomes of the bytes behind an instruction: "on" to them, "away" from them for good, a "call" that returns to them, or a
 * "return" to the bytes behind a call.
 */
export type Flow = "on" | "away" | "call" | "return";

/** One instruction: its encodings, and what it does. Everything else is derived from this (design.md D3). */
export interface Instruction {
  readonly mnemonic: string;
  readonly encodings: readonly Encoding[];
  /** CPUID feature that must be advertised, as the manual names it. */
  readonly feature: string | undefined;
  /** Status flags that the manual leaves undefined, or "all shifts" cases handled by the tests' masks. */
  readonly undefinedFlags: readonly StatusFlag[];
  readonly flow: Flow;
  readonly semantics: (ir: Semantics, ...operands: Operand[]) => void;
}

/** Describes an instruction. All rows must have the same number of operands. */
export function instruction<const Row extends string>(description: {
  readonly mnemonic: string;
  readonly encodings: readonly Row[];
  readonly feature?: string;
  readonly undefinedFlags?: readonly StatusFlag[];
  /** "on" unless said otherwise, as for conditional jumps. */
  readonly flow?: Flow;
  readonly semantics: (ir: Semantics, ...operands: OperandsOf<SecondColumn<Row>>) => void;
}): Instruction {
  return {
    mnemonic: description.mnemonic,
    encodings: description.encodings.map(parseEncoding),
    feature: description.feature,
    undefinedFlags: description.undefinedFlags ?? [],
    flow: description.flow ?? "on",
    semantics: description.semantics as Instruction["semantics"],
  };
}
