/**
 * The copies of its state that the hypervisor keeps in a guest's memory: time, wall clock, runstate. Everything is
 * versioned, so that a guest that reads in the middle of an update knows. xen/arch/x86/time.c, xen/common/domain.c.
 */

import { Errno } from "../abi/errno.ts";
import { RUNSTATE, vcpu_runstate_info, XEN_RUNSTATE_UPDATE } from "../abi/vcpu.ts";
import {
  shared_info,
  vcpu_info,
  vcpu_time_info,
  VMASST_TYPE,
  wc_sec_hi_offset,
  XEN_PAGE_SIZE,
  XEN_PVCLOCK,
} from "../abi/xen.ts";
import type { Vcpu } from "../engine/engine.ts";
import type { Domain } from "./domain.ts";
import { markEventsPending, vcpuInfoAddress } from "./event-channels.ts";
import type { Upcall } from "./event-channels.ts";
import { copyToGuest } from "./guest-access.ts";
import { DOMAIN, VCPU } from "./heap.ts";

/** How an area's address was given. */
export const AreaKind = { linear: 0, physical: 1 } as const;
export type AreaKind = (typeof AreaKind)[keyof typeof AreaKind];

/** Writes to the area of a vCPU that was registered at `offset`, if one was; an unmapped one is skipped silently. */
function writeArea(domain: Domain, index: number, vcpu: Vcpu, offset: number, kindAt: number, from: Uint8Array): void {
  const address = domain.vcpuAddress(index, offset);
  if (address === undefined) return;
  if (domain.vcpuGet(index, kindAt) === AreaKind.physical) domain.memory.write(Number(address), from);
  else copyToGuest(vcpu, domain.memory, address, from);
}

/**
 * The relation of time and time-stamp counter. Ticks are nanoseconds, so one record holds for the domain's whole life:
 * time is the counter less what IA32_TSC_ADJUST added.
 */
function timeRecord(tscOffset: number): Uint8Array<ArrayBuffer> {
  return vcpu_time_info.encode({
    ...vcpu_time_info.zero(),
    version: 2,
    tsc_timestamp: BigInt.asUintN(64, BigInt(tscOffset)),
    tsc_to_system_mul: 0x80000000,
    tsc_shift: 1,
    flags: XEN_PVCLOCK.TSC_STABLE_BIT,
  });
}

/** Writes a vCPU's time into its vcpu_info. Guests divide by its multiplier, so it is valid from the start. */
export function writeTime(domain: Domain, index: number, tscOffset: number): void {
  const info = vcpuInfoAddress(domain, index);
  if (info === undefined) return;
  const { bytes } = domain.memory;
  bytes.set(timeRecord(tscOffset), info + vcpu_info.offsets.time);
}

/** Writes a vCPU's time into the area it registered besides. */
export function writeTimeArea(domain: Domain, index: number, vcpu: Vcpu, tscOffset: number): void {
  writeArea(domain, index, vcpu, VCPU.timeArea, VCPU.timeAreaKind, timeRecord(tscOffset));
}

/** Writes the wall clock: UTC at system time 0, nanoseconds since 1970. */
export function writeWallclock(domain: Domain, utc: bigint): void {
  const frame = domain.get(DOMAIN.sharedInfoFrame);
  const view = new DataView(domain.memory.bytes.buffer, frame * XEN_PAGE_SIZE, XEN_PAGE_SIZE);
  const { wc_version, wc_sec, wc_nsec } = (domain.compat ? shared_info.compat : shared_info).offsets;
  const seconds = utc / 1_000_000_000n;
  const version = view.getUint32(wc_version, true);
  view.setUint32(wc_version, (version + 1) | 1, true);
  view.setUint32(wc_sec, Number(seconds & 0xffffffffn), true);
  view.setUint32(domain.compat ? wc_sec_hi_offset.compat : wc_sec_hi_offset.native, Number(seconds >> 32n), true);
  view.setUint32(wc_nsec, Number(utc % 1_000_000_000n), true);
  view.setUint32(wc_version, ((version + 1) | 1) + 1, true);
}

/** What a vCPU has been doing until `now`. */
export function runstateOf(domain: Domain, index: number, now: number): vcpu_runstate_info {
  const at = (domain.heap.vcpu(domain.slot, index) + VCPU.times) / 2;
  const { doubles } = domain.heap;
  const state = domain.vcpuGet(index, VCPU.online) === 0 ? RUNSTATE.offline : domain.vcpuGet(index, VCPU.runstate);
  const entry = doubles[at] ?? 0;
  const time = [0, 1, 2, 3].map((i) => {
    const spent = (doubles[at + 1 + i] ?? 0) + (i === state ? Math.max(0, now - entry) : 0);
    return BigInt(Math.floor(spent));
  });
  return { state, state_entry_time: BigInt(Math.floor(entry)), time };
}

