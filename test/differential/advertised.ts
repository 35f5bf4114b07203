/** Which of the instructions that iced knows our CPUID advertises (design.md §4), and what the others are to us. */
import type { IcedDecoding } from "./decode-iced.ts";
import type { Mode } from "./wire.ts";

/** Features, by iced's names, that every guest sees. */
const ALWAYS = new Set([
  "INTEL8086", "INTEL186", "INTEL286", "INTEL386", "INTEL486", "X64", "CPUID", "CMOV", "MSR", "TSC", "RDPMC", "CX8", "SEP",
  "FPU", "FPU287", "FPU387", "FXSR", "MMX", "SSE", "SSE2", "SSE3", "SSSE3", "SSE4_1", "SSE4_2", "POPCNT", "CMPXCHG16B",
  "CLFSH", "SYSCALL", "RDTSCP", "XSAVE", "FSGSBASE", "INVPCID", "SMAP", "MULTIBYTENOP", "PAUSE",
]); // prettier-ignore

/** Features that are advertised once one of their instructions is described. */
const WHEN_DESCRIBED: Readonly<Record<string, string>> = {
  BMI1: "tzcnt",
  BMI2: "pdep",
  MOVBE: "movbe",
  LZCNT: "lzcnt",
  AES: "aesenc",
  PCLMULQDQ: "pclmulqdq",
  ADX: "adcx",
  RDRAND: "rdrand",
  RDSEED: "rdseed",
  RDPID: "rdpid",
  CLFLUSHOPT: "clflushopt",
  CLWB: "clwb",
  XSAVEOPT: "xsaveopt",
  XSAVEC: "xsavec",
  XSAVES: "xsaves",
  MONITOR: "monitor",
  SHA: "sha1rnds4",
};

/** Undefined to guests although no CPUID bit says so: what else shares an advertised feature or is always there. */
const HYPERCALLS = /^(Vmcall|Vmmcall)$/;

/** UD0, UD1 and UD2 are #UD either way. */
const UNDEFINED = /^Ud[012]/;

/** Intel's processors have these in 64-bit mode only; iced also shows AMD's. Intel SDM Vol. 2B, "SYSCALL", "SYSRET". */
const LONG_ONLY = /^(Syscall|Sysret)/;

/** `valid`: ours must agree. `nop`: a hint of a later processor. `undefined`: #UD. `either`: described or not. */
export type Expectation = "valid" | "nop" | "undefined" | "either";

/** What our decoder must make of what iced made of the same bytes. */
export function expectationOf(
  iced: IcedDecoding,
  asNop: () => IcedDecoding,
  mnemonics: ReadonlySet<string>,
  mode: Mode,
): Expectation {
  if (!iced.valid) return "undefined";
  if (UNDEFINED.test(iced.code)) return "either";
  if (mode !== 64 && LONG_ONLY.test(iced.code)) return "undefined";
  if (HYPERCALLS.test(iced.code)) return "valid";
  const advertised = iced.features.every((feature) => {
    const described = WHEN_DESCRIBED[feature];
    return ALWAYS.has(feature) || (described !== undefined && mnemonics.has(described));
  });
  if (advertised) return "valid";
  return asNop().code.startsWith("Reservednop") ? "nop" : "undefined";
}
