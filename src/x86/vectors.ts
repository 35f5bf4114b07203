import type { Builder } from "../ir/builder.ts";
import type { Slot, Value } from "../ir/node.ts";
import type { OperationName } from "../ir/operations.ts";
import { Vector } from "./exceptions.ts";
import type { Operand } from "./operand.ts";
import type { Semantics } from "./semantics.ts";
import { State } from "./state.ts";

/** What MMX and SSE instructions have in common. An MMX operand is computed in the low half of a 128-bit vector. */

/** FSW: the summary of pending exceptions, and TOP. Intel SDM Vol. 1, "x87 FPU Status Register". */
const pendingExceptions = 1 << 7;
const topOfStack = 7 << 11;

/** Begins an MMX instruction: traps of CR0, then exceptions that x87 instructions have left pending. */
export function requireMmx(ir: Semantics): void {
  ir.requireX87("mmx");
  ir.if(ir.ne(ir.and(ir.get("i32", State.fsw), pendingExceptions), 0), () => ir.fault(Vector.MF));
}

/** What any MMX instruction but EMMS does to the x87 state: TOP ← 0, every register valid. */
export function enterMmx(ir: Semantics): void {
  ir.set(State.fsw, ir.and(ir.get("i32", State.fsw), ~topOfStack));
  ir.set(State.ftw, ir.const("i32", 0xff));
}

/** Writes an MMX register: sign and exponent of the x87 register that it lies in become ones. */
export function writeMmx(ir: Semantics, register: Operand, value: Value): void {
  register.write(value);
  ir.set(slotAt(ir, register.slot!, 8), ir.const("i16", 0xffff));
  enterMmx(ir);
}

/** The checks of an instruction whose operands are all of one kind, told by the destination's width. */
export function requireFor(ir: Semantics, { type }: Operand): void {
  if (type === "i64") requireMmx(ir);
  else ir.requireSse();
}

/** An operand as a vector; one of 32 or 64 bits is in both halves. */
export function readVector(ir: Semantics, operand: Operand): Value {
  const value = operand.read();
  return value.type === "v128" ? value : ir.op("i64x2.splat", [ir.zext(value, "i64")]);
}

/** Writes a vector, or the low half of it to an MMX register. */
export function writeVector(ir: Semantics, register: Operand, vector: Value): void {
  if (register.type === "i64") writeMmx(ir, register, lane64(ir, vector, 0));
  else register.write(vector);
}

/** The slot `offset` bytes above another: a part of a register. */
export function slotAt(ir: Semantics, slot: Slot, offset: number | Value): Slot {
  if (typeof offset === "object" && offset.kind === "const") return slotAt(ir, slot, Number(offset.value));
  if (typeof slot === "number") return typeof offset === "number" ? slot + offset : ir.add(offset, slot);
  return ir.add(slot, offset);
}

/** An i32 or i64 in the lowest lane of a vector of zeros. */
export function zeroExtended(ir: Semantics, value: Value): Value {
  return ir.op("i64x2.replace_lane", [ir.const("v128", 0), ir.zext(value, "i64")], 0);
}

export function lane64(ir: Semantics, vector: Value, lane: number): Value {
  return ir.op("i64x2.extract_lane", [vector], lane);
}
export function lane32(ir: Semantics, vector: Value, lane: number): Value {
  return ir.op("i32x4.extract_lane", [vector], lane);
}

/** The low half of `a` below the low half of `b`. */
export function joined(ir: Semantics, a: Value, b: Value): Value {
  return ir.shuffle(a, b, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);
}

/** A vector of 16 bytes given by number. */
export function bytesVector(ir: Builder, bytes: readonly number[]): Value {
  return ir.const(
    "v128",
    bytes.reduce((all, byte, index) => all | (BigInt(byte & 0xff) << BigInt(8 * index)), 0n),
  );
}

/** All ones or all zeros, as the condition says. */
export function maskOf(ir: Semantics, condition: Value): Value {
  return ir.op("i64x2.splat", [ir.sext(condition, "i64")]);
}

/** Applies an operation that has two vectors and gives one. */
export function vectorOperation(ir: Semantics, name: OperationName, a: Value, b: Value): Value {
  return ir.op(name, [a, b]);
}

/** The even and the odd lanes of `size` bytes of `a` and, above them, of `b`; operands of 8 bytes are joined first. */
export function evenAndOdd(ir: Semantics, a: Value, b: Value, bytes: 8 | 16, size: number): [even: Value, odd: Value] {
  const [low, high] = bytes === 8 ? [joined(ir, a, b), joined(ir, a, b)] : [a, b];
  const every = (first: number) =>
    Array.from({ length: 16 }, (_, index) => (2 * Math.floor(index / size) + first) * size + (index % size));
  return [ir.shuffle(low, high, every(0)), ir.shuffle(low, high, every(1))];
}

/** The number that a value is known to be when the IR is made. */
export function constantOf(value: Value): bigint | undefined {
  return value.kind === "const" ? value.value : undefined;
}

/** Bytes 0, 1, 2 … 15. */
export function iota(ir: Builder): Value {
  return bytesVector(
    ir,
    Array.from({ length: 16 }, (_, index) => index),
  );
}
