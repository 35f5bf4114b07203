/** xen/include/public/hvm/hvm_op.h */

import { u8, u16, u32, u64 } from "../../bits/integers.ts";
import { array, struct } from "../../bits/struct.ts";
import type { Infer } from "../../bits/struct.ts";
import { domid_t, dualStruct } from "../types.ts";

/** HVMOP_* */
export const HVMOP = {
  set_param: 0,
  get_param: 1,
  set_pci_intx_level: 2,
  set_isa_irq_level: 3,
  set_pci_link_route: 4,
  flush_tlbs: 5,
  pagetable_dying: 9,
  get_time: 10,
  xentrace: 11,
  set_mem_access: 12,
  get_mem_access: 13,
  get_mem_type: 15,
  set_evtchn_upcall_vector: 23,
  guest_request_vm_event: 24,
  altp2m: 25,
} as const;

/** A domain's parameter, numbered as in params.h. OUT of get_param: value. */
export const xen_hvm_param = dualStruct("xen_hvm_param", [16, 16], (w) => ({
  domid: domid_t,
  pad: u16,
  index: u32,
  value: w.u64,
}));
export type xen_hvm_param = Infer<typeof xen_hvm_param>;

/** A hint for shadow paging. */
export const xen_hvm_pagetable_dying = dualStruct("xen_hvm_pagetable_dying", [16, 16], (w) => ({
  domid: domid_t,
  pad: array(u16, 3),
  gpa: w.u64,
}));
export type xen_hvm_pagetable_dying = Infer<typeof xen_hvm_pagetable_dying>;

/** OUT: system time in nanoseconds. */
export const xen_hvm_get_time = struct("xen_hvm_get_time", 8, { now: u64 });
export type xen_hvm_get_time = Infer<typeof xen_hvm_get_time>;

/** HVMMEM_* */
export const HVMMEM = { ram_rw: 0, ram_ro: 1, mmio_dm: 2, unused: 3, ioreq_server: 4 } as const;

/** OUT: mem_type of <pfn>. */
export const xen_hvm_get_mem_type = dualStruct("xen_hvm_get_mem_type", [16, 16], (w) => ({
  domid: domid_t,
  mem_type: u16,
  pad: array(u16, 2),
  pfn: w.u64,
}));
export type xen_hvm_get_mem_type = Infer<typeof xen_hvm_get_mem_type>;

/** The vector, delivered through its LAPIC, by which <vcpu> hears of events. */
export const xen_hvm_evtchn_upcall_vector = struct("xen_hvm_evtchn_upcall_vector", 8, { vcpu: u32, vector: u8 });
export type xen_hvm_evtchn_upcall_vector = Infer<typeof xen_hvm_evtchn_upcall_vector>;
