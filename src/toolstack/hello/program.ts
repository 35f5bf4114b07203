/** The built-in guests as kernel files: assembled from their sources when they are wanted, and put into ELF files. */

import { EVTCHNOP, EVTCHNSTAT } from "../../abi/event_channel.ts";
import { GNTMAP, GNTST, GNTTABOP, grant_entry_v1, GTF } from "../../abi/grant_table.ts";
import { HVMOP } from "../../abi/hvm/hvm_op.ts";
import { HVM_PARAM } from "../../abi/hvm/params.ts";
import { xencons_interface } from "../../abi/io/console.ts";
import { xenstore_domain_interface, XS } from "../../abi/io/xs_wire.ts";
import { XENMAPSPACE, XENMEM } from "../../abi/memory.ts";
import { SCHEDOP, SHUTDOWN } from "../../abi/sched.ts";
import { DOMID, HYPERVISOR, shared_info, vcpu_info } from "../../abi/xen.ts";
import { theOpcodeMap } from "../../engine/wasm-engine.ts";
import { assemble } from "../../x86/assemble/assemble.ts";
import { pvhElf } from "./elf.ts";
import { keyboardSource } from "./keyboard-source.ts";
import { peerSource } from "./peer-source.ts";
import { runtimeSource } from "./runtime-source.ts";
import { commonData, commonRoom, tellSource } from "./tell-source.ts";
import { tourData } from "./tour-data.ts";
import { tourSource } from "./tour-source.ts";
import { treeSource } from "./tree-source.ts";
import { worldData, worldSource } from "./world-source.ts";
import { xenstoreSource } from "./xenstore-source.ts";

/** Where a guest is loaded. */
const ORIGIN = 0x100000;
/** Guest frames: where shared_info and the grant table are put, and the page that is granted. */
const SHARED_INFO_GFN = 0x1f0;
const GRANT_TABLE_GFN = 0x1f1;
const LINK_GFN = 0x1f2;
/** The first entry that is not the toolstack's. tour-data.ts has it as text too. */
const LINK_REF = 8;
/** Where the other domain maps the page: behind its RAM. */
const WINDOW = 0x1000_0000;

/** How long one domain waits for the other, in milliseconds: a host with much else to do starts threads slowly. */
const PATIENCE = 30_000;

/** The shared page: a question by number, how many were asked and answered, the answer's text; and a text at its end. */
const link = { QUESTION: 0, ASKED: 4, ANSWERED: 8, TEXT: 16, END: 0xdff, GREETING: 0xe00 } as const;
/** What the first domain asks the second. world-source.ts has the answers in this order. */
const questions = ["ping", "name", "grants", "events", "cpuid", "time", "crash", "quit"] as const;

/** The names in the sources that stand for Xen's numbers, and for those that both domains must agree on. */
function constants(): Record<string, number> {
  const named = (prefix: string, values: Readonly<Record<string, number>>): [string, number][] =>
    Object.entries(values).map(([name, value]) => [prefix + name, value]);
  const { compat } = shared_info;
  return Object.fromEntries([
    ...named("HYPERVISOR_", HYPERVISOR),
    ...named("EVTCHNOP_", EVTCHNOP),
    ...named("EVTCHNSTAT_", EVTCHNSTAT),
    ...named("GNTTABOP_", GNTTABOP),
    ...named("GNTMAP_", GNTMAP),
    ...named("GNTST_", GNTST),
    ...named("GTF_", GTF),
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
    ...named("LINK_", link),
    ...questions.map((name, number): [string, number] => [`QUESTION_${name}`, number]),
    ["QUESTIONS", questions.length],
    ["GTF_IN_USE", GTF.reading | GTF.writing],
    ["SHARED_INFO_GFN", SHARED_INFO_GFN],
    ["SHARED_INFO", SHARED_INFO_GFN << 12],
    ["GRANT_TABLE_GFN", GRANT_TABLE_GFN],
    ["GRANT_TABLE", GRANT_TABLE_GFN << 12],
    ["ENTRY", (GRANT_TABLE_GFN << 12) + LINK_REF * grant_entry_v1.sizeof],
    ["LINK_GFN", LINK_GFN],
    ["LINK", LINK_GFN << 12],
    ["WINDOW", WINDOW],
    ["PATIENCE", PATIENCE],
    ["UPCALL_PENDING", vcpu_info.compat.offsets.evtchn_upcall_pending],
    ["PENDING_SEL", vcpu_info.compat.offsets.evtchn_pending_sel],
    ["EVTCHN_PENDING", compat.offsets.evtchn_pending],
    ["WC_SEC", compat.offsets.wc_sec],
  ]);
}

function kernel(...parts: readonly string[]): Uint8Array<ArrayBuffer> {
  const source = [...parts, runtimeSource, xenstoreSource, tellSource, commonData].join("\n");
  const { bytes, labels } = assemble(theOpcodeMap(), `${source}\n${commonRoom}`, BigInt(ORIGIN), constants());
  return pvhElf(bytes, ORIGIN, Number(labels.get("start") ?? BigInt(ORIGIN)));
}

/** The first guest's kernel file: the one with a prompt. Takes some milliseconds. */
export function helloKernel(): Uint8Array<ArrayBuffer> {
  return kernel(tourSource, peerSource, treeSource, keyboardSource, tourData);
}

/** The second guest's: the first one's back end. */
export function worldKernel(): Uint8Array<ArrayBuffer> {
  return kernel(worldSource, worldData);
}
