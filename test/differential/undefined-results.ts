/**
 * What the manuals leave undefined, beyond the flags that a description names itself: flags that depend on a shift
 * count, results that depend on an operand. Only these are left out of comparisons.
 */
import { Flag, statusFlagsMask } from "../../src/x86/flags.ts";
import type { Instruction } from "../../src/x86/instruction.ts";
import type { Form } from "./encode.ts";
import { STATE_OFFSET } from "./adjust.ts";
import { NOTHING_IGNORED, type Ignored } from "./compare.ts";
import { amdDifference, NO_DIFFERENCE } from "./vendor.ts";
import type { Case, Outcome } from "./wire.ts";

const bit = (name: "cf" | "pf" | "af" | "zf" | "sf" | "of"): number => 1 << Flag[name];

/** RFLAGS bits that are undefined after this execution. */
function undefinedFlags(instruction: Instruction, form: Form, request: Case): number {
  const named = instruction.undefinedFlags.reduce((mask, name) => mask | bit(name), 0);
  const { mnemonic } = instruction;
  if (/^(sh[lr]d?|sal|sar|ro[lr]|rc[lr])$/.test(mnemonic)) return shiftFlags(mnemonic, form, request);
  if (/^i?div$/.test(mnemonic)) return statusFlagsMask;
  return named;
}

/** Intel SDM Vol. 2B, "SAL/SAR/SHL/SHR", "RCL/RCR/ROL/ROR" and "SHLD", "SHRD": Flags Affected. */
function shiftFlags(mnemonic: string, form: Form, request: Case): number {
  const size = operandBits(form);
  const count = shiftCount(form, request) & (size === 64 ? 63 : 31);
  if (count === 0) return 0;
  const overflow = count === 1 ? 0 : bit("of");
  if (mnemonic.startsWith("r")) return overflow;
  if (mnemonic.endsWith("d")) return count > size ? statusFlagsMask : overflow | bit("af");
  return overflow | bit("af") | (count >= size && mnemonic !== "sar" ? bit("cf") : 0);
}

function operandBits({ encoding, operandSize }: Form): number {
  return encoding.operands[0]?.size === "b" ? 8 : operandSize;
}

function shiftCount({ encoding }: Form, { code, gpr }: Case): number {
  const last = encoding.operands.at(-1)?.text;
  if (last === "CL") return Number(gpr[1]! & 0xffn);
  return last === "1" ? 1 : code.at(-1)!;
}

/** Whether the destination itself is undefined: SHLD and SHRD by more than the operand has. */
export function undefinedDestination(mnemonic: string, form: Form, request: Case): boolean {
  if (!/^sh[lr]d$/.test(mnemonic)) return mnemonic === "bswap" && form.operandSize === 16;
  return form.operandSize === 16 && (shiftCount(form, request) & 31) > 16;
}

/** Everything that is not to be compared in one execution that ended so on the host; undefined if nothing is. */
export function ignoredIn(
  instruction: Instruction,
  form: Form,
  request: Case,
  host: Outcome,
  ours: Outcome,
  vendor: string,
): Ignored | undefined {
  const other = vendor.startsWith("AuthenticAMD")
    ? amdDifference(instruction.mnemonic, form, host, ours)
    : NO_DIFFERENCE;
  if (other.everything) return undefined;
  // A fault leaves the flags as they were; only #DE leaves them undefined.
  const rflags = host.kind === "fault" && host.vector !== 0 ? 0 : undefinedFlags(instruction, form, request);
  return {
    ...NOTHING_IGNORED,
    rflags: rflags | other.rflags,
    relativeError: approximation(instruction.mnemonic),
    extendedUlps: TRANSCENDENTAL.test(instruction.mnemonic) ? 2 : 0,
    gpr: instruction.mnemonic === "lar" ? 0xf0000n : 0n, // Intel SDM Vol. 2A, "LAR": 00FxFF00h, x undefined
    memory: ignoredMemory(instruction.mnemonic, form),
    statusWord: other.statusWord | undefinedConditions(instruction.mnemonic, host),
  };
}

/** RCPPS and RSQRTPS are within 1.5 × 2^-12 of the exact result, the host's and ours. Intel SDM Vol. 2B, "RCPPS". */
function approximation(mnemonic: string): number {
  return /^(rcp|rsqrt)[ps]s$/.test(mnemonic) ? 3 * 2 ** -12 : 0;
}

/**
 * Fields of saved x87 state that are not compared: opcode and pointers of the last instruction, which processors keep
 * differently, MXCSR_MASK and what is reserved.
 */
function ignoredMemory(mnemonic: string, form: Form): Ignored["memory"] {
  const at = (from: number, to: number): [number, number] => [STATE_OFFSET + from, STATE_OFFSET + to];
  if (mnemonic === "fxsave")
    return [at(5, 24), at(28, 32), at(416, 512), ...Array.from({ length: 8 }, (_, i) => at(42 + 16 * i, 48 + 16 * i))];
  if (mnemonic.startsWith("xsave")) return [...ignoredMemory("fxsave", form), at(512, 520)]; // XSTATE_BV: what is in use
  if (/^fn?(stenv|save)$/.test(mnemonic))
    return form.operandSize === 16 ? [at(6, 14)] : [at(2, 4), at(6, 8), at(10, 28)];
  return [];
}

/** Within one unit in the last place of the exact result, the host's and ours. Intel SDM Vol. 1, "Transcendental Instruction Accuracy". */
const TRANSCENDENTAL = /^(fsin|fcos|fsincos|fptan|fpatan|f2xm1|fyl2x|fyl2xp1)$/;

/** C1, PE and UE of an approximation, which may be taken for exact or not; C0–C3 of a remainder that an unmasked exception kept from being computed. */
function undefinedConditions(mnemonic: string, { fx }: Outcome): number {
  if (TRANSCENDENTAL.test(mnemonic)) return 0x230;
  const summary = (fx[2]! & 0x80) !== 0;
  return mnemonic.startsWith("fprem") && summary ? 0x4700 : 0;
}
