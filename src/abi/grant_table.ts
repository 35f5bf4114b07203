/** xen/include/public/grant_table.h: entries of both versions, the operations of grant_table_op, and their status codes. */

import { bitfield, bits } from "../bits/bitfield.ts";
import { i16, u16, u32, u64 } from "../bits/integers.ts";
import { struct } from "../bits/struct.ts";
import type { Infer } from "../bits/struct.ts";
import { domid_t, dualStruct, grant_handle_t, grant_ref_t } from "./types.ts";

/** GTF_*: flags of a grant entry. The granter sets the first group, the hypervisor `reading` and `writing`. */
export const GTF = {
  invalid: 0,
  permit_access: 1,
  accept_transfer: 2,
  transitive: 3,
  type_mask: 3,
  readonly: 1 << 2,
  reading: 1 << 3,
  writing: 1 << 4,
  PWT: 1 << 5,
  PCD: 1 << 6,
  PAT: 1 << 7,
  sub_page: 1 << 8,
  transfer_committed: 1 << 2,
  transfer_completed: 1 << 3,
} as const;

/** The same flags by name, of an entry that permits access. */
export const gtf = bitfield(u16, { type: bits(0, 1), readonly: 2, reading: 3, writing: 4, subPage: 8 });

/** Entries that the toolstack fills in before the domain runs. */
export const GNTTAB = { NR_RESERVED_ENTRIES: 8, RESERVED_CONSOLE: 0, RESERVED_XENSTORE: 1 } as const;

/** Version 1: <domid> may map or copy guest frame <frame>. */
export const grant_entry_v1 = struct("grant_entry_v1", 8, { flags: u16, domid: domid_t, frame: u32 });
export type grant_entry_v1 = Infer<typeof grant_entry_v1>;

/** Version 2 for a whole frame, or for part of one if GTF.sub_page is set. */
export const grant_entry_v2 = struct("grant_entry_v2", 16, {
  flags: u16,
  domid: domid_t,
  page_off: u16,
  length: u16,
  frame: u64,
});
export type grant_entry_v2 = Infer<typeof grant_entry_v2>;

/** Version 2 with type GTF.transitive: stands for <gref> of <trans_domid>. */
export const grant_entry_v2_transitive = struct("grant_entry_v2_transitive", 16, {
  flags: u16,
  domid: domid_t,
  trans_domid: domid_t,
  pad0: u16,
  gref: grant_ref_t,
  spacer: u32,
});
export type grant_entry_v2_transitive = Infer<typeof grant_entry_v2_transitive>;

/** Version 2 keeps `reading` and `writing` in words of their own, in the status frames. */
export const grant_status_t = u16;

/** GNTTABOP_* */
export const GNTTABOP = {
  map_grant_ref: 0,
  unmap_grant_ref: 1,
  setup_table: 2,
  dump_table: 3,
  transfer: 4,
  copy: 5,
  query_size: 6,
  unmap_and_replace: 7,
  set_version: 8,
  get_status_frames: 9,
  get_version: 10,
  swap_grant_ref: 11,
  cache_flush: 12,
} as const;

/** GNTMAP_*: how a grant is mapped. */
export const GNTMAP = {
  device_map: 1 << 0,
  host_map: 1 << 1,
  readonly: 1 << 2,
  application_map: 1 << 3,
  contains_pte: 1 << 4,
} as const;

/** GNTST_*: the `status` of each operation, which the hypercall itself does not fail for. */
export const GNTST = {
  okay: 0,
  general_error: -1,
  bad_domain: -2,
  bad_gntref: -3,
  bad_handle: -4,
  bad_virt_addr: -5,
  bad_dev_addr: -6,
  no_device_space: -7,
  permission_denied: -8,
  bad_page: -9,
  bad_copy_arg: -10,
  address_too_big: -11,
  eagain: -12,
  no_space: -13,
} as const;
export type GNTST = (typeof GNTST)[keyof typeof GNTST];

/** Maps <ref> of <dom> at guest-physical <host_addr>. OUT: status, handle, dev_bus_addr. */
export const gnttab_map_grant_ref = dualStruct("gnttab_map_grant_ref", [32, 32], (w) => ({
  host_addr: w.u64,
  flags: u32,
  ref: grant_ref_t,
  dom: domid_t,
  status: i16,
  handle: grant_handle_t,
  dev_bus_addr: w.u64,
}));
export type gnttab_map_grant_ref = Infer<typeof gnttab_map_grant_ref>;

