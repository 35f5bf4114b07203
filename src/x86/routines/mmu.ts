import { provided } from "./provided.ts";

/** How translations are cached is the engine's affair. */
export const mmu = {
  /** loadCr3(value: i64): the value is valid; bit 63 keeps translations. Updates the mode too. */
  loadCr3: provided("mmu.loadCr3", ["i64"]),
  /** Drops every translation. */
  flushAll: provided("mmu.flushAll", []),
  /** invalidatePage(linear: i64): INVLPG. */
  invalidatePage: provided("mmu.invalidatePage", ["i64"]),
  /** Derives mode, TLB bank and FPU trap from CPL, CS, AC and the control registers, after any of them changed. */
  updateMode: provided("mmu.updateMode", []),
  /**
   * hostRange(linear: i64, bytes: i32, write: i32) → host: i32: where `bytes` bytes (at least one) of a page are in linear
   * memory, for copying and filling in bulk; 0 where they have to be accessed one by one: MMIO, a page boundary inside, or
   * code to be written over. Faults as an access to the first byte would.
   */
  hostRange: provided("mmu.hostRange", ["i64", "i32", "i32"], ["i32"], true),
};
