import type { Value } from "../../ir/node.ts";
import { has } from "../descriptors.ts";
import { Vector } from "../exceptions.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { Cr0, Cr4 } from "../paging.ts";
import {
  initialiseX87,
  initialiseXmm,
  legacyAreaBytes,
  loadMxcsr,
  loadX87,
  loadXmm,
  storeSse,
  storeX87,
} from "../routines/fpu-state.ts";
import type { Semantics } from "../semantics.ts";
import { State } from "../state.ts";

/** Components of the XSAVE area that exist. */
const Component = { x87: 1, sse: 2 } as const;
/** XSTATE_BV, and the 16 bytes behind it, which must be 0: the compacted form does not exist. */
const Header = { stateVector: 512, reserved: 520, end: 576 } as const;

/** The linear address of an area, aligned as it must be. */
function area(ir: Semantics, operand: Operand, bytes: number, alignment: 16 | 64, access: "read" | "write"): Value {
  const address = ir.hold(ir.linear(ir.numbers.slot(ir, "segment"), operand.offset(), bytes, access));
  ir.if(has(ir, address, alignment - 1), () => ir.fault(Vector.GP, 0));
  return address;
}
/** Faults as a load of all of an area would. */
function probeRead(ir: Semantics, address: Value, bytes: number): void {
  ir.load("i8", address);
  ir.load("i8", ir.add(address, bytes - 1));
}

function wide(ir: Semantics): Value {
  return ir.const("i32", ir.operandSize === 64 ? 1 : 0);
}
/** XMM8–XMM15 are out of reach outside 64-bit mode. */
function registers(ir: Semantics): Value {
  return ir.const("i32", ir.long ? 16 : 8);
}

/** FXSAVE — x87 and SSE state to 512 bytes. Intel SDM Vol. 2A, "FXSAVE—Save x87 FPU, MMX Technology, and SSE State". */
export const fxsave = instruction({
  mnemonic: "fxsave",
  encodings: ["NP 0F AE /0  M  osz system"],
  feature: "FXSR",
  semantics(ir, destination) {
    ir.requireX87("x87");
    const address = area(ir, destination, 512, 16, "write");
    ir.probeWrite(address, legacyAreaBytes);
    ir.call(storeX87, address, wide(ir));
    ir.call(storeSse, address, registers(ir));
  },
});

/** FXRSTOR — the opposite. A reserved bit of MXCSR is #GP(0). Intel SDM Vol. 2A, "FXRSTOR". */
export const fxrstor = instruction({
  mnemonic: "fxrstor",
  encodings: ["NP 0F AE /1  M  osz system"],
  feature: "FXSR",
  semantics(ir, source) {
    ir.requireX87("x87");
    const address = area(ir, source, 512, 16, "read");
    probeRead(ir, address, legacyAreaBytes);
    const mxcsr = loadMxcsr(ir, address);
    ir.call(loadX87, address, wide(ir));
    ir.call(loadXmm, address, registers(ir));
    ir.set(State.mxcsr, mxcsr);
  },
});

/** LDMXCSR — Intel SDM Vol. 2A, "LDMXCSR—Load MXCSR Register". */
export const ldmxcsr = instruction({
  mnemonic: "ldmxcsr",
  encodings: ["NP 0F AE /2  Md"],
  feature: "SSE",
  semantics(ir, source) {
    ir.requireSse();
    const value = source.read();
    ir.if(ir.ltu(0xffff, value), () => ir.fault(Vector.GP, 0));
    ir.set(State.mxcsr, value);
  },
});

/** STMXCSR — Intel SDM Vol. 2B, "STMXCSR—Store MXCSR Register State". */
export const stmxcsr = instruction({
  mnemonic: "stmxcsr",
  encodings: ["NP 0F AE /3  Md"],
  feature: "SSE",
  semantics(ir, destination) {
    ir.requireSse();
    destination.write(ir.get("i32", State.mxcsr));
  },
});

/** #UD unless CR4.OSXSAVE. */
function requireOsXsave(ir: Semantics): void {
  ir.if(ir.eqz(has(ir, ir.get("i64", State.cr4), Cr4.osxsave)), () => ir.fault(Vector.UD));
}
/** The components that EDX:EAX and XCR0 both ask for, an i64. */
function requestedComponents(ir: Semantics): Value {
  requireOsXsave(ir);
  ir.if(has(ir, ir.get("i64", State.cr0), Cr0.ts), () => ir.fault(Vector.NM));
  return ir.hold(ir.and(ir.get("i64", State.xcr0), ir.zext(ir.gpr("rax", "i32"), "i64")));
}

