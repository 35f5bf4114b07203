/** xen/include/public/sched.h */

import { i32, u32 } from "../bits/integers.ts";
import { struct } from "../bits/struct.ts";
import type { Infer } from "../bits/struct.ts";
import { domid_t, dualStruct } from "./types.ts";

/** SCHEDOP_* */
export const SCHEDOP = {
  yield: 0,
  block: 1,
  shutdown: 2,
  poll: 3,
  remote_shutdown: 4,
  shutdown_code: 5,
  watchdog: 6,
  pin_override: 7,
} as const;

/** SHUTDOWN_*: why a domain ended. */
export const SHUTDOWN = {
  poweroff: 0,
  reboot: 1,
  suspend: 2,
  crash: 3,
  watchdog: 4,
  soft_reset: 5,
  MAX: 5,
} as const;

/** The argument of SCHEDOP_shutdown and SCHEDOP_shutdown_code: a {@link SHUTDOWN} value. */
export const sched_shutdown = struct("sched_shutdown", 4, { reason: u32 });
export type sched_shutdown = Infer<typeof sched_shutdown>;

/** Waits until one of the ports is pending, or until the absolute time <timeout> in ns (0: for ever). */
export const sched_poll = dualStruct("sched_poll", [24, 16], (w) => ({
  ports: w.handle,
  nr_ports: u32,
  timeout: w.u64,
}));
export type sched_poll = Infer<typeof sched_poll>;

/** Shuts another domain down. */
export const sched_remote_shutdown = struct("sched_remote_shutdown", 8, { domain_id: domid_t, reason: u32 });
export type sched_remote_shutdown = Infer<typeof sched_remote_shutdown>;

/** id 0: a new watchdog; otherwise that one is poked, or with timeout 0 destroyed. Seconds. */
export const sched_watchdog = struct("sched_watchdog", 8, { id: u32, timeout: u32 });
export type sched_watchdog = Infer<typeof sched_watchdog>;

/** Runs the caller on one pCPU; negative undoes it. */
export const sched_pin_override = struct("sched_pin_override", 4, { pcpu: i32 });
export type sched_pin_override = Infer<typeof sched_pin_override>;
