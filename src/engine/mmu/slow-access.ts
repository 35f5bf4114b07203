import { Builder, routine } from "../../ir/builder.ts";
import type { Routine } from "../../ir/node.ts";
import type { Value } from "../../ir/node.ts";
import { Vector } from "../../x86/exceptions.ts";
import { State } from "../../x86/state.ts";
import { P2mType } from "../engine.ts";
import { DomainLayout, TlbEntry, VcpuLayout } from "../layout.ts";
import { AccessFlag, PageAttribute, translate } from "./page-walk.ts";
import { Mmu } from "./state.ts";

export { AccessFlag } from "./page-walk.ts";

const builder = () => new Builder();

/** Remembers that a part of a large page is cached. */
export function noteLarge(ir: Builder, address: Value): void {
  const hash = ir.hold(ir.and(ir.trunc(ir.shr(address, 21), "i32"), Mmu.largeBytes * 8 - 1));
  const byte = ir.add(ir.const("i32", Mmu.large), ir.shr(hash, 3));
  const bit = ir.shl(ir.const("i32", 1), ir.and(hash, 7));
  ir.set(byte, ir.or(ir.get("i8", byte), ir.trunc(bit, "i8")));
}

/** #AC(0) for a misaligned access of 2, 4 or 8 bytes while alignment is checked. Intel SDM Vol. 3A, "Alignment Check". */
function checkAlignment(ir: Builder, address: Value, bytes: Value, flags: Value): void {
  ir.if(ir.ne(ir.get("i32", State.alignmentCheck), 0), () => {
    const misaligned = ir.ne(ir.and(ir.trunc(address, "i32"), ir.sub(bytes, 1)), 0);
    const applies = ir.and(ir.leu(bytes, 8), ir.eqz(ir.and(flags, AccessFlag.system)));
    ir.if(ir.and(misaligned, applies), () => ir.fault(Vector.AC, 0));
  });
}

/** Puts a page of ordinary memory into the bank that the access uses. */
function fill(ir: Builder, address: Value, flags: Value, frame: Value, attributes: Value, writable: Value): void {
  const system = ir.ne(ir.and(flags, AccessFlag.system), 0);
  const bank = ir.hold(ir.select(system, ir.add(ir.vcpu(), VcpuLayout.kernelBank), ir.get("i32", State.tlbBank)));
  const mask = ir.select(
    system,
    ir.const("i32", (VcpuLayout.kernelEntries - 1) << TlbEntry.shift),
    ir.get("i32", State.tlbMask),
  );
  const index = ir.and(ir.trunc(ir.shr(address, 12 - TlbEntry.shift), "i32"), mask);
  const entry = ir.hold(ir.add(bank, index));
  const checksAlignment = ir.ne(ir.get("i32", State.alignmentCheck), 0);
  const uncached = ir.and(checksAlignment, ir.eqz(system));
  const page = ir.and(address, -4096n);
  const tag = ir.hold(ir.select(uncached, ir.const("i64", -1), page));
  const hasCode = ir.ne(ir.hostLoad("i8", ir.shr(frame, 12), DomainLayout.codeFrames), 0);
  ir.hostStore(entry, tag, TlbEntry.readTag);
  ir.hostStore(entry, ir.select(ir.and(writable, ir.eqz(hasCode)), tag, ir.const("i64", -1)), TlbEntry.writeTag);
  ir.hostStore(entry, ir.sub(frame, ir.trunc(page, "i32")), TlbEntry.addend);
  ir.if(ir.ne(ir.and(attributes, PageAttribute.large), 0), () => noteLarge(ir, address));
  const inKernelBank = ir.eq(bank, ir.add(ir.vcpu(), VcpuLayout.kernelBank));
  ir.if(ir.and(inKernelBank, ir.eqz(ir.and(attributes, PageAttribute.global))), () => {
    const count = ir.get("i32", Mmu.logCount);
    ir.if(ir.ltu(count, Mmu.logEntries), () => {
      ir.set(ir.add(ir.const("i32", Mmu.log), ir.shl(count, 2)), entry);
    });
    ir.set(Mmu.logCount, ir.add(count, 1));
  });
}

