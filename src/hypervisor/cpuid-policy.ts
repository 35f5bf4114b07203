/**
 * What CPUID says: only what the engine does (design.md §4), and Xen's own leaves. Feature names are those of
 * xen/include/public/arch-x86/cpufeatureset.h. Intel SDM Vol. 2A, "CPUID—CPU Identification".
 */

import { bitfield, bits } from "../bits/bitfield.ts";
import { u32 } from "../bits/integers.ts";
import {
  XEN_CPUID_FIRST_LEAF,
  XEN_CPUID_MAX_NUM_LEAVES,
  XEN_CPUID_SIGNATURE,
  XEN_CPUID_TSC,
  XEN_HVM_CPUID,
} from "../abi/arch-x86/cpuid.ts";
import { XEN_VERSION } from "./version.ts";

/** EAX, EBX, ECX, EDX. */
export type CpuidResult = readonly [eax: number, ebx: number, ecx: number, edx: number];

/** What the answers depend on. */
export interface CpuidPolicy {
  readonly domain: number;
  readonly vcpus: number;
  /** Guest-physical address bits. */
  readonly physicalBits: number;
}

/** What changes while a vCPU runs. */
export interface CpuidState {
  /** CR4.OSXSAVE */
  readonly osxsave: boolean;
  /** Enabled in IA32_APIC_BASE. */
  readonly apic: boolean;
}

/** The guest's time-stamp counter runs at 1 GHz, so that ticks are nanoseconds. */
export const TSC_KHZ = 1_000_000;

/** MSR of the hypercall page, by CPUID leaf 0x40000002. */
export const HYPERCALL_PAGE_MSR = 0x40000000;

/** Signature of the processor: family 6, model 0x8f, stepping 8, an Intel part with none of the older ones' errata. */
const SIGNATURE = 0x000806f8;

/** Leaf 1, ECX. */
const feature1c = bitfield(u32, {
  sse3: 0,
  pclmulqdq: 1,
  ssse3: 9,
  cx16: 13,
  pcid: 17,
  sse4_1: 19,
  sse4_2: 20,
  x2apic: 21,
  movbe: 22,
  popcnt: 23,
  tsc_deadline: 24,
  aes: 25,
  xsave: 26,
  osxsave: 27,
  hypervisor: 31,
});

/** Leaf 1, EDX. */
const feature1d = bitfield(u32, {
  fpu: 0,
  de: 2,
  pse: 3,
  tsc: 4,
  msr: 5,
  pae: 6,
  mce: 7,
  cx8: 8,
  apic: 9,
  sep: 11,
  mtrr: 12,
  pge: 13,
  mca: 14,
  cmov: 15,
  pat: 16,
  clflush: 19,
  mmx: 23,
  fxsr: 24,
  sse: 25,
  sse2: 26,
  htt: 28,
});

/** Leaf 1, EBX. The line size is in units of 8 bytes. */
const processor1b = bitfield(u32, { clflushLine: bits(8, 15), logical: bits(16, 23), apicId: bits(24, 31) });

const always1c = {
  sse3: true,
  pclmulqdq: true,
  ssse3: true,
  cx16: true,
  pcid: true,
  sse4_1: true,
  sse4_2: true,
  x2apic: true,
  movbe: true,
  popcnt: true,
  tsc_deadline: true,
  aes: true,
  xsave: true,
  hypervisor: true,
};

const always1d = {
  fpu: true,
  de: true,
  pse: true,
  tsc: true,
  msr: true,
  pae: true,
  mce: true,
  cx8: true,
  sep: true,
  mtrr: true,
  pge: true,
  mca: true,
  cmov: true,
  pat: true,
  clflush: true,
  mmx: true,
  fxsr: true,
  sse: true,
  sse2: true,
  htt: true,
};

