import { bitsOf, typeOf } from "../../ir/types.ts";
import { instruction } from "../instruction.ts";

/** CBW, CWDE, CDQE — rAX ← its own lower half, sign-extended. Intel SDM Vol. 2A, "CBW/CWDE/CDQE". */
export const cbw = instruction({
  mnemonic: "cbw",
  encodings: ["98  -  osz"],
  semantics: (ir) => ir.setGpr("rax", ir.sext(ir.gpr("rax", typeOf(ir.operandSize / 2)), ir.operandType)),
});

/** CWD, CDQ, CQO — rDX ← the sign of rAX. Intel SDM Vol. 2A, "CWD/CDQ/CQO". */
export const cwd = instruction({
  mnemonic: "cwd",
  encodings: ["99  -  osz"],
  semantics(ir) {
    const type = ir.operandType;
    ir.setGpr("rdx", ir.sar(ir.gpr("rax", type), bitsOf[type] - 1));
  },
});
