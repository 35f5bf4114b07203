/**
 * Makes an instruction's bytes from its encoding row: the inverse of the decoder, written from the row alone, so that
 * what the tables say is what gets tested.
 */
import type { Encoding, OperandSpec } from "../../src/x86/encoding.ts";
import { bytesOf } from "./cases.ts";
import type { Mode } from "./wire.ts";

/** What may vary between the uses of a row: which test it is. */
export interface Form {
  readonly encoding: Encoding;
  readonly mode: Mode;
  /** 0 where the row does not depend on the operand size. */
  readonly operandSize: 0 | 16 | 32 | 64;
  /** What ModR/M.rm names; `none` where there is none. */
  readonly operand: "register" | "memory" | "none";
}

/** A memory operand: base + index × scale + displacement, all by number; RIP-relative and absolute ones have no base. */
export interface Address {
  readonly size: 16 | 32 | 64;
  readonly base: number | undefined;
  readonly index: number | undefined;
  readonly scale: 1 | 2 | 4 | 8;
  readonly displacement: bigint;
  /** Bytes that the displacement is encoded in. */
  readonly displacementSize: 0 | 1 | 2 | 4;
  readonly ripRelative: boolean;
  /** A segment-override prefix byte. */
  readonly segment: number | undefined;
}

/** Everything that the bytes are made of. */
export interface Parts {
  /** ModR/M.reg, with REX.R as bit 3. */
  reg: number;
  /** ModR/M.rm with REX.B as bit 3; the register in the opcode as well. */
  rm: number;
  address: Address | undefined;
  /** In the order of the operands. */
  immediates: bigint[];
  /** LOCK, REP and REPNE prefixes that are not part of the opcode. */
  prefixes: number[];
  /** VEX.vvvv's register, where the row has operand letter B. */
  vvvv: number;
  /** A REX prefix even where no bit of it is needed: makes SPL of AH. */
  forceRex: boolean;
  /** Added to the opcode where the row stands for several. */
  opcodeIndex: number;
}

const SIZED = new Set(["v", "z", "y", "bs", "ds", "p"]);

function isSized({ operands, options }: Encoding): boolean {
  return (
    operands.some(
      ({ kind, size, text }) => kind === "J" || kind === "A" || SIZED.has(size) || text === "rAX" || text === "eAX",
    ) || (["osz", "d64", "f64", "o16", "o32", "o64"] as const).some((option) => options.has(option))
  );
}

/** The operand sizes that a row can be given in a mode. */
export function operandSizes(encoding: Encoding, mode: Mode): Form["operandSize"][] {
  const { options, prefix } = encoding;
  if (options.has(mode === 64 ? "i64" : "x64")) return [];
  if (mode !== 64 && options.has("w1")) return [];
  if (!isSized(encoding)) return [0];
  const possible: Form["operandSize"][] = [];
  const only = (["o16", "o32", "o64"] as const)
    .filter((option) => options.has(option))
    .map((option) => Number(option.slice(1)));
  const can66 = !encoding.vex && (prefix === undefined || prefix === "F2" || prefix === "F3");
  for (const size of [16, 32, 64] as const) {
    if (only.length > 0 && !only.includes(size)) continue;
    if (mode !== 64 && size === 64) continue;
    if (mode === 64 && options.has("f64") && size !== 64) continue;
    if (mode === 64 && options.has("d64") && size === 32) continue;
    if (size === 64 ? options.has("w0") : options.has("w1")) continue;
    if (needs66(encoding, mode, size) && !can66) continue;
    possible.push(size);
  }
  return possible;
}

function needs66({ options }: Encoding, mode: Mode, size: number): boolean {
  if (mode === 16) return size === 32;
  if (mode === 32) return size === 16;
  return size === 16 && !options.has("f64");
}

/** All forms of a row: mode × operand size × register or memory. */
export function formsOf(encoding: Encoding): Form[] {
  const operands: Form["operand"][] =
    !encoding.hasModrm || encoding.modrm !== undefined || !usesRm(encoding)
      ? ["none"]
      : encoding.form === "any"
        ? ["register", "memory"]
        : [encoding.form];
  return ([64, 32, 16] as const).flatMap((mode) =>
    operandSizes(encoding, mode).flatMap((operandSize) =>
      operands.map((operand) => ({ encoding, mode, operandSize, operand })),
    ),
  );
}

const RM_KINDS = new Set(["E", "M", "R", "W", "U", "Q", "N", "F"]);
const REG_KINDS = new Set(["G", "S", "C", "D", "V", "P"]);

function usesRm({ operands }: Encoding): boolean {
  return operands.some(({ kind }) => RM_KINDS.has(kind));
}
/** The operand that ModR/M.rm names, and the one that ModR/M.reg names. */
export function rmOperand({ operands }: Encoding): OperandSpec | undefined {
  return operands.find(({ kind }) => RM_KINDS.has(kind));
}
export function regOperand({ operands }: Encoding): OperandSpec | undefined {
  return operands.find(({ kind }) => REG_KINDS.has(kind));
}

