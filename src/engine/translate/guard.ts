/** The way into a region: registers are loaded, and its pages are found to be those that it was made of. */

import { State } from "../../x86/state.ts";
import { interpret } from "../dispatch.ts";
import { FetchEntry, VcpuLayout } from "../layout.ts";
import { emitFetchEntry } from "../mmu/fetch-entry.ts";
import { fetchFrame } from "../mmu/fetch.ts";
import { notePage } from "../mmu/tlb.ts";
import { Local, parameter } from "./locals.ts";
import { PageGuard, mostEntries } from "./page-guard.ts";
import type { RegionFrame } from "./region-frame.ts";

/** Loads what the entry needs, and checks the pages. */
export function emitPrologue(frame: RegionFrame): void {
  const { code, region } = frame;
  const { entries } = region;
  frame.reloadTlb();
  code.get(parameter.entry);
  if (entries.length > 1) {
    code.i32(-mostEntries);
    code.op("i32.and");
  }
  code.set(Local.base);
  if (entries.length > 1) {
    code.get(parameter.entry);
    code.i32(mostEntries - 1);
    code.op("i32.and");
    code.set(parameter.entry);
  }
  code.get(parameter.rip);
  code.i64(-4096n);
  code.op("i64.and");
  code.set(Local.page);
  const entered = code.block();
  const labels = entries.map(() => code.block()).toReversed();
  if (entries.length > 1) {
    code.get(parameter.entry);
    code.brTable(labels.slice(0, -1), labels.at(-1)!);
  }
  for (const offset of entries) {
    code.end();
    const page = Math.floor(offset / 4096);
    if (page !== 0) {
      code.get(Local.page);
      code.i64(-page * 4096);
      code.op("i64.add");
      code.set(Local.page);
    }
    frame.loadRegisters(frame.flow.liveAt(offset));
    code.br(entered);
  }
  code.end();
  if (region.pages.length > 1) guardPages(frame);
  // The dispatcher's case is the entry's number.
  if (entries.length > 1) code.get(parameter.entry);
  else code.i32(0);
  code.set(Local.dispatchCase);
}

/** The other pages must still lead to the frames that the region was made of. Seldom is that to be looked up. */
function guardPages(frame: RegionFrame): void {
  const { code, region } = frame;
  const generation = (region.mode & 8) !== 0 ? State.userCode : State.kernelCode;
  const current = () => {
    code.get(parameter.vcpu);
    code.memory("i32.load", generation);
  };
  current();
  code.get(Local.base);
  code.memory("i32.load", PageGuard.generation);
  code.op("i32.ne");
  code.get(Local.page);
  code.get(Local.base);
  code.memory("i64.load", PageGuard.base);
  code.op("i64.ne");
  code.op("i32.or");
  code.hint(false);
  code.if();
  region.pages.forEach((page, index) => {
    if (page !== 0) comparePage(frame, page, index);
  });
  code.get(Local.base);
  code.get(Local.page);
  code.memory("i64.store", PageGuard.base);
  code.get(Local.base);
  current();
  if ((region.mode & 8) === 0) {
    // What ring 0 executes in the user's half of the address space depends on CR3 after all: it is looked up each time.
    code.i32(0);
    code.get(Local.page);
    code.i64(0);
    code.op("i64.lt_s");
    code.op("select");
  }
  code.memory("i32.store", PageGuard.generation);
  code.end();
}

function comparePage(frame: RegionFrame, page: number, index: number): void {
  const { code, region } = frame;
  const entry = Local.dispatchCase;
  const linear = () => {
    code.get(Local.page);
    code.i64(page * 4096);
    code.op("i64.add");
  };
  // The entry of the fetch TLB.
  linear();
  emitFetchEntry(code, parameter.vcpu);
  code.tee(entry);
  code.memory("i64.load", VcpuLayout.fetchTlb + FetchEntry.tag);
  linear();
  code.i64(region.mode);
  code.op("i64.or");
  code.op("i64.eq");
  code.if("i32");
  code.get(entry);
  code.memory("i32.load", VcpuLayout.fetchTlb + FetchEntry.frame);
  code.else();
  // A page that cannot be fetched from is no reason for a fault yet: CR2 stays.
  code.get(parameter.vcpu);
  code.memory("i64.load", State.cr2);
  code.set(Local.target);
  code.get(parameter.vcpu);
  linear();
  frame.call(fetchFrame);
  code.op("drop");
  code.get(parameter.vcpu);
  code.get(Local.target);
  code.memory("i64.store", State.cr2);
  code.end();
  code.get(Local.base);
  code.memory("i32.load", PageGuard.frames + index * 4);
  code.op("i32.ne");
  code.if();
  refuse(frame);
  code.end();
  // When its translation ends, the generation does.
  code.get(parameter.vcpu);
  linear();
  frame.call(notePage);
}

/** Lets the interpreter go on where the region would have begun. */
function refuse(frame: RegionFrame): void {
  const { code, region } = frame;
  const leave = (offset: number): void => {
    frame.leaveFor(region.blocks.get(offset)!.instructions[0]!, 0);
    code.i32(interpret);
    code.return();
  };
  if (region.entries.length === 1) {
    leave(region.entries[0]!);
    return;
  }
  region.entries.forEach((offset, index) => {
    code.get(parameter.entry);
    code.i32(index);
    code.op("i32.eq");
    code.if();
    leave(offset);
    code.end();
  });
  code.op("unreachable");
}
