import type { Type } from "../ir/types.ts";
import type { Encoding, OperandSpec } from "./encoding.ts";
import { generalRegister, memory, number, plainRegister, sizeType } from "./operand.ts";
import type { Operand } from "./operand.ts";
import type { Semantics } from "./semantics.ts";
import { Gpr, Segment, State, gprSlot, xmmSlot } from "./state.ts";

function memoryOperand(ir: Semantics, type: Type): Operand {
  return memory(
    ir,
    type,
    () => ir.effectiveAddress(),
    (offset, bytes, access) => ir.linear(ir.numbers.slot(ir, "segment"), offset, bytes, access),
    ir.form.lock,
  );
}

function fixedOperand(ir: Semantics, text: string): Operand {
  switch (text) {
    case "AL":
      return generalRegister(ir, gprSlot(Gpr.rax), "i8");
    case "CL":
      return generalRegister(ir, gprSlot(Gpr.rcx), "i8");
    case "AX":
      return generalRegister(ir, gprSlot(Gpr.rax), "i16");
    case "DX":
      return generalRegister(ir, gprSlot(Gpr.rdx), "i16");
    case "rAX":
      return generalRegister(ir, gprSlot(Gpr.rax), ir.operandType);
    case "eAX":
      return generalRegister(ir, gprSlot(Gpr.rax), sizeType("z", ir.operandSize)!);
    case "1":
      return number(ir, ir.const("i8", 1));
    case "XMM0":
      return plainRegister(ir, xmmSlot(0), "v128");
    case "ST0":
      return number(ir, ir.const("i32", 0));
    default: {
      const segment = Segment[text.toLowerCase() as Segment];
      return number(ir, ir.const("i32", segment));
    }
  }
}

/** Binds one operand of a row: to whatever the form says, with its numbers from where the form's numbers come from. */
function bindOperand(ir: Semantics, { text, kind, size }: OperandSpec): Operand {
  const type = sizeType(size, ir.operandSize);
  const slot = (name: "reg" | "rm" | "vvvv") => ir.numbers.slot(ir, name);
  switch (kind) {
    case "fixed":
      return fixedOperand(ir, text);
    case "E":
      return ir.form.memory ? memoryOperand(ir, type!) : generalRegister(ir, slot("rm"), type!);
    case "M":
      return memoryOperand(ir, type ?? "i8");
    case "R":
      return generalRegister(ir, slot("rm"), type!);
    case "G":
    case "Z":
      return generalRegister(ir, slot("reg"), type!);
    case "B":
      return generalRegister(ir, slot("vvvv"), type!);
    case "I":
      // Decoded sign-extended; as wide as the operation, whose 64-bit form has 32 bits of immediate.
      return number(ir, ir.immediate(size === "z" ? ir.operandType : type!));
    case "J":
      return number(ir, ir.branchTarget());
    case "O":
      return memory(
        ir,
        type!,
        () => ir.numbers.value(ir, "i64", "immediate"),
        (offset, bytes, access) => ir.linear(ir.numbers.slot(ir, "segment"), offset, bytes, access),
        false,
      );
    case "A":
      return number(ir, ir.numbers.value(ir, "i64", "immediate"));
    case "S":
    case "C":
    case "D":
      return number(ir, ir.numbers.value(ir, "i32", "regNumber"));
    case "F":
      return number(ir, ir.numbers.value(ir, "i32", "rmNumber"));
    case "V":
    case "P":
      return plainRegister(ir, slot("reg"), type!);
    case "U":
    case "N":
      return plainRegister(ir, slot("rm"), type!);
    case "W":
    case "Q":
      return ir.form.memory ? memoryOperand(ir, type!) : plainRegister(ir, slot("rm"), type!);
  }
}

/** Builds a row's operands for one form. */
export function bindOperands(ir: Semantics, encoding: Encoding): Operand[] {
  return encoding.operands.map((spec) => bindOperand(ir, spec));
}

/** Slot of an MMX register: the significand of the x87 register of that physical number. */
export function mmxSlot(number_: number): number {
  return State.x87 + number_ * 16;
}
