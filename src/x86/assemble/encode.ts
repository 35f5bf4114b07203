import type { Encoding, OperandSpec } from "../encoding.ts";
import { sizeType } from "../operand.ts";
import { bitsOf } from "../../ir/types.ts";
import { Gpr, Segment } from "../state.ts";
import type { Expression, RegisterName, SourceOperand } from "./source.ts";

/** A place in an instruction that waits for a label's address. */
export interface Fixup {
  readonly at: number;
  readonly bytes: 1 | 2 | 4 | 8;
  readonly expression: Expression;
  /** Relative to this many bytes behind the instruction's beginning (its end), or absolute. */
  readonly relativeTo: number | undefined;
}

export interface EncodedInstruction {
  readonly bytes: readonly number[];
  readonly fixups: readonly Fixup[];
}

type Memory = SourceOperand & { kind: "memory" };

/** The bits of an operand letter at an operand size; undefined where the letter has no width of its own. */
function bitsOfSpec(spec: OperandSpec, operandSize: number): number | undefined {
  const type = sizeType(spec.size, operandSize);
  return type === undefined ? undefined : bitsOf[type];
}

const fixedRegisters: Readonly<Record<string, readonly [number: number, bits: number | "v" | "z"]>> = {
  AL: [Gpr.rax, 8], CL: [Gpr.rcx, 8], AX: [Gpr.rax, 16], DX: [Gpr.rdx, 16], rAX: [Gpr.rax, "v"], eAX: [Gpr.rax, "z"],
}; // prettier-ignore

function matchesFixed(spec: OperandSpec, operand: SourceOperand, operandSize: number): boolean {
  if (spec.text === "1")
    return operand.kind === "expression" && operand.expression.label === undefined && operand.expression.offset === 1n;
  if (operand.kind !== "register") return false;
  const fixed = fixedRegisters[spec.text];
  if (fixed === undefined)
    return (
      operand.register.kind === "segment" && Segment[spec.text.toLowerCase() as Segment] === operand.register.number
    );
  const bits = fixed[1] === "v" ? operandSize : fixed[1] === "z" ? Math.min(operandSize, 32) : fixed[1];
  return operand.register.kind === "general" && operand.register.number === fixed[0] && operand.register.bits === bits;
}

function fitsImmediate(expression: Expression, bits: number, size: string): boolean {
  if (expression.label !== undefined) return bits >= 32 && size !== "bs";
  const value = expression.offset;
  if (size === "bs") return value >= -128n && value < 128n;
  const signedOnly = size === "z" && bits === 64;
  const stored = size === "z" ? Math.min(bits, 32) : bits;
  return value >= -(1n << BigInt(stored - 1)) && value < 1n << BigInt(signedOnly ? stored - 1 : stored);
}

/** Whether a source operand can stand where the letter is, at this operand size. */
function matchesOperand(spec: OperandSpec, operand: SourceOperand, operandSize: number): boolean {
  const bits = bitsOfSpec(spec, operandSize);
  const isRegister = (kind: RegisterName["kind"]) => operand.kind === "register" && operand.register.kind === kind;
  const general = () => isRegister("general") && operand.kind === "register" && operand.register.bits === bits;
  const memory = () =>
    operand.kind === "memory" && (operand.bits === undefined || bits === undefined || operand.bits === bits);
  switch (spec.kind) {
    case "fixed":
      return matchesFixed(spec, operand, operandSize);
    case "E":
      return general() || memory();
    case "M":
      return memory();
    case "G":
    case "R":
    case "Z":
      return general();
    case "I":
      return (
        operand.kind === "expression" &&
        fitsImmediate(operand.expression, spec.size === "z" ? operandSize : (bits ?? 8), spec.size)
      );
    case "J":
      return operand.kind === "expression";
    case "V":
    case "U":
      return isRegister("vector");
    case "W":
      return isRegister("vector") || memory();
    case "S":
      return isRegister("segment");
    case "C":
      return isRegister("control");
    case "D":
      return isRegister("debug");
    default:
      return false;
  }
}

/** Whether a row can encode these operands at this operand size in this mode. */
export function matchesRow(
  encoding: Encoding,
  operands: readonly SourceOperand[],
  operandSize: 16 | 32 | 64,
  codeSize: 32 | 64,
): boolean {
  const { options } = encoding;
  if (encoding.operands.length !== operands.length) return false;
  if (codeSize === 64 ? options.has("i64") : options.has("x64") || operandSize === 64) return false;
  for (const [option, size] of [["o16", 16], ["o32", 32], ["o64", 64]] as const) if (options.has(option) && operandSize !== size) return false; // prettier-ignore
  if ((options.has("f64") || options.has("d64")) && codeSize === 64 && operandSize === 32) return false;
  return encoding.operands.every((spec, index) => matchesOperand(spec, operands[index]!, operandSize));
}

function bytesOf(value: bigint, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Number((BigInt.asUintN(64, value) >> BigInt(index * 8)) & 0xffn));
}

interface Parts {
  rex: number;
  rexNeeded: boolean;
  addressPrefix: boolean;
  segment: number | undefined;
  tail: number[];
  fixups: { at: number; bytes: 1 | 2 | 4 | 8; expression: Expression; relative: boolean }[];
}

function putExpression(parts: Parts, expression: Expression, bytes: 1 | 2 | 4 | 8, relative: boolean): void {
  if (expression.label !== undefined || relative)
    parts.fixups.push({ at: parts.tail.length, bytes, expression, relative });
  parts.tail.push(...bytesOf(expression.offset, bytes));
}

