import { bitsOf } from "../../ir/types.ts";
import type { Value } from "../../ir/node.ts";
import { cutAddress } from "../addressed-register.ts";
import { instruction } from "../instruction.ts";
import type { Semantics } from "../semantics.ts";

/** MOV of general registers, memory and immediates. Intel SDM Vol. 2B, "MOV—Move". */
export const mov = instruction({
  mnemonic: "mov",
  encodings: [
    "88  Eb,Gb",
    "89  Ev,Gv",
    "8A  Gb,Eb",
    "8B  Gv,Ev",
    "A0  AL,Ob",
    "A1  rAX,Ov",
    "A2  Ob,AL",
    "A3  Ov,rAX",
    "B0 +  Zb,Ib",
    "B8 +  Zv,Iv",
    "C6 /0  Eb,Ib",
    "C7 /0  Ev,Iz",
  ],
  semantics: (_, destination, source) => destination.write(source.read(destination.type)),
});

/** MOVZX — DEST ← SRC zero-extended. Intel SDM Vol. 2B, "MOVZX—Move With Zero-Extend". */
export const movzx = instruction({
  mnemonic: "movzx",
  encodings: ["0F B6  Gv,Eb", "0F B7  Gv,Ew"],
  semantics: (ir, destination, source) => destination.write(ir.zext(source.read(), destination.type)),
});

/** MOVSX — DEST ← SRC sign-extended. Intel SDM Vol. 2B, "MOVSX/MOVSXD—Move With Sign-Extension". */
export const movsx = instruction({
  mnemonic: "movsx",
  encodings: ["0F BE  Gv,Eb", "0F BF  Gv,Ew"],
  semantics: (ir, destination, source) => destination.write(ir.sext(source.read(), destination.type)),
});

/** MOVSXD — as MOVSX from 32 bits; with an operand size of 16 or 32 a plain move. */
export const movsxd = instruction({
  mnemonic: "movsxd",
  encodings: ["63  Gv,Ez  x64"],
  semantics: (ir, destination, source) => destination.write(ir.sext(source.read(), destination.type)),
});

/** LEA — DEST ← the effective address, cut or zero-extended. Intel SDM Vol. 2A, "LEA—Load Effective Address". */
export const lea = instruction({
  mnemonic: "lea",
  encodings: ["8D  Gv,M"],
  semantics: (ir, destination, source) => destination.write(ir.resize(source.offset(), destination.type)),
});

/** XLAT — AL ← the byte at rBX + AL. Intel SDM Vol. 2D, "XLAT/XLATB—Table Look-up Translation". */
export const xlat = instruction({
  mnemonic: "xlat",
  encodings: ["D7  -  asz"],
  semantics(ir) {
    const offset = cutAddress(ir, ir.add(ir.gpr("rbx"), ir.zext(ir.gpr("rax", "i8"), "i64")));
    const address = ir.linear(ir.numbers.slot(ir, "segment"), offset, 1, "read");
    ir.setGpr("rax", ir.load("i8", address));
  },
});

/** The bytes of a value in reverse order. */
function reversed(ir: Semantics, value: Value): Value {
  const swap = (of: Value, bits: number, low: bigint) =>
    ir.or(ir.and(ir.shr(of, bits), low), ir.shl(ir.and(of, low), bits));
  switch (value.type) {
    case "i16":
      return ir.op("rotl", [value, ir.const("i16", 8)]);
    case "i32": {
      const even = ir.op("rotl", [ir.and(value, 0xff00ff00), ir.const("i32", 8)]);
      return ir.or(even, ir.op("rotr", [ir.and(value, 0x00ff00ff), ir.const("i32", 8)]));
    }
    default: {
      const words = swap(ir.hold(swap(value, 8, 0x00ff_00ff_00ff_00ffn)), 16, 0x0000_ffff_0000_ffffn);
      return ir.op("rotl", [words, ir.const("i64", 32)]);
    }
  }
}

/** BSWAP. Of 16 bits it is undefined; processors give 0. Intel SDM Vol. 2A, "BSWAP—Byte Swap". */
export const bswap = instruction({
  mnemonic: "bswap",
  encodings: ["0F C8 +  Zv"],
  semantics(ir, destination) {
    const value = destination.read();
    destination.write(bitsOf[value.type] === 16 ? ir.const("i16", 0) : reversed(ir, value));
  },
});

/** MOVBE — a move that reverses the bytes. Intel SDM Vol. 2B, "MOVBE—Move Data After Swapping Bytes". */
export const movbe = instruction({
  mnemonic: "movbe",
  encodings: ["NP 0F 38 F0  Gv,Mv", "66 0F 38 F0  Gv,Mv", "NP 0F 38 F1  Mv,Gv", "66 0F 38 F1  Mv,Gv"],
  feature: "MOVBE",
  semantics: (ir, destination, source) => destination.write(reversed(ir, source.read())),
});
