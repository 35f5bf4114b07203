/**
 * Lays out a PVH domain: what is written where in its memory, the memory map, and the state its first processor starts in.
 * Xen: docs/misc/pvh.pandoc; tools/libs/guest/xg_dom_x86.c, bootlate_hvm() and vcpu_hvm().
 */

import { XEN_HVM_MEMMAP_TYPE, XEN_HVM_START_MAGIC_VALUE } from "../abi/arch-x86/hvm/start_info.ts";
import { hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info } from "../abi/arch-x86/hvm/start_info.ts";
import { XenError } from "../bits/errors.ts";
import { alignUp } from "../bits/integers.ts";
import { ACPI_INFO_ADDRESS, acpiTables } from "./acpi.ts";
import type { PhysicalWrite, Processors } from "./acpi.ts";
import type { Kernel } from "./kernel.ts";
import { utf8Bytes } from "./text.ts";

const PAGE_BYTES = 4096;
const MEBIBYTE = 1 << 20;
/** RAM ends here at the latest, for the 64 MiB below 4 GiB are the platform's. */
const LOW_MEMORY_LIMIT = 0xfc000000;
const HIGH_MEMORY_START = 2 ** 32;
/** What is loaded lies below this: Linux's first page tables reach no further. */
const LOAD_LIMIT = 1 << 30;
/** Linux keeps no more of a command line; with its NUL. Linux: COMMAND_LINE_SIZE. */
const COMMAND_LINE_BYTES = 2048;

/** X86_HVM_END_SPECIAL_REGION and the pages before it, by what they are for. Xen: tools/include/xenguest.h. */
export const specialPages = {
  first: 0xfeff8,
  xenstore: 0xfeffc,
  identityPageTable: 0xfeffe,
  console: 0xfefff,
  /** The first frame after them. */
  end: 0xff000,
} as const;

/** What a domain is built from. */
export interface PvhOptions {
  readonly kernel: Kernel;
  /** RAM, a multiple of 4096. */
  readonly memoryBytes: number;
  readonly initrd?: Uint8Array | undefined;
  readonly commandLine: string;
  readonly processors: Processors;
}

/** A range of guest-physical memory in bytes, with a type of XEN_HVM_MEMMAP_TYPE. */
export interface MemoryRange {
  readonly address: number;
  readonly bytes: number;
  readonly type: number;
}

/** A segment register with its hidden part, as the engine's seam has it. */
interface Segment {
  readonly selector: number;
  readonly base: bigint;
  readonly limit: number;
  readonly attributes: number;
}

/** A processor's state, in the form of `VcpuContext` of the engine's seam, which this layer may not name. */
export interface StartContext {
  gpr: bigint[];
  rip: bigint;
  rflags: bigint;
  segments: Record<"es" | "cs" | "ss" | "ds" | "fs" | "gs" | "ldtr" | "tr", Segment>;
  gdtr: { base: bigint; limit: number };
  idtr: { base: bigint; limit: number };
  cr0: bigint;
  cr2: bigint;
  cr3: bigint;
  cr4: bigint;
  efer: bigint;
  dr: bigint[];
  xcr0: bigint;
  msrs: Map<number, bigint>;
  fxsave: Uint8Array;
}

/** A domain that is ready to be written into fresh, zeroed memory. */
export interface PvhDomain {
  /** In no particular order; none overlaps another. */
  readonly writes: readonly PhysicalWrite[];
  /** What start_info and XENMEM_memory_map tell the guest, sorted. */
  readonly memoryMap: readonly MemoryRange[];
  /** What needs memory behind it: RAM, the ACPI tables, and the special pages, which no write here touches. */
  readonly populated: readonly { readonly address: number; readonly bytes: number }[];
  readonly startInfoAddress: number;
  /** Of vCPU 0; the others wait for INIT and SIPI. MTRRdefType is 0x806 and IA32_APIC_BASE 0xfee00900, as at any start. */
  readonly context: StartContext;
}

/**
 * @throws XenError "not-enough-memory", which names the least that suffices; "bad-initrd" when it cannot lie below 1 GiB;
 *   "invalid-argument" for a command line that is too long.
 */
