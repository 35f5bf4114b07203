import type { Value } from "../../ir/node.ts";
import { Vector } from "../exceptions.ts";
import { FlagBit, changeableFlags, iopl, isVirtual8086, readEflags } from "../eflags.ts";
import { statusFlagsMask } from "../flags.ts";
import { instruction } from "../instruction.ts";
import { mmu } from "../routines/mmu.ts";
import type { Semantics } from "../semantics.ts";
import { State, gprSlot } from "../state.ts";

/** PUSH of a register, memory or an immediate. PUSH rSP stores the old value. Intel SDM Vol. 2B, "PUSH". */
export const push = instruction({
  mnemonic: "push",
  encodings: ["50 +  Zv  d64", "68  Iz  d64", "6A  Ibs  d64", "FF /6  Ev  d64"],
  semantics: (ir, source) => ir.pushValue(source.read(ir.operandType)),
});

/** POP into a register or memory. A memory operand's address is made with the incremented rSP. Intel SDM Vol. 2B, "POP". */
export const pop = instruction({
  mnemonic: "pop",
  encodings: ["58 +  Zv  d64", "8F /0  Ev  d64"],
  semantics(ir, destination) {
    const { type } = destination;
    const bytes = destination.bits / 8;
    const value = ir.top(type);
    if (destination.kind === "memory") {
      const pointer = ir.gpr("rsp");
      ir.drop(bytes);
      destination.offset();
      ir.setGpr("rsp", pointer);
    } else {
      ir.drop(bytes);
    }
    destination.write(value);
    if (destination.kind === "memory") ir.drop(bytes);
  },
});

/** PUSHA — AX, CX, DX, BX, old SP, BP, SI, DI or their 32-bit selves. Intel SDM Vol. 2B, "PUSHA/PUSHAD". */
export const pusha = instruction({
  mnemonic: "pusha",
  encodings: ["60  -  i64 osz"],
  semantics(ir) {
    const bytes = ir.operandSize / 8;
    const pointer = ir.gpr("rsp");
    const at = (register: number) => ir.stackAddress(ir.sub(pointer, (register + 1) * bytes), bytes, "write");
    // Every store is checked before the first one.
    for (let register = 0; register < 8; register++) ir.probeWrite(at(register), bytes, { stack: true });
    for (let register = 0; register < 8; register++)
      ir.store(at(register), ir.get(ir.operandType, gprSlot(register)), { stack: true });
    ir.setStackPointer(ir.sub(pointer, 8 * bytes));
  },
});

/** POPA — the registers of PUSHA but SP. Intel SDM Vol. 2B, "POPA/POPAD". */
export const popa = instruction({
  mnemonic: "popa",
  encodings: ["61  -  i64 osz"],
  semantics(ir) {
    const bytes = ir.operandSize / 8;
    const values = Array.from({ length: 8 }, (_, place) =>
      place === 3 ? undefined : ir.top(ir.operandType, place * bytes),
    );
    ir.drop(8 * bytes);
    values.forEach((value, place) => {
      if (value !== undefined) ir.set(gprSlot(7 - place), value.type === "i32" ? ir.zext(value, "i64") : value);
    });
  },
});

/** ENTER — a stack frame with room for locals and `level` enclosing frames' pointers. Intel SDM Vol. 2A, "ENTER". */
export const enter = instruction({
  mnemonic: "enter",
  encodings: ["C8  Iw,Ib  d64"],
  semantics(ir, room) {
    const type = ir.operandType;
    const bytes = ir.operandSize / 8;
    const level = ir.hold(ir.and(ir.numbers.value(ir, "i32", "immediate2"), 31));
    const put = (pointer: Value, value: Value) =>
      ir.store(ir.stackAddress(pointer, bytes, "write"), value, { stack: true });
    const frame = ir.hold(ir.sub(ir.gpr("rsp"), bytes));
    put(frame, ir.gpr("rbp", type));
    const pointer = ir.variable(frame);
    ir.if(ir.ne(level, 0), () => {
      const enclosing = ir.variable(ir.gpr("rbp"));
      const left = ir.variable(level);
      ir.loop((loop) => {
        const now = ir.read(left);
        const to = ir.hold(ir.sub(ir.read(pointer), bytes));
        ir.assign(pointer, to);
        ir.if(ir.leu(now, 1), () => {
          put(to, ir.resize(frame, type));
          ir.break(loop);
        });
        const from = ir.hold(ir.sub(ir.read(enclosing), bytes));
        ir.assign(enclosing, from);
        put(to, ir.load(type, ir.stackAddress(from, bytes, "read"), { stack: true }));
        ir.assign(left, ir.sub(now, 1));
        ir.continue(loop);
      });
    });
    const end = ir.hold(ir.sub(ir.read(pointer), room.read("i64")));
    // The new top must be writable, though nothing is stored there.
    ir.probeWrite(ir.stackAddress(end, bytes, "write"), bytes, { stack: true });
    ir.setStackPointer(end);
    ir.setGpr("rbp", ir.resize(frame, type));
  },
});

/** LEAVE — rSP ← rBP, then POP rBP. Intel SDM Vol. 2A, "LEAVE—High Level Procedure Exit". */
export const leave = instruction({
  mnemonic: "leave",
  encodings: ["C9  -  d64"],
  semantics(ir) {
    const frame = ir.gpr("rbp");
    const bytes = ir.operandSize / 8;
    const value = ir.load(ir.operandType, ir.stackAddress(frame, bytes, "read"), { stack: true });
    ir.setStackPointer(ir.add(frame, bytes));
    ir.setGpr("rbp", value);
  },
});

/** #GP(0) in virtual-8086 mode unless IOPL is 3. */
function requireIopl(ir: Semantics): void {
  if (ir.long) return;
  ir.if(ir.and(isVirtual8086(ir), ir.ne(iopl(ir), 3)), () => ir.fault(Vector.GP, 0));
}

/** PUSHF — VM and RF are pushed as 0. Intel SDM Vol. 2B, "PUSHF/PUSHFD/PUSHFQ". */
export const pushf = instruction({
  mnemonic: "pushf",
  encodings: ["9C  -  d64"],
  semantics(ir) {
    requireIopl(ir);
    ir.pushValue(ir.resize(ir.and(readEflags(ir), ~(FlagBit.vm | FlagBit.rf)), ir.operandType));
  },
});

/** What the engine has to know of: single steps, interrupts, and whom SMAP keeps out. */
const watched = FlagBit.tf | FlagBit.if | FlagBit.ac;

/** POPF — which flags change depends on CPL, IOPL and the operand size. Intel SDM Vol. 2B, "POPF/POPFD/POPFQ". */
export const popf = instruction({
  mnemonic: "popf",
  encodings: ["9D  -  d64"],
  semantics(ir) {
    requireIopl(ir);
    const popped = ir.hold(ir.resize(ir.top(ir.operandType), "i32"));
    const before = ir.get("i32", State.flags);
    // Unlike IRET, POPF leaves VIF and VIP alone.
    const changeable = ir.and(
      changeableFlags(ir, ir.operandSize, ir.get("i32", State.cpl)),
      ~(FlagBit.vif | FlagBit.vip),
    );
    const changed = ir.hold(ir.and(ir.xor(before, popped), changeable));
    ir.drop(ir.operandSize / 8);
    ir.set(State.flags, ir.xor(before, changed));
    ir.flags.explicit(ir.and(popped, statusFlagsMask));
    ir.if(ir.ne(ir.and(changed, watched), 0), () => {
      ir.call(mmu.updateMode);
      ir.resynchronise();
    });
  },
});
