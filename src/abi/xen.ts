/** xen/include/public/xen.h: hypercall numbers, domain ids, virtual interrupts, and the pages that a guest shares. */

import { i8, u8, u32, u64 } from "../bits/integers.ts";
import { array, bytes, struct } from "../bits/struct.ts";
import type { Infer } from "../bits/struct.ts";
import { domainId, dualStruct } from "./types.ts";

/** A page of memory, everywhere in the interface: bytes, and their binary logarithm. */
export const XEN_PAGE_SIZE = 4096;
export const XEN_PAGE_SHIFT = 12;

/** __HYPERVISOR_*: what a guest puts into RAX. */
export const HYPERVISOR = {
  set_trap_table: 0,
  mmu_update: 1,
  set_gdt: 2,
  stack_switch: 3,
  set_callbacks: 4,
  fpu_taskswitch: 5,
  sched_op_compat: 6,
  platform_op: 7,
  set_debugreg: 8,
  get_debugreg: 9,
  update_descriptor: 10,
  memory_op: 12,
  multicall: 13,
  update_va_mapping: 14,
  set_timer_op: 15,
  event_channel_op_compat: 16,
  xen_version: 17,
  console_io: 18,
  physdev_op_compat: 19,
  grant_table_op: 20,
  vm_assist: 21,
  update_va_mapping_otherdomain: 22,
  iret: 23,
  vcpu_op: 24,
  set_segment_base: 25,
  mmuext_op: 26,
  xsm_op: 27,
  nmi_op: 28,
  sched_op: 29,
  callback_op: 30,
  xenoprof_op: 31,
  event_channel_op: 32,
  physdev_op: 33,
  hvm_op: 34,
  sysctl: 35,
  domctl: 36,
  kexec_op: 37,
  tmem_op: 38,
  argo_op: 39,
  xenpmu_op: 40,
  dm_op: 41,
  hypfs_op: 42,
  arch_0: 48,
  arch_1: 49,
  arch_2: 50,
  arch_3: 51,
  arch_4: 52,
  arch_5: 53,
  arch_6: 54,
  arch_7: 55,
} as const;

/** VIRQ_*: interrupts that the hypervisor itself raises, bound to ports by EVTCHNOP_bind_virq. */
export const VIRQ = {
  /** Per vCPU: a timer that the guest set has run out. */
  TIMER: 0,
  /** Per vCPU: the operator asks for a dump. */
  DEBUG: 1,
  CONSOLE: 2,
  /** Global, domain 0: some domain has shut down or crashed. */
  DOM_EXC: 3,
  TBUF: 4,
  DEBUGGER: 6,
  XENOPROF: 7,
  CON_RING: 8,
  PCPU_STATE: 9,
  MEM_EVENT: 10,
  ARGO: 11,
  ENOMEM: 12,
  XENPMU: 13,
  ARCH_0: 16,
  ARCH_7: 23,
} as const;
/** One more than the highest virtual interrupt. */
export const NR_VIRQS = 24;

/** CONSOLEIO_*: sub-operations of console_io. */
export const CONSOLEIO = { write: 0, read: 1 } as const;

/** VMASST_CMD_* */
export const VMASST_CMD = { enable: 0, disable: 1 } as const;

/** VMASST_TYPE_*: what vm_assist switches. */
export const VMASST_TYPE = {
  "4gb_segments": 0,
  "4gb_segments_notify": 1,
  writable_pagetables: 2,
  pae_extended_cr3: 3,
  architectural_iopl: 4,
  /** Bit 63 of a runstate area's entry time is set while the area is being updated. */
  runstate_update_flag: 5,
  m2p_strict: 32,
} as const;

/** DOMID_*: the reserved domain ids. Ordinary ones are below `FIRST_RESERVED`. */
export const DOMID = {
  FIRST_RESERVED: domainId(0x7ff0),
  /** The caller. */
  SELF: domainId(0x7ff0),
  IO: domainId(0x7ff1),
  XEN: domainId(0x7ff2),
  COW: domainId(0x7ff3),
  INVALID: domainId(0x7ff4),
  ANY: domainId(0x7ff5),
  IDLE: domainId(0x7fff),
  MASK: domainId(0x7fff),
} as const;

/** One call of a multicall; `result` is written over in place. */
export const multicall_entry = dualStruct("multicall_entry", [64, 32], (w) => ({
  op: w.ulong,
  result: w.long,
  args: array(w.ulong, 6),
}));
export type multicall_entry = Infer<typeof multicall_entry>;

/** vcpu_time_info.flags */
export const XEN_PVCLOCK = { TSC_STABLE_BIT: 1, GUEST_STOPPED: 2 } as const;

/**
 * How to compute the time from the time-stamp counter: `system_time + ((tsc - tsc_timestamp) << tsc_shift) *
 * tsc_to_system_mul / 2^32` nanoseconds since the domain began. `version` is odd while the rest is being written.
 */
export const vcpu_time_info = struct("vcpu_time_info", 32, {
  version: u32,
  pad0: u32,
  tsc_timestamp: u64,
  system_time: u64,
  tsc_to_system_mul: u32,
  tsc_shift: i8,
  flags: u8,
  pad1: bytes(2),
});
export type vcpu_time_info = Infer<typeof vcpu_time_info>;

/** What the hypervisor tells one vCPU: whether events wait, in which words (2-level), and the time. */
export const vcpu_info = dualStruct("vcpu_info", [64, 64], (w) => ({
  evtchn_upcall_pending: u8,
  evtchn_upcall_mask: u8,
  evtchn_pending_sel: w.ulong,
  arch: bytes(w.ulong.sizeof === 8 ? 16 : 24),
  time: vcpu_time_info,
}));
export type vcpu_info = Infer<typeof vcpu_info>;

/** vCPUs that have their vcpu_info in shared_info; others must register one. XEN_LEGACY_MAX_VCPUS of arch-x86/xen.h. */
export const XEN_LEGACY_MAX_VCPUS = 32;

/** The page a domain shares with the hypervisor: events of the 2-level ABI and the wall clock. */
export const shared_info = dualStruct("shared_info", [3136, 2344], (w) => ({
  vcpu_info: bytes(64 * XEN_LEGACY_MAX_VCPUS),
  evtchn_pending: array(w.ulong, w.ulong.sizeof * 8),
  evtchn_mask: array(w.ulong, w.ulong.sizeof * 8),
  wc_version: u32,
  wc_sec: u32,
  wc_nsec: u32,
  ...(w.ulong.sizeof === 8 ? { wc_sec_hi: u32 } : {}),
  arch: bytes(w.ulong.sizeof === 8 ? 48 : 28),
}));

/** Where the high half of the wall clock's seconds lies in shared_info, by ABI. In 32-bit code it ends `arch`. */
export const wc_sec_hi_offset = { native: 3084, compat: 2340 } as const;

/** The ports of the 2-level ABI: one per bit of a two-level bitmap of the caller's words. */
export const EVTCHN_2L_NR_CHANNELS = { native: 4096, compat: 1024 } as const;

/** xen_domain_handle_t: a UUID. */
export const xen_domain_handle_t = array(u8, 16);
