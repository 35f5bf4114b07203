import type { Value } from "../../ir/node.ts";
import { has, isCanonical } from "../descriptors.ts";
import { Vector } from "../exceptions.ts";
import { instruction } from "../instruction.ts";
import { Cr4 } from "../paging.ts";
import { readMsr, readTimestamp, writeMsr } from "../routines/msr.ts";
import type { Semantics } from "../semantics.ts";
import { State, segmentSlot } from "../state.ts";

/** EDX:EAX ← value. */
function setPair(ir: Semantics, value: Value): void {
  const [low, high] = [ir.hold(ir.trunc(value, "i32")), ir.hold(ir.trunc(ir.shr(value, 32), "i32"))];
  ir.setGpr("rax", low);
  ir.setGpr("rdx", high);
}
/** EDX:EAX. */
function pair(ir: Semantics): Value {
  const high = ir.zext(ir.gpr("rdx", "i32"), "i64");
  return ir.or(ir.shl(high, 32), ir.zext(ir.gpr("rax", "i32"), "i64"));
}

/** RDMSR — EDX:EAX ← MSR[ECX]. Intel SDM Vol. 2B, "RDMSR—Read From Model Specific Register". */
export const rdmsr = instruction({
  mnemonic: "rdmsr",
  encodings: ["0F 32  -  cpl0"],
  semantics(ir) {
    const [value] = ir.call(readMsr, ir.gpr("rcx", "i32"));
    setPair(ir, value!);
  },
});

/** WRMSR — MSR[ECX] ← EDX:EAX. Intel SDM Vol. 2D, "WRMSR—Write to Model Specific Register". */
export const wrmsr = instruction({
  mnemonic: "wrmsr",
  encodings: ["0F 30  -  cpl0"],
  semantics(ir) {
    ir.call(writeMsr, ir.gpr("rcx", "i32"), pair(ir));
    ir.resynchronise();
  },
});

/** #GP(0) where CR4.TSD keeps the time from user code. */
function requireTimestamp(ir: Semantics): void {
  const prevents = has(ir, ir.get("i64", State.cr4), Cr4.tsd);
  ir.if(ir.and(prevents, ir.ne(ir.get("i32", State.cpl), 0)), () => ir.fault(Vector.GP, 0));
}

/** RDTSC — EDX:EAX ← the time-stamp counter. Intel SDM Vol. 2B, "RDTSC—Read Time-Stamp Counter". */
export const rdtsc = instruction({
  mnemonic: "rdtsc",
  encodings: ["0F 31  -  system"],
  semantics(ir) {
    requireTimestamp(ir);
    setPair(ir, readTimestamp(ir));
  },
});

/** RDTSCP — RDTSC, and ECX ← IA32_TSC_AUX. Intel SDM Vol. 2B, "RDTSCP". */
export const rdtscp = instruction({
  mnemonic: "rdtscp",
  encodings: ["0F 01 =F9  -  system"],
  feature: "RDTSCP",
  semantics(ir) {
    requireTimestamp(ir);
    setPair(ir, readTimestamp(ir));
    ir.setGpr("rcx", ir.get("i32", State.tscAux));
  },
});

/** RDPID — IA32_TSC_AUX. Intel SDM Vol. 2B, "RDPID—Read Processor ID". */
export const rdpid = instruction({
  mnemonic: "rdpid",
  encodings: ["F3 0F C7 /7  Rd  system"],
  feature: "RDPID",
  semantics: (ir, destination) => destination.write(ir.get("i32", State.tscAux)),
});

/** RDPMC — no performance counters: every index is #GP(0). Intel SDM Vol. 2B, "RDPMC—Read Performance-Monitoring Counters". */
export const rdpmc = instruction({
  mnemonic: "rdpmc",
  encodings: ["0F 33  -  system"],
  semantics: (ir) => ir.fault(Vector.GP, 0),
});

/** CPUID — what the platform says of leaf EAX, subleaf ECX. Intel SDM Vol. 2A, "CPUID—CPU Identification". */
export const cpuid = instruction({
  mnemonic: "cpuid",
  encodings: ["0F A2  -  system"],
  semantics(ir) {
    ir.host("cpuid", ir.gpr("rax", "i32"), ir.gpr("rcx", "i32"));
    (["rax", "rbx", "rcx", "rdx"] as const).forEach((name, index) =>
      ir.setGpr(name, ir.get("i32", State.scratch + index * 4)),
    );
  },
});

/** SWAPGS — GS.base ↔ IA32_KERNEL_GS_BASE. Intel SDM Vol. 2B, "SWAPGS—Swap GS Base Register". */
export const swapgs = instruction({
  mnemonic: "swapgs",
  encodings: ["0F 01 =F8  -  x64 cpl0"],
  semantics(ir) {
    const [base, kernel] = [ir.get("i64", segmentSlot("gs")), ir.get("i64", State.kernelGsBase)];
    ir.set(segmentSlot("gs"), kernel);
    ir.set(State.kernelGsBase, base);
  },
});

function requireFsGsBase(ir: Semantics): void {
  ir.if(ir.eqz(has(ir, ir.get("i64", State.cr4), Cr4.fsgsbase)), () => ir.fault(Vector.UD));
}
/** A value for a segment base: 32-bit ones are zero-extended, others must be canonical. */
function writeBase(ir: Semantics, segment: "fs" | "gs", value: Value): void {
  requireFsGsBase(ir);
  if (value.type === "i64") ir.if(ir.eqz(isCanonical(ir, value)), () => ir.fault(Vector.GP, 0));
  ir.set(segmentSlot(segment), ir.resize(value, "i64"));
}
function readBase(ir: Semantics, segment: "fs" | "gs"): Value {
  requireFsGsBase(ir);
  return ir.get("i64", segmentSlot(segment));
}

/** RDFSBASE, RDGSBASE — Intel SDM Vol. 2B, "RDFSBASE/RDGSBASE—Read FS/GS Segment Base". */
export const rdfsbase = instruction({
  mnemonic: "rdfsbase",
  encodings: ["F3 0F AE /0  Ry  x64 system"],
  feature: "FSGSBASE",
  semantics: (ir, destination) => destination.write(ir.resize(readBase(ir, "fs"), destination.type)),
});
export const rdgsbase = instruction({
  mnemonic: "rdgsbase",
  encodings: ["F3 0F AE /1  Ry  x64 system"],
  feature: "FSGSBASE",
  semantics: (ir, destination) => destination.write(ir.resize(readBase(ir, "gs"), destination.type)),
});
/** WRFSBASE, WRGSBASE — Intel SDM Vol. 2D, "WRFSBASE/WRGSBASE—Write FS/GS Segment Base". */
export const wrfsbase = instruction({
  mnemonic: "wrfsbase",
  encodings: ["F3 0F AE /2  Ry  x64 system"],
  feature: "FSGSBASE",
  semantics: (ir, source) => writeBase(ir, "fs", source.read()),
});
export const wrgsbase = instruction({
  mnemonic: "wrgsbase",
  encodings: ["F3 0F AE /3  Ry  x64 system"],
  feature: "FSGSBASE",
  semantics: (ir, source) => writeBase(ir, "gs", source.read()),
});
