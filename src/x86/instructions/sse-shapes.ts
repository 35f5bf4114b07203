import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import type { Semantics } from "../semantics.ts";
import { double, single } from "../softfloat/format.ts";
import type { Format } from "../softfloat/format.ts";

/** The four shapes of a floating-point instruction: all lanes or the lowest, of single or double precision. */
export interface Shape {
  readonly suffix: "ps" | "pd" | "ss" | "sd";
  readonly format: Format;
  readonly packed: boolean;
  readonly prefix: "NP" | "66" | "F3" | "F2";
  readonly destination: string;
  readonly source: string;
  readonly feature: string;
}
export const ps: Shape = {
  suffix: "ps",
  format: single,
  packed: true,
  prefix: "NP",
  destination: "Vx",
  source: "Wx",
  feature: "SSE",
};
export const pd: Shape = {
  suffix: "pd",
  format: double,
  packed: true,
  prefix: "66",
  destination: "Vx",
  source: "Wx",
  feature: "SSE2",
};
export const ss: Shape = {
  suffix: "ss",
  format: single,
  packed: false,
  prefix: "F3",
  destination: "Vd",
  source: "Wd",
  feature: "SSE",
};
export const sd: Shape = {
  suffix: "sd",
  format: double,
  packed: false,
  prefix: "F2",
  destination: "Vq",
  source: "Wq",
  feature: "SSE2",
};

/** An operand as a vector: a scalar in memory has zeros above it. */
export function vectorOperand(ir: Semantics, operand: Operand): Value {
  if (operand.kind === "register") return ir.get("v128", operand.slot!);
  if (operand.type === "v128") return operand.read();
  const low = operand.type === "i64" ? 8 : 4;
  return ir.load("v128", operand.address("read"), { low });
}

/** Stores a scalar. */
export function storeLow(ir: Semantics, destination: Operand, source: Operand): void {
  const low = destination.type === "i64" ? 8 : 4;
  ir.store(destination.address("write"), ir.get("v128", source.slot!), { low });
}

/** DEST ← compute(DEST, SRC) in one shape, `0F <opcode>`, of vectors. A scalar leaves the other lanes alone. */
export function floating(
  name: string,
  opcode: string,
  shape: Shape,
  compute: (ir: Semantics, destination: Value, source: Value) => Value,
): Instruction {
  return instruction({
    mnemonic: `${name}${shape.suffix}`,
    feature: shape.feature,
    encodings: [`${shape.prefix} 0F ${opcode}  ${shape.destination},${shape.source}`],
    semantics(ir: Semantics, ...[destination, source]: Operand[]) {
      ir.requireSse();
      const right = vectorOperand(ir, source!);
      const { slot } = destination!;
      ir.set(slot!, compute(ir, ir.get("v128", slot!), right));
    },
  });
}