/**
 * resolve(linear: i64, flags: i32) → (host: i32, physical: i64): translates one byte's address and caches its page.
 * host is its byte address in linear memory, or 0 where the platform has to be asked. Faults as the access would.
 */
export const resolve = routine(
  "resolve",
  { parameters: ["i64", "i32"], results: ["i32", "i64"], faults: true },
  builder,
  (ir, address, flags) => {
    const [physical, attributes] = ir.call(translate, address, flags) as [Value, Value];
    const gfn = ir.shr(physical, 12);
    ir.if(ir.ltu(gfn, DomainLayout.p2mFrames), () => {
      const entry = ir.hostLoad("i32", ir.shl(ir.trunc(gfn, "i32"), 2), DomainLayout.p2m);
      const type = ir.hold(ir.and(entry, 0xfff));
      const frame = ir.hold(ir.and(entry, -4096));
      const host = ir.or(frame, ir.and(ir.trunc(physical, "i32"), 0xfff));
      ir.if(ir.eq(type, P2mType.ram), () => {
        const writable = ir.variable(ir.ne(ir.and(attributes, PageAttribute.writable), 0));
        // Where tiers are compared, the first write to a page comes this way, even behind a read.
        ir.if(ir.ne(ir.get("i32", State.checking), 0), () => {
          ir.host("pageTouched", frame, flags);
          ir.if(ir.eqz(ir.and(flags, AccessFlag.write)), () => ir.assign(writable, ir.const("i1", 0)));
        });
        fill(ir, address, flags, frame, attributes, ir.read(writable));
        ir.return(host, physical);
      });
      ir.if(ir.and(ir.eq(type, P2mType.ramReadOnly), ir.eqz(ir.and(flags, AccessFlag.write))), () => {
        fill(ir, address, flags, frame, attributes, ir.const("i1", 0));
        ir.return(host, physical);
      });
    });
    ir.return(ir.const("i32", 0), physical);
  },
);

function crossesPage(ir: Builder, address: Value, bytes: Value): Value {
  return ir.ltu(4096, ir.add(ir.and(ir.trunc(address, "i32"), 0xfff), bytes));
}

/** Where an access goes on in the next page; a fault there has this address in CR2. */
function secondPage(ir: Builder, address: Value, bytes: Value): Value {
  return ir.and(ir.add(address, ir.zext(ir.sub(bytes, 1), "i64")), -4096n);
}

/** Visits the bytes of an access one by one; both its pages have been found accessible. */
function eachByte(ir: Builder, bytes: Value, visit: (index: Value) => void): void {
  const index = ir.variable(ir.const("i32", 0));
  ir.loop((loop) => {
    const now = ir.read(index);
    ir.if(ir.leu(bytes, now), () => ir.break(loop));
    visit(now);
    ir.assign(index, ir.add(now, 1));
  });
}

/** slowProbe(linear: i64, bytes: i32, flags: i32): faults as a store of up to a page would. Every page is checked. */
export const slowProbe = routine(
  "slowProbe",
  { parameters: ["i64", "i32", "i32"], results: [], faults: true },
  builder,
  (ir, address, bytes, flags) => {
    checkAlignment(ir, address, bytes, flags);
    const write = ir.hold(ir.or(flags, AccessFlag.write));
    ir.call(resolve, address, write);
    ir.if(crossesPage(ir, address, bytes), () => {
      ir.call(resolve, secondPage(ir, address, bytes), write);
    });
    ir.return();
  },
);

