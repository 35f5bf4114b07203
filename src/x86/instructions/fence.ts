import { instruction } from "../instruction.ts";

/**
 * Memory is accessed in program order, each access once (engine.md §9), so that the load and store fences have nothing to
 * do. Intel SDM Vol. 2A, "LFENCE—Load Fence"; Vol. 2B, "SFENCE—Store Fence".
 */
export const lfence = instruction({
  mnemonic: "lfence",
  encodings: ["NP 0F AE /5  -  mod3"],
  feature: "SSE2",
  semantics() {},
});
export const sfence = instruction({
  mnemonic: "sfence",
  encodings: ["NP 0F AE /7  -  mod3"],
  feature: "SSE",
  semantics() {},
});
/** MFENCE. Intel SDM Vol. 2B, "MFENCE—Memory Fence". */
export const mfence = instruction({
  mnemonic: "mfence",
  encodings: ["NP 0F AE /6  -  mod3"],
  feature: "SSE2",
  semantics: (ir) => ir.memoryFence(),
});
