import { instruction } from "../instruction.ts";

/**
 * NOP with an operand, and the hints that are NOPs here: PREFETCHh, PREFETCHW, ENDBR64. The operand is not accessed.
 * Intel SDM Vol. 2B, "NOP—No Operation"; AMD APM Vol. 3, "Reserved NOP" (0F 0D, 0F 18–0F 1F).
 */
export const nop = instruction({
  mnemonic: "nop",
  encodings: [
    "0F 0D  Ev",
    "0F 18  Ev",
    "0F 19  Ev",
    "0F 1A  Ev",
    "0F 1B  Ev",
    "0F 1C  Ev",
    "0F 1D  Ev",
    "0F 1E  Ev",
    "0F 1F  Ev",
  ],
  semantics: () => {},
});

/** PAUSE — Intel SDM Vol. 2B, "PAUSE—Spin Loop Hint". With REX.B it is XCHG with R8. */
export const pause = instruction({ mnemonic: "pause", encodings: ["F3 90  -  b0"], semantics: () => {} });
