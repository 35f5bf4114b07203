/** xen/include/public/arch-x86/hvm/start_info.h: what EBX points to when a PVH domain starts. */

import { u32, u64 } from "../../../bits/integers.ts";
import { struct } from "../../../bits/struct.ts";
import type { Infer } from "../../../bits/struct.ts";

/** hvm_start_info.magic: "xEn3" with the 0x80 bit of the "E" set. */
export const XEN_HVM_START_MAGIC_VALUE = 0x336ec578;

/** XEN_HVM_MEMMAP_TYPE_* */
export const XEN_HVM_MEMMAP_TYPE = {
  RAM: 1,
  RESERVED: 2,
  ACPI: 3,
  NVS: 4,
  UNUSABLE: 5,
  DISABLED: 6,
  PMEM: 7,
} as const;

/** Version 1. Addresses are physical; 0 means absent. */
export const hvm_start_info = struct("hvm_start_info", 56, {
  magic: u32,
  version: u32,
  flags: u32,
  nr_modules: u32,
  modlist_paddr: u64,
  cmdline_paddr: u64,
  rsdp_paddr: u64,
  memmap_paddr: u64,
  memmap_entries: u32,
  reserved: u32,
});
export type hvm_start_info = Infer<typeof hvm_start_info>;

/** A module: the initial RAM disk, for instance. Bytes. */
export const hvm_modlist_entry = struct("hvm_modlist_entry", 32, {
  paddr: u64,
  size: u64,
  cmdline_paddr: u64,
  reserved: u64,
});
export type hvm_modlist_entry = Infer<typeof hvm_modlist_entry>;

/** A range of the guest-physical address space, in bytes. */
export const hvm_memmap_table_entry = struct("hvm_memmap_table_entry", 24, {
  addr: u64,
  size: u64,
  type: u32,
  reserved: u32,
});
export type hvm_memmap_table_entry = Infer<typeof hvm_memmap_table_entry>;
