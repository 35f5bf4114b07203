import type { Value } from "../../ir/node.ts";
import { bitsOf } from "../../ir/types.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { isNegative } from "../partial-flags.ts";
import type { Semantics } from "../semantics.ts";
import { maskedCount } from "../shift-count.ts";

interface Shift {
  shift(ir: Semantics, value: Value, count: Value): Value;
  /** CF and OF for a count that is not 0. */
  flags(ir: Semantics, before: Value, after: Value, count: Value): readonly [cf: Value, of: Value];
}

/** The last bit that a right shift moved out. */
function lastOut(ir: Semantics, shifted: Value): Value {
  return ir.trunc(shifted, "i1");
}

const left: Shift = {
  shift: (ir, value, count) => ir.shl(value, count),
  flags(ir, before, after, count) {
    const bits = bitsOf[before.type];
    // A count beyond a narrow operand's width moves out zeros.
    const carry =
      bits < 32
        ? ir.trunc(ir.shr(ir.shl(ir.zext(before, "i32"), ir.zext(count, "i32")), bits), "i1")
        : isNegative(ir, ir.shl(before, ir.sub(count, 1)));
    const cf = ir.hold(carry);
    return [cf, ir.xor(cf, isNegative(ir, after))];
  },
};
const right: Shift = {
  shift: (ir, value, count) => ir.shr(value, count),
  flags: (ir, before, _, count) => [lastOut(ir, ir.shr(before, ir.sub(count, 1))), isNegative(ir, before)],
};
const arithmeticRight: Shift = {
  shift: (ir, value, count) => ir.sar(value, count),
  flags: (ir, before, _, count) => [lastOut(ir, ir.sar(before, ir.sub(count, 1))), ir.const("i1", 0)],
};

/** Shifts. A count of 0 leaves the flags, but writes the destination (32 bits are zero-extended). */
function shiftBy(ir: Semantics, destination: Operand, countOperand: Operand, { shift, flags }: Shift): void {
  const count = maskedCount(ir, destination, countOperand);
  const [before, after] = destination.update((value) => shift(ir, value, count));
  ir.if(ir.ne(count, 0), () => {
    const [cf, of] = flags(ir, before, after, count);
    ir.flags.shift(cf, of, after);
  });
}

/** SHL, SAL — Intel SDM Vol. 2B, "SAL/SAR/SHL/SHR—Shift"; /6 is an alias of /4. */
export const shl = instruction({
  mnemonic: "shl",
  encodings: [
    "C0 /4  Eb,Ib",
    "C1 /4  Ev,Ib",
    "D0 /4  Eb,1",
    "D1 /4  Ev,1",
    "D2 /4  Eb,CL",
    "D3 /4  Ev,CL",
    "C0 /6  Eb,Ib",
    "C1 /6  Ev,Ib",
    "D0 /6  Eb,1",
    "D1 /6  Ev,1",
    "D2 /6  Eb,CL",
    "D3 /6  Ev,CL",
  ],
  undefinedFlags: ["af"],
  semantics: (ir, destination, count) => shiftBy(ir, destination, count, left),
});

/** SHR — zeros come in from the left. */
export const shr = instruction({
  mnemonic: "shr",
  encodings: ["C0 /5  Eb,Ib", "C1 /5  Ev,Ib", "D0 /5  Eb,1", "D1 /5  Ev,1", "D2 /5  Eb,CL", "D3 /5  Ev,CL"],
  undefinedFlags: ["af"],
  semantics: (ir, destination, count) => shiftBy(ir, destination, count, right),
});

/** SAR — the sign comes in from the left. */
export const sar = instruction({
  mnemonic: "sar",
  encodings: ["C0 /7  Eb,Ib", "C1 /7  Ev,Ib", "D0 /7  Eb,1", "D1 /7  Ev,1", "D2 /7  Eb,CL", "D3 /7  Ev,CL"],
  undefinedFlags: ["af"],
  semantics: (ir, destination, count) => shiftBy(ir, destination, count, arithmeticRight),
});

/** What moves from one operand into the other, and out of it. */
interface DoubleShift {
  shift(ir: Semantics, value: Value, filler: Value, count: Value): Value;
  carry(ir: Semantics, value: Value, filler: Value, count: Value): Value;
}

/** 16-bit operands as the processor sees counts beyond 16: the destination follows the source once more. */
function tripled(ir: Semantics, value: Value, filler: Value): Value {
  const outer = ir.zext(value, "i64");
  return ir.hold(ir.or(ir.or(ir.shl(outer, 32), ir.shl(ir.zext(filler, "i64"), 16)), outer));
}

const doubleLeft: DoubleShift = {
  shift(ir, value, filler, count) {
    const { type } = value;
    if (type === "i16") return ir.trunc(ir.shr(ir.shl(tripled(ir, value, filler), ir.zext(count, "i64")), 32), "i16");
    // bits − count in two steps, as a shift by all bits would be one by none.
    return ir.or(ir.shl(value, count), ir.shr(ir.shr(filler, 1), ir.xor(count, bitsOf[type] - 1)));
  },
  carry(ir, value, filler, count) {
    if (value.type === "i16")
      return ir.trunc(ir.shr(ir.shl(tripled(ir, value, filler), ir.zext(count, "i64")), 48), "i1");
    return isNegative(ir, ir.shl(value, ir.sub(count, 1)));
  },
};
const doubleRight: DoubleShift = {
  shift(ir, value, filler, count) {
    const { type } = value;
    if (type === "i16") return ir.trunc(ir.shr(tripled(ir, value, filler), ir.zext(count, "i64")), "i16");
    return ir.or(ir.shr(value, count), ir.shl(ir.shl(filler, 1), ir.xor(count, bitsOf[type] - 1)));
  },
  carry(ir, value, filler, count) {
    const from = value.type === "i16" ? tripled(ir, value, filler) : value;
    return lastOut(ir, ir.shr(from, ir.sub(ir.resize(count, from.type), 1)));
  },
};

function doubleShiftBy(
  ir: Semantics,
  destination: Operand,
  source: Operand,
  countOperand: Operand,
  { shift, carry }: DoubleShift,
): void {
  const count = maskedCount(ir, destination, countOperand);
  const filler = source.read();
  const [before, after] = destination.update((value) => shift(ir, value, filler, count));
  ir.if(ir.ne(count, 0), () =>
    ir.flags.shift(carry(ir, before, filler, count), isNegative(ir, ir.xor(before, after)), after),
  );
}

/** SHLD — Intel SDM Vol. 2B, "SHLD—Double Precision Shift Left". */
export const shld = instruction({
  mnemonic: "shld",
  encodings: ["0F A4  Ev,Gv,Ib", "0F A5  Ev,Gv,CL"],
  undefinedFlags: ["af"],
  semantics: (ir, destination, source, count) => doubleShiftBy(ir, destination, source, count, doubleLeft),
});

/** SHRD — Intel SDM Vol. 2B, "SHRD—Double Precision Shift Right". */
export const shrd = instruction({
  mnemonic: "shrd",
  encodings: ["0F AC  Ev,Gv,Ib", "0F AD  Ev,Gv,CL"],
  undefinedFlags: ["af"],
  semantics: (ir, destination, source, count) => doubleShiftBy(ir, destination, source, count, doubleRight),
});
