import { buildOpcodeMap } from "../x86/decode/opcode-map.ts";
import type { OpcodeMap } from "../x86/decode/opcode-map.ts";
import { instructions } from "../x86/instructions/index.ts";
import { clock } from "../x86/routines/clock.ts";
import { mmu } from "../x86/routines/mmu.ts";
import { hostRange } from "./mmu/host-range.ts";
import { flushAll, invalidatePage, loadCr3, updateMode } from "./mmu/tlb.ts";
import { timeStamp } from "./time-stamp.ts";

mmu.loadCr3.install(loadCr3);
mmu.flushAll.install(flushAll);
mmu.invalidatePage.install(invalidatePage);
mmu.updateMode.install(updateMode);
mmu.hostRange.install(hostRange);
clock.timeStamp.install(timeStamp);

let opcodeMap: OpcodeMap | undefined;
/** The instruction set's opcode map, built once. What instructions call of this engine has its body then. */
export function theOpcodeMap(): OpcodeMap {
  return (opcodeMap ??= buildOpcodeMap(instructions));
}
