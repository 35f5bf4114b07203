import type { Value } from "../../ir/node.ts";
import { Vector } from "../exceptions.ts";
import { instruction } from "../instruction.ts";
import { setAuxiliary, setCarryOverflow } from "../partial-flags.ts";
import type { Semantics } from "../semantics.ts";
import { byteSlot } from "../state.ts";

const ah = byteSlot(4, false);

/** Whether AL's lower digit has to be adjusted: it is no decimal digit, or a carry left it. */
function digitOverflows(ir: Semantics, al: Value): Value {
  return ir.hold(ir.or(ir.ltu(9, ir.and(al, 15)), ir.flag("af")));
}

/** AX ← AX ± 6 with the carry in AH, if AL's digit asks for it; then the digit alone stays in AL. */
function adjustUnpacked(ir: Semantics, adjust: (ax: Value) => Value): void {
  const ax = ir.gpr("rax", "i16");
  const overflows = digitOverflows(ir, ir.trunc(ax, "i8"));
  ir.setGpr("rax", ir.and(ir.select(overflows, adjust(ax), ax), 0xff0f));
  setCarryOverflow(ir, overflows, ir.const("i1", 0));
  setAuxiliary(ir, overflows);
}

/** AAA — Intel SDM Vol. 2A, "AAA—ASCII Adjust After Addition". */
export const aaa = instruction({
  mnemonic: "aaa",
  encodings: ["37  -  i64"],
  undefinedFlags: ["of", "sf", "zf", "pf"],
  semantics: (ir) => adjustUnpacked(ir, (ax) => ir.add(ax, 0x106)),
});

/** AAS — Intel SDM Vol. 2A, "AAS—ASCII Adjust AL After Subtraction". */
export const aas = instruction({
  mnemonic: "aas",
  encodings: ["3F  -  i64"],
  undefinedFlags: ["of", "sf", "zf", "pf"],
  semantics: (ir) => adjustUnpacked(ir, (ax) => ir.sub(ax, 0x106)),
});

/** AAM — AH ← AL ÷ base, AL ← the remainder. #DE: the base is 0. Intel SDM Vol. 2A, "AAM—ASCII Adjust AX After Multiply". */
export const aam = instruction({
  mnemonic: "aam",
  encodings: ["D4  Ib  i64"],
  undefinedFlags: ["of", "af", "cf"],
  semantics(ir, base) {
    const divisor = ir.hold(base.read("i32"));
    ir.if(ir.eqz(divisor), () => ir.fault(Vector.DE));
    const al = ir.zext(ir.gpr("rax", "i8"), "i32");
    const quotient = ir.hold(ir.op("divu", [al, divisor]));
    const rest = ir.hold(ir.trunc(ir.op("remu", [al, divisor]), "i8"));
    ir.setGpr("rax", rest);
    ir.set(ah, ir.trunc(quotient, "i8"));
    ir.flags.logic(rest);
  },
});

/** AAD — AL ← AL + AH × base, AH ← 0. Intel SDM Vol. 2A, "AAD—ASCII Adjust AX Before Division". */
export const aad = instruction({
  mnemonic: "aad",
  encodings: ["D5  Ib  i64"],
  undefinedFlags: ["of", "af", "cf"],
  semantics(ir, base) {
    const sum = ir.hold(ir.add(ir.gpr("rax", "i8"), ir.mul(ir.get("i8", ah), base.read("i8"))));
    ir.setGpr("rax", ir.zext(sum, "i16"));
    ir.flags.logic(sum);
  },
});

/** AL ← AL ± 6 and ± 60h, as the digits ask for it. */
function adjustPacked(ir: Semantics, adjust: (al: Value, by: Value) => Value, carries: (al: Value) => Value): void {
  const al = ir.gpr("rax", "i8");
  const carry = ir.flag("cf");
  const low = digitOverflows(ir, al);
  const high = ir.hold(ir.or(ir.ltu(0x99, al), carry));
  const part = (condition: Value, amount: number) => ir.select(condition, ir.const("i8", amount), ir.const("i8", 0));
  const result = ir.hold(adjust(adjust(al, part(low, 6)), part(high, 0x60)));
  ir.setGpr("rax", result);
  ir.flags.shift(ir.or(high, ir.and(low, carries(al))), ir.const("i1", 0), result);
  setAuxiliary(ir, low);
}

/** DAA — Intel SDM Vol. 2A, "DAA—Decimal Adjust AL After Addition". */
export const daa = instruction({
  mnemonic: "daa",
  encodings: ["27  -  i64"],
  undefinedFlags: ["of"],
  semantics: (ir) =>
    adjustPacked(
      ir,
      (al, by) => ir.add(al, by),
      // A carry out of AL + 6 needs an AL above F9h, where CF is set anyway.
      () => ir.const("i1", 0),
    ),
});

/** DAS — Intel SDM Vol. 2A, "DAS—Decimal Adjust AL After Subtraction". */
export const das = instruction({
  mnemonic: "das",
  encodings: ["2F  -  i64"],
  undefinedFlags: ["of"],
  semantics: (ir) =>
    adjustPacked(
      ir,
      (al, by) => ir.sub(al, by),
      (al) => ir.ltu(al, 6),
    ),
});
