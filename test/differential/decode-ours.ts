/** Our decoder's results in the words of decode-iced.ts, and the comparison of the two. */
import type { Decoded } from "../../src/x86/decode/decode.ts";
import { ripBase } from "../../src/x86/decode/decode.ts";
import type { OperandSpec } from "../../src/x86/encoding.ts";
import { far, immediate, memory, target, type IcedDecoding } from "./decode-iced.ts";
import { immediateBytes, operandBytes } from "./encode.ts";
import type { Mode } from "./wire.ts";

const LEGACY = ["AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"];
const LOW_BYTES = ["AL", "CL", "DL", "BL", "SPL", "BPL", "SIL", "DIL"];
const HIGH_BYTES = ["AL", "CL", "DL", "BL", "AH", "CH", "DH", "BH"];
const SEGMENTS = ["ES", "CS", "SS", "DS", "FS", "GS"];

function generalName(number: number, bytes: number, rex: boolean): string {
  if (number >= 8) return `R${number}${bytes === 8 ? "" : bytes === 4 ? "D" : bytes === 2 ? "W" : "L"}`;
  if (bytes === 1) return (rex ? LOW_BYTES : HIGH_BYTES)[number]!;
  return `${bytes === 8 ? "R" : bytes === 4 ? "E" : ""}${LEGACY[number]}`;
}

/** The operands that are in the instruction's bytes, in the row's order; fixed ones are left out. */
export function describe(decoded: Decoded, mode: Mode, ip: bigint): string[] {
  return decoded.row.encoding.operands.flatMap((operand) => {
    const text = describeOperand(decoded, operand, mode, ip);
    return text === undefined ? [] : [text];
  });
}

function describeOperand(decoded: Decoded, operand: OperandSpec, mode: Mode, ip: bigint): string | undefined {
  const { reg, rm, rex } = decoded;
  const bytes = operandBytes(operand, decoded.operandSize) ?? 0;
  switch (operand.kind) {
    case "E":
    case "M":
    case "W":
    case "Q":
      if (decoded.memory) return describeMemory(decoded, bytes, mode, ip);
      if (operand.kind === "W") return `XMM${rm}`;
      if (operand.kind === "Q") return `MM${rm & 7}`;
      return generalName(rm, bytes, rex);
    case "R":
      return generalName(rm, bytes === 0 ? (mode === 64 ? 8 : 4) : bytes, rex);
    case "B":
      return generalName(decoded.vvvv, bytes, rex);
    case "G":
    case "Z":
      return generalName(reg, bytes, rex);
    case "U":
      return `XMM${rm}`;
    case "N":
      return `MM${rm & 7}`;
    case "V":
      return `XMM${reg}`;
    case "P":
      return `MM${reg & 7}`;
    case "S":
      return SEGMENTS[reg & 7] ?? `segment ${reg & 7}`;
    case "C":
      return `CR${reg}`;
    case "D":
      return `DR${reg}`;
    case "F":
      return `ST${rm & 7}`;
    case "O":
      return memory(segmentName(decoded, mode), "None", "None", 1, decoded.immediate, decoded.addressSize, bytes);
    case "A":
      return far(decoded.immediate2, Number(decoded.immediate));
    case "I": {
      const first = decoded.row.encoding.operands.find(({ kind }) => kind === "I" || kind === "J") === operand;
      return describeImmediate(first ? decoded.immediate : BigInt(decoded.immediate2), operand, decoded);
    }
    case "J": {
      const sum = ip + BigInt(decoded.length) + decoded.immediate;
      return target(BigInt.asUintN(mode === 64 ? 64 : decoded.operandSize, sum));
    }
    default:
      return undefined;
  }
}

/** An immediate, cut to what the instruction uses of it. */
function describeImmediate(value: bigint, operand: OperandSpec, decoded: Decoded): string {
  const extended = operand.size === "bs" || operand.size === "ds" || operand.size === "z" || operand.size === "v";
  const form = { encoding: decoded.row.encoding, mode: 64, operandSize: decoded.operandSize, operand: "none" } as const;
  const bits = extended ? decoded.operandSize : 8 * immediateBytes(operand, form, 64);
  return immediate(BigInt.asUintN(bits, value));
}

function segmentName(decoded: Decoded, mode: Mode): string {
  return mode === 64 && decoded.segment < 4 ? "DS" : SEGMENTS[decoded.segment]!;
}

function describeMemory(decoded: Decoded, bytes: number, mode: Mode, ip: bigint): string {
  const { base, index, scale, addressSize } = decoded;
  const width = addressSize / 8;
  const relative = base === ripBase;
  const baseName = base < 0 ? "None" : relative ? (addressSize === 64 ? "RIP" : "EIP") : generalName(base, width, true);
  const indexName = index < 0 ? "None" : generalName(index, width, true);
  const displacement = BigInt(decoded.displacement) + (relative ? ip + BigInt(decoded.length) : 0n);
  return memory(
    segmentName(decoded, mode),
    baseName,
    indexName,
    1 << Math.max(0, scale),
    displacement,
    addressSize,
    bytes,
  );
}

/** Whether what iced lists contains ours, in order, and nothing else but what the instruction implies. */
export function sameOperands(ours: readonly string[], iced: IcedDecoding, mnemonic: string): boolean {
  if (/^Nop[wdq]$/.test(iced.code)) return ours.length === 1; // XCHG of the accumulator with itself, to us
  if (iced.code === "Pause") return mnemonic === "pause" || registerNumber(ours[0]!) === 8; // with REX.B it is XCHG: the host's word
  let at = 0;
  for (const text of iced.operands) {
    if (at < ours.length && sameOperand(ours[at]!, text, iced.code, mnemonic)) at++;
    else if (!isImplicit(text)) return false;
  }
  return at === ours.length;
}

/** Rows of iced that name a register wider than what is used of it. */
const WIDER = /r(32|64)m(8|16|32)|_r64_x?mm|^Rdpid/;

function sameOperand(ours: string, iced: string, code: string, mnemonic: string): boolean {
  if (ours === iced) return true;
  if (WIDER.test(code) && registerNumber(ours) !== undefined) return registerNumber(ours) === registerNumber(iced);
  const [size, place] = ours.split("@");
  const [icedSize, icedPlace] = iced.split("@");
  // Memory operands of unsaid size (`@…`) are the same as any, and so is what a hint does not access.
  return place !== undefined && place === icedPlace && (size === "" || icedSize === "" || mnemonic === "nop");
}

/** The number of a general register of any width above 8 bits. */
function registerNumber(name: string): number | undefined {
  const legacy = LEGACY.indexOf(name.replace(/^[RE](?=[A-Z]{2}$)/, ""));
  if (legacy >= 0) return legacy;
  const match = /^R(\d+)[DW]?$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** Registers, string operands, XLAT's operand and the 1 of shifts need no bytes of their own. */
function isImplicit(text: string): boolean {
  return /^(implicit .*|#1|[A-Z][A-Z0-9]*|1@.*\+AL\*1\+0)$/.test(text);
}
