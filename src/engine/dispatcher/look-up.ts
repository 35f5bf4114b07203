import type { Label } from "../../wasm/code.ts";
import { SegmentField, State, segmentSlot } from "../../x86/state.ts";
import { Return, hashShift } from "../dispatch.ts";
import { DomainLayout, FetchEntry, HashEntry, VcpuLayout } from "../layout.ts";
import { emitFetchEntry } from "../mmu/fetch-entry.ts";
import { fetch } from "../mmu/fetch.ts";
import { RecordField } from "../record.ts";
import type { DispatcherCode } from "./code.ts";

/** Finds the record at rip, in `record`; otherwise leaves, or raises the fetch's fault by branching to `faulted`. */
export function lookUp(d: DispatcherCode, faulted: Label): void {
  const { code, locals } = d;
  // linear = CS base + rip; outside 64-bit mode it wraps at 4 GiB.
  d.load32(State.mode);
  code.i32(2);
  code.op("i32.and");
  code.op("i32.eqz");
  code.if();
  d.load64(State.rip);
  d.load64(segmentSlot("cs") + SegmentField.base);
  code.op("i64.add");
  code.i64(0xffffffffn);
  code.op("i64.and");
  code.set(locals.linear);
  code.else();
  d.load64(State.rip);
  code.set(locals.linear);
  code.end();
  // The fetch TLB: tag is page | mode.
  code.get(locals.linear);
  emitFetchEntry(code, locals.vcpu);
  code.tee(locals.entry);
  code.memory("i64.load", VcpuLayout.fetchTlb + FetchEntry.tag);
  code.get(locals.linear);
  code.i64(-4096n);
  code.op("i64.and");
  d.load32(State.mode);
  code.op("i64.extend_i32_u");
  code.op("i64.or");
  code.op("i64.ne");
  code.if();
  code.get(locals.vcpu);
  code.get(locals.linear);
  d.callRoutine(fetch);
  code.tee(locals.status);
  code.brIf(faulted);
  code.end();
  // The record hash: key is the code's byte address in linear memory | mode << 32.
  code.get(locals.entry);
  code.memory("i32.load", VcpuLayout.fetchTlb + FetchEntry.frame);
  code.get(locals.linear);
  code.op("i32.wrap_i64");
  code.i32(0xfff);
  code.op("i32.and");
  code.op("i32.or");
  code.tee(locals.entry);
  code.op("i64.extend_i32_u");
  d.load32(State.mode);
  code.op("i64.extend_i32_u");
  code.i64(32n);
  code.op("i64.shl");
  code.op("i64.or");
  code.set(locals.key);
  d.store(State.ripPage, "i64", () => {
    d.load64(State.rip);
    code.get(locals.linear);
    code.i64(0xfffn);
    code.op("i64.and");
    code.op("i64.sub");
  });
  // Hash: the low bits of address ⊕ address >> 16, spread by mode.
  code.get(locals.entry);
  code.get(locals.entry);
  code.i32(hashShift);
  code.op("i32.shr_u");
  code.op("i32.xor");
  d.load32(State.mode);
  code.i32(9);
  code.op("i32.shl");
  code.op("i32.xor");
  code.i32(DomainLayout.hashEntries - 1);
  code.op("i32.and");
  code.i32(Math.log2(HashEntry.bytes));
  code.op("i32.shl");
  code.set(locals.status);
  code.get(locals.status);
  code.memory("i64.load", DomainLayout.recordHash + HashEntry.key);
  code.get(locals.key);
  code.op("i64.ne");
  code.if();
  // The entry beside it is the second place.
  code.get(locals.status);
  code.i32(HashEntry.bytes);
  code.op("i32.xor");
  code.tee(locals.status);
  code.memory("i64.load", DomainLayout.recordHash + HashEntry.key);
  code.get(locals.key);
  code.op("i64.ne");
  code.if();
  d.store(State.dispatchFrame, "i32", () => code.get(locals.entry));
  d.leave(Return.decode);
  code.end();
  code.end();
  code.get(locals.status);
  code.memory("i32.load", DomainLayout.recordHash + HashEntry.record);
  code.set(locals.record);
  // A branch inside the page remembers where it led.
  code.get(locals.previous);
  code.if();
  code.get(locals.previous);
  code.get(locals.record);
  code.memory("i32.store", RecordField.displacement);
  code.i32(0);
  code.set(locals.previous);
  code.end();
}
