import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { setZero } from "../partial-flags.ts";
import type { Semantics } from "../semantics.ts";

const undefinedFlags = ["cf", "of", "sf", "af", "pf"] as const;

/** ZF ← the source is 0; then the destination stays as it is, which the manuals leave open and processors keep. */
function scan(ir: Semantics, destination: Operand, source: Operand, position: (value: Value) => Value): void {
  const value = source.read();
  const zero = ir.hold(ir.eqz(value));
  ir.if(ir.eqz(zero), () => destination.write(position(value)));
  setZero(ir, zero);
}

/** BSF — the lowest bit that is set. Intel SDM Vol. 2A, "BSF—Bit Scan Forward". */
export const bsf = instruction({
  mnemonic: "bsf",
  encodings: ["0F BC  Gv,Ev"],
  undefinedFlags,
  semantics: (ir, destination, source) => scan(ir, destination, source, (value) => ir.op("ctz", [value])),
});

/** BSR — the highest bit that is set. Intel SDM Vol. 2A, "BSR—Bit Scan Reverse". */
export const bsr = instruction({
  mnemonic: "bsr",
  encodings: ["0F BD  Gv,Ev"],
  undefinedFlags,
  semantics: (ir, destination, source) =>
    scan(ir, destination, source, (value) => ir.xor(ir.op("clz", [value]), destination.bits - 1)),
});

function count(ir: Semantics, destination: Operand, source: Operand, name: "ctz" | "clz"): void {
  const value = source.read();
  const zeros = ir.hold(ir.op(name, [value]));
  destination.write(zeros);
  ir.flags.shift(ir.eqz(value), ir.const("i1", 0), zeros);
}

/** TZCNT — the zeros below the lowest one; CF ← the source is 0. Intel SDM Vol. 2B, "TZCNT—Count the Number of Trailing Zero Bits". */
export const tzcnt = instruction({
  mnemonic: "tzcnt",
  encodings: ["F3 0F BC  Gv,Ev"],
  feature: "BMI1",
  undefinedFlags: ["of", "sf", "af", "pf"],
  semantics: (ir, destination, source) => count(ir, destination, source, "ctz"),
});

/** LZCNT — the zeros above the highest one; CF ← the source is 0. Intel SDM Vol. 2A, "LZCNT—Count the Number of Leading Zero Bits". */
export const lzcnt = instruction({
  mnemonic: "lzcnt",
  encodings: ["F3 0F BD  Gv,Ev"],
  feature: "LZCNT",
  undefinedFlags: ["of", "sf", "af", "pf"],
  semantics: (ir, destination, source) => count(ir, destination, source, "clz"),
});

/** POPCNT — the number of ones; every flag but ZF is cleared. Intel SDM Vol. 2B, "POPCNT—Return the Count of Number of Bits Set to 1". */
export const popcnt = instruction({
  mnemonic: "popcnt",
  encodings: ["F3 0F B8  Gv,Ev"],
  feature: "POPCNT",
  semantics(ir, destination, source) {
    const value = source.read();
    destination.write(ir.op("popcnt", [value]));
    ir.flags.explicit(ir.shl(ir.zext(ir.eqz(value), "i32"), 6));
  },
});
