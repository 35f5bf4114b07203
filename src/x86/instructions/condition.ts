import { instruction } from "../instruction.ts";

/** SETcc — DEST ← 1 if the condition holds, else 0. Intel SDM Vol. 2B, "SETcc—Set Byte on Condition". */
export const setcc = instruction({
  mnemonic: "setcc",
  encodings: ["0F 90 +cc  Eb"],
  semantics: (ir, destination) => destination.write(ir.zext(ir.condition(), "i8")),
});

/** CMOVcc — the source is read, and a 32-bit destination zero-extended, whether or not the condition holds. Intel SDM Vol. 2A, "CMOVcc—Conditional Move". */
export const cmovcc = instruction({
  mnemonic: "cmovcc",
  encodings: ["0F 40 +cc  Gv,Ev"],
  semantics(ir, destination, source) {
    const value = source.read();
    destination.write(ir.select(ir.condition(), value, destination.read()));
  },
});

/** SALC — AL ← FFh if CF is set, else 0. Intel SDM Vol. 2D, Table A-2 leaves D6 out; every processor has it. */
export const salc = instruction({
  mnemonic: "salc",
  encodings: ["D6  -  i64"],
  semantics: (ir) => ir.setGpr("rax", ir.sext(ir.flag("cf"), "i8")),
});
