import type { Value } from "../../ir/node.ts";
import { has } from "../descriptors.ts";
import { Vector } from "../exceptions.ts";
import { instruction } from "../instruction.ts";
import { Cr0 } from "../paging.ts";
import { requireUmip } from "../privilege.ts";
import { writeCr0, writeCr3, writeCr4 } from "../routines/control-registers.ts";
import type { Semantics } from "../semantics.ts";
import { State } from "../state.ts";

/** Chooses by a control register's number; one that does not exist is #UD. */
function byNumber(ir: Semantics, number: Value, registers: Readonly<Record<number, () => void>>): void {
  const known = Object.keys(registers).map(Number);
  const exists = known.map((each) => ir.eq(number, each)).reduce((any, each) => ir.or(any, each));
  ir.if(ir.eqz(exists), () => ir.fault(Vector.UD));
  for (const each of known) ir.if(ir.eq(number, each), registers[each]!);
}

/** MOV from CR0, CR2, CR3, CR4 and CR8. Intel SDM Vol. 2B, "MOV—Move to/from Control Registers". */
export const movFromControl = instruction({
  mnemonic: "mov",
  encodings: ["0F 20  Rd,Cd  i64 cpl0", "0F 20  Rq,Cq  x64 cpl0"],
  semantics(ir, destination, source) {
    const write = (slot: number) => () => destination.write(ir.resize(ir.get("i64", slot), destination.type));
    byNumber(ir, source.read("i32"), {
      0: write(State.cr0),
      2: write(State.cr2),
      3: write(State.cr3),
      4: write(State.cr4),
      ...(ir.long ? { 8: () => destination.write(ir.zext(ir.host("readCr8"), "i64")) } : {}),
    });
  },
});

/** MOV to CR0, CR2, CR3, CR4 and CR8. Intel SDM Vol. 2B, "MOV—Move to/from Control Registers". */
export const movToControl = instruction({
  mnemonic: "mov",
  encodings: ["0F 22  Cd,Rd  i64 cpl0", "0F 22  Cq,Rq  x64 cpl0"],
  semantics(ir, destination, source) {
    const value = ir.hold(ir.resize(source.read(), "i64"));
    byNumber(ir, destination.read("i32"), {
      0: () => ir.call(writeCr0, value),
      2: () => ir.set(State.cr2, value),
      3: () => ir.call(writeCr3, value),
      4: () => ir.call(writeCr4, value),
      ...(ir.long
        ? {
            8: () => {
              ir.if(ir.ltu(15, value), () => ir.fault(Vector.GP, 0));
              ir.host("writeCr8", ir.trunc(value, "i32"));
            },
          }
        : {}),
    });
    ir.resynchronise();
  },
});

/** CLTS — CR0.TS ← 0. Intel SDM Vol. 2A, "CLTS—Clear Task-Switched Flag in CR0". */
export const clts = instruction({
  mnemonic: "clts",
  encodings: ["0F 06  -  cpl0"],
  semantics(ir) {
    ir.set(State.cr0, ir.and(ir.get("i64", State.cr0), ~BigInt(Cr0.ts)));
    ir.resynchronise();
  },
});

/** LMSW — PE, MP, EM and TS; PE can be set but not cleared. Intel SDM Vol. 2A, "LMSW—Load Machine Status Word". */
export const lmsw = instruction({
  mnemonic: "lmsw",
  encodings: ["0F 01 /6  Ew  cpl0"],
  semantics(ir, source) {
    const value = ir.zext(source.read("i16"), "i64");
    const cr0 = ir.get("i64", State.cr0);
    ir.call(writeCr0, ir.or(ir.or(ir.and(cr0, ~0xen), ir.and(value, 0xf)), ir.and(cr0, Cr0.pe)));
    ir.resynchronise();
  },
});

/** SMSW — CR0's low 16 bits to memory, as much as fits to a register. Intel SDM Vol. 2B, "SMSW—Store Machine Status Word". */
export const smsw = instruction({
  mnemonic: "smsw",
  encodings: ["0F 01 /4  Mw  system", "0F 01 /4  Rv  system"],
  semantics(ir, destination) {
    requireUmip(ir);
    destination.write(ir.resize(ir.get("i64", State.cr0), destination.type));
  },
});

/** DR4 and DR5 are DR6 and DR7 unless CR4.DE makes them invalid; DR7.GD makes any access a #DB. */
function debugRegister(ir: Semantics, number: Value): Value {
  const alias = ir.eq(ir.and(number, 0xe), 4);
  const extensions = has(ir, ir.get("i64", State.cr4), 8);
  ir.if(ir.or(ir.ltu(7, number), ir.and(alias, extensions)), () => ir.fault(Vector.UD));
  const dr7 = ir.get("i64", State.dr + 7 * 8);
  ir.if(has(ir, dr7, generalDetect), () => {
    // The handler finds DR6.BD set and DR7.GD clear.
    const dr6 = State.dr + 6 * 8;
    ir.set(dr6, ir.or(ir.get("i64", dr6), 1 << 13));
    ir.set(State.dr + 7 * 8, ir.and(dr7, ~BigInt(generalDetect)));
    ir.fault(Vector.DB);
  });
  return ir.hold(ir.select(alias, ir.add(number, 2), number));
}
const generalDetect = 1 << 13;

/** MOV from a debug register. Intel SDM Vol. 2B, "MOV—Move to/from Debug Registers". */
export const movFromDebug = instruction({
  mnemonic: "mov",
  encodings: ["0F 21  Rd,Dd  i64 cpl0", "0F 21  Rq,Dq  x64 cpl0"],
  semantics(ir, destination, source) {
    const number = debugRegister(ir, source.read("i32"));
    const value = ir.get("i64", ir.add(ir.shl(number, 3), State.dr));
    destination.write(ir.resize(value, destination.type));
  },
});

/** MOV to a debug register; bits of DR6 and DR7 that are fixed stay so. Breakpoints in them do not fire. */
export const movToDebug = instruction({
  mnemonic: "mov",
  encodings: ["0F 23  Dd,Rd  i64 cpl0", "0F 23  Dq,Rq  x64 cpl0"],
  semantics(ir, destination, source) {
    const number = debugRegister(ir, destination.read("i32"));
    const value = ir.hold(ir.resize(source.read(), "i64"));
    const isControl = ir.hold(ir.leu(6, number));
    ir.if(ir.and(isControl, ir.ltu(0xffffffff, value)), () => ir.fault(Vector.GP, 0));
    // DR6: B0–B3, BD, BS and BT can change. DR7: bit 10 is 1; bits 11, 12, 14 and 15 are 0.
    const dr6 = ir.or(ir.and(value, 0xe00f), 0xffff0ff0);
    const dr7 = ir.or(ir.and(value, 0xffff23ff), 0x400);
    const fixed = ir.select(ir.eq(number, 6), dr6, dr7);
    ir.set(ir.add(ir.shl(number, 3), State.dr), ir.select(isControl, fixed, value));
  },
});