/** Leaf 7, subleaf 0. Without ERMS and FSRM: the engine does REP MOVSQ in bulk, and nothing is gained by bytes. */
const LEAF7: CpuidResult = [
  2,
  bitfield(u32, {
    fsgsbase: 0,
    tsc_adjust: 1,
    bmi1: 3,
    smep: 7,
    bmi2: 8,
    invpcid: 10,
    no_fpu_sel: 13,
    smap: 20,
    sha: 29,
  }).pack({
    fsgsbase: true,
    tsc_adjust: true,
    bmi1: true,
    smep: true,
    bmi2: true,
    invpcid: true,
    // FCS and FDS are always stored as 0.
    no_fpu_sel: true,
    smap: true,
    sha: true,
  }),
  bitfield(u32, { umip: 2 }).pack({ umip: true }),
  // IBRS, so that "enhanced IBRS" is there to choose instead of retpolines; and the MSR that says what needs no cure.
  bitfield(u32, { ibrsb: 26, arch_caps: 29 }).pack({ ibrsb: true, arch_caps: true }),
];

/**
 * Leaf 7, subleaf 2: BHI_CTRL. A kernel that holds BHI_NO for too little a promise then sets SPEC_CTRL.BHI_DIS_S once,
 * where it would otherwise run a loop of branches on each system call.
 */
const LEAF7_2: CpuidResult = [0, 0, 0, bitfield(u32, { bhi_ctrl: 4 }).pack({ bhi_ctrl: true })];

const EXTENDED1: CpuidResult = [
  0,
  0,
  bitfield(u32, { lahf_lm: 0 }).pack({ lahf_lm: true }),
  bitfield(u32, { syscall: 11, nx: 20, page1gb: 26, rdtscp: 27, lm: 29 }).pack({
    syscall: true,
    nx: true,
    page1gb: true,
    rdtscp: true,
    lm: true,
  }),
];

const BRAND = "Xenolith virtual processor";

/** Four characters as CPUID returns them. */
function text(from: string, at: number): number {
  let word = 0;
  for (let i = 3; i >= 0; i--) word = (word << 8) | (at + i < from.length ? from.charCodeAt(at + i) : 0);
  return word >>> 0;
}

/** Deterministic cache parameters: type 1 data, 2 instruction, 3 unified; 64-byte lines. */
function cache(type: number, level: number, ways: number, sets: number, sharers: number, cores: number): CpuidResult {
  const eax = type | (level << 5) | (1 << 8) | ((sharers - 1) << 14) | ((cores - 1) << 26);
  return [eax >>> 0, (63 | ((ways - 1) << 22)) >>> 0, sets - 1, 0];
}

const MAX_BASIC = 0x16;
const MAX_EXTENDED = 0x80000008;

/** Bytes of the XSAVE area for x87 and SSE: the legacy region and the header. */
const XSAVE_SIZE = 576;

function basic(policy: CpuidPolicy, vcpu: number, leaf: number, subleaf: number, state: CpuidState): CpuidResult {
  const apicId = vcpu * 2;
  const logical = Math.min(255, policy.vcpus * 2);
  switch (leaf) {
    case 0:
      return [MAX_BASIC, text("Genu", 0), text("ntel", 0), text("ineI", 0)];
    case 1:
      return [
        SIGNATURE,
        processor1b.pack({ clflushLine: 8, logical, apicId: apicId & 0xff }),
        feature1c.pack({ ...always1c, osxsave: state.osxsave }),
        feature1d.pack({ ...always1d, apic: state.apic }),
      ];
    case 2:
      // One descriptor: see leaf 4; and the TLBs' "none in particular".
      return [0x00feff01, 0, 0, 0];
    case 4: {
      const cores = Math.min(64, policy.vcpus);
      const levels = [
        cache(1, 1, 8, 64, 1, cores),
        cache(2, 1, 8, 64, 1, cores),
        cache(3, 2, 16, 1024, 1, cores),
        cache(3, 3, 16, 16384, Math.min(4096, logical), cores),
      ];
      return levels[subleaf] ?? [0, 0, 0, 0];
    }
    case 6:
      // ARAT: the APIC timer runs in every state.
      return [1 << 2, 0, 0, 0];
    case 7:
      return subleaf === 0 ? LEAF7 : subleaf === 2 ? LEAF7_2 : [0, 0, 0, 0];
    case 0xb:
      if (subleaf === 0) return [1, 1, 0x100, apicId];
      if (subleaf === 1) return [Math.ceil(Math.log2(policy.vcpus * 2)), policy.vcpus, 0x201, apicId];
      return [0, 0, subleaf & 0xff, apicId];
    case 0xd:
      return subleaf === 0 ? [3, XSAVE_SIZE, XSAVE_SIZE, 0] : [0, 0, 0, 0];
    case 0x16:
      return [TSC_KHZ / 1000, TSC_KHZ / 1000, 100, 0];
    default:
      return [0, 0, 0, 0];
  }
}