export function layOutPvh(options: PvhOptions): PvhDomain {
  const { kernel, memoryBytes, initrd } = options;
  const acpi = acpiTables(options.processors, kernel.findsRsdpAnywhere ? "high" : "low");
  const memoryMap = memoryMapOf(memoryBytes, acpi.bytes);
  const startInfoAddress = alignUp(kernel.end, PAGE_BYTES);
  const commandLine = utf8Bytes(`${options.commandLine}\0`);
  if (commandLine.length > COMMAND_LINE_BYTES) {
    throw new XenError(
      "invalid-argument",
      `command line: ${commandLine.length - 1} bytes long; Linux takes at most ${COMMAND_LINE_BYTES - 1}`,
    );
  }
  if (options.commandLine.includes("\0"))
    throw new XenError("invalid-argument", "command line: contains a NUL character");

  // One segment, as libxl makes it: start_info, the command line, the module list, the memory map.
  const commandLineAt = hvm_start_info.sizeof;
  const modulesAt = alignUp(commandLineAt + commandLine.length, 8);
  const mapAt = modulesAt + hvm_modlist_entry.sizeof;
  const segment = new Uint8Array(mapAt + memoryMap.length * hvm_memmap_table_entry.sizeof);
  const initrdAddress = alignUp(startInfoAddress + segment.length, PAGE_BYTES);
  const end = initrdAddress + (initrd?.length ?? 0);
  if (end > LOAD_LIMIT) {
    if (startInfoAddress + segment.length > LOAD_LIMIT) {
      throw new XenError(
        "not-a-kernel",
        `kernel "${kernel.name}": reaches past the first GiB, where a PVH kernel must be`,
      );
    }
    throw new XenError("bad-initrd", `initrd: ${initrd?.length} bytes do not fit into the first GiB behind the kernel`);
  }
  if (end > memoryBytes) {
    const least = Math.ceil(end / MEBIBYTE);
    throw new XenError(
      "not-enough-memory",
      `memory: ${Math.floor(memoryBytes / MEBIBYTE)} MiB is too little for kernel "${kernel.name}"` +
        `${initrd === undefined ? "" : " and its initrd"}; loading takes ${least} MiB, give more with -m`,
    );
  }

  hvm_start_info.write(segment, 0, {
    magic: XEN_HVM_START_MAGIC_VALUE,
    version: 1,
    flags: 0,
    nr_modules: initrd === undefined ? 0 : 1,
    modlist_paddr: initrd === undefined ? 0n : BigInt(startInfoAddress + modulesAt),
    cmdline_paddr: BigInt(startInfoAddress + commandLineAt),
    rsdp_paddr: BigInt(acpi.rsdpAddress),
    memmap_paddr: BigInt(startInfoAddress + mapAt),
    memmap_entries: memoryMap.length,
    reserved: 0,
  });
  segment.set(commandLine, commandLineAt);
  if (initrd !== undefined) {
    const module = { paddr: BigInt(initrdAddress), size: BigInt(initrd.length), cmdline_paddr: 0n, reserved: 0n };
    hvm_modlist_entry.write(segment, modulesAt, module);
  }
  memoryMap.forEach(({ address, bytes, type }, i) => {
    const entry = { addr: BigInt(address), size: BigInt(bytes), type, reserved: 0 };
    hvm_memmap_table_entry.write(segment, mapAt + i * hvm_memmap_table_entry.sizeof, entry);
  });

  return {
    writes: [
      ...kernel.segments.map(({ physicalAddress, contents }) => ({ address: physicalAddress, bytes: contents })),
      { address: startInfoAddress, bytes: segment },
      ...(initrd === undefined ? [] : [{ address: initrdAddress, bytes: initrd }]),
      ...acpi.writes,
    ].filter((write) => write.bytes.length > 0),
    memoryMap,
    populated: memoryMap.map(({ address, bytes }) => ({ address, bytes })),
    startInfoAddress,
    context: startContext(kernel.entry, startInfoAddress),
  };
}

/** Xen: libxl_x86.c, domain_construct_memmap(). RAM has no hole for VGA. */
function memoryMapOf(memoryBytes: number, acpiBytes: number): MemoryRange[] {
  const low = Math.min(memoryBytes, LOW_MEMORY_LIMIT);
  const special = specialPages.first * PAGE_BYTES;
  return [
    { address: 0, bytes: low, type: XEN_HVM_MEMMAP_TYPE.RAM },
    { address: ACPI_INFO_ADDRESS, bytes: acpiBytes, type: XEN_HVM_MEMMAP_TYPE.NVS },
    { address: special, bytes: specialPages.end * PAGE_BYTES - special, type: XEN_HVM_MEMMAP_TYPE.RESERVED },
    ...(memoryBytes > low
      ? [{ address: HIGH_MEMORY_START, bytes: memoryBytes - low, type: XEN_HVM_MEMMAP_TYPE.RAM }]
      : []),
  ];
}

/** 32-bit protected mode without paging, flat segments, EBX pointing to start_info. docs/misc/pvh.pandoc. */
function startContext(entry: number, startInfoAddress: number): StartContext {
  const data: Segment = { selector: 0, base: 0n, limit: 0xffffffff, attributes: 0xc93 };
  const none: Segment = { selector: 0, base: 0n, limit: 0, attributes: 0 };
  const gpr = Array.from({ length: 16 }, () => 0n);
  gpr[3] = BigInt(startInfoAddress);
  const fxsave = new Uint8Array(512);
  const view = new DataView(fxsave.buffer);
  // FCW and MXCSR as after FNINIT and at reset: all exceptions masked.
  view.setUint16(0, 0x37f, true);
  view.setUint32(24, 0x1f80, true);
  return {
    gpr,
    rip: BigInt(entry),
    rflags: 2n,
    segments: {
      cs: { ...data, attributes: 0xc9b },
      ds: data,
      es: data,
      ss: data,
      fs: none,
      gs: none,
      ldtr: none,
      tr: { ...none, limit: 0x67, attributes: 0x8b },
    },
    gdtr: { base: 0n, limit: 0 },
    idtr: { base: 0n, limit: 0 },
    // PE and ET.
    cr0: 0x11n,
    cr2: 0n,
    cr3: 0n,
    cr4: 0n,
    efer: 0n,
    dr: [0n, 0n, 0n, 0n, 0n, 0n, 0xffff0ff0n, 0x400n],
    xcr0: 1n,
    msrs: new Map(),
    fxsave,
  };
}
