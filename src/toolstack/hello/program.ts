/** The built-in guest as a kernel file: assembled from its source when it is wanted, and put into an ELF file. */

import { EVTCHNOP } from "../../abi/event_channel.ts";
import { GNTTABOP } from "../../abi/grant_table.ts";
import { HVMOP } from "../../abi/hvm/hvm_op.ts";
import { HVM_PARAM } from "../../abi/hvm/params.ts";
import { xencons_interface } from "../../abi/io/console.ts";
import { xenstore_domain_interface, XS } from "../../abi/io/xs_wire.ts";
import { XENMAPSPACE, XENMEM } from "../../abi/memory.ts";
import { SCHEDOP, SHUTDOWN } from "../../abi/sched.ts";
import { DOMID, HYPERVISOR, shared_info } from "../../abi/xen.ts";
import { theOpcodeMap } from "../../engine/wasm-engine.ts";
import { assemble } from "../../x86/assemble/assemble.ts";
import { pvhElf } from "./elf.ts";
import { runtimeSource } from "./runtime-source.ts";
import { tourData, tourSource } from "./tour-source.ts";
import { xenstoreSource } from "./xenstore-source.ts";

/** Where the guest is loaded, and where it maps shared_info. */
const ORIGIN = 0x100000;
const SHARED_INFO_GFN = 0x1f0;

/** The names in the source that stand for Xen's numbers. */
function constants(): Record<string, number> {
  const named = (prefix: string, values: Readonly<Record<string, number>>): [string, number][] =>
    Object.entries(values).map(([name, value]) => [prefix + name, value]);
  const { compat } = shared_info;
  return Object.fromEntries([
    ...named("HYPERVISOR_", HYPERVISOR),
    ...named("EVTCHNOP_", EVTCHNOP),
    ...named("GNTTABOP_", GNTTABOP),
    ...named("HVMOP_", HVMOP),
    ...named("HVM_PARAM_", HVM_PARAM),
    ...named("XENMEM_", XENMEM),
    ...named("XENMAPSPACE_", XENMAPSPACE),
    ...named("SCHEDOP_", SCHEDOP),
    ...named("SHUTDOWN_", SHUTDOWN),
    ...named("XS_", XS),
    ...named("DOMID_", DOMID),
    ...named("CONSOLE_", xencons_interface.offsets),
    ...named("XS_", xenstore_domain_interface.offsets),
    ["SHARED_INFO_GFN", SHARED_INFO_GFN],
    ["SHARED_INFO", SHARED_INFO_GFN << 12],
    ["EVTCHN_PENDING", compat.offsets.evtchn_pending],
    ["WC_SEC", compat.offsets.wc_sec],
  ]);
}

/** The kernel file. Takes some milliseconds. */
export function helloKernel(): Uint8Array<ArrayBuffer> {
  const source = [tourSource, runtimeSource, xenstoreSource, tourData].join("\n");
  const { bytes, labels } = assemble(theOpcodeMap(), source, BigInt(ORIGIN), constants());
  return pvhElf(bytes, ORIGIN, Number(labels.get("start") ?? BigInt(ORIGIN)));
}