/** slowLoad(linear: i64, bytes: i32, flags: i32) → i64: a load that missed the TLB, crosses a page, or is not memory. */
export const slowLoad: Routine = routine(
  "slowLoad",
  { parameters: ["i64", "i32", "i32"], results: ["i64"], faults: true },
  builder,
  (ir, address, bytes, flags) => {
    checkAlignment(ir, address, bytes, flags);
    ir.if(crossesPage(ir, address, bytes), () => {
      ir.call(resolve, address, flags);
      ir.call(resolve, secondPage(ir, address, bytes), flags);
      const value = ir.variable(ir.const("i64", 0));
      eachByte(ir, bytes, (index) => {
        const [byte] = ir.call(slowLoad, ir.add(address, ir.zext(index, "i64")), ir.const("i32", 1), flags) as [Value];
        ir.assign(value, ir.or(ir.read(value), ir.shl(byte, ir.zext(ir.shl(index, 3), "i64"))));
      });
      ir.return(ir.read(value));
    });
    const [host, physical] = ir.call(resolve, address, flags) as [Value, Value];
    ir.if(ir.eqz(host), () => {
      ir.set(State.hostValue, physical);
      ir.host("mmioRead", bytes);
      ir.return(ir.get("i64", State.hostValue));
    });
    for (const [size, type] of [[1, "i8"], [2, "i16"], [4, "i32"]] as const) {
      ir.if(ir.eq(bytes, size), () => ir.return(ir.zext(ir.hostLoad(type, host), "i64")));
    } // prettier-ignore
    ir.return(ir.hostLoad("i64", host));
  },
);

/**
 * meetsCode(linear: i64, bytes: i32, flags: i32) → i32: whether a store would write to a frame with code. Faults as the store
 * would.
 */
export const meetsCode: Routine = routine(
  "meetsCode",
  { parameters: ["i64", "i32", "i32"], results: ["i32"], faults: true },
  builder,
  (ir, address, bytes, flags) => {
    checkAlignment(ir, address, bytes, flags);
    const write = ir.hold(ir.or(flags, AccessFlag.write));
    const codeAt = (at: Value) => {
      const [host] = ir.call(resolve, at, write) as [Value, Value];
      // The first frame is nobody's, and never has code.
      return ir.hostLoad("i8", ir.shr(host, 12), DomainLayout.codeFrames);
    };
    const first = codeAt(address);
    ir.if(crossesPage(ir, address, bytes), () => {
      ir.return(ir.zext(ir.or(first, codeAt(secondPage(ir, address, bytes))), "i32"));
    });
    ir.return(ir.zext(first, "i32"));
  },
);

/** slowStore(linear: i64, value: i64, bytes: i32, flags: i32): a store that missed, crosses, is MMIO, or meets code. */
export const slowStore: Routine = routine(
  "slowStore",
  { parameters: ["i64", "i64", "i32", "i32"], results: [], faults: true },
  builder,
  (ir, address, value, bytes, flags) => {
    checkAlignment(ir, address, bytes, flags);
    const write = ir.hold(ir.or(flags, AccessFlag.write));
    ir.if(crossesPage(ir, address, bytes), () => {
      ir.call(slowProbe, address, bytes, write);
      eachByte(ir, bytes, (index) => {
        const byte = ir.and(ir.shr(value, ir.zext(ir.shl(index, 3), "i64")), 0xff);
        ir.call(slowStore, ir.add(address, ir.zext(index, "i64")), byte, ir.const("i32", 1), flags);
      });
      ir.return();
    });
    const [host, physical] = ir.call(resolve, address, write) as [Value, Value];
    ir.if(ir.eqz(host), () => {
      ir.set(State.hostValue, physical);
      ir.set(State.hostValue2, value);
      ir.host("mmioWrite", bytes);
      ir.return();
    });
    ir.if(ir.eq(bytes, 1), () => ir.hostStore(host, ir.trunc(value, "i8")));
    ir.if(ir.eq(bytes, 2), () => ir.hostStore(host, ir.trunc(value, "i16")));
    ir.if(ir.eq(bytes, 4), () => ir.hostStore(host, ir.trunc(value, "i32")));
    ir.if(ir.eq(bytes, 8), () => ir.hostStore(host, value));
    ir.if(ir.ne(ir.hostLoad("i8", ir.shr(host, 12), DomainLayout.codeFrames), 0), () => {
      ir.host("codeWritten", host, bytes);
    });
    ir.return();
  },
);
