import type { Routine, Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import {
  x87Arctangent,
  x87Circular,
  x87Exponential,
  x87Logarithm,
  x87LogarithmPlusOne,
} from "../routines/x87-transcendental.ts";
import { isStackEmpty, pop, stackSlot } from "../routines/x87.ts";
import type { Semantics } from "../semantics.ts";
import { beginX87, calling, setPointers } from "../x87-operands.ts";

/** Transcendental functions, within one unit in the last place. Intel SDM Vol. 1, "x87 FPU Transcendental Instructions". */

const feature = "x87";

/** ST(1) ← f(ST(0), ST(1)), then a pop. */
function ofTwo(routine: Routine) {
  return (ir: Semantics): void => {
    beginX87(ir);
    setPointers(ir);
    const other = stackSlot(ir, 1);
    const hints = ir.zext(ir.or(isStackEmpty(ir, 0), isStackEmpty(ir, 1)), "i32");
    const [stored] = ir.call(routine, other, stackSlot(ir, 0), other, hints) as [Value];
    ir.if(ir.ne(stored, 0), () => pop(ir));
  };
}

/** F2XM1. Intel SDM Vol. 2A, "F2XM1—Compute 2x–1". */
export const f2xm1 = instruction({
  mnemonic: "f2xm1",
  encodings: ["D9 =F0"],
  feature,
  semantics: calling(x87Exponential),
});
/** FYL2X. Intel SDM Vol. 2A, "FYL2X—Compute y ∗ log2x". */
export const fyl2x = instruction({ mnemonic: "fyl2x", encodings: ["D9 =F1"], feature, semantics: ofTwo(x87Logarithm) });
/** FYL2XP1. Intel SDM Vol. 2A, "FYL2XP1—Compute y ∗ log2(x +1)". */
export const fyl2xp1 = instruction({
  mnemonic: "fyl2xp1",
  encodings: ["D9 =F9"],
  feature,
  semantics: ofTwo(x87LogarithmPlusOne),
});
/** FPATAN. Intel SDM Vol. 2A, "FPATAN—Partial Arctangent". */
export const fpatan = instruction({
  mnemonic: "fpatan",
  encodings: ["D9 =F3"],
  feature,
  semantics: ofTwo(x87Arctangent),
});
/** FPTAN. Intel SDM Vol. 2A, "FPTAN—Partial Tangent". */
export const fptan = instruction({
  mnemonic: "fptan",
  encodings: ["D9 =F2"],
  feature,
  semantics: calling(x87Circular.tangent),
});
/** FSIN. Intel SDM Vol. 2A, "FSIN—Sine". */
export const fsin = instruction({
  mnemonic: "fsin",
  encodings: ["D9 =FE"],
  feature,
  semantics: calling(x87Circular.sine),
});
/** FCOS. Intel SDM Vol. 2A, "FCOS—Cosine". */
export const fcos = instruction({
  mnemonic: "fcos",
  encodings: ["D9 =FF"],
  feature,
  semantics: calling(x87Circular.cosine),
});
/** FSINCOS. Intel SDM Vol. 2A, "FSINCOS—Sine and Cosine". */
export const fsincos = instruction({
  mnemonic: "fsincos",
  encodings: ["D9 =FB"],
  feature,
  semantics: calling(x87Circular.both),
});
