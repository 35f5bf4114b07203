import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Instruction } from "../instruction.ts";
import { packed, packedVector } from "./packed.ts";
import type { PackedOperation } from "./packed.ts";
import type { Operand } from "../operand.ts";
import type { Semantics } from "../semantics.ts";
import { bytesVector, constantOf, joined, readVector, requireFor, vectorOperation, writeVector } from "../vectors.ts";

/** Interleaving, narrowing and shuffling of lanes. Intel SDM Vol. 2B, "PACKSSWB" to "PUNPCKLBW". */

/** Lanes of `size` bytes taken in turn from DEST and SRC, from their low or high halves. */
function interleaved(half: "low" | "high", size: 1 | 2 | 4 | 8): PackedOperation {
  const places = (from: number) =>
    Array.from({ length: 16 }, (_, index) => {
      const lane = Math.floor(index / size);
      return from + (lane % 2) * 16 + Math.floor(lane / 2) * size + (index % size);
    });
  return (ir, a, b, bytes) =>
    ir.shuffle(a, b, half === "low" ? places(0) : places(bytes / 2).map((place) => place % 32));
}
export const punpcklbw = packed("punpcklbw", "SSE2", "60", interleaved("low", 1), "Qd");
export const punpcklwd = packed("punpcklwd", "SSE2", "61", interleaved("low", 2), "Qd");
export const punpckldq = packed("punpckldq", "SSE2", "62", interleaved("low", 4), "Qd");
export const punpcklqdq = packedVector("punpcklqdq", "SSE2", "6C", interleaved("low", 8));
export const punpckhbw = packed("punpckhbw", "SSE2", "68", interleaved("high", 1));
export const punpckhwd = packed("punpckhwd", "SSE2", "69", interleaved("high", 2));
export const punpckhdq = packed("punpckhdq", "SSE2", "6A", interleaved("high", 4));
export const punpckhqdq = packedVector("punpckhqdq", "SSE2", "6D", interleaved("high", 8));

/** UNPCKLPS and the like, whose rows have no MMX form: NP is the single-precision one. */
function unpack(mnemonic: string, feature: string, row: string, half: "low" | "high", size: 4 | 8): Instruction {
  const operation = interleaved(half, size);
  return instruction({
    mnemonic,
    feature,
    encodings: [`${row}  Vx,Wx`],
    semantics(ir: Semantics, destination: Operand, source: Operand) {
      ir.requireSse();
      const right = source.read();
      destination.write(operation(ir, destination.read(), right, 16));
    },
  });
}
export const unpcklps = unpack("unpcklps", "SSE", "NP 0F 14", "low", 4);
export const unpckhps = unpack("unpckhps", "SSE", "NP 0F 15", "high", 4);
export const unpcklpd = unpack("unpcklpd", "SSE2", "66 0F 14", "low", 8);
export const unpckhpd = unpack("unpckhpd", "SSE2", "66 0F 15", "high", 8);

/** Lanes of DEST, then of SRC, at half their width with saturation. */
function narrowed(
  name: "i8x16.narrow_i16x8_s" | "i8x16.narrow_i16x8_u" | "i16x8.narrow_i32x4_s" | "i16x8.narrow_i32x4_u",
): PackedOperation {
  return (ir, a, b, bytes) => {
    const both = bytes === 8 ? joined(ir, a, b) : undefined;
    return vectorOperation(ir, name, both ?? a, both ?? b);
  };
}
export const packsswb = packed("packsswb", "SSE2", "63", narrowed("i8x16.narrow_i16x8_s"));
export const packuswb = packed("packuswb", "SSE2", "67", narrowed("i8x16.narrow_i16x8_u"));
export const packssdw = packed("packssdw", "SSE2", "6B", narrowed("i16x8.narrow_i32x4_s"));
export const packusdw = packedVector("packusdw", "SSE4_1", "38 2B", narrowed("i16x8.narrow_i32x4_u"));

/** Each byte of SRC names a byte of DEST, or zero where its highest bit is set. */
export const pshufb = packed("pshufb", "SSSE3", "38 00", (ir, a, b, bytes) => {
  const indices = bytesVector(
    ir,
    Array.from({ length: 16 }, () => 0x80 | (bytes - 1)),
  );
  return vectorOperation(ir, "i8x16.swizzle", a, ir.op("v128.and", [b, indices]));
});

/** A selector of an immediate: `count` fields of `width` bits. */
function fields(immediate: bigint, count: number, width: number): number[] {
  return Array.from({ length: count }, (_, index) =>
    Number((immediate >> BigInt(index * width)) & ((1n << BigInt(width)) - 1n)),
  );
}

/**
 * The places of bytes that an immediate selects, as a vector: lane i of `size` bytes begins at byte `base[i]` of the source
 * and moves by `size` for each step of the immediate's field `field[i]`. Lanes whose field is undefined stay.
 */
