import { instruction } from "../instruction.ts";
import { summarised } from "../routines/x87.ts";
import type { Semantics } from "../semantics.ts";
import { State } from "../state.ts";
import { Vector } from "../exceptions.ts";

/** Control word after FNINIT: everything masked, 64-bit precision, round to nearest. */
const initialControl = 0x37f;
/** Exception flags, ES, SF and B of the status word. */
const clearable = 0x80ff;

function setState(ir: Semantics, slot: number, value: number): void {
  ir.set(slot, ir.const("i32", value));
}

/** What FNINIT leaves: the registers stay, empty. */
export function initialise(ir: Semantics): void {
  setState(ir, State.fcw, initialControl);
  for (const slot of [State.fsw, State.ftw, State.fop]) setState(ir, slot, 0);
  ir.set(State.fip, ir.const("i64", 0));
  ir.set(State.fdp, ir.const("i64", 0));
}

/** FNINIT. Intel SDM Vol. 2A, "FINIT/FNINIT—Initialize Floating-Point Unit". */
export const fninit = instruction({
  mnemonic: "fninit",
  encodings: ["DB =E3"],
  semantics(ir) {
    ir.requireX87("x87");
    initialise(ir);
  },
});

/** FNCLEX. Intel SDM Vol. 2A, "FCLEX/FNCLEX—Clear Exceptions". */
export const fnclex = instruction({
  mnemonic: "fnclex",
  encodings: ["DB =E2"],
  semantics(ir) {
    ir.requireX87("x87");
    ir.set(State.fsw, ir.and(ir.get("i32", State.fsw), ~clearable));
  },
});

/** An unmasked exception that is pending makes a waiting instruction fault with #MF. */
export function checkPending(ir: Semantics): void {
  ir.if(ir.ne(ir.and(ir.get("i32", State.fsw), 0x80), 0), () => ir.fault(Vector.MF));
}

/** ES and B follow from the exception flags and their masks. */
export function updateSummary(ir: Semantics): void {
  ir.set(State.fsw, summarised(ir, ir.get("i32", State.fsw), ir.get("i32", State.fcw)));
}

/** FLDCW. Intel SDM Vol. 2A, "FLDCW—Load x87 FPU Control Word". */
export const fldcw = instruction({
  mnemonic: "fldcw",
  encodings: ["D9 /5  Mw"],
  semantics(ir, source) {
    ir.requireX87("x87");
    checkPending(ir);
    const control = ir.zext(source.read(), "i32");
    ir.set(State.fcw, ir.or(ir.and(control, 0x1f3f), 0x40));
    updateSummary(ir);
  },
});

/** FNSTCW. Intel SDM Vol. 2A, "FSTCW/FNSTCW—Store x87 FPU Control Word". */
export const fnstcw = instruction({
  mnemonic: "fnstcw",
  encodings: ["D9 /7  Mw"],
  semantics(ir, destination) {
    ir.requireX87("x87");
    destination.write(ir.get("i16", State.fcw));
  },
});

/** FNSTSW. Intel SDM Vol. 2A, "FSTSW/FNSTSW—Store x87 FPU Status Word". */
export const fnstsw = instruction({
  mnemonic: "fnstsw",
  encodings: ["DD /7  Mw"],
  semantics(ir, destination) {
    ir.requireX87("x87");
    destination.write(ir.get("i16", State.fsw));
  },
});
export const fnstswAx = instruction({
  mnemonic: "fnstsw",
  encodings: ["DF =E0"],
  semantics(ir) {
    ir.requireX87("x87");
    ir.setGpr("rax", ir.get("i16", State.fsw));
  },
});

/** FWAIT. Intel SDM Vol. 2B, "WAIT/FWAIT—Wait": #NM when MP and TS are both set. */
export const fwait = instruction({
  mnemonic: "fwait",
  encodings: ["9B"],
  semantics(ir) {
    const blocked = ir.eq(ir.and(ir.get("i64", State.cr0), 0xa), 0xa);
    ir.if(blocked, () => ir.fault(Vector.NM));
    checkPending(ir);
  },
});

/** Instructions of the 8087 and the 80287 that later processors ignore, without waiting. Intel SDM Vol. 3B, "Architecture Compatibility". */
function obsolete(mnemonic: string, row: "DB =E0" | "DB =E1" | "DB =E4") {
  return instruction({ mnemonic, encodings: [row], feature: "x87", semantics: (ir) => ir.requireX87("x87") });
}
export const fneni = obsolete("fneni", "DB =E0");
export const fndisi = obsolete("fndisi", "DB =E1");
export const fnsetpm = obsolete("fnsetpm", "DB =E4");
