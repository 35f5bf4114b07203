import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import type { Semantics } from "../semantics.ts";
import { constantOf, iota, lane64, maskOf, readVector, requireFor, vectorOperation, writeVector } from "../vectors.ts";

/** Shifts of packed integers and of whole registers. Intel SDM Vol. 2B, "PSLLW/PSLLD/PSLLQ" to "PSRLW/PSRLD/PSRLQ". */

const shapes = { 16: "i16x8", 32: "i32x4", 64: "i64x2" } as const;
type Shift = "shl" | "shr_u" | "shr_s";

/** Shifts lanes of `bits` bits by a count that may be too large: then zeros come, or copies of the sign. */
function shifted(ir: Semantics, vector: Value, count: Value, bits: 16 | 32 | 64, shift: Shift): Value {
  const fits = ir.ltu(count, bits);
  const name = `${shapes[bits]}.${shift}` as const;
  if (shift === "shr_s") return ir.op(name, [vector, ir.trunc(ir.select(fits, count, bits - 1), "i32")]);
  const result = ir.op(name, [vector, ir.trunc(count, "i32")]);
  const known = constantOf(fits);
  if (known !== undefined) return known === 1n ? result : ir.const("v128", 0);
  return ir.op("v128.and", [result, maskOf(ir, fits)]);
}

/** By an immediate (opcode `immediate`), and by the low 64 bits of an operand (opcode `variable`). */
function packedShift(
  mnemonic: string,
  variable: string,
  immediate: string,
  bits: 16 | 32 | 64,
  shift: Shift,
): Instruction {
  return instruction({
    mnemonic,
    feature: "SSE2",
    encodings: [
      `NP 0F ${variable}  Pq,Qq`,
      `66 0F ${variable}  Vx,Wx`,
      `NP 0F ${immediate}  Nq,Ib`,
      `66 0F ${immediate}  Ux,Ib`,
    ],
    semantics(ir: Semantics, destination: Operand, source: Operand) {
      requireFor(ir, destination);
      const count = ir.hold(source.kind === "number" ? source.read("i64") : lane64(ir, readVector(ir, source), 0));
      writeVector(ir, destination, shifted(ir, readVector(ir, destination), count, bits, shift));
    },
  });
}
export const psrlw = packedShift("psrlw", "D1", "71 /2", 16, "shr_u");
export const psrld = packedShift("psrld", "D2", "72 /2", 32, "shr_u");
export const psrlq = packedShift("psrlq", "D3", "73 /2", 64, "shr_u");
export const psraw = packedShift("psraw", "E1", "71 /4", 16, "shr_s");
export const psrad = packedShift("psrad", "E2", "72 /4", 32, "shr_s");
export const psllw = packedShift("psllw", "F1", "71 /6", 16, "shl");
export const pslld = packedShift("pslld", "F2", "72 /6", 32, "shl");
export const psllq = packedShift("psllq", "F3", "73 /6", 64, "shl");

/** The byte count of a shift of the whole register: 16 and more clear it. */
function byteCount(ir: Semantics, immediate: Operand): Value {
  const count = immediate.read("i32");
  return ir.select(ir.ltu(count, 16), count, 16);
}
/** Bytes of `vector` from the places that `indices` name; places of 16 and more, and below 0, hold zeros. */
function moved(ir: Semantics, vector: Value, by: Value, direction: "add" | "sub"): Value {
  const offset = ir.op("i8x16.splat", [by]);
  return vectorOperation(ir, "i8x16.swizzle", vector, ir.op(`i8x16.${direction}`, [iota(ir), offset]));
}
export const psrldq = instruction({
  mnemonic: "psrldq",
  feature: "SSE2",
  encodings: ["66 0F 73 /3  Ux,Ib"],
  semantics(ir, destination, immediate) {
    ir.requireSse();
    destination.write(moved(ir, destination.read(), byteCount(ir, immediate), "add"));
  },
});
export const pslldq = instruction({
  mnemonic: "pslldq",
  feature: "SSE2",
  encodings: ["66 0F 73 /7  Ux,Ib"],
  semantics(ir, destination, immediate) {
    ir.requireSse();
    destination.write(moved(ir, destination.read(), byteCount(ir, immediate), "sub"));
  },
});

/** The bytes from the immediate's place on of SRC with DEST above it. */
export const palignr = instruction({
  mnemonic: "palignr",
  feature: "SSSE3",
  encodings: ["NP 0F 3A 0F  Pq,Qq,Ib", "66 0F 3A 0F  Vx,Wx,Ib"],
  semantics(ir, destination, source, immediate) {
    requireFor(ir, destination);
    const low = readVector(ir, source);
    const high = readVector(ir, destination);
    if (destination.type === "i64") {
      const both = ir.op("i64x2.replace_lane", [low, lane64(ir, high, 0)], 1);
      writeVector(ir, destination, moved(ir, both, byteCount(ir, immediate), "add"));
      return;
    }
    const count = immediate.read("i32");
    const by = ir.hold(ir.select(ir.ltu(count, 32), count, 32));
    destination.write(ir.op("v128.or", [moved(ir, low, by, "add"), moved(ir, high, ir.sub(by, 16), "add")]));
  },
});