/** Undoes a map. OUT: status. */
export const gnttab_unmap_grant_ref = dualStruct("gnttab_unmap_grant_ref", [24, 24], (w) => ({
  host_addr: w.u64,
  dev_bus_addr: w.u64,
  handle: grant_handle_t,
  status: i16,
}));
export type gnttab_unmap_grant_ref = Infer<typeof gnttab_unmap_grant_ref>;

/** Grows the table to <nr_frames> frames and lists them. OUT: status. */
export const gnttab_setup_table = dualStruct("gnttab_setup_table", [24, 16], (w) => ({
  dom: domid_t,
  nr_frames: u32,
  status: i16,
  frame_list: w.handle,
}));
export type gnttab_setup_table = Infer<typeof gnttab_setup_table>;

/** Writes a domain's table to the hypervisor's console. OUT: status. */
export const gnttab_dump_table = struct("gnttab_dump_table", 4, { dom: domid_t, status: i16 });
export type gnttab_dump_table = Infer<typeof gnttab_dump_table>;

/** Gives a page away. OUT: status. */
export const gnttab_transfer = dualStruct("gnttab_transfer", [24, 16], (w) => ({
  mfn: w.pfn,
  domid: domid_t,
  ref: grant_ref_t,
  status: i16,
}));
export type gnttab_transfer = Infer<typeof gnttab_transfer>;

/** GNTCOPY_*: which side of a copy is a grant rather than a frame. */
export const GNTCOPY = { source_gref: 1, dest_gref: 2 } as const;

/** One side of a copy: a grant reference (the low 32 bits of <u>) or a frame number, and where in it to begin. */
export const gnttab_copy_ptr = dualStruct("gnttab_copy_ptr", [16, 8], (w) => ({
  u: w.pfn,
  domid: domid_t,
  offset: u16,
}));
export type gnttab_copy_ptr = Infer<typeof gnttab_copy_ptr>;

/** Copies up to a page between frames of two domains. OUT: status. */
export const gnttab_copy = dualStruct("gnttab_copy", [40, 24], (w) => {
  const pointer = w.ulong.sizeof === 8 ? gnttab_copy_ptr : gnttab_copy_ptr.compat;
  return { source: pointer, dest: pointer, len: u16, flags: u16, status: i16 };
});
export type gnttab_copy = Infer<typeof gnttab_copy>;

/** OUT: frames in use, frames allowed, status. */
export const gnttab_query_size = struct("gnttab_query_size", 16, {
  dom: domid_t,
  nr_frames: u32,
  max_nr_frames: u32,
  status: i16,
});
export type gnttab_query_size = Infer<typeof gnttab_query_size>;

/** Unmaps, and puts what is mapped at <new_addr> in its place. OUT: status. */
export const gnttab_unmap_and_replace = dualStruct("gnttab_unmap_and_replace", [24, 24], (w) => ({
  host_addr: w.u64,
  new_addr: w.u64,
  handle: grant_handle_t,
  status: i16,
}));
export type gnttab_unmap_and_replace = Infer<typeof gnttab_unmap_and_replace>;

/** Chooses the table's version; only without grants in use. OUT: version. */
export const gnttab_set_version = struct("gnttab_set_version", 4, { version: u32 });
export type gnttab_set_version = Infer<typeof gnttab_set_version>;

/** Lists the status frames of version 2. OUT: status. */
export const gnttab_get_status_frames = dualStruct("gnttab_get_status_frames", [16, 12], (w) => ({
  nr_frames: u32,
  dom: domid_t,
  status: i16,
  frame_list: w.handle,
}));
export type gnttab_get_status_frames = Infer<typeof gnttab_get_status_frames>;

/** OUT: version. */
export const gnttab_get_version = struct("gnttab_get_version", 8, { dom: domid_t, pad: u16, version: u32 });
export type gnttab_get_version = Infer<typeof gnttab_get_version>;

/** Exchanges two entries that nobody has mapped. OUT: status. */
export const gnttab_swap_grant_ref = struct("gnttab_swap_grant_ref", 12, {
  ref_a: grant_ref_t,
  ref_b: grant_ref_t,
  status: i16,
});
export type gnttab_swap_grant_ref = Infer<typeof gnttab_swap_grant_ref>;
