/** xen/include/public/version.h */

import { u32 } from "../bits/integers.ts";
import { bytes, struct } from "../bits/struct.ts";
import type { Infer } from "../bits/struct.ts";
import { dualStruct } from "./types.ts";

/** XENVER_* */
export const XENVER = {
  version: 0,
  extraversion: 1,
  compile_info: 2,
  capabilities: 3,
  changeset: 4,
  platform_parameters: 5,
  get_features: 6,
  pagesize: 7,
  guest_handle: 8,
  commandline: 9,
  build_id: 10,
  extraversion2: 11,
  capabilities2: 12,
  changeset2: 13,
  commandline2: 14,
} as const;

/** sizeof(xen_extraversion_t): NUL-terminated text. */
export const XEN_EXTRAVERSION_LEN = 16;
/** sizeof(xen_capabilities_info_t) */
export const XEN_CAPABILITIES_INFO_LEN = 1024;
/** sizeof(xen_changeset_info_t) */
export const XEN_CHANGESET_INFO_LEN = 64;
/** sizeof(xen_commandline_t) */
export const XEN_COMMANDLINE_LEN = 1024;

/** Who built the hypervisor, with what, when. Each NUL-terminated. */
export const xen_compile_info = struct("xen_compile_info", 144, {
  compiler: bytes(64),
  compile_by: bytes(16),
  compile_domain: bytes(32),
  compile_date: bytes(32),
});
export type xen_compile_info = Infer<typeof xen_compile_info>;

/** Where the hypervisor begins in a PV guest's address space; 0 for others. */
export const xen_platform_parameters = dualStruct("xen_platform_parameters", [8, 4], (w) => ({ virt_start: w.ulong }));
export type xen_platform_parameters = Infer<typeof xen_platform_parameters>;

/** 32 feature bits, numbered as in features.h. */
export const xen_feature_info = struct("xen_feature_info", 8, { submap_idx: u32, submap: u32 });
export type xen_feature_info = Infer<typeof xen_feature_info>;

/** The fixed part of xen_build_id and xen_varbuf: how many bytes follow. */
export const xen_varbuf = struct("xen_varbuf", 4, { len: u32 });
export type xen_varbuf = Infer<typeof xen_varbuf>;
