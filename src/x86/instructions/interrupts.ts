import { EventKind, interrupt } from "../routines/interrupt.ts";
import { interruptReturn } from "../routines/interrupt-return.ts";
import { FlagBit, iopl, isVirtual8086 } from "../eflags.ts";
import { Vector } from "../exceptions.ts";
import { instruction } from "../instruction.ts";
import type { Value } from "../../ir/node.ts";
import type { Semantics } from "../semantics.ts";
import { State } from "../state.ts";

/** Goes through the IDT, to return behind this instruction. */
function deliver(ir: Semantics, vector: Value | number, kind: number): void {
  ir.set(State.rip, ir.nextRip());
  const number = typeof vector === "number" ? ir.const("i32", vector) : vector;
  ir.call(interrupt, number, ir.const("i32", -1), ir.const("i32", kind));
  ir.set(State.noTrap, ir.const("i32", 1));
  ir.end("resynchronise");
}

/** INT n. In virtual-8086 mode it is for IOPL 3. Intel SDM Vol. 2A, "INT n/INTO/INT3/INT1—Call to Interrupt Procedure". */
export const int = instruction({
  mnemonic: "int",
  encodings: ["CD  Ib  system"],
  semantics(ir, vector) {
    if (!ir.long) ir.if(ir.and(isVirtual8086(ir), ir.ne(iopl(ir), 3)), () => ir.fault(Vector.GP, 0));
    deliver(ir, vector.read("i32"), EventKind.software);
  },
});

/** INT3 — breakpoint. */
export const int3 = instruction({
  mnemonic: "int3",
  encodings: ["CC  -  system"],
  semantics(ir) {
    deliver(ir, Vector.BP, EventKind.trap);
  },
});

/** INT1 — #DB as the hardware raises it: no privilege is checked and DR6 stays as it is. */
export const int1 = instruction({
  mnemonic: "int1",
  encodings: ["F1  -  system"],
  semantics(ir) {
    deliver(ir, Vector.DB, EventKind.hardware);
  },
});

/** INTO — #OF if OF is set. */
export const into = instruction({
  mnemonic: "into",
  encodings: ["CE  -  i64 system"],
  semantics(ir) {
    ir.if(ir.flag("of"), () => deliver(ir, Vector.OF, EventKind.trap));
  },
});

/** IRET, IRETD, IRETQ — return from an interrupt. Intel SDM Vol. 2A, "IRET/IRETD/IRETQ—Interrupt Return". */
export const iret = instruction({
  mnemonic: "iret",
  flow: "away",
  encodings: ["CF  -  osz system"],
  semantics(ir) {
    const { operandSize } = ir;
    // Where a task that is left by it goes on.
    if (!ir.long) ir.set(State.rip, ir.nextRip());
    ir.call(ir.long ? interruptReturn.long[operandSize] : interruptReturn.legacy[operandSize === 16 ? 16 : 32]);
    ir.end("resynchronise");
  },
});

/** #GP(0) where CPL and IOPL forbid changing IF. */
function requireInterruptControl(ir: Semantics): void {
  const cpl = ir.get("i32", State.cpl);
  ir.if(ir.ltu(iopl(ir), cpl), () => ir.fault(Vector.GP, 0));
}

/** CLI — IF ← 0. Intel SDM Vol. 2A, "CLI—Clear Interrupt Flag". */
export const cli = instruction({
  mnemonic: "cli",
  encodings: ["FA  -  system"],
  semantics(ir) {
    requireInterruptControl(ir);
    ir.set(State.flags, ir.and(ir.get("i32", State.flags), ~FlagBit.if));
  },
});

/** STI — IF ← 1; if it was clear, the next instruction is executed before any interrupt. Intel SDM Vol. 2B, "STI—Set Interrupt Flag". */
export const sti = instruction({
  mnemonic: "sti",
  encodings: ["FB  -  system"],
  semantics(ir) {
    requireInterruptControl(ir);
    const flags = ir.get("i32", State.flags);
    ir.if(ir.eqz(ir.and(flags, FlagBit.if)), () => {
      ir.set(State.flags, ir.or(flags, FlagBit.if));
      ir.set(State.shadow, ir.const("i32", 1));
      ir.resynchronise();
    });
  },
});
