import type { Value } from "../../ir/node.ts";
import { readFarPointer } from "../far-pointer.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { farCall, farJump, farReturn } from "../routines/far-transfer.ts";
import type { Semantics } from "../semantics.ts";
import { State } from "../state.ts";

/** The far pointer in the instruction or in memory: the offset as an i64. */
function target(ir: Semantics, operand: Operand): { offset: Value; selector: Value } {
  if (operand.kind === "number")
    return { offset: operand.read("i64"), selector: ir.numbers.value(ir, "i32", "immediate2") };
  const { offset, selector } = readFarPointer(ir, operand);
  return { offset: ir.zext(offset, "i64"), selector };
}

/** JMP far — Intel SDM Vol. 2A, "JMP—Jump". */
export const jmpFar = instruction({
  mnemonic: "jmpf",
  flow: "away",
  encodings: ["EA  Ap  i64 system", "FF /5  Mp  system"],
  semantics(ir, operand) {
    const { offset, selector } = target(ir, operand);
    ir.set(State.rip, ir.nextRip());
    ir.call(farJump, selector, offset);
    ir.end("resynchronise");
  },
});

/** CALL far — Intel SDM Vol. 2A, "CALL—Call Procedure". */
export const callFar = instruction({
  mnemonic: "callf",
  encodings: ["9A  Ap  i64 system", "FF /3  Mp  system"],
  semantics(ir, operand) {
    const { offset, selector } = target(ir, operand);
    const next = ir.hold(ir.nextRip());
    ir.set(State.rip, next);
    ir.call(farCall[ir.operandSize], selector, offset, next);
    ir.end("resynchronise");
  },
});

/** RET far — Intel SDM Vol. 2B, "RET—Return From Procedure". */
export const retFar = instruction({
  mnemonic: "retf",
  flow: "away",
  encodings: ["CB  -  osz system"],
  semantics(ir) {
    ir.call(farReturn[ir.operandSize], ir.const("i32", 0));
    ir.end("resynchronise");
  },
});
export const retFarParameters = instruction({
  mnemonic: "retf",
  flow: "away",
  encodings: ["CA  Iw  osz system"],
  semantics(ir, bytes) {
    ir.call(farReturn[ir.operandSize], bytes.read("i32"));
    ir.end("resynchronise");
  },
});
