/**
 * Compares src/abi with Xen's C headers: a file of constants is compiled (not run, so that -m32 needs no 32-bit C
 * library) for both ABIs and its data section is read back. Needs gcc, objcopy and the headers of libxen-dev.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";

import type { Struct } from "../src/bits/struct.ts";

const INCLUDES = [
  "xen.h",
  "event_channel.h",
  "grant_table.h",
  "memory.h",
  "sched.h",
  "vcpu.h",
  "version.h",
  "features.h",
  "elfnote.h",
  "hvm/hvm_op.h",
  "hvm/params.h",
  "arch-x86/cpuid.h",
  "arch-x86/hvm/start_info.h",
  "io/console.h",
  "io/xenbus.h",
  "io/xs_wire.h",
];

/** Objects whose keys, after the prefix, are the C names. */
const FAMILIES: readonly (readonly [module: string, object: string, prefix: string])[] = [
  ["errno", "Errno", "XEN_"],
  ["xen", "HYPERVISOR", "__HYPERVISOR_"],
  ["xen", "VIRQ", "VIRQ_"],
  ["xen", "CONSOLEIO", "CONSOLEIO_"],
  ["xen", "VMASST_CMD", "VMASST_CMD_"],
  ["xen", "VMASST_TYPE", "VMASST_TYPE_"],
  ["xen", "DOMID", "DOMID_"],
  ["xen", "XEN_PVCLOCK", "XEN_PVCLOCK_"],
  ["event_channel", "EVTCHNOP", "EVTCHNOP_"],
  ["event_channel", "EVTCHNSTAT", "EVTCHNSTAT_"],
  ["event_channel", "EVTCHN_FIFO", "EVTCHN_FIFO_"],
  ["grant_table", "GTF", "GTF_"],
  ["grant_table", "GNTTAB", "GNTTAB_"],
  ["grant_table", "GNTTABOP", "GNTTABOP_"],
  ["grant_table", "GNTMAP", "GNTMAP_"],
  ["grant_table", "GNTST", "GNTST_"],
  ["grant_table", "GNTCOPY", "GNTCOPY_"],
  ["memory", "XENMEM", "XENMEM_"],
  ["memory", "XENMAPSPACE", "XENMAPSPACE_"],
  ["memory", "XENMEM_resource", "XENMEM_resource_"],
  ["sched", "SCHEDOP", "SCHEDOP_"],
  ["sched", "SHUTDOWN", "SHUTDOWN_"],
  ["vcpu", "VCPUOP", "VCPUOP_"],
  ["vcpu", "RUNSTATE", "RUNSTATE_"],
  ["version", "XENVER", "XENVER_"],
  ["features", "XENFEAT", "XENFEAT_"],
  ["elfnote", "XEN_ELFNOTE", "XEN_ELFNOTE_"],
  ["hvm/hvm_op", "HVMOP", "HVMOP_"],
  ["hvm/hvm_op", "HVMMEM", "HVMMEM_"],
  ["hvm/params", "HVM_PARAM", "HVM_PARAM_"],
  ["hvm/params", "HVM_PARAM_CALLBACK_TYPE", "HVM_PARAM_CALLBACK_TYPE_"],
  ["arch-x86/xen", "XEN_X86_EMU", "XEN_X86_EMU_"],
  ["arch-x86/cpuid", "XEN_CPUID_SIGNATURE", "XEN_CPUID_SIGNATURE_"],
  ["arch-x86/cpuid", "XEN_HVM_CPUID", "XEN_HVM_CPUID_"],
  ["arch-x86/hvm/start_info", "XEN_HVM_MEMMAP_TYPE", "XEN_HVM_MEMMAP_TYPE_"],
  ["io/xenbus", "XenbusState", "XenbusState"],
  ["io/xs_wire", "XS", "XS_"],
  ["io/xs_wire", "XS_WATCH", "XS_WATCH_"],
  ["io/xs_wire", "XENSTORE_ERROR", "XENSTORE_ERROR_"],
  ["io/xs_wire", "XENSTORE_SERVER_FEATURE", "XENSTORE_SERVER_FEATURE_"],
];

/** Newer than the oldest headers the comparison is run with (4.17), private to the hypervisor there, or dropped from its newest interface. */
const ABSENT = new Set([
  "DOMID_ANY",
  "VCPUOP_register_runstate_phys_area",
  "VCPUOP_register_vcpu_time_phys_area",
  "XENFEAT_runstate_phys_area",
  "XENFEAT_vcpu_time_phys_area",
  "XENFEAT_dm_msix_all_writes",
  "XENVER_extraversion2",
  "XENVER_capabilities2",
  "XENVER_changeset2",
  "XENVER_commandline2",
  "XEN_ELFNOTE_PHYS32_RELOC",
  "XEN_ECHILD",
  "XEN_EINTR",
  "XEN_ERESTART",
  "HVMOP_set_pci_intx_level",
  "HVMOP_set_isa_irq_level",
  "HVMOP_set_pci_link_route",
  "XS_GET_FEATURE",
  "XS_SET_FEATURE",
  "XS_GET_QUOTA",
  "XS_SET_QUOTA",
  "XENSTORE_SERVER_FEATURE_WATCHDEPTH",
  "XENSTORE_SERVER_FEATURE_DOMID_ANY",
]);

