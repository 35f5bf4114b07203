/** The ways out of a region. */

import { Ending } from "../../ir/node.ts";
import { State } from "../../x86/state.ts";
import { interpret } from "../dispatch.ts";
import { JumpEntry, VcpuLayout, jumpShift } from "../layout.ts";
import { regionTypeIndex } from "./types.ts";
import { dynamicStatus, emitExitField, exitRecordBytes, pageBias } from "./exit-word.ts";
import type { PendingFlags } from "./fused.ts";
import { Local, parameter } from "./locals.ts";
import type { RegionFrame } from "./region-frame.ts";

/** Goes on at `target`: in the region that a jump cache knows, or by way of the dispatcher. */
export function emitChain(frame: RegionFrame): void {
  const code = frame.code;
  const entry = Local.dispatchCase;
  const user = (frame.region.mode & 8) !== 0;
  const low = () => {
    code.get(Local.target);
    code.op("i32.wrap_i64");
  };
  const cold = code.block();
  frame.mustStop();
  code.hint(false);
  code.brIf(cold);
  low();
  low();
  code.i32(jumpShift);
  code.op("i32.shr_u");
  code.op("i32.xor");
  code.i32((user ? VcpuLayout.userJumpEntries : VcpuLayout.kernelJumpEntries) - 1);
  code.op("i32.and");
  code.i32(JumpEntry.shift);
  code.op("i32.shl");
  code.get(parameter.vcpu);
  code.memory("i32.load", State.jumpCache);
  code.op("i32.add");
  code.tee(entry);
  code.memory("i64.load", JumpEntry.rip);
  code.get(Local.target);
  code.op("i64.ne");
  code.hint(false);
  code.brIf(cold);
  code.get(parameter.vcpu);
  code.get(parameter.remaining);
  code.get(Local.target);
  code.get(entry);
  code.memory("i32.load", JumpEntry.entry);
  code.get(entry);
  code.memory("i32.load", JumpEntry.slot);
  code.returnCallIndirect(regionTypeIndex);
  code.end();
  code.get(parameter.vcpu);
  code.get(Local.target);
  code.memory("i64.store", State.rip);
  frame.store32(State.dispatchRemaining, () => code.get(parameter.remaining));
  code.i32(Ending.branch);
  code.return();
}

/** Leaves as the exit word says: as if its record had said so. `flags` computes flags that were pending. */
export function emitOut(frame: RegionFrame, flags: (pending: PendingFlags) => void): void {
  const code = frame.code;
  computeFlags(frame, flags);
  frame.storeMasked();
  frame.store32(State.dispatchRecord, () => {
    emitExitField(code, Local.exitWord, "record");
    code.i32(exitRecordBytes);
    code.op("i32.mul");
    frame.recordAddress(0);
    code.op("i32.add");
  });
  code.get(parameter.vcpu);
  code.get(Local.page);
  emitExitField(code, Local.exitWord, "page");
  code.i32(pageBias);
  code.op("i32.sub");
  code.i32(12);
  code.op("i32.shl");
  code.op("i64.extend_i32_s");
  code.op("i64.add");
  code.memory("i64.store", State.ripPage);
  emitExitField(code, Local.exitWord, "status");
  code.i32(dynamicStatus);
  code.op("i32.ne");
  code.if();
  emitExitField(code, Local.exitWord, "status");
  code.set(Local.status);
  code.else();
  code.get(Local.status);
  code.i32(interpret);
  code.op("i32.eq");
  code.get(parameter.remaining);
  code.op("i32.add");
  code.set(parameter.remaining);
  code.end();
  frame.store32(State.dispatchRemaining, () => {
    code.get(parameter.remaining);
    emitExitField(code, Local.exitWord, "adjust");
    code.op("i32.add");
  });
  code.get(Local.status);
}

/** Computes the flags that were pending at the exit. */
function computeFlags(frame: RegionFrame, flags: (pending: PendingFlags) => void): void {
  const code = frame.code;
  const kinds = frame.flagSources;
  if (kinds.length === 0) return;
  const done = code.block();
  const labels = kinds.map(() => code.block()).toReversed();
  emitExitField(code, Local.exitWord, "flags");
  code.brTable([done, ...labels], done);
  for (const source of kinds) {
    code.end();
    flags(source);
    code.br(done);
  }
  code.end();
}
