import type { Routine, Value } from "../ir/node.ts";
import { bitsOf } from "../ir/types.ts";
import { checkPending } from "./instructions/x87-control.ts";
import type { Operand } from "./operand.ts";
import { extendedFromInteger, widening } from "./softfloat/extended-convert.ts";
import type { Extended } from "./softfloat/extended.ts";
import { when } from "./softfloat/round.ts";
import { Hint } from "./routines/x87.ts";
import { Exception } from "./softfloat/format.ts";
import type { Semantics } from "./semantics.ts";
import { State } from "./state.ts";

/** What x87 instructions have in common. */

/** Begins a waiting instruction: traps of CR0, then a pending exception. */
export function beginX87(ir: Semantics): void {
  ir.requireX87("x87");
  checkPending(ir);
}

/**
 * FIP, and FDP where there is a memory operand. Behind everything that can fault, before exceptions are noted. FDP always
 * follows, as CPUID says. Intel SDM Vol. 1, "x87 FPU Instruction and Data (Operand) Pointers".
 */
export function setPointers(ir: Semantics, operand?: Operand): void {
  ir.set(State.fip, ir.thisRip());
  if (operand?.kind === "memory") ir.set(State.fdp, operand.offset());
}

/** The semantics of an instruction that is one routine. */
export function calling(routine: Routine) {
  return (ir: Semantics): void => {
    beginX87(ir);
    setPointers(ir);
    ir.call(routine);
  };
}

/** What memory holds: a number of one of the formats, or an integer. */
export type MemoryKind = "float" | "integer";

/** A memory operand as a number, and its flags: denormal, and invalid for a signalling NaN, which it still is. */
export function readNumber(ir: Semantics, source: Operand, kind: MemoryKind): [Extended, flags: Value] {
  const value = source.read();
  if (kind === "integer") {
    const [significand, head] = ir.call(extendedFromInteger, ir.sext(value, "i64")) as [Value, Value];
    return [{ significand, head }, ir.const("i32", 0)];
  }
  const routine = bitsOf[value.type] === 32 ? widening.single : widening.double;
  const [significand, head, flags] = ir.call(routine, value) as [Value, Value, Value];
  return [{ significand, head }, flags];
}

/** As {@link readNumber}, for loads: a signalling NaN becomes quiet. */
export function loadNumber(ir: Semantics, source: Operand, kind: MemoryKind): [Extended, flags: Value] {
  const [{ significand, head }, flags] = readNumber(ir, source, kind);
  if (kind === "integer") return [{ significand, head }, flags];
  const quiet = ir.shl(ir.zext(ir.and(flags, Exception.invalid), "i64"), 62);
  return [{ significand: ir.or(significand, quiet), head }, flags];
}

/** The linear address of a memory operand of `bytes` bytes, for operands that no integer type holds. */
export function operandAddress(ir: Semantics, operand: Operand, bytes: number, access: "read" | "write"): Value {
  return ir.hold(ir.linear(ir.numbers.slot(ir, "segment"), operand.offset(), bytes, access));
}

/** Puts a number where arithmetic finds it by slot. @returns the hint that its flags give. */
export function setScratch(ir: Semantics, { significand, head }: Extended, flags: Value): Value {
  ir.set(State.scratch, significand);
  ir.set(State.scratch + 8, ir.trunc(head, "i16"));
  return ir.hold(when(ir, ir.ne(ir.and(flags, Exception.denormal), 0), Hint.denormal));
}

/** A memory operand of 80 bits. */
export function loadWide(ir: Semantics, source: Operand): Extended {
  const address = operandAddress(ir, source, 10, "read");
  return { significand: ir.load("i64", address), head: ir.zext(ir.load("i16", ir.add(address, 8)), "i32") };
}

/** Stores 80 bits where the condition holds; memory has to be writable in any case. */
export function storeWide(
  ir: Semantics,
  destination: Operand,
  { significand, head }: Extended,
  condition: Value,
): void {
  const address = operandAddress(ir, destination, 10, "write");
  // Its alignment is that of 8 bytes. Intel SDM Vol. 3A, "Interrupt 17—Alignment Check Exception".
  ir.probeWrite(address, 8);
  ir.probeWrite(address, 10);
  ir.if(condition, () => {
    ir.store(address, significand);
    ir.store(ir.add(address, 8), ir.trunc(head, "i16"));
  });
}
