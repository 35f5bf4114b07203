import { instruction } from "../instruction.ts";
import { x87Remainder } from "../routines/x87-remainder.ts";
import { extractTop, roundTop, scaleTop } from "../routines/x87-scale.ts";
import { isStackEmpty, stackSlot } from "../routines/x87.ts";
import { beginX87, calling, setPointers } from "../x87-operands.ts";

/** To integers, scaling, taking apart, partial remainders. Intel SDM Vol. 1, "x87 FPU Basic Arithmetic Instructions". */

const feature = "x87";

/** FRNDINT. Intel SDM Vol. 2A, "FRNDINT—Round to Integer". */
export const frndint = instruction({
  mnemonic: "frndint",
  encodings: ["D9 =FC"],
  feature,
  semantics: calling(roundTop),
});
/** FXTRACT. Intel SDM Vol. 2A, "FXTRACT—Extract Exponent and Significand". */
export const fxtract = instruction({
  mnemonic: "fxtract",
  encodings: ["D9 =F4"],
  feature,
  semantics: calling(extractTop),
});
/** FPREM. Intel SDM Vol. 2A, "FPREM—Partial Remainder". */
export const fprem = instruction({
  mnemonic: "fprem",
  encodings: ["D9 =F8"],
  feature,
  semantics: calling(x87Remainder.fprem),
});
/** FPREM1. Intel SDM Vol. 2A, "FPREM1—Partial Remainder". */
export const fprem1 = instruction({
  mnemonic: "fprem1",
  encodings: ["D9 =F5"],
  feature,
  semantics: calling(x87Remainder.fprem1),
});
/** FSCALE. Intel SDM Vol. 2A, "FSCALE—Scale". */
export const fscale = instruction({
  mnemonic: "fscale",
  encodings: ["D9 =FD"],
  feature,
  semantics(ir) {
    beginX87(ir);
    setPointers(ir);
    const top = stackSlot(ir, 0);
    const hints = ir.zext(ir.or(isStackEmpty(ir, 0), isStackEmpty(ir, 1)), "i32");
    ir.call(scaleTop, top, top, stackSlot(ir, 1), hints);
  },
});