/** Moves a vCPU to another RUNSTATE, and updates its area. On the vCPU's worker. */
export function setRunstate(domain: Domain, index: number, vcpu: Vcpu, state: number, now: number): void {
  const at = (domain.heap.vcpu(domain.slot, index) + VCPU.times) / 2;
  const { doubles } = domain.heap;
  const before = domain.vcpuGet(index, VCPU.runstate);
  if (before === state) return;
  doubles[at + 1 + before] = (doubles[at + 1 + before] ?? 0) + Math.max(0, now - (doubles[at] ?? 0));
  doubles[at] = now;
  domain.vcpuSet(index, VCPU.runstate, state);
  writeRunstateArea(domain, index, vcpu, now);
}

/** Updates a vCPU's runstate area, if it registered one. */
export function writeRunstateArea(domain: Domain, index: number, vcpu: Vcpu, now: number): void {
  const address = domain.vcpuAddress(index, VCPU.runstateArea);
  if (address === undefined) return;
  const layout = domain.compat ? vcpu_runstate_info.compat : vcpu_runstate_info;
  const record = layout.encode(runstateOf(domain, index, now));
  const physical = domain.vcpuGet(index, VCPU.runstateAreaKind) === AreaKind.physical;
  const versioned = physical || ((domain.get(DOMAIN.vmAssist) >>> VMASST_TYPE.runstate_update_flag) & 1) === 1;
  const write = (from: Uint8Array, offset: number): void => {
    const to = address + BigInt(offset);
    if (physical) domain.memory.write(Number(to), from);
    else copyToGuest(vcpu, domain.memory, to, from);
  };
  if (!versioned) {
    write(record, 0);
    return;
  }
  const entryAt = layout.offsets.state_entry_time;
  const entry = record.slice(entryAt, entryAt + 8);
  const view = new DataView(record.buffer);
  view.setBigUint64(entryAt, view.getBigUint64(entryAt, true) | XEN_RUNSTATE_UPDATE, true);
  write(record.subarray(entryAt, entryAt + 8), entryAt);
  write(record, 0);
  write(entry, entryAt);
}

/**
 * Moves a vCPU's vcpu_info to a place of its choice. Everything is then marked as pending there: an event may have come
 * for the old place in between. Xen: map_guest_area() for VCPUOP_register_vcpu_info.
 * @returns -EINVAL for a frame that is not RAM, or an offset beyond it; -EBUSY the second time; -ENXIO for a place that
 * crosses the frame's end or is misaligned.
 */
export function registerVcpuInfo(
  domain: Domain,
  index: number,
  gfn: bigint,
  offset: number,
  tscOffset: number,
  upcall: Upcall,
): number {
  if (offset >= XEN_PAGE_SIZE) return -Errno.EINVAL;
  if (domain.vcpuGet(index, VCPU.infoRegistered) !== 0) return -Errno.EBUSY;
  if (offset > XEN_PAGE_SIZE - vcpu_info.sizeof || offset % (domain.compat ? 4 : 8) !== 0) return -Errno.ENXIO;
  const frame = gfn < BigInt(domain.memory.p2mFrames) ? domain.memory.findFrame(Number(gfn)) : undefined;
  if (frame === undefined) return -Errno.EINVAL;
  const { bytes } = domain.memory;
  const to = frame * XEN_PAGE_SIZE + offset;
  const from = vcpuInfoAddress(domain, index);
  if (from === undefined) bytes.fill(0, to, to + vcpu_info.sizeof);
  else bytes.copyWithin(to, from, from + vcpu_info.sizeof);
  domain.vcpuSet(index, VCPU.infoFrame, frame);
  domain.vcpuSet(index, VCPU.infoOffset, offset);
  domain.vcpuSet(index, VCPU.infoRegistered, 1);
  const layout = domain.compat ? vcpu_info.compat : vcpu_info;
  const selector = to + layout.offsets.evtchn_pending_sel;
  bytes.fill(0xff, selector, selector + (domain.compat ? 4 : 8));
  markEventsPending(domain, index, upcall);
  writeTime(domain, index, tscOffset);
  return 0;
}

/** Begins a vCPU's runstate account, or goes on with it after the domain had stopped. */
export function startRunstate(domain: Domain, index: number, now: number): void {
  const at = (domain.heap.vcpu(domain.slot, index) + VCPU.times) / 2;
  const { doubles } = domain.heap;
  if (doubles.subarray(at, at + 1 + Object.keys(RUNSTATE).length).some((time) => time !== 0)) return;
  doubles[at] = now;
  domain.vcpuSet(index, VCPU.runstate, RUNSTATE.offline);
}
