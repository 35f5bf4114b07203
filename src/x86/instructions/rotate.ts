import type { Value } from "../../ir/node.ts";
import { bitsOf } from "../../ir/types.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { isNegative, setCarryOverflow } from "../partial-flags.ts";
import type { Semantics } from "../semantics.ts";
import { maskedCount } from "../shift-count.ts";

/** The two highest bits differ. */
function topBitsDiffer(ir: Semantics, value: Value): Value {
  return isNegative(ir, ir.xor(value, ir.shl(value, 1)));
}

/** ROL — CF is the bit that came round. Intel SDM Vol. 2B, "RCL/RCR/ROL/ROR—Rotate". Only CF and OF change. */
export const rol = instruction({
  mnemonic: "rol",
  encodings: ["C0 /0  Eb,Ib", "C1 /0  Ev,Ib", "D0 /0  Eb,1", "D1 /0  Ev,1", "D2 /0  Eb,CL", "D3 /0  Ev,CL"],
  semantics(ir, destination, countOperand) {
    const count = maskedCount(ir, destination, countOperand);
    const [, after] = destination.update((value) => ir.op("rotl", [value, count]));
    ir.if(ir.ne(count, 0), () => ir.flags.rol(after));
  },
});

/** ROR — CF is the bit that came round. */
export const ror = instruction({
  mnemonic: "ror",
  encodings: ["C0 /1  Eb,Ib", "C1 /1  Ev,Ib", "D0 /1  Eb,1", "D1 /1  Ev,1", "D2 /1  Eb,CL", "D3 /1  Ev,CL"],
  semantics(ir, destination, countOperand) {
    const count = maskedCount(ir, destination, countOperand);
    const [, after] = destination.update((value) => ir.op("rotr", [value, count]));
    ir.if(ir.ne(count, 0), () => ir.flags.ror(after));
  },
});

/** Operand and carry as one number, rotated; up to 32 bits of operand and the carry above them fit an i64. */
function rotateNarrow(
  ir: Semantics,
  value: Value,
  carry: Value,
  count: Value,
  direction: "left" | "right",
): [Value, Value] {
  const bits = bitsOf[value.type];
  const whole = ir.hold(ir.or(ir.zext(value, "i64"), ir.shl(carry, bits)));
  const by = ir.hold(
    ir.zext(bits === 32 ? count : ir.op("remu", [ir.zext(count, "i32"), ir.const("i32", bits + 1)]), "i64"),
  );
  const rest = ir.sub(bits + 1, by);
  const [up, down] = direction === "left" ? [by, rest] : [rest, by];
  const rotated = ir.hold(ir.or(ir.shl(whole, up), ir.shr(whole, down)));
  return [ir.trunc(rotated, value.type), ir.trunc(ir.shr(rotated, bits), "i1")];
}

/** The same of 64 bits: count is not 0, and 64 − count below is done in a shift by one and one by the rest. */
function rotateWide(
  ir: Semantics,
  value: Value,
  carry: Value,
  count: Value,
  direction: "left" | "right",
): [Value, Value] {
  const rest = ir.hold(ir.sub(64, count));
  if (direction === "left") {
    const through = ir.or(ir.shl(carry, ir.sub(count, 1)), ir.shr(ir.shr(value, 1), rest));
    return [ir.or(ir.shl(value, count), through), ir.trunc(ir.shr(value, rest), "i1")];
  }
  const through = ir.or(ir.shl(carry, rest), ir.shl(ir.shl(value, 1), rest));
  return [ir.or(ir.shr(value, count), through), ir.trunc(ir.shr(value, ir.sub(count, 1)), "i1")];
}

function rotateThroughCarry(
  ir: Semantics,
  destination: Operand,
  countOperand: Operand,
  direction: "left" | "right",
): void {
  const count = maskedCount(ir, destination, countOperand);
  const carry = ir.hold(ir.zext(ir.flag("cf"), "i64"));
  const rotate = (value: Value) =>
    (destination.type === "i64" ? rotateWide : rotateNarrow)(ir, value, carry, count, direction);
  const [before, after] = destination.update((value) => ir.select(ir.eqz(count), value, rotate(value)[0]));
  ir.if(ir.ne(count, 0), () => {
    const cf = ir.hold(rotate(before)[1]);
    setCarryOverflow(ir, cf, direction === "left" ? ir.xor(cf, isNegative(ir, after)) : topBitsDiffer(ir, after));
  });
}

/** RCL — rotates the operand with CF above it to the left. */
export const rcl = instruction({
  mnemonic: "rcl",
  encodings: ["C0 /2  Eb,Ib", "C1 /2  Ev,Ib", "D0 /2  Eb,1", "D1 /2  Ev,1", "D2 /2  Eb,CL", "D3 /2  Ev,CL"],
  semantics: (ir, destination, count) => rotateThroughCarry(ir, destination, count, "left"),
});

/** RCR — rotates the operand with CF above it to the right. */
export const rcr = instruction({
  mnemonic: "rcr",
  encodings: ["C0 /3  Eb,Ib", "C1 /3  Ev,Ib", "D0 /3  Eb,1", "D1 /3  Ev,1", "D2 /3  Eb,CL", "D3 /3  Ev,CL"],
  semantics: (ir, destination, count) => rotateThroughCarry(ir, destination, count, "right"),
});
