import { State, segmentSlot } from "./state.ts";

/** What a processor's own MSR takes, beside what is said of each below. */
export type MsrRule =
  /** Any 64 bits. */
  | "any"
  /** A canonical address. */
  | "canonical"
  /** Bits 32–63 must be 0. */
  | "word"
  /** Eight memory types: 0, 1, 4, 5, 6 or 7. */
  | "memory-types";

export interface StateMsr {
  readonly index: number;
  readonly slot: number;
  readonly rule: MsrRule;
}

/** Indices of MSRs that the routines treat on their own. Intel SDM Vol. 4, "Architectural MSRs". */
export const Msr = { timeStampCounter: 0x10, efer: 0xc0000080 } as const;

/** MSRs that are plain fields of the state, often used ones first. All others but {@link Msr} are the platform's. */
export const stateMsrs: readonly StateMsr[] = [
  { index: 0xc0000102, slot: State.kernelGsBase, rule: "canonical" },
  { index: 0xc0000101, slot: segmentSlot("gs"), rule: "canonical" },
  { index: 0xc0000100, slot: segmentSlot("fs"), rule: "canonical" },
  { index: 0xc0000081, slot: State.star, rule: "any" },
  { index: 0xc0000082, slot: State.lstar, rule: "canonical" },
  { index: 0xc0000083, slot: State.cstar, rule: "canonical" },
  { index: 0xc0000084, slot: State.fmask, rule: "word" },
  { index: 0xc0000103, slot: State.tscAux, rule: "word" },
  { index: 0x174, slot: State.sysenterCs, rule: "any" },
  { index: 0x175, slot: State.sysenterEsp, rule: "canonical" },
  { index: 0x176, slot: State.sysenterEip, rule: "canonical" },
  { index: 0x277, slot: State.pat, rule: "memory-types" },
];
