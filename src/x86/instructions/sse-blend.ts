import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import type { Semantics } from "../semantics.ts";

/** Choices between two vectors lane by lane, and PTEST. Intel SDM Vol. 2, "BLENDPD" to "BLENDVPS", "PBLENDVB", "PTEST". */

type Shape = "i8x16" | "i16x8" | "i32x4" | "i64x2";
const laneBits = { i8x16: 8, i16x8: 16, i32x4: 32, i64x2: 64 } as const;

/** Lanes of SRC where the mask is one, else DEST's. */
function chosen(ir: Semantics, destination: Operand, source: Operand, mask: Value): void {
  const right = source.read();
  destination.write(ir.op("v128.bitselect", [right, destination.read(), mask]));
}

/** Bit n of the immediate chooses lane n. */
function blend(mnemonic: string, row: string, shape: "i16x8" | "i32x4" | "i64x2"): Instruction {
  const bits = laneBits[shape];
  const places = Array.from({ length: 128 / bits }, (_, lane) => 1n << BigInt(lane * bits + lane)).reduce(
    (all, place) => all | place,
  );
  return instruction({
    mnemonic,
    feature: "SSE4_1",
    encodings: [`${row}  Vx,Wx,Ib`],
    semantics(ir: Semantics, ...[destination, source, immediate]: Operand[]) {
      ir.requireSse();
      const lanes = ir.const("v128", places);
      const control = ir.op(`${shape}.splat`, [immediate!.read(shape === "i64x2" ? "i64" : "i32")]);
      const mask = ir.op(`${shape}.eq`, [ir.op("v128.and", [control, lanes]), lanes]);
      chosen(ir, destination!, source!, mask);
    },
  });
}
export const pblendw = blend("pblendw", "66 0F 3A 0E", "i16x8");
export const blendps = blend("blendps", "66 0F 3A 0C", "i32x4");
export const blendpd = blend("blendpd", "66 0F 3A 0D", "i64x2");

/** The highest bit of each lane of XMM0 chooses. */
function blendVariable(mnemonic: string, row: string, shape: Shape): Instruction {
  return instruction({
    mnemonic,
    feature: "SSE4_1",
    encodings: [`${row}  Vx,Wx,XMM0`],
    semantics(ir: Semantics, ...[destination, source, control]: Operand[]) {
      ir.requireSse();
      const mask = ir.op(`${shape}.shr_s`, [control!.read(), ir.const("i32", laneBits[shape] - 1)]);
      chosen(ir, destination!, source!, mask);
    },
  });
}
export const pblendvb = blendVariable("pblendvb", "66 0F 38 10", "i8x16");
export const blendvps = blendVariable("blendvps", "66 0F 38 14", "i32x4");
export const blendvpd = blendVariable("blendvpd", "66 0F 38 15", "i64x2");

/** ZF: SRC AND DEST is zero; CF: SRC AND NOT DEST is zero; the other flags are cleared. */
export const ptest = instruction({
  mnemonic: "ptest",
  feature: "SSE4_1",
  encodings: ["66 0F 38 17  Vx,Wx"],
  semantics(ir, destination, source) {
    ir.requireSse();
    const right = source.read();
    const left = destination.read();
    const isZero = (name: "v128.and" | "v128.andnot") =>
      ir.zext(ir.eqz(ir.op("v128.any_true", [ir.op(name, [right, left])])), "i32");
    ir.flags.explicit(ir.or(ir.shl(isZero("v128.and"), 6), isZero("v128.andnot")));
  },
});