function extended(policy: CpuidPolicy, leaf: number): CpuidResult {
  switch (leaf) {
    case 0x80000000:
      return [MAX_EXTENDED, 0, 0, 0];
    case 0x80000001:
      return EXTENDED1;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
      const at = (leaf - 0x80000002) * 16;
      return [text(BRAND, at), text(BRAND, at + 4), text(BRAND, at + 8), text(BRAND, at + 12)];
    }
    case 0x80000006:
      // L2: 1 MiB, 16 ways, 64-byte lines.
      return [0, 0, (1024 << 16) | (8 << 12) | 64, 0];
    case 0x80000007:
      // The time-stamp counter is invariant.
      return [0, 0, 0, 1 << 8];
    case 0x80000008:
      return [policy.physicalBits | (48 << 8), 0, 0, 0];
    default:
      return [0, 0, 0, 0];
  }
}

/** Xen's leaves. xen/arch/x86/cpuid.c: cpuid_hypervisor_leaves() */
function hypervisor(policy: CpuidPolicy, vcpu: number, leaf: number, subleaf: number): CpuidResult {
  const { EBX, ECX, EDX } = XEN_CPUID_SIGNATURE;
  switch (leaf - XEN_CPUID_FIRST_LEAF) {
    case 0:
      return [XEN_CPUID_FIRST_LEAF + XEN_CPUID_MAX_NUM_LEAVES, EBX, ECX, EDX];
    case 1:
      return [(XEN_VERSION.major << 16) | XEN_VERSION.minor, 0, 0, 0];
    case 2:
      return [1, HYPERCALL_PAGE_MSR, 0, 0];
    case 3:
      if (subleaf === 0) return [XEN_CPUID_TSC.HOST_RELIABLE | XEN_CPUID_TSC.RDTSCP_INSTR_AVAIL, 0, TSC_KHZ, 0];
      // Offset 0, and the multiplier and shift that make a tick a nanosecond.
      if (subleaf === 1) return [0, 0, 0x80000000, 1];
      return subleaf === 2 ? [TSC_KHZ, 0, 0, 0] : [0, 0, 0, 0];
    case 4:
      if (subleaf !== 0) return [0, 0, 0, 0];
      // UPCALL_VECTOR stays clear: guests then use the callback vector, which needs no end of interrupt (engine.md §E).
      return [
        XEN_HVM_CPUID.IOMMU_MAPPINGS | XEN_HVM_CPUID.VCPU_ID_PRESENT | XEN_HVM_CPUID.DOMID_PRESENT,
        vcpu,
        policy.domain,
        0,
      ];
    default:
      return [0, 0, 0, 0];
  }
}

/** The answer to CPUID on one vCPU. Leaves that do not exist are zero, as Xen answers them. */
export function cpuid(
  policy: CpuidPolicy,
  vcpu: number,
  leaf: number,
  subleaf: number,
  state: CpuidState,
): CpuidResult {
  if (leaf <= MAX_BASIC) return basic(policy, vcpu, leaf, subleaf, state);
  if (leaf >= XEN_CPUID_FIRST_LEAF && leaf <= XEN_CPUID_FIRST_LEAF + XEN_CPUID_MAX_NUM_LEAVES) {
    return hypervisor(policy, vcpu, leaf, subleaf);
  }
  return leaf >= 0x80000000 && leaf <= MAX_EXTENDED ? extended(policy, leaf) : [0, 0, 0, 0];
}