/** Bytes of an operand, or undefined where the letter alone does not say. */
export function operandBytes({ size }: OperandSpec, operandSize: number): number | undefined {
  switch (size) {
    case "b":
      return 1;
    case "w":
      return 2;
    case "d":
      return 4;
    case "q":
      return 8;
    case "x":
      return 16;
    case "t":
      return 10;
    case "v":
      return operandSize / 8;
    case "z":
      return Math.min(operandSize, 32) / 8;
    case "y":
      return operandSize === 64 ? 8 : 4;
    case "p":
      return operandSize / 8 + 2;
    default:
      return undefined;
  }
}

/** Bytes that an immediate, displacement or far pointer takes in the instruction; 0 for operands that are not there. */
export function immediateBytes(operand: OperandSpec, form: Form, addressSize: 16 | 32 | 64): number {
  const { kind, size } = operand;
  const operandSize = form.operandSize;
  if (kind === "O") return addressSize / 8;
  if (kind === "A") return operandSize / 8 + 2;
  if (kind !== "I" && kind !== "J") return 0;
  if (size === "bs") return 1;
  if (size === "ds" || size === "z") return operandSize === 16 ? 2 : 4;
  return operandBytes(operand, operandSize) ?? 0;
}

/** The instruction. */
export function encode(form: Form, parts: Parts): Uint8Array {
  const { encoding, mode, operandSize } = form;
  const { address } = parts;
  const addressSize = address?.size ?? mode;
  const out: number[] = [];
  if (address?.segment !== undefined) out.push(address.segment);
  if (addressSize !== mode) out.push(0x67);
  const legacyPrefix = encoding.vex ? undefined : encoding.prefix;
  if (legacyPrefix === "66" || (operandSize !== 0 && needs66(encoding, mode, operandSize))) out.push(0x66);
  out.push(...parts.prefixes);
  if (legacyPrefix === "F2" || legacyPrefix === "F3") out.push(Number.parseInt(legacyPrefix, 16));
  const wide =
    encoding.options.has("w1") || (operandSize === 64 && !encoding.options.has("d64") && !encoding.options.has("f64"));
  const inMemory = form.operand === "memory" && address !== undefined;
  const rex =
    (wide ? 8 : 0) |
    ((parts.reg >> 3) * 4) |
    (inMemory ? (((address.index ?? 0) >> 3) * 2) | ((address.base ?? 0) >> 3) : parts.rm >> 3);
  if (encoding.vex) out.push(...vexPrefix(encoding, rex, parts.vvvv));
  else {
    if (mode === 64 && (rex !== 0 || parts.forceRex)) out.push(0x40 | rex);
    if (encoding.map > 0) out.push(0x0f);
    if (encoding.map > 1) out.push(encoding.map === 2 ? 0x38 : 0x3a);
  }
  const opcode = encoding.opcode + parts.opcodeIndex;
  out.push(encoding.span === 8 ? opcode + (parts.rm & 7) : opcode);
  if (encoding.modrm !== undefined) out.push(encoding.modrm);
  else if (encoding.hasModrm) {
    const reg = (encoding.digit ?? parts.reg & 7) << 3;
    if (inMemory) out.push(...modrmMemory(reg, address));
    else out.push(0xc0 | reg | (parts.rm & 7));
  }
  let next = 0;
  for (const operand of encoding.operands) {
    const bytes = immediateBytes(operand, form, addressSize);
    if (bytes > 0) out.push(...bytesOf(parts.immediates[next++] ?? 0n, bytes));
  }
  return Uint8Array.from(out);
}

/** The three-byte form, with L = 0; registers are inverted. */
function vexPrefix({ map, prefix, operands }: Encoding, rex: number, vvvv: number): number[] {
  const register = operands.some(({ kind }) => kind === "B") ? vvvv : 0;
  const pp = ["NP", "66", "F3", "F2"].indexOf(prefix ?? "NP");
  return [0xc4, ((~rex & 7) << 5) | map, ((rex & 8) << 4) | ((~register & 15) << 3) | pp];
}

function modrmMemory(reg: number, address: Address): number[] {
  const { base, index, displacementSize } = address;
  const displacement = [...bytesOf(address.displacement, displacementSize)];
  const mod = base === undefined ? 0 : displacementSize === 0 ? 0x00 : displacementSize === 1 ? 0x40 : 0x80;
  if (address.size === 16) {
    const rm =
      base === undefined && index === undefined ? 6 : PAIRS_16.findIndex(([b, i]) => b === base && i === index);
    if (rm < 0) throw new Error("no such 16-bit address");
    return [(base === undefined ? 0 : mod) | reg | rm, ...displacement];
  }
  if (address.ripRelative) return [reg | 5, ...displacement];
  if (base !== undefined && index === undefined && (base & 7) !== 4) return [mod | reg | (base & 7), ...displacement];
  const scale = Math.log2(address.scale) << 6;
  return [
    mod | reg | 4,
    scale | ((index === undefined ? 4 : index & 7) << 3) | (base === undefined ? 5 : base & 7),
    ...displacement,
  ];
}

/** [bx+si] [bx+di] [bp+si] [bp+di] [si] [di] [bp] [bx]: base and index as the ModR/M table has them. */
export const PAIRS_16: readonly (readonly [base: number, index: number | undefined])[] = [
  [3, 6],
  [3, 7],
  [5, 6],
  [5, 7],
  [6, undefined],
  [7, undefined],
  [5, undefined],
  [3, undefined],
];
