import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { Attribute, has, segmentField } from "../descriptors.ts";
import { Vector } from "../exceptions.ts";
import { Cr0, Cr4, Efer, reservedAddress } from "../paging.ts";
import { State, segmentSlot } from "../state.ts";
import { mmu } from "./mmu.ts";

const refuse = (ir: Builder) => ir.fault(Vector.GP, 0);

/** Bits of CR0 that exist. ET is always set. */
const cr0Bits = Object.values(Cr0).reduce((all, bit) => all | BigInt(bit), 0n);
/** Bits of CR4 that exist: virtual-8086 extensions do not, nor is CPUID to say so. */
const cr4Bits = Object.values(Cr4).reduce((all, bit) => all | BigInt(bit), 0n) & ~BigInt(Cr4.vme | Cr4.pvi);

function codeIsLong(ir: Builder): Value {
  const attributes = ir.get("i16", segmentField(ir, segmentSlot("cs"), "attributes"));
  return has(ir, ir.zext(attributes, "i32"), Attribute.long);
}

/**
 * writeCr0(value: i64): MOV to CR0. Switching paging on with EFER.LME enters IA-32e mode, switching it off leaves it.
 * The caller resynchronises. Intel SDM Vol. 3A, "Control Registers"; "Initializing IA-32e Mode".
 */
export const writeCr0 = routine(
  "writeCr0",
  { parameters: ["i64"], results: [], faults: true },
  () => new Builder(),
  (ir, given) => {
    const bit = (value: Value, mask: number) => ir.hold(has(ir, value, mask));
    const old = ir.get("i64", State.cr0);
    const value = ir.hold(ir.or(ir.and(given, cr0Bits), Cr0.et));
    const [paging, wasPaging] = [bit(value, Cr0.pg), bit(old, Cr0.pg)];
    ir.if(ir.ltu(0xffffffff, given), () => refuse(ir));
    ir.if(ir.and(paging, ir.eqz(bit(value, Cr0.pe))), () => refuse(ir));
    ir.if(ir.and(bit(value, Cr0.nw), ir.eqz(bit(value, Cr0.cd))), () => refuse(ir));
    const cr4 = ir.get("i64", State.cr4);
    const efer = ir.get("i64", State.efer);
    ir.if(ir.and(paging, ir.and(ir.eqz(wasPaging), bit(efer, Efer.lme))), () => {
      ir.if(ir.or(ir.eqz(bit(cr4, Cr4.pae)), codeIsLong(ir)), () => refuse(ir));
      // A 16-bit TSS cannot be used in IA-32e mode.
      const task = ir.zext(ir.get("i16", segmentField(ir, segmentSlot("tr"), "attributes")), "i32");
      ir.if(ir.eq(ir.and(task, 0x9d), 0x81), () => refuse(ir));
      ir.set(State.efer, ir.or(efer, Efer.lma));
    });
    ir.if(ir.and(wasPaging, ir.eqz(paging)), () => {
      const inLong = ir.and(bit(efer, Efer.lma), codeIsLong(ir));
      ir.if(ir.or(inLong, bit(cr4, Cr4.pcide)), () => refuse(ir));
      ir.set(State.efer, ir.and(efer, ~BigInt(Efer.lma)));
    });
    ir.set(State.cr0, value);
    ir.if(has(ir, ir.xor(old, value), Cr0.pg | Cr0.wp | Cr0.pe), () => ir.call(mmu.flushAll));
    ir.call(mmu.updateMode);
    ir.return();
  },
);

/** writeCr3(value: i64): MOV to CR3; with CR4.PCIDE, bit 63 keeps translations. Intel SDM Vol. 3A, "Process-Context Identifiers". */
export const writeCr3 = routine(
  "writeCr3",
  { parameters: ["i64"], results: [], faults: true },
  () => new Builder(),
  (ir, value) => {
    const reserved = BigInt.asUintN(64, reservedAddress | (0x7ffn << 52n));
    const pcide = has(ir, ir.get("i64", State.cr4), Cr4.pcide);
    const forbidden = ir.select(pcide, ir.const("i64", reserved), ir.const("i64", reserved | (1n << 63n)));
    ir.if(overlaps(ir, value, forbidden), () => refuse(ir));
    ir.call(mmu.loadCr3, value);
    ir.return();
  },
);
function overlaps(ir: Builder, value: Value, mask: Value): Value {
  return ir.ne(ir.and(value, mask), 0);
}

/** writeCr4(value: i64): MOV to CR4. The caller resynchronises. Intel SDM Vol. 3A, "Control Registers". */
export const writeCr4 = routine(
  "writeCr4",
  { parameters: ["i64"], results: [], faults: true },
  () => new Builder(),
  (ir, value) => {
    const old = ir.get("i64", State.cr4);
    ir.if(has(ir, value, BigInt.asUintN(64, ~cr4Bits)), () => refuse(ir));
    const long = ir.hold(has(ir, ir.get("i64", State.efer), Efer.lma));
    ir.if(ir.and(long, ir.eqz(has(ir, value, Cr4.pae))), () => refuse(ir));
    const changed = ir.hold(ir.xor(old, value));
    ir.if(ir.and(has(ir, changed, Cr4.pcide), has(ir, value, Cr4.pcide)), () => {
      ir.if(ir.or(ir.eqz(long), has(ir, ir.get("i64", State.cr3), 0xfff)), () => refuse(ir));
    });
    ir.set(State.cr4, value);
    ir.if(has(ir, changed, Cr4.pge | Cr4.pae | Cr4.pse | Cr4.pcide | Cr4.smep | Cr4.smap), () => ir.call(mmu.flushAll));
    ir.call(mmu.updateMode);
    ir.return();
  },
);
