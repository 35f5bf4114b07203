import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { has, isCanonical } from "../descriptors.ts";
import { Vector } from "../exceptions.ts";
import { Msr, stateMsrs } from "../msr.ts";
import type { MsrRule } from "../msr.ts";
import { Cr0, Efer } from "../paging.ts";
import { State } from "../state.ts";
import { clock } from "./clock.ts";
import { mmu } from "./mmu.ts";

const refuse = (ir: Builder) => ir.fault(Vector.GP, 0);

/** The time-stamp counter as the guest sees it. */
export function readTimestamp(ir: Builder): Value {
  const [ticks] = ir.call(clock.timeStamp) as [Value];
  return ir.add(ticks, ir.get("i64", State.tscOffset));
}

/** readMsr(index: i32) → i64: RDMSR at CPL 0. */
export const readMsr = routine(
  "readMsr",
  { parameters: ["i32"], results: ["i64"], faults: true },
  () => new Builder(),
  (ir, index) => {
    for (const msr of stateMsrs) ir.if(ir.eq(index, msr.index), () => ir.return(ir.get("i64", msr.slot)));
    ir.if(ir.eq(index, Msr.timeStampCounter), () => ir.return(readTimestamp(ir)));
    ir.if(ir.eq(index, Msr.efer), () => ir.return(ir.get("i64", State.efer)));
    ir.if(ir.ne(ir.host("rdmsr", index), 0), () => refuse(ir));
    ir.return(ir.get("i64", State.hostValue));
  },
);

/** Some byte of `value` is no memory type: 2, 3, or 8 and above. */
function hasBadMemoryType(ir: Builder, value: Value): Value {
  const high = has(ir, value, 0xf8f8f8f8f8f8f8f8n);
  const reserved = ir.and(ir.and(ir.shr(value, 1), ir.not(ir.shr(value, 2))), 0x0101010101010101n);
  return ir.or(high, ir.ne(reserved, 0));
}

function breaks(ir: Builder, rule: MsrRule, value: Value): Value | undefined {
  switch (rule) {
    case "any":
      return undefined;
    case "canonical":
      return ir.eqz(isCanonical(ir, value));
    case "word":
      return ir.ltu(0xffffffff, value);
    case "memory-types":
      return hasBadMemoryType(ir, value);
  }
}

/** EFER: SCE, LME and NXE can be written; LMA follows paging; LME cannot change under it. Intel SDM Vol. 3A, "Extended Feature Enable Register". */
function writeEfer(ir: Builder, value: Value): void {
  const old = ir.get("i64", State.efer);
  ir.if(has(ir, value, BigInt.asUintN(64, ~BigInt(Efer.sce | Efer.lme | Efer.lma | Efer.nxe))), () => refuse(ir));
  const changed = ir.hold(ir.xor(old, value));
  const paging = has(ir, ir.get("i64", State.cr0), Cr0.pg);
  ir.if(ir.and(has(ir, changed, Efer.lme), paging), () => refuse(ir));
  ir.set(State.efer, ir.or(ir.and(value, ~BigInt(Efer.lma)), ir.and(old, Efer.lma)));
  ir.if(has(ir, changed, Efer.nxe), () => ir.call(mmu.flushAll));
}

/** writeMsr(index: i32, value: i64): WRMSR at CPL 0. #GP(0) for a value that the register does not take. */
export const writeMsr = routine(
  "writeMsr",
  { parameters: ["i32", "i64"], results: [], faults: true },
  () => new Builder(),
  (ir, index, value) => {
    for (const { index: each, slot, rule } of stateMsrs) {
      ir.if(ir.eq(index, each), () => {
        const wrong = breaks(ir, rule, value);
        if (wrong !== undefined) ir.if(wrong, () => refuse(ir));
        ir.set(slot, value);
        ir.return();
      });
    }
    ir.if(ir.eq(index, Msr.efer), () => {
      writeEfer(ir, value);
      ir.return();
    });
    ir.if(ir.eq(index, Msr.timeStampCounter), () => {
      const [ticks] = ir.call(clock.timeStamp) as [Value];
      ir.set(State.tscOffset, ir.sub(value, ticks));
      ir.return();
    });
    ir.set(State.hostValue, value);
    ir.if(ir.ne(ir.host("wrmsr", index), 0), () => refuse(ir));
    ir.return();
  },
);
