import { has, isCanonical } from "../descriptors.ts";
import { FlagBit } from "../eflags.ts";
import { Vector } from "../exceptions.ts";
import { instruction } from "../instruction.ts";
import { Cr4 } from "../paging.ts";
import { mmu } from "../routines/mmu.ts";
import type { Semantics } from "../semantics.ts";
import { State } from "../state.ts";

/** Reasons for an exit, as the engine's interface numbers them. */
const Reason = { hypercall: 2, halt: 3 } as const;

/** HLT — waits for an interrupt. Intel SDM Vol. 2A, "HLT—Halt". */
export const hlt = instruction({
  mnemonic: "hlt",
  flow: "away",
  encodings: ["F4  -  cpl0"],
  semantics: (ir) => ir.exit(Reason.halt),
});

/**
 * VMCALL, VMMCALL — calls the hypervisor, whatever CPL is: it looks at that itself, and answers -EPERM.
 * Intel SDM Vol. 3C, "VMCALL—Call to VM Monitor"; AMD APM Vol. 3, "VMMCALL". Xen: hvm_hypercall().
 */
export const vmcall = instruction({
  mnemonic: "vmcall",
  encodings: ["0F 01 =C1  -  system"],
  semantics: (ir) => ir.exit(Reason.hypercall),
});
export const vmmcall = instruction({
  mnemonic: "vmmcall",
  encodings: ["0F 01 =D9  -  system"],
  semantics: (ir) => ir.exit(Reason.hypercall),
});

/** UD0, UD1, UD2 — #UD. Intel SDM Vol. 2D, "UD—Undefined Instruction". */
export const ud0 = instruction({
  mnemonic: "ud0",
  flow: "away",
  encodings: ["0F FF  Gv,Ev  system"],
  semantics: (ir) => ir.fault(Vector.UD),
});
export const ud1 = instruction({
  mnemonic: "ud1",
  flow: "away",
  encodings: ["0F B9  Gv,Ev  system"],
  semantics: (ir) => ir.fault(Vector.UD),
});
export const ud2 = instruction({
  mnemonic: "ud2",
  flow: "away",
  encodings: ["0F 0B  -  system"],
  semantics: (ir) => ir.fault(Vector.UD),
});

/** INVLPG — drops translations of one page. Intel SDM Vol. 2A, "INVLPG—Invalidate TLB Entries". */
export const invlpg = instruction({
  mnemonic: "invlpg",
  encodings: ["0F 01 /7  M  cpl0"],
  semantics(ir, operand) {
    // No access: neither limits nor types are looked at, and a non-canonical address names no page.
    const linear = ir.add(operand.offset(), ir.get("i64", ir.numbers.slot(ir, "segment")));
    ir.call(mmu.invalidatePage, ir.long ? linear : ir.and(linear, 0xffffffff));
    ir.resynchronise();
  },
});

/** INVPCID — Intel SDM Vol. 2A, "INVPCID—Invalidate Process-Context Identifier". All but single addresses flush everything. */
export const invpcid = instruction({
  mnemonic: "invpcid",
  encodings: ["66 0F 38 82  Gy,M  f64 cpl0"],
  feature: "INVPCID",
  semantics(ir, type, descriptor) {
    const refuse = () => ir.fault(Vector.GP, 0);
    const kind = ir.hold(ir.resize(type.read(), "i64"));
    ir.if(ir.ltu(3, kind), refuse);
    const address = ir.hold(ir.linear(ir.numbers.slot(ir, "segment"), descriptor.offset(), 16, "read"));
    const context = ir.load("i64", address);
    const linear = ir.load("i64", ir.add(address, 8));
    ir.if(ir.ltu(0xfff, context), refuse);
    const enabled = has(ir, ir.get("i64", State.cr4), Cr4.pcide);
    ir.if(ir.and(ir.ltu(kind, 2), ir.and(ir.eqz(enabled), ir.ne(context, 0))), refuse);
    ir.if(
      ir.eqz(kind),
      () => {
        ir.if(ir.eqz(isCanonical(ir, linear)), refuse);
        ir.call(mmu.invalidatePage, linear);
      },
      () => ir.call(mmu.flushAll),
    );
    ir.resynchronise();
  },
});

/** WBINVD, INVD — caches are not modelled. Intel SDM Vol. 2D, "WBINVD—Write Back and Invalidate Cache". */
export const wbinvd = instruction({ mnemonic: "wbinvd", encodings: ["0F 09  -  cpl0"], semantics: () => {} });
export const invd = instruction({ mnemonic: "invd", encodings: ["0F 08  -  cpl0"], semantics: () => {} });

/** CLFLUSH, CLFLUSHOPT, CLWB — an access like a byte's load, without effect. Intel SDM Vol. 2A, "CLFLUSH—Flush Cache Line". */
export const clflush = instruction({
  mnemonic: "clflush",
  encodings: ["NP 0F AE /7  Mb"],
  feature: "CLFSH",
  semantics: (ir, operand) => void ir.load("i8", operand.address("read")),
});
export const clflushopt = instruction({
  mnemonic: "clflushopt",
  encodings: ["66 0F AE /7  Mb"],
  feature: "CLFLUSHOPT",
  semantics: (ir, operand) => void ir.load("i8", operand.address("read")),
});
export const clwb = instruction({
  mnemonic: "clwb",
  encodings: ["66 0F AE /6  Mb"],
  feature: "CLWB",
  semantics: (ir, operand) => void ir.load("i8", operand.address("read")),
});

/** Sets or clears AC, which selects the kernel's view of user pages; #UD but in ring 0. */
function setAccess(ir: Semantics, allow: "allow" | "forbid"): void {
  ir.if(ir.ne(ir.get("i32", State.cpl), 0), () => ir.fault(Vector.UD));
  const flags = ir.get("i32", State.flags);
  ir.set(State.flags, allow === "allow" ? ir.or(flags, FlagBit.ac) : ir.and(flags, ~FlagBit.ac));
  ir.call(mmu.updateMode);
}
/** CLAC, STAC — Intel SDM Vol. 2A, "CLAC—Clear AC Flag in EFLAGS Register"; Vol. 2B, "STAC—Set AC Flag in EFLAGS Register". */
export const clac = instruction({
  mnemonic: "clac",
  encodings: ["NP 0F 01 =CA  -  system"],
  feature: "SMAP",
  semantics: (ir) => setAccess(ir, "forbid"),
});
export const stac = instruction({
  mnemonic: "stac",
  encodings: ["NP 0F 01 =CB  -  system"],
  feature: "SMAP",
  semantics: (ir) => setAccess(ir, "allow"),
});
