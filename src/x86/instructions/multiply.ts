import type { Value } from "../../ir/node.ts";
import { bitsOf, typeOf } from "../../ir/types.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import type { Semantics } from "../semantics.ts";
import { multiplyHighSigned, multiplyHighUnsigned } from "../wide.ts";

type Extension = "zext" | "sext";

/** Both halves of a product, of the factors' type. */
function product(ir: Semantics, a: Value, b: Value, extension: Extension): [low: Value, high: Value] {
  const { type } = a;
  if (type === "i64") {
    const multiplyHigh = extension === "zext" ? multiplyHighUnsigned : multiplyHighSigned;
    return [ir.hold(ir.mul(a, b)), ir.hold(multiplyHigh(ir, a, b))];
  }
  const wide = typeOf(bitsOf[type] * 2);
  const whole = ir.hold(ir.mul(ir[extension](a, wide), ir[extension](b, wide)));
  return [ir.hold(ir.trunc(whole, type)), ir.hold(ir.trunc(ir.shr(whole, bitsOf[type]), type))];
}

/** rDX:rAX (AX for bytes) ← accumulator × factor. */
function multiplyAccumulator(ir: Semantics, factor: Operand, extension: Extension): void {
  const { type } = factor;
  const [a, b] = [ir.gpr("rax", type), factor.read()];
  const [low, high] = product(ir, a, b, extension);
  if (type === "i8") {
    ir.setGpr("rax", ir.or(ir.zext(low, "i16"), ir.shl(ir.zext(high, "i16"), 8)));
  } else {
    ir.setGpr("rax", low);
    ir.setGpr("rdx", high);
  }
  if (extension === "zext") ir.flags.mul(high, low);
  else ir.flags.imul(a, b, low);
}

/** DEST ← the low half of a × b. */
function multiplyTruncated(ir: Semantics, destination: Operand, a: Value, b: Value): void {
  const low = ir.hold(ir.mul(a, b));
  destination.write(low);
  ir.flags.imul(a, b, low);
}

/** MUL — unsigned multiplication of the accumulator. Intel SDM Vol. 2B, "MUL—Unsigned Multiply". */
export const mul = instruction({
  mnemonic: "mul",
  encodings: ["F6 /4  Eb", "F7 /4  Ev"],
  undefinedFlags: ["sf", "zf", "af", "pf"],
  semantics: (ir, factor) => multiplyAccumulator(ir, factor, "zext"),
});

/** IMUL with one operand — signed multiplication of the accumulator. Intel SDM Vol. 2A, "IMUL—Signed Multiply". */
export const imulAccumulator = instruction({
  mnemonic: "imul",
  encodings: ["F6 /5  Eb", "F7 /5  Ev"],
  undefinedFlags: ["sf", "zf", "af", "pf"],
  semantics: (ir, factor) => multiplyAccumulator(ir, factor, "sext"),
});

/** IMUL with two operands — DEST ← DEST × SRC, truncated. */
export const imulRegister = instruction({
  mnemonic: "imul",
  encodings: ["0F AF  Gv,Ev"],
  undefinedFlags: ["sf", "zf", "af", "pf"],
  semantics(ir, destination, source) {
    const factor = source.read();
    multiplyTruncated(ir, destination, destination.read(), factor);
  },
});

/** IMUL with three operands — DEST ← SRC × immediate, truncated. */
export const imulImmediate = instruction({
  mnemonic: "imul",
  encodings: ["69  Gv,Ev,Iz", "6B  Gv,Ev,Ibs"],
  undefinedFlags: ["sf", "zf", "af", "pf"],
  semantics(ir, destination, source, immediate) {
    multiplyTruncated(ir, destination, source.read(), immediate.read(destination.type));
  },
});