/** Structures that are part of a union or have no tag, and members named differently because C nests them. */
const C_TYPE: Readonly<Record<string, string>> = {
  evtchn_fifo_control_block: "struct evtchn_fifo_control_block",
  gnttab_copy_ptr: "struct gnttab_copy_ptr",
  grant_entry_v2: "union grant_entry_v2",
  grant_entry_v2_transitive: "union grant_entry_v2",
};
const C_MEMBER: Readonly<Record<string, string>> = {
  "evtchn_status.u_dom": "u.interdomain.dom",
  "evtchn_status.u_port": "u.interdomain.port",
  "evtchn_status.u_number": "u.virq",
  "evtchn_status.u_padding": "u.interdomain.port",
  "gnttab_copy_ptr.u": "u.gmfn",
  "grant_entry_v2.flags": "sub_page.hdr.flags",
  "grant_entry_v2.domid": "sub_page.hdr.domid",
  "grant_entry_v2.page_off": "sub_page.page_off",
  "grant_entry_v2.length": "sub_page.length",
  "grant_entry_v2.frame": "sub_page.frame",
  "grant_entry_v2_transitive.flags": "transitive.hdr.flags",
  "grant_entry_v2_transitive.domid": "transitive.hdr.domid",
  "grant_entry_v2_transitive.trans_domid": "transitive.trans_domid",
  "grant_entry_v2_transitive.pad0": "transitive.pad0",
  "grant_entry_v2_transitive.gref": "transitive.gref",
  "grant_entry_v2_transitive.spacer": "__spacer[3]",
  "xen_add_to_physmap_batch.foreign_domid": "u.foreign_domid",
};
/** Not C structures; in later headers only; or of another size in 4.17, which had no connection byte or port yet. */
const SKIPPED = new Set(["e820entry", "xen_varbuf", "xencons_interface", "xenstore_domain_interface"]);

interface Claim {
  readonly what: string;
  readonly expression: string;
  readonly value: bigint;
}

async function claims(compat: boolean): Promise<Claim[]> {
  const list: Claim[] = [];
  const constant = (name: string, value: number): void => {
    if (!ABSENT.has(name)) list.push({ what: name, expression: name, value: BigInt(value) });
  };
  for (const [module, object, prefix] of FAMILIES) {
    const loaded = (await import(`../src/abi/${module}.ts`)) as Record<string, Record<string, number>>;
    for (const [key, value] of Object.entries(loaded[object] ?? assert.fail(`${module} has no ${object}`))) {
      if (prefix === "DOMID_" && key === "FIRST_RESERVED") constant("DOMID_FIRST_RESERVED", value);
      else constant(prefix + key, value);
    }
  }
  for (const module of new Set([...FAMILIES.map(([name]) => name), "io/console"])) {
    const loaded = (await import(`../src/abi/${module}.ts`)) as Record<string, unknown>;
    for (const value of Object.values(loaded)) {
      if (!isStruct(value) || SKIPPED.has(value.name)) continue;
      const layout = compat ? (value.compat ?? value) : value;
      const type = C_TYPE[value.name] ?? `struct ${value.name}`;
      list.push({ what: `sizeof ${type}`, expression: `sizeof(${type})`, value: BigInt(layout.sizeof) });
      for (const [member, at] of Object.entries(layout.offsets)) {
        const name = C_MEMBER[`${value.name}.${member}`] ?? member;
        const where = compat && name === "wc_sec_hi" ? "arch.wc_sec_hi" : name;
        list.push({
          what: `${value.name}.${member}`,
          expression: `offsetof(${type}, ${where})`,
          value: BigInt(at as number),
        });
      }
    }
  }
  return list;
}

function isStruct(value: unknown): value is Struct<object> & { readonly compat?: Struct<object> } {
  return typeof value === "object" && value !== null && "offsets" in value && "sizeof" in value && "name" in value;
}

const missing = !existsSync("/usr/include/xen/xen.h")
  ? "Xen's headers are not installed (libxen-dev)"
  : !hasCompiler()
    ? "gcc or objcopy is not installed"
    : process.arch !== "x64"
      ? "the headers are compared on x86-64 only"
      : false;

function hasCompiler(): boolean {
  try {
    execFileSync("gcc", ["--version"], { stdio: "ignore" });
    execFileSync("objcopy", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

for (const flag of ["-m64", "-m32"] as const) {
  test(`abi: every size, offset and constant is the C headers' (${flag})`, { skip: missing }, async () => {
    const list = await claims(flag === "-m32");
    const directory = mkdtempSync(join(tmpdir(), "xenolith-abi-"));
    try {
      const source = [
        "#include <stdint.h>",
        "#include <stddef.h>",
        "#define __XEN_TOOLS__ 1",
        "#define __XEN_INTERFACE_VERSION__ 0x00040d00",
        ...INCLUDES.map((name) => `#include <xen/${name}>`),
        "#define XEN_ERRNO(name, value) XEN_##name = value,",
        "enum { ",
        "#include <xen/errno.h>",
        "};",
        `const long long table[] = { ${list.map(({ expression }) => `(long long)(${expression})`).join(",\n")} };`,
      ];
      writeFileSync(join(directory, "table.c"), source.join("\n"));
      const gcc = [flag, "-ffreestanding", "-fdata-sections", "-w", "-c", "table.c", "-o", "table.o"];
      execFileSync("gcc", gcc, { cwd: directory, stdio: ["ignore", "inherit", "inherit"] });
      execFileSync("objcopy", ["-O", "binary", "-j", ".rodata.table", "table.o", "table.bin"], { cwd: directory });
      const data = readFileSync(join(directory, "table.bin"));
      assert.equal(data.length, list.length * 8);
      const wrong = list.flatMap(({ what, value }, i) => {
        const theirs = data.readBigInt64LE(i * 8);
        return theirs === value ? [] : [`${what}: ${value}, in C ${theirs}`];
      });
      assert.deepEqual(wrong, []);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}
