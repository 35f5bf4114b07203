import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import type { Semantics } from "../semantics.ts";

const undefinedFlags = ["of", "sf", "af", "pf"] as const;

/**
 * The linear address of the operand that holds the bit: a register's offset reaches beyond the operand named, by whole
 * operands. Intel SDM Vol. 2A, "BT—Bit Test", and Vol. 2A, "Bit(BitBase, BitOffset)".
 */
function bitAddress(ir: Semantics, base: Operand, index: Value, access: "read" | "write"): Value {
  const log2 = Math.log2(base.bits);
  const units = ir.sar(ir.sext(index, "i64"), log2);
  const sum = ir.add(base.offset(), ir.shl(units, log2 - 3));
  const offset = ir.form.addressing === "long" ? sum : ir.and(sum, ir.numbers.value(ir, "i64", "addressMask"));
  return ir.linear(ir.numbers.slot(ir, "segment"), offset, base.bits / 8, access);
}

/** CF ← the bit; then the bit becomes what `change` makes of operand and mask. */
function testBit(ir: Semantics, base: Operand, offset: Operand, change?: (before: Value, mask: Value) => Value): void {
  const index = ir.hold(offset.read(base.type));
  const position = ir.hold(ir.and(index, base.bits - 1));
  const string = base.kind === "memory" && offset.kind === "register";
  const mask = () => ir.shl(ir.const(base.type, 1), position);
  const read = () => (string ? ir.load(base.type, bitAddress(ir, base, index, "read")) : base.read());
  const update = (modify: (before: Value) => Value) =>
    string ? ir.update(base.type, bitAddress(ir, base, index, "write"), ir.form.lock, modify) : base.update(modify);
  const before = change === undefined ? read() : update((value) => change(value, mask()))[0];
  ir.setCarry(ir.trunc(ir.shr(before, position), "i1"));
}

/** BT — CF ← the bit. Intel SDM Vol. 2A, "BT—Bit Test". */
export const bt = instruction({
  mnemonic: "bt",
  encodings: ["0F A3  Ev,Gv", "0F BA /4  Ev,Ib"],
  undefinedFlags,
  semantics: (ir, base, offset) => testBit(ir, base, offset),
});

/** BTS — CF ← the bit, which is then set. */
export const bts = instruction({
  mnemonic: "bts",
  encodings: ["0F AB  Ev,Gv  lock", "0F BA /5  Ev,Ib  lock"],
  undefinedFlags,
  semantics: (ir, base, offset) => testBit(ir, base, offset, (before, mask) => ir.or(before, mask)),
});

/** BTR — CF ← the bit, which is then cleared. */
export const btr = instruction({
  mnemonic: "btr",
  encodings: ["0F B3  Ev,Gv  lock", "0F BA /6  Ev,Ib  lock"],
  undefinedFlags,
  semantics: (ir, base, offset) => testBit(ir, base, offset, (before, mask) => ir.and(before, ir.not(mask))),
});

/** BTC — CF ← the bit, which is then inverted. */
export const btc = instruction({
  mnemonic: "btc",
  encodings: ["0F BB  Ev,Gv  lock", "0F BA /7  Ev,Ib  lock"],
  undefinedFlags,
  semantics: (ir, base, offset) => testBit(ir, base, offset, (before, mask) => ir.xor(before, mask)),
});
