import { instruction } from "../instruction.ts";
import { push } from "../routines/x87.ts";
import type { Semantics } from "../semantics.ts";
import { Rounding } from "../softfloat/format.ts";
import { State } from "../state.ts";
import { beginX87, setPointers } from "../x87-operands.ts";

/** Constants. Intel SDM Vol. 2A, "FLD1/FLDL2T/FLDL2E/FLDPI/FLDLG2/FLDLN2/FLDZ—Load Constant". */

const feature = "x87";

/** A constant between `significand` and the next number; which of the two is nearer. Rounded as the control word says. */
interface Constant {
  readonly exponent: number;
  readonly significand: bigint;
  readonly nearest: "below" | "above" | "exact";
}

function load({ exponent, significand, nearest }: Constant) {
  return (ir: Semantics): void => {
    beginX87(ir);
    setPointers(ir);
    const rounding = ir.and(ir.shr(ir.get("i32", State.fcw), 10), 3);
    const up = ir.eq(rounding, Rounding.up);
    const above = nearest === "above" ? ir.or(up, ir.eq(rounding, Rounding.nearest)) : up;
    const increment = nearest === "exact" ? ir.const("i64", 0) : ir.zext(above, "i64");
    const head = ir.const("i32", exponent);
    ir.call(push, ir.add(ir.const("i64", significand), increment), head, ir.const("i32", 0));
  };
}

export const fld1 = instruction({
  mnemonic: "fld1",
  encodings: ["D9 =E8"],
  feature,
  semantics: load({ exponent: 0x3fff, significand: 0x8000000000000000n, nearest: "exact" }),
});
/** log2(10) */
export const fldl2t = instruction({
  mnemonic: "fldl2t",
  encodings: ["D9 =E9"],
  feature,
  semantics: load({ exponent: 0x4000, significand: 0xd49a784bcd1b8afen, nearest: "below" }),
});
/** log2(e) */
export const fldl2e = instruction({
  mnemonic: "fldl2e",
  encodings: ["D9 =EA"],
  feature,
  semantics: load({ exponent: 0x3fff, significand: 0xb8aa3b295c17f0bbn, nearest: "above" }),
});
/** π */
export const fldpi = instruction({
  mnemonic: "fldpi",
  encodings: ["D9 =EB"],
  feature,
  semantics: load({ exponent: 0x4000, significand: 0xc90fdaa22168c234n, nearest: "above" }),
});
/** log10(2) */
export const fldlg2 = instruction({
  mnemonic: "fldlg2",
  encodings: ["D9 =EC"],
  feature,
  semantics: load({ exponent: 0x3ffd, significand: 0x9a209a84fbcff798n, nearest: "above" }),
});
/** ln(2) */
export const fldln2 = instruction({
  mnemonic: "fldln2",
  encodings: ["D9 =ED"],
  feature,
  semantics: load({ exponent: 0x3ffe, significand: 0xb17217f7d1cf79abn, nearest: "above" }),
});
export const fldz = instruction({
  mnemonic: "fldz",
  encodings: ["D9 =EE"],
  feature,
  semantics: load({ exponent: 0, significand: 0n, nearest: "exact" }),
});
