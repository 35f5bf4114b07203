/** xen/include/public/vcpu.h */

import { i32, u32, u64 } from "../bits/integers.ts";
import { array, struct } from "../bits/struct.ts";
import type { Infer } from "../bits/struct.ts";
import { dualStruct } from "./types.ts";

/** VCPUOP_* */
export const VCPUOP = {
  initialise: 0,
  up: 1,
  down: 2,
  is_up: 3,
  get_runstate_info: 4,
  register_runstate_memory_area: 5,
  set_periodic_timer: 6,
  stop_periodic_timer: 7,
  set_singleshot_timer: 8,
  stop_singleshot_timer: 9,
  register_vcpu_info: 10,
  send_nmi: 11,
  get_physid: 12,
  register_vcpu_time_memory_area: 13,
  register_runstate_phys_area: 14,
  register_vcpu_time_phys_area: 15,
} as const;

/** RUNSTATE_*: what a vCPU is doing; the indices of vcpu_runstate_info.time. */
export const RUNSTATE = { running: 0, runnable: 1, blocked: 2, offline: 3 } as const;

/** Set in `state_entry_time` while an area is being updated, if VMASST_TYPE_runstate_update_flag is on. */
export const XEN_RUNSTATE_UPDATE = 1n << 63n;

/** The state a vCPU is in, since when, and the nanoseconds it has spent in each. */
export const vcpu_runstate_info = dualStruct("vcpu_runstate_info", [48, 44], (w) => ({
  state: i32,
  state_entry_time: w.u64,
  time: array(w.u64, 4),
}));
export type vcpu_runstate_info = Infer<typeof vcpu_runstate_info>;

/** A linear address (or for the *_phys_area operations a guest-physical one) to keep a copy at; zero stops it. */
export const vcpu_register_runstate_memory_area = struct("vcpu_register_runstate_memory_area", 8, { addr: u64 });
export type vcpu_register_runstate_memory_area = Infer<typeof vcpu_register_runstate_memory_area>;

/** VIRQ_TIMER every <period_ns>. */
export const vcpu_set_periodic_timer = struct("vcpu_set_periodic_timer", 8, { period_ns: u64 });
export type vcpu_set_periodic_timer = Infer<typeof vcpu_set_periodic_timer>;

/** VIRQ_TIMER once, at <timeout_abs_ns> of system time. */
export const vcpu_set_singleshot_timer = dualStruct("vcpu_set_singleshot_timer", [16, 12], (w) => ({
  timeout_abs_ns: w.u64,
  flags: u32,
}));
export type vcpu_set_singleshot_timer = Infer<typeof vcpu_set_singleshot_timer>;

/** -ETIME instead of an immediate event when the time has passed. */
export const VCPU_SSHOTTMR_future = 1;

/** Moves a vCPU's vcpu_info to an address of the guest's choice, within one page. */
export const vcpu_register_vcpu_info = struct("vcpu_register_vcpu_info", 16, { mfn: u64, offset: u32, rsvd: u32 });
export type vcpu_register_vcpu_info = Infer<typeof vcpu_register_vcpu_info>;

/** OUT: the pCPU a pinned vCPU runs on. */
export const vcpu_get_physid = struct("vcpu_get_physid", 8, { phys_id: u64 });
export type vcpu_get_physid = Infer<typeof vcpu_get_physid>;

/** As {@link vcpu_register_runstate_memory_area}, for a copy of vcpu_time_info. */
export const vcpu_register_time_memory_area = struct("vcpu_register_time_memory_area", 8, { addr: u64 });
export type vcpu_register_time_memory_area = Infer<typeof vcpu_register_time_memory_area>;
