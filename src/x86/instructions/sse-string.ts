import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { expanded, implicitLength, stringCompare } from "../routines/string-compare.ts";
import type { Semantics } from "../semantics.ts";
import type { Gpr } from "../state.ts";
import { xmmSlot } from "../state.ts";
import { zeroExtended } from "../vectors.ts";

/** Comparisons of strings. Intel SDM Vol. 2B, "PCMPESTRI" to "PCMPISTRM". A memory operand need not be aligned. */

/** Bit 6: the highest index rather than the lowest; a mask of lanes rather than of bits. */
const outputSelection = 0x40;

/** The magnitude of a length in a register, 64 bits of it with REX.W, and at most `count`. */
function explicitLength(ir: Semantics, register: Gpr, count: Value): Value {
  const type = ir.operandSize === 64 ? "i64" : "i32";
  const value = ir.gpr(register, type);
  const magnitude = ir.hold(ir.select(ir.lts(value, 0), ir.neg(value), value));
  const limit = ir.zext(count, type);
  return ir.hold(ir.resize(ir.select(ir.ltu(magnitude, limit), magnitude, limit), "i32"));
}

function stringComparison(
  mnemonic: string,
  row: string,
  lengths: "explicit" | "implicit",
  output: "index" | "mask",
): Instruction {
  return instruction({
    mnemonic,
    feature: "SSE4_2",
    encodings: [row],
    semantics(ir: Semantics, ...[first, second, immediate]: Operand[]) {
      ir.requireSse();
      const b = second!.unaligned().read();
      const a = first!.read();
      const control = immediate!.read("i32");
      const areWords = ir.hold(ir.trunc(control, "i1"));
      const count = ir.hold(ir.select(areWords, ir.const("i32", 8), ir.const("i32", 16)));
      const lengthOf = (vector: Value, register: Gpr) =>
        lengths === "explicit" ? explicitLength(ir, register, count) : ir.hold(implicitLength(ir, vector, areWords));
      const lengthA = lengthOf(a, "rax");
      const lengthB = lengthOf(b, "rdx");
      const result = ir.call(stringCompare, a, b, lengthA, lengthB, control)[0]!;
      const selected = ir.hold(ir.ne(ir.and(control, outputSelection), 0));
      if (output === "index") {
        const highest = ir.sub(31, ir.op("clz", [result]));
        const index = ir.select(selected, highest, ir.op("ctz", [result]));
        ir.setGpr("rcx", ir.select(ir.eqz(result), count, index));
      } else {
        const lanes = expanded(ir, result, areWords);
        const asLanes = ir.op("i64x2.splat", [ir.sext(selected, "i64")]);
        ir.set(xmmSlot(0), ir.op("v128.bitselect", [lanes, zeroExtended(ir, result), asLanes]));
      }
      const flag = (condition: Value, place: number) => ir.shl(ir.zext(condition, "i32"), place);
      const flags = [
        flag(ir.ne(result, 0), 0),
        flag(ir.ltu(lengthB, count), 6),
        flag(ir.ltu(lengthA, count), 7),
        flag(ir.trunc(result, "i1"), 11),
      ];
      ir.flags.explicit(flags.reduce((all, one) => ir.or(all, one)));
    },
  });
}
export const pcmpestrm = stringComparison("pcmpestrm", "66 0F 3A 60  Vx,Wx,Ib  osz", "explicit", "mask");
export const pcmpestri = stringComparison("pcmpestri", "66 0F 3A 61  Vx,Wx,Ib  osz", "explicit", "index");
export const pcmpistrm = stringComparison("pcmpistrm", "66 0F 3A 62  Vx,Wx,Ib", "implicit", "mask");
export const pcmpistri = stringComparison("pcmpistri", "66 0F 3A 63  Vx,Wx,Ib", "implicit", "index");
