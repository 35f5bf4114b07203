/**
 * The model-specific registers of the platform around a processor. The processor's own (EFER, segment bases, SYSCALL,
 * SYSENTER, TSC) are the engine's. xen/arch/x86/msr.c, hvm/mtrr.c; Intel SDM Vol. 4.
 */

import type { Lapic } from "./lapic.ts";
import { HYPERCALL_PAGE_MSR } from "./cpuid-policy.ts";

const MSR = {
  PLATFORM_ID: 0x17,
  APIC_BASE: 0x1b,
  FEATURE_CONTROL: 0x3a,
  TSC_ADJUST: 0x3b,
  SPEC_CTRL: 0x48,
  PRED_CMD: 0x49,
  BIOS_UPDT_TRIG: 0x79,
  BIOS_SIGN_ID: 0x8b,
  MTRRCAP: 0xfe,
  ARCH_CAPABILITIES: 0x10a,
  FLUSH_CMD: 0x10b,
  MCG_CAP: 0x179,
  MCG_STATUS: 0x17a,
  MCG_CTL: 0x17b,
  MISC_ENABLE: 0x1a0,
  DEBUGCTL: 0x1d9,
  MTRR_PHYSBASE0: 0x200,
  PAT: 0x277,
  MTRR_DEF_TYPE: 0x2ff,
  TSC_DEADLINE: 0x6e0,
} as const;

/** MSRs 0x800 to 0x8ff are the local APIC's, in x2APIC mode. */
const X2APIC_FIRST = 0x800;
const X2APIC_END = 0x900;

/** The fixed-range MTRRs. */
const MTRR_FIXED: ReadonlySet<number> = new Set([
  0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
]);
/** Variable ranges; each is two registers. */
const MTRR_VARIABLE = 8;
/** Write combining, fixed ranges, and the number of variable ones. */
const MTRRCAP = (1n << 10n) | (1n << 8n) | BigInt(MTRR_VARIABLE);

/** Memory types: uncacheable, write combining, write through, write protected, write back; and PAT's weak uncacheable. */
const MTRR_TYPES: readonly number[] = [0, 1, 4, 5, 6];
const PAT_TYPES: readonly number[] = [...MTRR_TYPES, 7];

/**
 * What this processor is not vulnerable to: it neither speculates nor has the buffers in question, so guests need none
 * of the cures. Bits by Intel SDM Vol. 4, IA32_ARCH_CAPABILITIES; all but IBRS_ALL say "no".
 */
const ARCH_CAPABILITIES = [
  0, // RDCL_NO
  1, // IBRS_ALL
  3, // SKIP_L1DFL
  4, // SSB_NO
  5, // MDS_NO
  6, // PSCHANGE_MC_NO
  8, // TAA_NO
  13, // SBDR_SSDP_NO
  14, // FBSDP_NO
  15, // PSDP_NO
  20, // BHI_NO
  24, // PBRSB_NO
  26, // GDS_NO
  27, // RFDS_NO
  62, // ITS_NO
].reduce((word, bit) => word | (1n << BigInt(bit)), 0n);

/** IBRS, STIBP, BHI_DIS_S. */
const SPEC_CTRL_BITS = 1n | 2n | (1n << 10n);

/** Fast strings on; branch trace and precise sampling unavailable. */
const MISC_ENABLE = 1n | (1n << 11n) | (1n << 12n);
const PAT_DEFAULT = 0x0007040600070406n;
/** Enabled, everything write back, as Xen starts PVH domains. */
const MTRR_DEF_TYPE_DEFAULT = 0x806n;

/** What the registers act on. */
export interface MsrHost {
  readonly lapic: Lapic;
  /** Writes the hypercall page to a guest frame. @returns false when the frame cannot hold it. */
  writeHypercallPage(value: bigint): boolean;
  /** IA32_TSC_ADJUST: by how many ticks the guest moved its time-stamp counter. Signed. */
  tscAdjust(): bigint;
  setTscAdjust(value: bigint): void;
}

function hasTypes(value: bigint, types: readonly number[]): boolean {
  for (let shift = 0n; shift < 64n; shift += 8n) if (!types.includes(Number((value >> shift) & 0xffn))) return false;
  return true;
}

/** The platform's MSRs of one vCPU. */
export class PlatformMsrs {
  readonly #host: MsrHost;
  readonly #physicalBits: bigint;
  /** Registers that only remember: PAT, MTRRs, SPEC_CTRL. */
  readonly #values = new Map<number, bigint>();

