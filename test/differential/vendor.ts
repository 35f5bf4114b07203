/**
 * Where processors of different makers differ and we follow Intel's, because our CPUID says GenuineIntel: executions on
 * another maker's host that are no judge.
 */
import type { Form } from "./encode.ts";
import type { Outcome } from "./wire.ts";

/** What is not comparable in one execution: nothing, some RFLAGS or status word bits, or all of it. */
export interface VendorDifference {
  readonly rflags: number;
  /** Bits of the x87 status word. */
  readonly statusWord: number;
  readonly everything: boolean;
}

const STATUS = 0x8d5;
const C1 = 0x200;
export const NO_DIFFERENCE: VendorDifference = { rflags: 0, statusWord: 0, everything: false };
const ALL: VendorDifference = { rflags: 0, statusWord: 0, everything: true };

/** @param host What an AMD processor did. */
export function amdDifference(mnemonic: string, form: Form, host: Outcome, ours: Outcome): VendorDifference {
  const { encoding, mode, operandSize, operand } = form;
  // Prefetches of registers: #UD. Intel: NOP.
  if (encoding.map === 1 && encoding.opcode === 0x0d && operand === "register") return ALL;
  // A 16-bit MOVSXD reads 32 bits. Intel SDM Vol. 2B, "MOVSX/MOVSXD": r16, r/m16.
  if (mnemonic === "movsxd" && mode === 64 && operandSize === 16 && host.kind === "fault") return ALL;
  // A fault in a repeated comparison keeps the last iteration's flags. Intel SDM Vol. 2B, "REP": those before the instruction.
  if (/^(cmps|scas)/.test(mnemonic) && host.kind === "fault") return { ...NO_DIFFERENCE, rflags: STATUS };
  // Far pointers with 64-bit offsets: AMD's processors take REX.W for 32. Intel SDM Vol. 2A, "JMP", m16:64.
  if (operandSize === 64 && encoding.operands.some(({ text }) => text === "Mp")) return ALL;
  // What is checked first: the stack or the target, an area's first byte or its last.
  if (/^(callf|fxsave|fxrstor|xsave|xrstor)$/.test(mnemonic) && host.kind === "fault") return ALL;
  // 16 bytes on an 8-byte boundary: whether #AC comes is up to the implementation. Intel SDM Vol. 2B, "MOVDQU".
  if (host.vector === 17 && encoding.operands.some(({ size }) => size === "x")) return ALL;
  // Misaligned operands of SHA instructions are read. Intel SDM Vol. 2B, "SHA1MSG1", exceptions type 4: #GP.
  if (/^sha(1|256)/.test(mnemonic) && host.vector !== 13 && ours.vector === 13) return ALL;
  // C1 stays. Intel SDM Vol. 2A, "FCOMI/FCOMIP/FUCOMI/FUCOMIP": set to 0.
  if (/^fu?comip?$/.test(mnemonic)) return { ...NO_DIFFERENCE, statusWord: C1 };
  return NO_DIFFERENCE;
}
