import { Ending } from "../../ir/node.ts";
import type { Label } from "../../wasm/code.ts";
import { SegmentField, State, segmentSlot } from "../../x86/state.ts";
import { Return, interpret, repeatCost, singleBit } from "../dispatch.ts";
import { leaveToCheck, loadStop, onlyWithJumps, passHead, stopExactly } from "../check/dispatch.ts";
import type { HotForm, HotSurroundings, LocalPool } from "../hot-form.ts";
import { DomainLayout } from "../layout.ts";
import { formType, regionType } from "../linker.ts";
import { noteJump } from "../mmu/tlb.ts";
import { fetchFrame } from "../mmu/fetch.ts";
import { RecordField, recordBytes } from "../record.ts";
import type { DispatcherCode } from "./code.ts";

function countForm(d: DispatcherCode): void {
  const { code, locals } = d;
  code.get(locals.record);
  code.memory("i32.load16_u", RecordField.form);
  code.i32(3);
  code.op("i32.shl");
  code.tee(locals.entry);
  code.get(locals.entry);
  code.memory("i64.load", DomainLayout.formCounts);
  code.i64(1n);
  code.op("i64.add");
  code.memory("i64.store", DomainLayout.formCounts);
}

/** Handler.crossing: compares the frame of the next page with the one that the record behind was made from. */
function crossing(d: DispatcherCode, faulted: Label, advance: Label): void {
  const { code, locals } = d;
  uncount(d);
  d.setRip(RecordField.start, "start");
  code.get(locals.vcpu);
  d.load64(State.ripPage);
  d.load64(segmentSlot("cs") + SegmentField.base);
  code.op("i64.add");
  code.i64(4096n);
  code.op("i64.add");
  d.callRoutine(fetchFrame);
  code.set(locals.status);
  code.set(locals.entry);
  code.get(locals.status);
  code.brIf(faulted);
  code.get(locals.entry);
  code.get(locals.record);
  code.memory("i32.load", RecordField.immediate);
  code.op("i32.eq");
  code.brIf(advance);
  d.store(State.dispatchFrame, "i32", () => {
    code.get(locals.record);
    code.memory("i32.load", RecordField.displacement);
  });
  d.store(State.dispatchSecond, "i32", () => code.get(locals.entry));
  d.leave(Return.crossing);
}

/** Handler.head: not an instruction. */
function countHead(d: DispatcherCode, advance: Label): void {
  const { code, locals } = d;
  uncount(d);
  if (d.checking) passHead(d, advance);
  code.get(locals.record);
  code.get(locals.record);
  code.memory("i32.load", RecordField.immediate);
  code.i32(1);
  code.op("i32.sub");
  code.tee(locals.entry);
  code.memory("i32.store", RecordField.immediate);
  code.get(locals.entry);
  code.brIf(advance);
  d.setRip(RecordField.start, "start");
  d.store(State.dispatchRecord, "i32", () => code.get(locals.record));
  d.leave(Return.hot);
}

/** Handler.region: what the region says is what the record at which it left off would say. */
function callRegion(d: DispatcherCode, to: { lookUp: Label; next: Label; ended: Label; advance: Label }): void {
  const { code, locals } = d;
  uncount(d);
  if (d.checking) passHead(d, to.advance);
  d.load64(State.ripPage);
  code.get(locals.record);
  code.memory("i64.load16_u", RecordField.start);
  code.op("i64.add");
  code.set(locals.linear);
  const place = () => {
    code.get(locals.record);
    code.memory("i32.load", RecordField.immediate);
  };
  const slot = () => {
    code.get(locals.record);
    code.memory("i32.load", RecordField.displacement);
  };
  const mayNote = d.checking ? onlyWithJumps(d) : undefined;
  code.get(locals.vcpu);
  code.get(locals.linear);
  slot();
  place();
  d.callRoutine(noteJump);
  if (mayNote !== undefined) {
    code.end();
    leaveToCheck(d);
  }
  d.store(State.regionEntries, "i64", () => {
    d.load64(State.regionEntries);
    code.i64(1);
    code.op("i64.add");
  });
  code.get(locals.vcpu);
  code.get(locals.remaining);
  code.get(locals.linear);
  place();
  slot();
  code.callIndirect(d.callees.module.type(regionType));
  code.set(locals.status);
  d.store(State.translated, "i64", () => {
    d.load64(State.translated);
    code.get(locals.remaining);
    d.load32(State.dispatchRemaining);
    code.tee(locals.remaining);
    code.op("i32.sub");
    code.op("i64.extend_i32_s");
    code.op("i64.add");
  });
  code.get(locals.status);
  code.i32(Ending.branch);
  code.op("i32.eq");
  code.brIf(to.lookUp);
  d.load32(State.dispatchRecord);
  code.set(locals.record);
  code.get(locals.status);
  code.i32(interpret);
  code.op("i32.eq");
  code.brIf(to.next);
  code.br(to.ended);
}

/** Gives back what this record took from the budget: it is not an instruction. */
function uncount({ code, locals }: DispatcherCode): void {
  code.get(locals.remaining);
  code.i32(1);
  code.op("i32.add");
  code.set(locals.remaining);
}