  constructor(host: MsrHost, physicalBits: number) {
    this.#host = host;
    this.#physicalBits = BigInt(physicalBits);
  }

  /** @returns undefined for #GP. */
  read(index: number): bigint | undefined {
    if (index >= X2APIC_FIRST && index < X2APIC_END) return this.#host.lapic.readMsr(index);
    if (MTRR_FIXED.has(index)) return this.#values.get(index) ?? 0x0606060606060606n;
    if (this.#isVariableMtrr(index)) return this.#values.get(index) ?? 0n;
    switch (index) {
      case MSR.APIC_BASE:
        return this.#host.lapic.base;
      case MSR.TSC_ADJUST:
        return BigInt.asUintN(64, this.#host.tscAdjust());
      case MSR.TSC_DEADLINE:
        return this.#host.lapic.tscDeadline;
      case MSR.SPEC_CTRL:
      case MSR.MCG_STATUS:
      case MSR.DEBUGCTL:
        return this.#values.get(index) ?? 0n;
      case MSR.PLATFORM_ID:
      case MSR.BIOS_SIGN_ID:
      case MSR.MCG_CAP:
      case HYPERCALL_PAGE_MSR:
        return 0n;
      case MSR.FEATURE_CONTROL:
        // Locked, with nothing enabled.
        return 1n;
      case MSR.MTRRCAP:
        return MTRRCAP;
      case MSR.ARCH_CAPABILITIES:
        return ARCH_CAPABILITIES;
      case MSR.MISC_ENABLE:
        return MISC_ENABLE;
      case MSR.PAT:
        return this.#values.get(index) ?? PAT_DEFAULT;
      case MSR.MTRR_DEF_TYPE:
        return this.#values.get(index) ?? MTRR_DEF_TYPE_DEFAULT;
      default:
        return undefined;
    }
  }

  /** @returns false for #GP. */
  write(index: number, value: bigint): boolean {
    if (index >= X2APIC_FIRST && index < X2APIC_END) return this.#host.lapic.writeMsr(index, value);
    if (MTRR_FIXED.has(index)) return hasTypes(value, MTRR_TYPES) && this.#remember(index, value);
    if (this.#isVariableMtrr(index)) return this.#writeVariableMtrr(index, value);
    switch (index) {
      case HYPERCALL_PAGE_MSR:
        return this.#host.writeHypercallPage(value);
      case MSR.APIC_BASE:
        return this.#host.lapic.setBase(value);
      case MSR.TSC_ADJUST:
        this.#host.setTscAdjust(BigInt.asIntN(64, value));
        return true;
      case MSR.TSC_DEADLINE:
        this.#host.lapic.tscDeadline = value;
        return true;
      case MSR.SPEC_CTRL:
        // IBRS and BHI_DIS_S are offered; STIBP is allowed and ignored, as on processors without hyper-threads.
        return (value & ~SPEC_CTRL_BITS) === 0n && this.#remember(index, value);
      case MSR.PRED_CMD:
        return (value & ~1n) === 0n;
      case MSR.FLUSH_CMD:
        return (value & ~1n) === 0n;
      case MSR.MCG_STATUS:
        return value === 0n && this.#remember(index, value);
      case MSR.BIOS_SIGN_ID:
      case MSR.BIOS_UPDT_TRIG:
      case MSR.MISC_ENABLE:
      case MSR.DEBUGCTL:
        // Writes are dropped: there is no microcode, and nothing to switch.
        return true;
      case MSR.PAT:
        return hasTypes(value, PAT_TYPES) && this.#remember(index, value);
      case MSR.MTRR_DEF_TYPE:
        return (value & ~0xcffn) === 0n && MTRR_TYPES.includes(Number(value & 0xffn)) && this.#remember(index, value);
      default:
        return false;
    }
  }

  #remember(index: number, value: bigint): true {
    this.#values.set(index, value);
    return true;
  }

  #isVariableMtrr(index: number): boolean {
    return index >= MSR.MTRR_PHYSBASE0 && index < MSR.MTRR_PHYSBASE0 + 2 * MTRR_VARIABLE;
  }

  #writeVariableMtrr(index: number, value: bigint): boolean {
    if (value >> this.#physicalBits !== 0n) return false;
    const isMask = (index & 1) === 1;
    if ((value & (isMask ? 0x7ffn : 0xf00n)) !== 0n) return false;
    return (isMask || MTRR_TYPES.includes(Number(value & 0xffn))) && this.#remember(index, value);
  }
}
