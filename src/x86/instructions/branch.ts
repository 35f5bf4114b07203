import type { Value } from "../../ir/node.ts";
import { addressBits, readAddressed, writeAddressed } from "../addressed-register.ts";
import { instruction } from "../instruction.ts";
import { checkedIndirectTarget, checkedTarget } from "../near-branch.ts";
import type { Operand } from "../operand.ts";
import type { Semantics } from "../semantics.ts";

/** Jcc — Intel SDM Vol. 2A, "Jcc—Jump if Condition Is Met". 66 does not shorten RIP in 64-bit mode, as on Intel's processors. */
export const jcc = instruction({
  mnemonic: "jcc",
  encodings: ["70 +cc  Jb  f64", "0F 80 +cc  Jz  f64"],
  semantics: (ir, target) => ir.if(ir.condition(), () => ir.jump(target.read())),
});

/** Where a near branch goes, checked before it changes anything. */
function goalOf(ir: Semantics, target: Operand): Value {
  if (target.kind === "number") return checkedTarget(ir, target.read());
  return checkedIndirectTarget(ir, ir.hold(ir.zext(target.read(), "i64")));
}

/** JMP near, relative and indirect. Intel SDM Vol. 2A, "JMP—Jump". */
export const jmp = instruction({
  mnemonic: "jmp",
  flow: "away",
  encodings: ["E9  Jz  f64", "EB  Jb  f64", "FF /4  Ev  f64"],
  semantics: (ir, target) => ir.jump(target.kind === "number" ? target.read() : goalOf(ir, target)),
});

/** JCXZ, JECXZ, JRCXZ: the address size says which. */
export const jrcxz = instruction({
  mnemonic: "jrcxz",
  encodings: ["E3  Jb  f64 asz"],
  semantics: (ir, target) => ir.if(ir.eqz(readAddressed(ir, "rcx")), () => ir.jump(target.read())),
});

/** Counts rCX down; jumps while it is not 0 and `condition` holds. Flags stay. */
function loopWhile(ir: Semantics, target: Operand, condition: Value): void {
  const count = ir.sub(readAddressed(ir, "rcx"), 1);
  const bits = addressBits(ir);
  const cut = ir.hold(bits === 64 ? count : ir.and(count, bits === 32 ? 0xffffffff : 0xffff));
  const taken = ir.hold(ir.and(ir.ne(cut, 0), condition));
  ir.if(taken, () => {
    const goal = checkedTarget(ir, target.read());
    writeAddressed(ir, "rcx", cut);
    ir.jump(goal);
  });
  writeAddressed(ir, "rcx", cut);
}

/** LOOP — Intel SDM Vol. 2A, "LOOP/LOOPcc—Loop According to ECX Counter". */
export const loop = instruction({
  mnemonic: "loop",
  encodings: ["E2  Jb  f64 asz"],
  semantics: (ir, target) => loopWhile(ir, target, ir.const("i1", 1)),
});

/** LOOPE — while ZF is set as well. */
export const loope = instruction({
  mnemonic: "loope",
  encodings: ["E1  Jb  f64 asz"],
  semantics: (ir, target) => loopWhile(ir, target, ir.flag("zf")),
});

/** LOOPNE — while ZF is clear as well. */
export const loopne = instruction({
  mnemonic: "loopne",
  encodings: ["E0  Jb  f64 asz"],
  semantics: (ir, target) => loopWhile(ir, target, ir.eqz(ir.flag("zf"))),
});

/** CALL near, relative and indirect. Intel SDM Vol. 2A, "CALL—Call Procedure". */
export const call = instruction({
  mnemonic: "call",
  flow: "call",
  encodings: ["E8  Jz  f64", "FF /2  Ev  f64"],
  semantics(ir, target) {
    const goal = goalOf(ir, target);
    ir.pushValue(ir.resize(ir.nextRip(), ir.operandType));
    ir.jump(goal);
  },
});

function returnNear(ir: Semantics, release: number | Value): void {
  const goal = checkedIndirectTarget(ir, ir.zext(ir.top(ir.operandType), "i64"));
  ir.drop(ir.operandSize / 8);
  if (typeof release === "object") ir.drop(release);
  ir.jump(goal);
}

/** RET near. Intel SDM Vol. 2B, "RET—Return From Procedure". */
export const ret = instruction({
  mnemonic: "ret",
  flow: "return",
  encodings: ["C3  -  f64"],
  semantics: (ir) => returnNear(ir, 0),
});

/** RET near, releasing the callee's arguments. */
export const retRelease = instruction({
  mnemonic: "ret",
  flow: "return",
  encodings: ["C2  Iw  f64"],
  semantics: (ir, bytes) => returnNear(ir, bytes.read("i64")),
});
