import type { Routine, Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import {
  concluded,
  isStackEmpty,
  pop,
  readRegister,
  stackSlot,
  stackUnderflow,
  writeRegister,
  x87Arithmetic,
  x87Unary,
} from "../routines/x87.ts";
import type { Semantics } from "../semantics.ts";
import { State } from "../state.ts";
import { beginX87, readNumber, setPointers, setScratch } from "../x87-operands.ts";
import type { MemoryKind } from "../x87-operands.ts";

/** Arithmetic. Intel SDM Vol. 1, "x87 FPU Basic Arithmetic Instructions". */

const feature = "x87";

/** Whether the stack's top is the first operand, or the second as FSUBR and FDIVR have it. */
type Order = "straight" | "reversed";

/** ST(0) ← ST(0) op memory. */
function withMemory(operation: Routine, order: Order, kind: MemoryKind) {
  return (ir: Semantics, source: Operand): void => {
    beginX87(ir);
    const [number, flags] = readNumber(ir, source, kind);
    setPointers(ir, source);
    const denormal = setScratch(ir, number, flags);
    const hints = ir.or(denormal, ir.zext(isStackEmpty(ir, 0), "i32"));
    const top = stackSlot(ir, 0);
    const memory = ir.const("i32", State.scratch);
    ir.call(operation, top, ...(order === "straight" ? [top, memory] : [memory, top]), hints);
  };
}

/** ST(0) ← ST(0) op ST(i), or ST(i) ← ST(i) op ST(0). */
function withRegister(operation: Routine, order: Order, to: "top" | "other", after: "keep" | "pop") {
  return (ir: Semantics, other: Operand): void => {
    beginX87(ir);
    setPointers(ir);
    const index = other.read();
    const [top, slot] = [stackSlot(ir, 0), stackSlot(ir, index)];
    const hints = ir.zext(ir.or(isStackEmpty(ir, 0), isStackEmpty(ir, index)), "i32");
    const [first, second] = (order === "straight") === (to === "top") ? [top, slot] : [slot, top];
    const [stored] = ir.call(operation, to === "top" ? top : slot, first, second, hints) as [Value];
    if (after === "pop") ir.if(ir.ne(stored, 0), () => pop(ir));
  };
}

/**
 * The instructions of one operation. `digit` is that of rows with a memory operand and of those that write ST(0), `other`
 * that of rows that write ST(i): for subtraction and division the one is the reversed one's other.
 */
function family(name: string, operation: Routine, order: Order, digit: number, other = digit) {
  return [
    instruction({
      mnemonic: `f${name}`,
      encodings: [`D8 /${digit}  Md`, `DC /${digit}  Mq`] as const,
      feature,
      semantics: withMemory(operation, order, "float"),
    }),
    instruction({
      mnemonic: `fi${name}`,
      encodings: [`DE /${digit}  Mw`, `DA /${digit}  Md`] as const,
      feature,
      semantics: withMemory(operation, order, "integer"),
    }),
    instruction({
      mnemonic: `f${name}`,
      encodings: [`D8 /${digit}  F`] as const,
      feature,
      semantics: withRegister(operation, order, "top", "keep"),
    }),
    instruction({
      mnemonic: `f${name}`,
      encodings: [`DC /${other}  F`] as const,
      feature,
      semantics: withRegister(operation, order, "other", "keep"),
    }),
    instruction({
      mnemonic: `f${name}p`,
      encodings: [`DE /${other}  F`] as const,
      feature,
      semantics: withRegister(operation, order, "other", "pop"),
    }),
  ] as const;
}

/** FADD, FADDP and FIADD. Intel SDM Vol. 2A, "FADD/FADDP/FIADD—Add". */
export const [fadd, fiadd, faddTop, faddOther, faddp] = family("add", x87Arithmetic.add, "straight", 0);
/** FMUL, FMULP and FIMUL. Intel SDM Vol. 2A, "FMUL/FMULP/FIMUL—Multiply". */
export const [fmul, fimul, fmulTop, fmulOther, fmulp] = family("mul", x87Arithmetic.mul, "straight", 1);
/** FSUB, FSUBP and FISUB. Intel SDM Vol. 2A, "FSUB/FSUBP/FISUB—Subtract". */
export const [fsub, fisub, fsubTop, fsubOther, fsubp] = family("sub", x87Arithmetic.sub, "straight", 4, 5);
/** FSUBR, FSUBRP and FISUBR. Intel SDM Vol. 2A, "FSUBR/FSUBRP/FISUBR—Reverse Subtract". */
export const [fsubr, fisubr, fsubrTop, fsubrOther, fsubrp] = family("subr", x87Arithmetic.sub, "reversed", 5, 4);
/** FDIV, FDIVP and FIDIV. Intel SDM Vol. 2A, "FDIV/FDIVP/FIDIV—Divide". */
export const [fdiv, fidiv, fdivTop, fdivOther, fdivp] = family("div", x87Arithmetic.div, "straight", 6, 7);
/** FDIVR, FDIVRP and FIDIVR. Intel SDM Vol. 2A, "FDIVR/FDIVRP/FIDIVR—Reverse Divide". */
export const [fdivr, fidivr, fdivrTop, fdivrOther, fdivrp] = family("divr", x87Arithmetic.div, "reversed", 7, 6);

/** FSQRT. Intel SDM Vol. 2A, "FSQRT—Square Root". */
export const fsqrt = instruction({
  mnemonic: "fsqrt",
  encodings: ["D9 =FA"],
  feature,
  semantics(ir) {
    beginX87(ir);
    setPointers(ir);
    ir.call(x87Unary.sqrt);
  },
});

/** FCHS and FABS change the sign of anything, NaNs and unsupported encodings included. */
function signChange(change: (ir: Semantics, head: Value) => Value) {
  return (ir: Semantics): void => {
    beginX87(ir);
    setPointers(ir);
    const slot = stackSlot(ir, 0);
    ir.if(
      isStackEmpty(ir, 0),
      () => ir.call(stackUnderflow, slot),
      () => {
        const { significand, head } = readRegister(ir, slot);
        concluded(ir, 0);
        writeRegister(ir, slot, { significand, head: change(ir, head) });
      },
    );
  };
}
/** FCHS. Intel SDM Vol. 2A, "FCHS—Change Sign". */
export const fchs = instruction({
  mnemonic: "fchs",
  encodings: ["D9 =E0"],
  feature,
  semantics: signChange((ir, head) => ir.xor(head, 0x8000)),
});
/** FABS. Intel SDM Vol. 2A, "FABS—Absolute Value". */
export const fabs = instruction({
  mnemonic: "fabs",
  encodings: ["D9 =E1"],
  feature,
  semantics: signChange((ir, head) => ir.and(head, 0x7fff)),
});