/** XSAVE — the requested components, all of which count as in use. Intel SDM Vol. 2D, "XSAVE—Save Processor Extended States". */
export const xsave = instruction({
  mnemonic: "xsave",
  encodings: ["NP 0F AE /4  M  osz system"],
  feature: "XSAVE",
  semantics(ir, destination) {
    const requested = requestedComponents(ir);
    const address = area(ir, destination, Header.end, 64, "write");
    ir.probeWrite(address, Header.end);
    ir.if(has(ir, requested, Component.x87), () => ir.call(storeX87, address, wide(ir)));
    ir.if(has(ir, requested, Component.sse), () => ir.call(storeSse, address, registers(ir)));
    const vector = ir.add(address, Header.stateVector);
    ir.store(vector, ir.or(ir.load("i64", vector), requested));
  },
});

/** XRSTOR — the requested components, those absent from XSTATE_BV initialised. Intel SDM Vol. 2D, "XRSTOR—Restore Processor Extended States". */
export const xrstor = instruction({
  mnemonic: "xrstor",
  encodings: ["NP 0F AE /5  M  osz system"],
  feature: "XSAVE",
  semantics(ir, source) {
    const requested = requestedComponents(ir);
    const address = area(ir, source, Header.end, 64, "read");
    probeRead(ir, address, Header.end);
    const present = ir.load("i64", ir.add(address, Header.stateVector));
    const reserved = ir.or(
      ir.load("i64", ir.add(address, Header.reserved)),
      ir.load("i64", ir.add(address, Header.reserved + 8)),
    );
    const unknown = ir.and(present, ir.not(ir.get("i64", State.xcr0)));
    ir.if(ir.ne(ir.or(reserved, unknown), 0), () => ir.fault(Vector.GP, 0));
    // MXCSR belongs to SSE, and is loaded whatever XSTATE_BV says of it.
    const sse = ir.hold(has(ir, requested, Component.sse));
    ir.if(sse, () => ir.set(State.mxcsr, loadMxcsr(ir, address)));
    ir.if(has(ir, requested, Component.x87), () =>
      ir.if(
        has(ir, present, Component.x87),
        () => ir.call(loadX87, address, wide(ir)),
        () => ir.call(initialiseX87),
      ),
    );
    ir.if(sse, () =>
      ir.if(
        has(ir, present, Component.sse),
        () => ir.call(loadXmm, address, registers(ir)),
        () => ir.call(initialiseXmm, registers(ir)),
      ),
    );
  },
});

/** XGETBV — EDX:EAX ← XCR0. Intel SDM Vol. 2D, "XGETBV—Get Value of Extended Control Register". */
export const xgetbv = instruction({
  mnemonic: "xgetbv",
  encodings: ["NP 0F 01 =D0  -  system"],
  feature: "XSAVE",
  semantics(ir) {
    requireOsXsave(ir);
    ir.if(ir.ne(ir.gpr("rcx", "i32"), 0), () => ir.fault(Vector.GP, 0));
    const value = ir.get("i64", State.xcr0);
    ir.setGpr("rax", ir.trunc(value, "i32"));
    ir.setGpr("rdx", ir.trunc(ir.shr(value, 32), "i32"));
  },
});

/** XSETBV — XCR0 ← EDX:EAX: x87 always, SSE or not. Intel SDM Vol. 2D, "XSETBV—Set Extended Control Register". */
export const xsetbv = instruction({
  mnemonic: "xsetbv",
  encodings: ["NP 0F 01 =D1  -  system"],
  feature: "XSAVE",
  semantics(ir) {
    requireOsXsave(ir);
    ir.requirePrivilege();
    const low = ir.gpr("rax", "i32");
    const known = ir.and(ir.eq(ir.or(low, Component.sse), Component.x87 | Component.sse), ir.eqz(ir.gpr("rdx", "i32")));
    ir.if(ir.or(ir.ne(ir.gpr("rcx", "i32"), 0), ir.eqz(known)), () => ir.fault(Vector.GP, 0));
    ir.set(State.xcr0, ir.zext(low, "i64"));
  },
});