/** ModR/M, SIB and displacement of a memory operand. Intel SDM Vol. 2A, "ModR/M and SIB Bytes". */
function putMemory(parts: Parts, reg: number, memory: Memory, codeSize: number): void {
  const { base, index, displacement } = memory;
  parts.segment = memory.segment;
  const field = (reg & 7) << 3;
  if (memory.ripRelative || (base === undefined && index === undefined && codeSize === 32)) {
    parts.tail.push(field | 5);
    putExpression(parts, displacement, 4, memory.ripRelative);
    return;
  }
  parts.addressPrefix = codeSize === 64 && (base ?? index)?.bits === 32;
  if (base !== undefined && base.number >= 8) parts.rex |= 1;
  if (index !== undefined && index.number >= 8) parts.rex |= 2;
  const needsSib = index !== undefined || base === undefined || (base.number & 7) === 4;
  const value = displacement.offset;
  const short = displacement.label === undefined && value >= -128n && value < 128n;
  const none = displacement.label === undefined && value === 0n && base !== undefined && (base.number & 7) !== 5;
  const mod = base === undefined ? 0 : none ? 0 : short ? 1 : 2;
  parts.tail.push((mod << 6) | field | (needsSib ? 4 : (base?.number ?? 0) & 7));
  if (needsSib) parts.tail.push((memory.scale << 6) | (((index?.number ?? 4) & 7) << 3) | ((base?.number ?? 5) & 7));
  if (base === undefined || mod === 2) putExpression(parts, displacement, 4, false);
  else if (mod === 1) putExpression(parts, displacement, 1, false);
}

const segmentPrefixes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65] as const;
const mandatoryBytes = { NP: undefined, "66": 0x66, F2: 0xf2, F3: 0xf3 } as const;
const inReg = new Set(["G", "V", "S", "C", "D"]);
const inRm = new Set(["E", "M", "R", "W", "U"]);

/** Encodes a row that {@link matchesRow} accepted. `low` is the condition code of a row that has one. */
export function encodeRow(
  encoding: Encoding,
  operands: readonly SourceOperand[],
  operandSize: 16 | 32 | 64,
  codeSize: 32 | 64,
  low: number,
  prefixes: readonly number[],
): EncodedInstruction {
  const parts: Parts = { rex: 0, rexNeeded: false, addressPrefix: false, segment: undefined, tail: [], fixups: [] };
  const sized =
    encoding.operands.some(({ size, kind }) => ["v", "z", "y", "bs", "rAX", "eAX"].includes(size) || kind === "J") ||
    encoding.options.has("osz");
  const wide = operandSize === 64 && sized && !encoding.options.has("f64") && !encoding.options.has("d64");
  if (wide || encoding.options.has("w1")) parts.rex |= 8;
  let opcode = encoding.opcode + low;
  let reg = encoding.digit ?? 0;
  let rm: SourceOperand | undefined;
  encoding.operands.forEach(({ kind }, position) => {
    const operand = operands[position]!;
    if (operand.kind === "register" && operand.register.rex === "needed") parts.rexNeeded = true;
    if (inReg.has(kind) && operand.kind === "register") {
      reg = operand.register.number;
      if (reg >= 8) parts.rex |= 4;
    } else if (inRm.has(kind)) rm = operand;
    else if (kind === "Z" && operand.kind === "register") {
      opcode += operand.register.number & 7;
      if (operand.register.number >= 8) parts.rex |= 1;
    }
  });
  if (encoding.modrm !== undefined) parts.tail.push(encoding.modrm);
  else if (rm?.kind === "register") {
    if (rm.register.number >= 8) parts.rex |= 1;
    parts.tail.push(0xc0 | ((reg & 7) << 3) | (rm.register.number & 7));
  } else if (rm?.kind === "memory") putMemory(parts, reg, rm, codeSize);
  encoding.operands.forEach(({ kind, size }, position) => {
    const operand = operands[position]!;
    if (operand.kind !== "expression") return;
    const wanted =
      size === "b" || size === "bs"
        ? 1
        : size === "w"
          ? 2
          : size === "v"
            ? operandSize / 8
            : Math.min(operandSize, 32) / 8;
    if (kind === "I") putExpression(parts, operand.expression, wanted as 1 | 2 | 4 | 8, false);
    if (kind === "J") putExpression(parts, operand.expression, size === "b" ? 1 : 4, true);
  });
  const head: number[] = [...prefixes];
  if (parts.segment !== undefined) head.push(segmentPrefixes[parts.segment as 0] ?? 0);
  if (operandSize === 16 && sized) head.push(0x66);
  if (parts.addressPrefix) head.push(0x67);
  const mandatory = encoding.prefix === undefined ? undefined : mandatoryBytes[encoding.prefix];
  if (mandatory !== undefined) head.push(mandatory);
  if (parts.rex !== 0 || parts.rexNeeded) head.push(0x40 | parts.rex);
  if (encoding.map > 0) head.push(0x0f);
  if (encoding.map > 1) head.push(encoding.map === 2 ? 0x38 : 0x3a);
  head.push(opcode);
  const length = head.length + parts.tail.length;
  return {
    bytes: [...head, ...parts.tail],
    fixups: parts.fixups.map(({ at, bytes, expression, relative }) => ({
      at: at + head.length,
      bytes,
      expression,
      relativeTo: relative ? length : undefined,
    })),
  };
}
