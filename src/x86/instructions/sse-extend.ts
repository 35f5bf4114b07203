import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { packedVector } from "./packed.ts";
import type { Semantics } from "../semantics.ts";
import { bytesVector, iota, lane32, vectorOperation, zeroExtended } from "../vectors.ts";

/** Lanes made wider, minima and sums over them. Intel SDM Vol. 2B, "PMOVSX", "PMOVZX", "PHMINPOSUW", "MPSADBW". */

const steps = { b: "i16x8.extend_low_i8x16", w: "i32x4.extend_low_i16x8", d: "i64x2.extend_low_i32x4" } as const;
const widths = "bwdq";

/** The low lanes of SRC, extended step by step; `kind` is from and to, as in the mnemonic. */
function extended(
  kind: "bw" | "bd" | "bq" | "wd" | "wq" | "dq",
  sign: "s" | "z",
  opcode: string,
  source: "Wq" | "Wd" | "Ww",
): Instruction {
  const [from, to] = kind.split("").map((letter) => widths.indexOf(letter)) as [number, number];
  const names = (["b", "w", "d"] as const)
    .slice(from, to)
    .map((width) => `${steps[width]}_${sign === "s" ? "s" : "u"}` as const);
  return instruction({
    mnemonic: `pmov${sign}x${kind}`,
    feature: "SSE4_1",
    encodings: [`66 0F 38 ${opcode}  Vx,${source}`],
    semantics(ir: Semantics, ...[destination, operand]: Operand[]) {
      ir.requireSse();
      destination!.write(
        names.reduce((vector: Value, name) => ir.op(name, [vector]), zeroExtended(ir, operand!.read())),
      );
    },
  });
}
export const pmovsxbw = extended("bw", "s", "20", "Wq");
export const pmovsxbd = extended("bd", "s", "21", "Wd");
export const pmovsxbq = extended("bq", "s", "22", "Ww");
export const pmovsxwd = extended("wd", "s", "23", "Wq");
export const pmovsxwq = extended("wq", "s", "24", "Wd");
export const pmovsxdq = extended("dq", "s", "25", "Wq");
export const pmovzxbw = extended("bw", "z", "30", "Wq");
export const pmovzxbd = extended("bd", "z", "31", "Wd");
export const pmovzxbq = extended("bq", "z", "32", "Ww");
export const pmovzxwd = extended("wd", "z", "33", "Wq");
export const pmovzxwq = extended("wq", "z", "34", "Wd");
export const pmovzxdq = extended("dq", "z", "35", "Wq");

/** The smallest word of SRC, and behind it the number of the first lane that has it. Each word carries its lane's number. */
export const phminposuw = packedVector("phminposuw", "SSE4_1", "38 41", (ir, _, source) => {
  const numbered = (half: "low" | "high", lanes: bigint) => {
    const wide = ir.op("i32x4.shl", [ir.op(`i32x4.extend_${half}_i16x8_u`, [source]), ir.const("i32", 3)]);
    return ir.op("v128.or", [wide, ir.const("v128", lanes)]);
  };
  const lanes = (first: bigint) => first | ((first + 1n) << 32n) | ((first + 2n) << 64n) | ((first + 3n) << 96n);
  const four = ir.op("i32x4.min_u", [numbered("low", lanes(0n)), numbered("high", lanes(4n))]);
  const minimum = (vector: Value, by: number) =>
    ir.op("i32x4.min_u", [
      vector,
      ir.shuffle(
        vector,
        vector,
        Array.from({ length: 16 }, (_each, byte) => (byte + by) % 16),
      ),
    ]);
  const least = ir.hold(lane32(ir, minimum(minimum(four, 8), 4), 0));
  return zeroExtended(ir, ir.or(ir.shr(least, 3), ir.shl(ir.and(least, 7), 16)));
});

/**
 * Eight sums of the differences between four bytes of SRC, which bits 1–0 of the immediate choose, and those at each of
 * eight places in DEST from byte 0 or, with bit 2, byte 4 on.
 */
export const mpsadbw = instruction({
  mnemonic: "mpsadbw",
  feature: "SSE4_1",
  encodings: ["66 0F 3A 42  Vx,Wx,Ib"],
  semantics(ir, destination, source, immediate) {
    ir.requireSse();
    const right = source.read();
    const control = immediate.read("i32");
    const moved = (vector: Value, places: Value, by: Value) =>
      ir.hold(vectorOperation(ir, "i8x16.swizzle", vector, ir.op("i8x16.add", [places, ir.op("i8x16.splat", [by])])));
    const window = moved(destination.read(), iota(ir), ir.and(control, 4));
    const block = moved(
      right,
      bytesVector(ir, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]),
      ir.shl(ir.and(control, 3), 2),
    );
    const words = (vector: Value, places: (lane: number) => number) =>
      ir.shuffle(vector, ir.const("v128", 0), Array.from({ length: 8 }, (_, lane) => [places(lane), 16]).flat());
    const differences = [0, 1, 2, 3].map((offset) => {
      const difference = ir.op("i16x8.sub", [words(window, (lane) => lane + offset), words(block, () => offset)]);
      return ir.op("i16x8.abs", [difference]);
    });
    destination.write(differences.reduce((total, difference) => ir.op("i16x8.add", [total, difference])));
  },
});
