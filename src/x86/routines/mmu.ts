import { Builder, routine } from "../../ir/builder.ts";
import type { Block, Routine } from "../../ir/node.ts";
import type { Type } from "../../ir/types.ts";

interface Deferred extends Routine {
  /** Gives the routine its body. Called once, by the engine. */
  install(body: Routine): void;
}

/** A routine that the architecture calls and an engine provides: how translations are cached is the engine's affair. */
function provided(name: string, parameters: readonly Type[], results: readonly Type[] = [], faults = false): Deferred {
  let installed: Routine | undefined;
  const declared = routine(name, { parameters, results, faults }, () => new Builder(), () => {});
  return {
    ...declared,
    body(): Block {
      if (installed === undefined) throw new Error(`${name} has not been installed`);
      return installed.body();
    },
    install(body) {
      installed = body;
    },
  };
}

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
