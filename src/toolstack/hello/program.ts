/** The built-in guest as a kernel file: assembled from its source when it is wanted, and put into an ELF file. */

import { XEN_ELFNOTE } from "../../abi/elfnote.ts";
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
  return elfFile(bytes, ORIGIN, Number(labels.get("start") ?? BigInt(ORIGIN)));
}

/** A 32-bit ELF file with one segment and the note that makes it a PVH kernel. System V ABI, "Object Files". */
function elfFile(code: Uint8Array, address: number, entry: number): Uint8Array<ArrayBuffer> {
  const headers = 52 + 2 * 32;
  const noteSize = 20;
  const codeAt = 4096;
  const file = new Uint8Array(codeAt + code.length);
  const view = new DataView(file.buffer);
  const words = (at: number, values: readonly number[]): void =>
    values.forEach((value, i) => view.setUint32(at + i * 4, value, true));
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  // e_type 2 (EXEC), e_machine 3 (386); then e_version, e_entry, e_phoff, e_shoff, e_flags.
  words(16, [0x0003_0002, 1, entry, 52, 0, 0]);
  // e_ehsize 52, e_phentsize 32, e_phnum 2.
  words(40, [0x0020_0034, 2, 0]);
  // p_type, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_flags, p_align.
  words(52, [1, codeAt, address, address, code.length, code.length, 7, 4096]);
  words(84, [4, headers, 0, 0, noteSize, noteSize, 4, 4]);
  // The note: sizes of name and contents, type, "Xen", the entry point.
  words(headers, [4, 4, XEN_ELFNOTE.PHYS32_ENTRY, 0x006e_6558, entry]);
  file.set(code, codeAt);
  return file;
}
