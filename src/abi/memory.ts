/** xen/include/public/memory.h */

import { u16, u32 } from "../bits/integers.ts";
import { struct } from "../bits/struct.ts";
import type { Infer } from "../bits/struct.ts";
import { domid_t, dualStruct } from "./types.ts";

/** XENMEM_* */
export const XENMEM = {
  increase_reservation: 0,
  decrease_reservation: 1,
  maximum_ram_page: 2,
  current_reservation: 3,
  maximum_reservation: 4,
  machphys_mfn_list: 5,
  populate_physmap: 6,
  add_to_physmap: 7,
  memory_map: 9,
  machine_memory_map: 10,
  exchange: 11,
  machphys_mapping: 12,
  set_memory_map: 13,
  maximum_gpfn: 14,
  remove_from_physmap: 15,
  set_pod_target: 16,
  get_pod_target: 17,
  get_sharing_freed_pages: 18,
  get_sharing_shared_pages: 19,
  paging_op: 20,
  access_op: 21,
  sharing_op: 22,
  add_to_physmap_batch: 23,
  claim_pages: 24,
  machphys_compat_mfn_list: 25,
  get_vnumainfo: 26,
  reserved_device_memory_map: 27,
  acquire_resource: 28,
} as const;

/** Bits of a memory_op command above this one say how many extents are already done. MEMOP_EXTENT_SHIFT of memory.c. */
export const MEMOP_EXTENT_SHIFT = 6;

/** A list of extents of 2^extent_order frames: to take, to give back, or to fill. */
export const xen_memory_reservation = dualStruct("xen_memory_reservation", [32, 20], (w) => ({
  extent_start: w.handle,
  nr_extents: w.ulong,
  extent_order: u32,
  mem_flags: u32,
  domid: domid_t,
}));
export type xen_memory_reservation = Infer<typeof xen_memory_reservation>;

/** The argument of current_reservation, maximum_reservation and maximum_gpfn. */
export const xen_memory_domain = struct("xen_memory_domain", 2, { domid: domid_t });
export type xen_memory_domain = Infer<typeof xen_memory_domain>;

/** XENMAPSPACE_*: what add_to_physmap puts at a guest frame. */
export const XENMAPSPACE = {
  shared_info: 0,
  grant_table: 1,
  gmfn: 2,
  gmfn_range: 3,
  gmfn_foreign: 4,
  dev_mmio: 5,
} as const;

/** Flag in `idx` of XENMAPSPACE_grant_table: a frame of version 2 status words. */
export const XENMAPIDX_grant_table_status = 0x80000000;

/** Puts one page (or for gmfn_range <size> pages) of <space> at <gpfn>. */
export const xen_add_to_physmap = dualStruct("xen_add_to_physmap", [24, 16], (w) => ({
  domid: domid_t,
  size: u16,
  space: u32,
  idx: w.ulong,
  gpfn: w.pfn,
}));
export type xen_add_to_physmap = Infer<typeof xen_add_to_physmap>;

/** As {@link xen_add_to_physmap} for <size> pages; each errs[i] becomes 0 or a negated errno. */
export const xen_add_to_physmap_batch = dualStruct("xen_add_to_physmap_batch", [32, 20], (w) => ({
  domid: domid_t,
  space: u16,
  size: u16,
  foreign_domid: domid_t,
  idxs: w.handle,
  gpfns: w.handle,
  errs: w.handle,
}));
export type xen_add_to_physmap_batch = Infer<typeof xen_add_to_physmap_batch>;

/** Empties a guest frame number. */
export const xen_remove_from_physmap = dualStruct("xen_remove_from_physmap", [16, 8], (w) => ({
  domid: domid_t,
  gpfn: w.pfn,
}));
export type xen_remove_from_physmap = Infer<typeof xen_remove_from_physmap>;

/** IN: room in the buffer, in entries. OUT: entries written. The buffer holds {@link e820entry}. */
export const xen_memory_map = dualStruct("xen_memory_map", [16, 8], (w) => ({ nr_entries: u32, buffer: w.handle }));
export type xen_memory_map = Infer<typeof xen_memory_map>;

/** An entry of the memory map, packed as the BIOS call returns it. xen/arch/x86/include/asm/e820.h. */
export const e820entry = dualStruct("e820entry", [20, 20], () => ({
  addr_low: u32,
  addr_high: u32,
  size_low: u32,
  size_high: u32,
  type: u32,
}));
export type e820entry = Infer<typeof e820entry>;

/** E820_*: types of ranges. */
export const E820 = { RAM: 1, RESERVED: 2, ACPI: 3, NVS: 4, UNUSABLE: 5 } as const;

/** XENMEM_resource_* */
export const XENMEM_resource = { ioreq_server: 0, grant_table: 1, vmtrace_buf: 2 } as const;

/** Frames of another domain's resource, for a toolstack to map. */
export const xen_mem_acquire_resource = dualStruct("xen_mem_acquire_resource", [32, 28], (w) => ({
  domid: domid_t,
  type: u16,
  id: u32,
  nr_frames: u32,
  pad: u32,
  frame: w.u64,
  frame_list: w.handle,
}));
export type xen_mem_acquire_resource = Infer<typeof xen_mem_acquire_resource>;

/** Memory that is populated when first touched. */
export const xen_pod_target = dualStruct("xen_pod_target", [40, 36], (w) => ({
  target_pages: w.u64,
  tot_pages: w.u64,
  pod_cache_pages: w.u64,
  pod_entries: w.u64,
  domid: domid_t,
}));
export type xen_pod_target = Infer<typeof xen_pod_target>;
