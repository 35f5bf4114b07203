import type { Value } from "../../ir/node.ts";
import type { Type } from "../../ir/types.ts";
import { bitsOf, typeOf } from "../../ir/types.ts";
import { Vector } from "../exceptions.ts";
import { instruction } from "../instruction.ts";
import type { Semantics } from "../semantics.ts";
import { divideWide } from "../wide.ts";

const undefinedFlags = ["cf", "of", "sf", "zf", "af", "pf"] as const;

/** The dividend in twice the divisor's width: rDX:rAX, or AX for a byte. */
function dividend(ir: Semantics, type: Type): Value {
  if (type === "i8") return ir.gpr("rax", "i16");
  const wide = typeOf(bitsOf[type] * 2);
  return ir.hold(ir.or(ir.shl(ir.zext(ir.gpr("rdx", type), wide), bitsOf[type]), ir.zext(ir.gpr("rax", type), wide)));
}

/** rAX (AL) ← quotient, rDX (AH) ← remainder. */
function writeResults(ir: Semantics, quotient: Value, remainder: Value): void {
  const [heldQuotient, heldRemainder] = [ir.hold(quotient), ir.hold(remainder)];
  if (quotient.type === "i8") {
    ir.setGpr("rax", ir.or(ir.zext(heldQuotient, "i16"), ir.shl(ir.zext(heldRemainder, "i16"), 8)));
  } else {
    ir.setGpr("rax", heldQuotient);
    ir.setGpr("rdx", heldRemainder);
  }
}

function divideError(ir: Semantics, condition: Value): void {
  ir.if(condition, () => ir.fault(Vector.DE));
}

/** DIV — unsigned division. #DE: the divisor is 0 or the quotient too long. Intel SDM Vol. 2A, "DIV—Unsigned Divide". */
export const div = instruction({
  mnemonic: "div",
  encodings: ["F6 /6  Eb", "F7 /6  Ev"],
  undefinedFlags,
  semantics(ir, source) {
    const { type, bits } = source;
    const divisor = source.read();
    if (type === "i64") {
      const [high, low] = [ir.gpr("rdx"), ir.gpr("rax")];
      // Says both that the quotient fits and that the divisor is not 0.
      divideError(ir, ir.leu(divisor, high));
      const [quotient, remainder] = ir.call(divideWide, high, low, divisor) as [Value, Value];
      writeResults(ir, quotient, remainder);
      return;
    }
    const number = dividend(ir, type);
    const high = ir.trunc(ir.shr(number, bits), type);
    divideError(ir, ir.leu(divisor, high));
    // The machine divides 32 and 64 bits only.
    const wide = bits === 32 ? "i64" : "i32";
    const operands = [ir.zext(number, wide), ir.zext(divisor, wide)];
    writeResults(ir, ir.trunc(ir.op("divu", operands), type), ir.trunc(ir.op("remu", operands), type));
  },
});

/** IDIV of 128 bits: by magnitudes, unless the dividend is just the extension of its low half. */
function divideSignedWide(ir: Semantics, divisor: Value): void {
  const [high, low] = [ir.gpr("rdx"), ir.gpr("rax")];
  divideError(ir, ir.eqz(divisor));
  const quotient = ir.variable(ir.const("i64", 0));
  const remainder = ir.variable(ir.const("i64", 0));
  const short = ir.and(ir.eq(high, ir.sar(low, 63)), ir.ne(divisor, -1n));
  ir.if(
    short,
    () => {
      ir.assign(quotient, ir.op("divs", [low, divisor]));
      ir.assign(remainder, ir.op("rems", [low, divisor]));
    },
    () => {
      const negative = ir.hold(ir.lts(high, 0));
      const negativeQuotient = ir.hold(ir.xor(negative, ir.lts(divisor, 0)));
      const negate = (condition: Value, value: Value) => ir.select(condition, ir.neg(value), value);
      const lowMagnitude = ir.hold(negate(negative, low));
      // The two's complement of 128 bits: the high half's is one less unless the low half is 0.
      const complement = ir.sub(ir.not(high), ir.select(ir.eqz(low), ir.const("i64", -1n), ir.const("i64", 0)));
      const highMagnitude = ir.hold(ir.select(negative, complement, high));
      const divisorMagnitude = ir.hold(negate(ir.lts(divisor, 0), divisor));
      divideError(ir, ir.leu(divisorMagnitude, highMagnitude));
      const [q, r] = ir.call(divideWide, highMagnitude, lowMagnitude, divisorMagnitude) as [Value, Value];
      const limit = ir.select(negativeQuotient, ir.const("i64", 1n << 63n), ir.const("i64", (1n << 63n) - 1n));
      divideError(ir, ir.ltu(limit, q));
      ir.assign(quotient, negate(negativeQuotient, q));
      ir.assign(remainder, negate(negative, r));
    },
  );
  writeResults(ir, ir.read(quotient), ir.read(remainder));
}

/** IDIV — signed division, towards zero. #DE as DIV. Intel SDM Vol. 2A, "IDIV—Signed Divide". */
export const idiv = instruction({
  mnemonic: "idiv",
  encodings: ["F6 /7  Eb", "F7 /7  Ev"],
  undefinedFlags,
  semantics(ir, source) {
    const { type, bits } = source;
    const divisor = source.read();
    if (type === "i64") {
      divideSignedWide(ir, divisor);
      return;
    }
    // Wide enough that only the 64-bit dividend of a 32-bit division can overflow the division itself.
    const wide = bits === 8 ? "i32" : "i64";
    const number = ir.hold(ir.sext(dividend(ir, type), wide));
    const by = ir.hold(ir.sext(divisor, wide));
    const overflows = bits === 32 ? ir.and(ir.eq(number, 1n << 63n), ir.eq(by, -1n)) : ir.const("i1", 0);
    divideError(ir, ir.or(ir.eqz(by), overflows));
    const quotient = ir.hold(ir.op("divs", [number, by]));
    const short = ir.hold(ir.trunc(quotient, type));
    divideError(ir, ir.ne(ir.sext(short, wide), quotient));
    writeResults(ir, short, ir.trunc(ir.op("rems", [number, by]), type));
  },
});
