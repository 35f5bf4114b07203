import { FlagBit } from "../eflags.ts";
import { Flag } from "../flags.ts";
import { instruction } from "../instruction.ts";
import { State, byteSlot } from "../state.ts";

const ah = byteSlot(4, false);
const overflow = 1 << Flag.of;
/** SF, ZF, AF, PF and CF. */
const lowFlags = 0xd5;

/** LAHF — AH ← the low byte of EFLAGS. Intel SDM Vol. 2A, "LAHF—Load Status Flags Into AH Register". */
export const lahf = instruction({
  mnemonic: "lahf",
  encodings: ["9F  -"],
  semantics: (ir) => ir.set(ah, ir.trunc(ir.or(ir.and(ir.statusFlags(), lowFlags), 2), "i8")),
});

/** SAHF — all status flags but OF ← AH. Intel SDM Vol. 2B, "SAHF—Store AH Into Flags". */
export const sahf = instruction({
  mnemonic: "sahf",
  encodings: ["9E  -"],
  semantics(ir) {
    const kept = ir.and(ir.statusFlags(), overflow);
    ir.flags.explicit(ir.or(kept, ir.and(ir.zext(ir.get("i8", ah), "i32"), lowFlags)));
  },
});

/** CLC — Intel SDM Vol. 2A, "CLC—Clear Carry Flag". */
export const clc = instruction({
  mnemonic: "clc",
  encodings: ["F8  -"],
  semantics: (ir) => ir.setCarry(ir.const("i1", 0)),
});

/** STC — Intel SDM Vol. 2B, "STC—Set Carry Flag". */
export const stc = instruction({
  mnemonic: "stc",
  encodings: ["F9  -"],
  semantics: (ir) => ir.setCarry(ir.const("i1", 1)),
});

/** CMC — Intel SDM Vol. 2A, "CMC—Complement Carry Flag". */
export const cmc = instruction({
  mnemonic: "cmc",
  encodings: ["F5  -"],
  semantics: (ir) => ir.setCarry(ir.eqz(ir.flag("cf"))),
});

/** CLD — Intel SDM Vol. 2A, "CLD—Clear Direction Flag". */
export const cld = instruction({
  mnemonic: "cld",
  encodings: ["FC  -"],
  semantics: (ir) => ir.set(State.flags, ir.and(ir.get("i32", State.flags), ~FlagBit.df)),
});

/** STD — Intel SDM Vol. 2B, "STD—Set Direction Flag". */
export const std = instruction({
  mnemonic: "std",
  encodings: ["FD  -"],
  semantics: (ir) => ir.set(State.flags, ir.or(ir.get("i32", State.flags), FlagBit.df)),
});
