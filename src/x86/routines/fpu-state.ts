import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { Vector } from "../exceptions.ts";
import { State } from "../state.ts";
import { summarised } from "./x87.ts";

const builder = () => new Builder();

/** Offsets in the legacy region of an FXSAVE or XSAVE area. Intel SDM Vol. 1, "FXSAVE Area". */
const Area = { fcw: 0, fsw: 2, ftw: 4, fop: 6, fip: 8, fdp: 16, mxcsr: 24, mxcsrMask: 28, st: 32, xmm: 160 } as const;
/** Bytes of the legacy region that are ever written. */
export const legacyAreaBytes = 416;
/** Bits of MXCSR that exist. */
const mxcsrMask = 0xffff;

function repeat(ir: Builder, count: Value | number, body: (index: Value) => void): void {
  const index = ir.variable(ir.const("i32", 0));
  ir.loop((loop) => {
    const now = ir.read(index);
    ir.if(ir.leu(count, now), () => ir.break(loop));
    body(now);
    ir.assign(index, ir.add(now, 1));
    ir.continue(loop);
  });
}

/** The slot of ST(index), TOP applied. */
function stackSlot(ir: Builder, index: Value, top: Value): Value {
  return ir.hold(ir.add(ir.shl(ir.and(ir.add(index, top), 7), 4), State.x87));
}
function elementAddress(ir: Builder, address: Value, area: number, index: Value): Value {
  return ir.hold(ir.add(ir.add(address, area), ir.zext(ir.shl(index, 4), "i64")));
}
function topOf(ir: Builder, fsw: Value): Value {
  return ir.hold(ir.and(ir.shr(fsw, 11), 7));
}

/** storeX87(address: i64, wide: i32): the x87 part; wide keeps 64-bit instruction and data pointers, otherwise selectors are 0. */
export const storeX87 = routine(
  "storeX87",
  { parameters: ["i64", "i32"], results: [], faults: true },
  builder,
  (ir, address, wide) => {
    const at = (offset: number) => ir.add(address, offset);
    const fsw = ir.get("i32", State.fsw);
    ir.store(at(Area.fcw), ir.trunc(ir.get("i32", State.fcw), "i16"));
    ir.store(at(Area.fsw), ir.trunc(fsw, "i16"));
    ir.store(at(Area.ftw), ir.trunc(ir.get("i32", State.ftw), "i16"));
    ir.store(at(Area.fop), ir.trunc(ir.get("i32", State.fop), "i16"));
    const mask = ir.select(ir.ne(wide, 0), ir.const("i64", -1), ir.const("i64", 0xffffffff));
    ir.store(at(Area.fip), ir.and(ir.get("i64", State.fip), mask));
    ir.store(at(Area.fdp), ir.and(ir.get("i64", State.fdp), mask));
    const top = topOf(ir, fsw);
    repeat(ir, 8, (index) => {
      const slot = stackSlot(ir, index, top);
      const to = elementAddress(ir, address, Area.st, index);
      ir.store(to, ir.get("i64", slot));
      ir.store(ir.add(to, 8), ir.zext(ir.get("i16", ir.add(slot, 8)), "i64"));
    });
    ir.return();
  },
);

/** storeSse(address: i64, registers: i32): MXCSR, its mask and the first 8 or 16 XMM registers. */
export const storeSse = routine(
  "storeSse",
  { parameters: ["i64", "i32"], results: [], faults: true },
  builder,
  (ir, address, registers) => {
    ir.store(ir.add(address, Area.mxcsr), ir.get("i32", State.mxcsr));
    ir.store(ir.add(address, Area.mxcsrMask), ir.const("i32", mxcsrMask));
    repeat(ir, registers, (index) => {
      ir.store(elementAddress(ir, address, Area.xmm, index), ir.get("v128", ir.add(ir.shl(index, 4), State.xmm)));
    });
    ir.return();
  },
);

/** loadX87(address: i64, wide: i32): the area has been found readable. */
export const loadX87 = routine(
  "loadX87",
  { parameters: ["i64", "i32"], results: [], faults: true },
  builder,
  (ir, address, wide) => {
    const word = (offset: number) => ir.zext(ir.load("i16", ir.add(address, offset)), "i32");
    const [fcw, fsw, ftw, fop] = [word(Area.fcw), word(Area.fsw), word(Area.ftw), word(Area.fop)];
    const mask = ir.hold(ir.select(ir.ne(wide, 0), ir.const("i64", -1), ir.const("i64", 0xffffffff)));
    const fip = ir.load("i64", ir.add(address, Area.fip));
    const fdp = ir.load("i64", ir.add(address, Area.fdp));
    const control = ir.hold(ir.or(ir.and(fcw, 0x1f3f), 0x40));
    ir.set(State.fcw, control);
    // ES and B are not what memory says, but what follows from the flags.
    ir.set(State.fsw, summarised(ir, fsw, control));
    ir.set(State.ftw, ir.and(ftw, 0xff));
    ir.set(State.fop, ir.and(fop, 0x7ff));
    ir.set(State.fip, ir.and(fip, mask));
    ir.set(State.fdp, ir.and(fdp, mask));
    const top = topOf(ir, fsw);
    repeat(ir, 8, (index) => {
      const slot = stackSlot(ir, index, top);
      const from = elementAddress(ir, address, Area.st, index);
      ir.set(slot, ir.load("i64", from));
      ir.set(ir.add(slot, 8), ir.load("i16", ir.add(from, 8)));
    });
    ir.return();
  },
);

/** loadXmm(address: i64, registers: i32): the area has been found readable. */
export const loadXmm = routine(
  "loadXmm",
  { parameters: ["i64", "i32"], results: [], faults: true },
  builder,
  (ir, address, registers) => {
    repeat(ir, registers, (index) => {
      ir.set(ir.add(ir.shl(index, 4), State.xmm), ir.load("v128", elementAddress(ir, address, Area.xmm, index)));
    });
    ir.return();
  },
);

/** MXCSR as an area has it: #GP(0) where a reserved bit is set. */
export function loadMxcsr(ir: Builder, address: Value): Value {
  const value = ir.load("i32", ir.add(address, Area.mxcsr));
  ir.if(ir.ltu(mxcsrMask, value), () => ir.fault(Vector.GP, 0));
  return value;
}

/** initialiseX87(): as FNINIT, registers cleared. Intel SDM Vol. 1, "Initial Configuration of XSAVE-Managed State". */
export const initialiseX87 = routine("initialiseX87", { parameters: [], results: [], faults: false }, builder, (ir) => {
  ir.set(State.fcw, ir.const("i32", 0x37f));
  for (const slot of [State.fsw, State.ftw, State.fop]) ir.set(slot, ir.const("i32", 0));
  for (const slot of [State.fip, State.fdp]) ir.set(slot, ir.const("i64", 0));
  ir.hostFill(ir.add(ir.vcpu(), State.x87), 0, ir.const("i32", 8 * 16));
  ir.return();
});

/** initialiseXmm(registers: i32): clears the first 8 or 16 XMM registers. */
export const initialiseXmm = routine(
  "initialiseXmm",
  { parameters: ["i32"], results: [], faults: false },
  builder,
  (ir, registers) => {
    ir.hostFill(ir.add(ir.vcpu(), State.xmm), 0, ir.shl(registers, 4));
    ir.return();
  },
);
