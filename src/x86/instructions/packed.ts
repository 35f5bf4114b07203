import type { Value } from "../../ir/node.ts";
import type { OperationName } from "../../ir/operations.ts";
import { instruction } from "../instruction.ts";
import type { Instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import type { Semantics } from "../semantics.ts";
import { readVector, requireFor, writeVector } from "../vectors.ts";

/**
 * An operation on two packed operands. `bytes` is the width of the operands: of 8, the vectors' high halves mean nothing,
 * in the result too.
 */
export type PackedOperation = (ir: Semantics, destination: Value, source: Value, bytes: 8 | 16) => Value;

function semantics(operation: PackedOperation) {
  return (ir: Semantics, destination: Operand, source: Operand) => {
    requireFor(ir, destination);
    const right = readVector(ir, source);
    writeVector(
      ir,
      destination,
      operation(ir, readVector(ir, destination), right, destination.type === "i64" ? 8 : 16),
    );
  };
}

/** An operation of the IR that means the same in every lane. */
export function lanes(name: OperationName): PackedOperation {
  return (ir, a, b) => ir.op(name, [a, b]);
}

/** DEST ← operation(DEST, SRC) on XMM registers alone: `66 0F <opcode>`. */
export function packedVector(
  mnemonic: string,
  feature: string,
  opcode: string,
  operation: PackedOperation,
): Instruction {
  return instruction({ mnemonic, feature, encodings: [`66 0F ${opcode}  Vx,Wx`], semantics: semantics(operation) });
}

/**
 * DEST ← operation(DEST, SRC) on MMX registers (`NP 0F <opcode>`) and on XMM registers (`66 0F <opcode>`). `source` is the
 * MMX source: Qd where only its low half is read.
 */
export function packed(
  mnemonic: string,
  feature: string,
  opcode: string,
  operation: PackedOperation,
  source: "Qq" | "Qd" = "Qq",
): Instruction {
  return instruction({
    mnemonic,
    feature,
    encodings: [`NP 0F ${opcode}  Pq,${source}`, `66 0F ${opcode}  Vx,Wx`],
    semantics: semantics(operation),
  });
}
