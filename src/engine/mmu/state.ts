import { State } from "../../x86/state.ts";

/** The software MMU's part of the vCPU's state, as offsets from its base. */
export const Mmu = {
  /** The CR3 value (without bit 63) that each user bank holds translations of; −1 for none. */
  userKeys: State.mmu,
  /** When each user bank was last chosen, i32. */
  userStamps: State.mmu + 32,
  clock: State.mmu + 48,
  /** Byte offset from the vCPU's base of the user bank in use. */
  userBank: State.mmu + 52,
  /** Entries of K that are not global: how many since the last flush, and where the first of them are. */
  logCount: State.mmu + 56,
  log: State.mmu + 64,
  logEntries: 64,
  /** A bit for each hash of (address >> 21) of which a part of a large page was cached: INVLPG there flushes everything. */
  large: State.mmu + 320,
  largeBytes: 128,
  /** Non-zero: the kernel's jump cache may lead into pages that are not global. */
  localJumps: State.mmu + 60,
  /** A TLB bank of one entry that matches nothing: what CPL 3 uses while alignment is checked. */
  emptyBank: State.mmu + 448,
} as const;