/** The loop over records. */
export function runRecords(
  d: DispatcherCode,
  hot: readonly HotForm[],
  pool: LocalPool,
  lookUp: Label,
  faulted: Label,
  resynchronise: Label,
): void {
  const { code, locals } = d;
  const next = code.loop();
  if (d.checking) stopExactly(d);
  code.get(locals.remaining);
  code.i32(1);
  code.op("i32.sub");
  code.set(locals.remaining);
  const ended = code.block();
  const advance = code.block();
  const branch = code.block();
  const cases = hot.map(() => code.block());
  const regions = code.block();
  const heads = code.block();
  const goes = code.block();
  const crosses = code.block();
  const raises = code.block();
  const looksUp = code.block();
  const calls = code.block();
  code.get(locals.record);
  code.memory("i32.load16_u", RecordField.handler);
  code.brTable([calls, looksUp, raises, crosses, goes, heads, regions, ...cases.toReversed()], calls);
  code.end();
  // Handler.form
  if (d.counting) countForm(d);
  d.store(State.dispatchRemaining, "i32", () => code.get(locals.remaining));
  code.get(locals.vcpu);
  code.get(locals.record);
  code.get(locals.record);
  code.memory("i32.load16_u", RecordField.form);
  code.callIndirect(d.callees.module.type(formType));
  code.tee(locals.status);
  code.op("i32.eqz");
  code.brIf(advance);
  code.br(ended);
  code.end();
  // Handler.lookUp: not an instruction.
  uncount(d);
  d.setRip(RecordField.start, "start");
  d.load32(State.mode);
  code.i32(singleBit);
  code.op("i32.and");
  code.brIf(resynchronise);
  code.br(lookUp);
  code.end();
  // Handler.raise
  d.setRip(RecordField.start, "start");
  d.store(State.faultVector, "i32", () => {
    code.get(locals.record);
    code.memory("i32.load", RecordField.immediate);
  });
  d.store(State.faultCode, "i32", () => {
    code.get(locals.record);
    code.memory("i32.load", RecordField.displacement);
  });
  code.br(faulted);
  code.end();
  crossing(d, faulted, advance);
  code.end();
  // Handler.goto
  uncount(d);
  code.br(branch);
  code.end();
  countHead(d, advance);
  code.end();
  callRegion(d, { lookUp, next, ended, advance });
  const around: HotSurroundings = {
    vcpu: locals.vcpu,
    record: locals.record,
    status: locals.status,
    next: advance,
    ended,
    branch,
  };
  for (const form of hot) {
    code.end();
    form.emit(code, d.callees, around, pool);
  }
  code.end();
  // A taken branch to a page offset: to its remembered record, or by way of a look-up that remembers it.
  code.get(locals.record);
  code.memory("i32.load", RecordField.displacement);
  code.tee(locals.entry);
  code.if();
  code.get(locals.remaining);
  if (d.checking) loadStop(d);
  else code.i32(0);
  code.op("i32.gt_s");
  d.load32(State.attention);
  code.op("i32.eqz");
  code.op("i32.and");
  code.if();
  code.get(locals.entry);
  code.set(locals.record);
  code.br(next);
  code.end();
  code.end();
  d.setRip(RecordField.immediate, "target");
  // Only targets in this page are remembered: the others depend on translations.
  code.get(locals.record);
  code.i32(0);
  code.get(locals.record);
  code.memory("i64.load", RecordField.immediate);
  code.i64(4096n);
  code.op("i64.lt_u");
  d.load32(State.mode);
  code.i32(singleBit);
  code.op("i32.and");
  code.op("i32.eqz");
  code.op("i32.and");
  code.op("select");
  code.set(locals.previous);
  d.load32(State.mode);
  code.i32(singleBit);
  code.op("i32.and");
  code.brIf(resynchronise);
  code.br(lookUp);
  code.end();
  // The record behind this one.
  code.get(locals.record);
  code.i32(recordBytes);
  code.op("i32.add");
  code.set(locals.record);
  code.br(next);
  code.end();
  // An ending other than next.
  code.get(locals.status);
  code.i32(Ending.branch);
  code.op("i32.eq");
  code.if();
  d.load32(State.mode);
  code.i32(singleBit);
  code.op("i32.and");
  code.brIf(resynchronise);
  code.br(lookUp);
  code.end();
  code.get(locals.status);
  code.i32(Ending.resynchronise);
  code.op("i32.eq");
  code.brIf(resynchronise);
  code.get(locals.status);
  code.i32(Ending.exit);
  code.op("i32.eq");
  code.if();
  d.leave(Return.exit);
  code.end();
  // A fault, or a REP that goes on: rip is this instruction's, which has not retired.
  code.get(locals.remaining);
  code.i32(1);
  code.op("i32.add");
  code.set(locals.remaining);
  d.setRip(RecordField.start, "start");
  code.get(locals.status);
  code.i32(Ending.fault);
  code.op("i32.eq");
  code.brIf(faulted);
  // A REP that goes on is a point where budget runs down, so that it cannot keep others waiting.
  code.get(locals.remaining);
  code.i32(repeatCost);
  code.op("i32.sub");
  code.set(locals.remaining);
  d.store(State.dispatchPenalty, "i32", () => {
    d.load32(State.dispatchPenalty);
    code.i32(repeatCost);
    code.op("i32.add");
  });
  code.br(lookUp);
  code.end();
  code.op("unreachable");
}
