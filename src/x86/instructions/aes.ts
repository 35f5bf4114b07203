import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import { packedVector } from "./packed.ts";
import { mixColumns, shiftRows, substitute, substitutionConstant, unmixColumns } from "../routines/aes.ts";
import type { Semantics } from "../semantics.ts";
import { bytesVector, zeroExtended } from "../vectors.ts";

/** Rounds of AES. Intel SDM Vol. 2A, "AESDEC" to "AESKEYGENASSIST". */

function xor(ir: Semantics, a: Value, b: Value): Value {
  return ir.op("v128.xor", [a, b]);
}
function substituted(ir: Semantics, state: Value, direction: "forward" | "inverse"): Value {
  return ir.call(substitute[direction], shiftRows(ir, state, direction))[0]!;
}

export const aesenc = packedVector("aesenc", "AES", "38 DC", (ir, state, key) =>
  xor(ir, mixColumns(ir, substituted(ir, state, "forward")), xor(ir, key, substitutionConstant(ir))),
);
export const aesenclast = packedVector("aesenclast", "AES", "38 DD", (ir, state, key) =>
  xor(ir, substituted(ir, state, "forward"), xor(ir, key, substitutionConstant(ir))),
);
export const aesdec = packedVector("aesdec", "AES", "38 DE", (ir, state, key) =>
  xor(ir, unmixColumns(ir, substituted(ir, state, "inverse")), key),
);
export const aesdeclast = packedVector("aesdeclast", "AES", "38 DF", (ir, state, key) =>
  xor(ir, substituted(ir, state, "inverse"), key),
);
export const aesimc = packedVector("aesimc", "AES", "38 DB", (ir, _, key) => unmixColumns(ir, key));

/** Substituted doublewords 1 and 3, and the same rotated with the round constant, for the key schedule. */
export const aeskeygenassist = instruction({
  mnemonic: "aeskeygenassist",
  feature: "AES",
  encodings: ["66 0F 3A DF  Vx,Wx,Ib"],
  semantics(ir, destination, source, immediate) {
    ir.requireSse();
    const [words] = ir.call(substitute.forward, source.read());
    const whole = ir.hold(xor(ir, words!, substitutionConstant(ir)));
    const arranged = ir.shuffle(whole, whole, [4, 5, 6, 7, 5, 6, 7, 4, 12, 13, 14, 15, 13, 14, 15, 12]);
    const constant = zeroExtended(ir, immediate.read("i32"));
    const places = bytesVector(ir, [16, 16, 16, 16, 0, 16, 16, 16, 16, 16, 16, 16, 0, 16, 16, 16]);
    destination.write(xor(ir, arranged, ir.op("i8x16.swizzle", [constant, places])));
  },
});