interface Selection {
  readonly size: 2 | 4 | 8;
  readonly base: readonly number[];
  readonly field: readonly (number | undefined)[];
}
function places({ size, base, field }: Selection, immediate: bigint): number[] {
  const chosen = fields(immediate, 4, size === 8 ? 1 : 2);
  return base.flatMap((first, lane) => {
    const index = field[lane];
    const from = first + (index === undefined ? 0 : chosen[index]! * size);
    return Array.from({ length: size }, (_, byte) => from + byte);
  });
}
/** The same when the immediate is a value of the machine: the fields are multiplied into their bytes. */
function dynamicPlaces(ir: Semantics, selection: Selection, immediate: Value): Value {
  const { size, field } = selection;
  const width = size === 8 ? 1 : 2;
  let vector = bytesVector(ir, places(selection, 0n));
  for (const half of [0, 1]) {
    let word: Value | undefined;
    for (let lane = 0; lane < 8 / size; lane++) {
      const index = field[half * (8 / size) + lane];
      if (index === undefined) continue;
      const chosen = ir.and(ir.shr(immediate, index * width), (1 << width) - 1);
      const every = Array.from({ length: size }, (_, byte) => BigInt(size) << BigInt(8 * (byte + lane * size))).reduce(
        (all, byte) => all | byte,
        0n,
      );
      const part = ir.mul(ir.zext(chosen, "i64"), every);
      word = word === undefined ? part : ir.add(word, part);
    }
    if (word === undefined) continue;
    const kept = ir.op("i64x2.extract_lane", [vector], half);
    vector = ir.op("i64x2.replace_lane", [vector, ir.add(kept, word)], half);
  }
  return vector;
}
/** Lanes of one vector as an immediate selects them. */
function select(ir: Semantics, vector: Value, selection: Selection, immediate: Value): Value {
  const known = constantOf(immediate);
  if (known !== undefined) return ir.shuffle(vector, vector, places(selection, known));
  return vectorOperation(ir, "i8x16.swizzle", vector, dynamicPlaces(ir, selection, immediate));
}

const doublewords: Selection = { size: 4, base: [0, 0, 0, 0], field: [0, 1, 2, 3] };
const lowWords: Selection = {
  size: 2,
  base: [0, 0, 0, 0, 8, 10, 12, 14],
  field: [0, 1, 2, 3, ...[4, 5, 6, 7].map(() => undefined)],
};
const highWords: Selection = {
  size: 2,
  base: [0, 2, 4, 6, 8, 8, 8, 8],
  field: [...[0, 1, 2, 3].map(() => undefined), 0, 1, 2, 3],
};

/** PSHUFD and the like: DEST ← lanes of SRC. */
function shuffle(mnemonic: string, row: string, selection: Selection): Instruction {
  return instruction({
    mnemonic,
    feature: "SSE2",
    encodings: [row],
    semantics(ir: Semantics, ...[destination, source, immediate]: Operand[]) {
      requireFor(ir, destination!);
      writeVector(ir, destination!, select(ir, readVector(ir, source!), selection, immediate!.read("i32")));
    },
  });
}
export const pshufd = shuffle("pshufd", "66 0F 70  Vx,Wx,Ib", doublewords);
export const pshufhw = shuffle("pshufhw", "F3 0F 70  Vx,Wx,Ib", highWords);
export const pshuflw = shuffle("pshuflw", "F2 0F 70  Vx,Wx,Ib", lowWords);
export const pshufw = shuffle("pshufw", "NP 0F 70  Pq,Qq,Ib", lowWords);

/** The low lanes from DEST, the high ones from SRC. */
function shuffleTwo(ir: Semantics, operands: readonly [Operand, Operand, Operand], selection: Selection): void {
  ir.requireSse();
  const [destination, source, immediate] = operands;
  const high = source.read();
  const low = destination.read();
  const control = immediate.read("i32");
  const known = constantOf(control);
  if (known !== undefined) {
    destination.write(
      ir.shuffle(
        low,
        high,
        places(selection, known).map((place, index) => place + (index < 8 ? 0 : 16)),
      ),
    );
    return;
  }
  const indices = ir.hold(dynamicPlaces(ir, selection, control));
  const [fromLow, fromHigh] = [low, high].map((vector) => vectorOperation(ir, "i8x16.swizzle", vector, indices)) as [
    Value,
    Value,
  ];
  destination.write(ir.shuffle(fromLow, fromHigh, [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31]));
}
export const shufps = instruction({
  mnemonic: "shufps",
  feature: "SSE",
  encodings: ["NP 0F C6  Vx,Wx,Ib"],
  semantics: (ir, ...operands) => shuffleTwo(ir, operands, doublewords),
});
export const shufpd = instruction({
  mnemonic: "shufpd",
  feature: "SSE2",
  encodings: ["66 0F C6  Vx,Wx,Ib"],
  semantics: (ir, ...operands) => shuffleTwo(ir, operands, { size: 8, base: [0, 0], field: [0, 1] }),
});
