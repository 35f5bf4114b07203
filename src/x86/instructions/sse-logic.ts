import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import type { Semantics } from "../semantics.ts";

/** Logic on whole registers that hold floating-point numbers: bit for bit as PAND and the rest. */
function logic(
  mnemonic: string,
  feature: string,
  row: string,
  operation: (ir: Semantics, a: Value, b: Value) => Value,
): Instruction {
  return instruction({
    mnemonic,
    feature,
    encodings: [`${row}  Vx,Wx`],
    semantics(ir: Semantics, destination: Operand, source: Operand) {
      ir.requireSse();
      const right = source.read();
      destination.write(operation(ir, destination.read(), right));
    },
  });
}
const and = (ir: Semantics, a: Value, b: Value) => ir.op("v128.and", [a, b]);
/** NOT DEST AND SRC. */
const andNot = (ir: Semantics, a: Value, b: Value) => ir.op("v128.andnot", [b, a]);
const or = (ir: Semantics, a: Value, b: Value) => ir.op("v128.or", [a, b]);
const xor = (ir: Semantics, a: Value, b: Value) => ir.op("v128.xor", [a, b]);

export const andps = logic("andps", "SSE", "NP 0F 54", and);
export const andpd = logic("andpd", "SSE2", "66 0F 54", and);
export const andnps = logic("andnps", "SSE", "NP 0F 55", andNot);
export const andnpd = logic("andnpd", "SSE2", "66 0F 55", andNot);
export const orps = logic("orps", "SSE", "NP 0F 56", or);
export const orpd = logic("orpd", "SSE2", "66 0F 56", or);
export const xorps = logic("xorps", "SSE", "NP 0F 57", xor);
export const xorpd = logic("xorpd", "SSE2", "66 0F 57", xor);
