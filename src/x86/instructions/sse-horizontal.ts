import { instruction } from "../instruction.ts";
import type { Instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { dotProducts, raisingLanes } from "../routines/sse.ts";
import type { Semantics } from "../semantics.ts";
import { arithmetic } from "../softfloat/arithmetic.ts";
import { signBit } from "../softfloat/format.ts";
import { computation, fitsLanes } from "../sse-computation.ts";
import { either, roundsFreely, vectorName } from "../sse-fast.ts";
import { pd, ps } from "./sse-shapes.ts";
import type { Shape } from "./sse-shapes.ts";
import { evenAndOdd } from "../vectors.ts";

/** Sums across lanes and alternating ones. Intel SDM Vol. 2, "ADDSUBPD" to "HSUBPS", "DPPD", "DPPS". */

function vectorInstruction(mnemonic: string, row: string, compute: ReturnType<typeof computation>): Instruction {
  return instruction({
    mnemonic,
    feature: "SSE3",
    encodings: [`${row}  Vx,Wx`],
    semantics(ir: Semantics, ...[destination, source]: Operand[]) {
      ir.requireSse();
      const right = source!.read();
      destination!.write(compute(ir, destination!.read(), right));
    },
  });
}

/** Even lanes with the odd ones above them, of DEST and then of SRC. */
function horizontal(mnemonic: string, row: string, operation: "add" | "sub", shape: Shape): Instruction {
  const compute = computation(operation, shape);
  return vectorInstruction(mnemonic, row, (ir, a, b) =>
    compute(ir, ...evenAndOdd(ir, a, b, 16, shape.format.bits / 8)),
  );
}
export const haddps = horizontal("haddps", "F2 0F 7C", "add", ps);
export const haddpd = horizontal("haddpd", "66 0F 7C", "add", pd);
export const hsubps = horizontal("hsubps", "F2 0F 7D", "sub", ps);
export const hsubpd = horizontal("hsubpd", "66 0F 7D", "sub", pd);

/** Even lanes are subtracted, odd ones added. */
function alternating(mnemonic: string, row: string, shape: Shape): Instruction {
  const { format } = shape;
  const { sub, add } = arithmetic[format.name];
  const slow = raisingLanes("addsub", format, [sub, add]);
  const evenSigns = Array.from(
    { length: 64 / format.bits },
    (_, index) => signBit(format) << BigInt(2 * index * format.bits),
  );
  return vectorInstruction(mnemonic, row, (ir, a, b) => {
    const signs = ir.const(
      "v128",
      evenSigns.reduce((all, sign) => all | sign),
    );
    const result = ir.hold(ir.op(vectorName(format, "add"), [a, ir.op("v128.xor", [b, signs])]));
    const fast = ir.and(roundsFreely(ir), fitsLanes(ir, format, [a, b], result));
    return either(ir, fast, result, () => ir.call(slow, a, b)[0]!);
  });
}
export const addsubps = alternating("addsubps", "F2 0F D0", ps);
export const addsubpd = alternating("addsubpd", "66 0F D0", pd);

/** Products of the lanes that the immediate's high nibble names, added up, in the lanes that its low nibble names. */
function dotProduct(mnemonic: string, row: string, { format }: Shape): Instruction {
  return instruction({
    mnemonic,
    feature: "SSE4_1",
    encodings: [`${row}  Vx,Wx,Ib`],
    semantics(ir: Semantics, ...[destination, source, immediate]: Operand[]) {
      ir.requireSse();
      const right = source!.read();
      const [result] = ir.call(dotProducts[format.name], destination!.read(), right, immediate!.read("i32"));
      destination!.write(result!);
    },
  });
}
export const dpps = dotProduct("dpps", "66 0F 3A 40", ps);
export const dppd = dotProduct("dppd", "66 0F 3A 41", pd);
