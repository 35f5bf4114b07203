/** HYPERVISOR_xen_version(cmd, arg). xen/include/public/version.h; xen/common/kernel.c. */

import { Errno } from "../../abi/errno.ts";
import { XENFEAT } from "../../abi/features.ts";
import {
  XEN_CAPABILITIES_INFO_LEN,
  XEN_CHANGESET_INFO_LEN,
  XEN_COMMANDLINE_LEN,
  xen_compile_info,
  XEN_EXTRAVERSION_LEN,
  xen_feature_info,
  xen_platform_parameters,
  xen_varbuf,
  XENVER,
} from "../../abi/version.ts";
import { XEN_PAGE_SIZE } from "../../abi/xen.ts";
import { hypercall, layout, operation, refused, subcommand } from "../hypercall.ts";
import type { Caller, HypercallResult, Operation } from "../hypercall.ts";
import { CAPABILITIES, CHANGESET, COMPILE_INFO, XEN_VERSION } from "../version.ts";

/** What a PVH guest of this hypervisor can count on. */
const FEATURES = [
  XENFEAT.writable_page_tables,
  XENFEAT.auto_translated_physmap,
  XENFEAT.hvm_callback_vector,
  XENFEAT.hvm_safe_pvclock,
  XENFEAT.memory_op_vnode_supported,
  XENFEAT.not_direct_mapped,
  XENFEAT.runstate_phys_area,
  XENFEAT.vcpu_time_phys_area,
].reduce<number>((map, bit) => map | (1 << bit), 0);

/** What hypervisor this is, and what it can do. */
export const xen_version = hypercall("xen_version", XENVER, {
  version: operation(() => (XEN_VERSION.major << 16) | XEN_VERSION.minor),
  extraversion: text(XEN_EXTRAVERSION_LEN, XEN_VERSION.extra),
  compile_info: operation(compileInfo),
  capabilities: text(XEN_CAPABILITIES_INFO_LEN, CAPABILITIES),
  changeset: text(XEN_CHANGESET_INFO_LEN, CHANGESET),
  // The hypervisor is nowhere in a PVH guest's address space.
  platform_parameters: operation((caller, address) => {
    const codec = layout(caller, xen_platform_parameters);
    return caller.copyOut(address, codec.encode({ virt_start: 0n })) ? 0 : -Errno.EFAULT;
  }),
  get_features: subcommand(xen_feature_info, getFeatures),
  pagesize: operation(() => XEN_PAGE_SIZE),
  guest_handle: operation((caller, address) =>
    caller.copyOut(address, Uint8Array.from(caller.cpu.config.handle)) ? 0 : -Errno.EFAULT,
  ),
  commandline: text(XEN_COMMANDLINE_LEN, ""),
  build_id: refused(Errno.ENODATA, "there is no linked image with a build id"),
  extraversion2: variable(XEN_VERSION.extra),
  capabilities2: variable(CAPABILITIES),
  changeset2: variable(CHANGESET),
  commandline2: variable(""),
});

/** ASCII, padded with zero bytes to `length` if one is given. */
function ascii(from: string, length = from.length): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < Math.min(from.length, length); i++) bytes[i] = from.charCodeAt(i);
  return bytes;
}

/** A field of fixed size, NUL-terminated. */
function text(size: number, value: string): Operation {
  const bytes = ascii(value, size);
  return operation((caller, address) => (caller.copyOut(address, bytes) ? 0 : -Errno.EFAULT));
}

/** Text of any size in an xen_varbuf. @returns its length; with a null pointer just that. -ENOBUFS: it does not fit. */
function variable(value: string): Operation {
  const bytes = ascii(value);
  return operation((caller, address) => {
    if (address === 0n) return bytes.length;
    const header = caller.copyIn(address, xen_varbuf.sizeof);
    if (header === undefined) return -Errno.EFAULT;
    const { len } = xen_varbuf.read(header);
    if (len === 0) return -Errno.EINVAL;
    if (bytes.length > len) return -Errno.ENOBUFS;
    return caller.copyOut(address + BigInt(xen_varbuf.sizeof), bytes) ? bytes.length : -Errno.EFAULT;
  });
}

function compileInfo(caller: Caller, address: bigint): HypercallResult {
  const info = xen_compile_info.encode({
    compiler: ascii(COMPILE_INFO.compiler),
    compile_by: ascii(COMPILE_INFO.compile_by),
    compile_domain: ascii(COMPILE_INFO.compile_domain),
    compile_date: ascii(COMPILE_INFO.compile_date),
  });
  return caller.copyOut(address, info) ? 0 : -Errno.EFAULT;
}

/** -EINVAL: only the first 32 features exist. */
function getFeatures(_caller: Caller, op: xen_feature_info): HypercallResult {
  if (op.submap_idx !== 0) return -Errno.EINVAL;
  op.submap = FEATURES;
  return 0;
}
