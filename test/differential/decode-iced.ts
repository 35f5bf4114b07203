/**
 * iced-x86 as the judge of our decoder: random bytes, biased towards the deep rows of the opcode map, decoded by both
 * and compared in validity, length and operands. iced decodes as Intel's processors do; it knows more instructions
 * than our CPUID advertises, which must be undefined to us (or the NOPs that Intel reserves hints as).
 */
import { Decoder, DecoderOptions, Instruction, MemorySizeExt, OpKind, Register, CpuidFeature, Code } from "iced-x86";
import type { Random } from "./values.ts";
import type { Mode } from "./wire.ts";

/** Bytes that one random string has: more than any instruction. */
export const SLOT = 24;

const LEGACY_PREFIXES = [0x66, 0x66, 0x67, 0xf2, 0xf3, 0xf3, 0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

/** A string that starts with prefixes and an opcode of any map, and goes on at random. */
export function randomInstruction(random: Random, mode: Mode, into: Uint8Array, start: number): void {
  for (let i = 0; i < SLOT; i += 4) {
    const word = random.u32();
    for (let byte = 0; byte < 4; byte++) into[start + i + byte] = word >>> (8 * byte);
  }
  if (random.oneIn(10)) return;
  let at = start;
  const prefixes = random.oneIn(2) ? 0 : random.oneIn(200) ? 8 + random.below(8) : random.pick([1, 1, 1, 2, 2, 3]);
  for (let i = 0; i < prefixes; i++) into[at++] = random.pick(LEGACY_PREFIXES);
  if (mode === 64 && random.oneIn(2)) into[at++] = 0x40 | random.below(16);
  const map = random.below(16);
  if (map < 6) return;
  into[at++] = 0x0f;
  if (map < 11) return;
  into[at++] = random.oneIn(4) ? 0x3a : 0x38;
  if (random.oneIn(2))
    into[at] =
      into[at - 1] === 0x3a
        ? random.below(0x64)
        : random.pick([random.below(0x42), 0x80 + random.below(4), 0xd8 + random.below(8), 0xf0 + random.below(8)]);
  if (random.oneIn(3)) into[at + 1]! |= 0xc0;
}

/** An instruction in words that both decoders are translated to; operands are comparable strings. */
export interface Decoding {
  readonly length: number;
  readonly operands: readonly string[];
}

/** What iced says: a decoding; or that there is none, for this reason. */
export interface IcedDecoding extends Decoding {
  readonly valid: boolean;
  /** The instruction's name in iced, for reports and lists of exceptions. */
  readonly code: string;
  /** The CPUID features it needs. */
  readonly features: readonly string[];
}

const codeNames = Code as unknown as Record<number, string>;
const registerNames = Register as unknown as Record<number, string>;
const featureNames = CpuidFeature as unknown as Record<number, string>;
const featuresOf = new Map<number, readonly string[]>();

/** iced over one buffer of strings, {@link SLOT} bytes each. */
export interface IcedDecoder extends Disposable {
  decode(slot: number, ip: bigint): IcedDecoding;
}

/** Copies `bytes`: what is written to them later is not seen. */
export function icedDecoder(mode: Mode, bytes: Uint8Array, options: number = DecoderOptions.NoWbnoinvd): IcedDecoder {
  const decoder = new Decoder(mode, bytes, options);
  const instruction = new Instruction();
  return {
    decode(slot, ip) {
      decoder.position = slot * SLOT;
      decoder.ip = ip;
      decoder.decodeOut(instruction);
      const code = instruction.code;
      if (code === Code.INVALID) return { valid: false, length: 0, operands: [], code: "INVALID", features: [] };
      let features = featuresOf.get(code);
      if (features === undefined) {
        features = Array.from(instruction.cpuidFeatures(), (feature) => featureNames[feature]!);
        featuresOf.set(code, features);
      }
      const operands = Array.from({ length: instruction.opCount }, (_, i) => icedOperand(instruction, i, mode));
      return { valid: true, length: instruction.length, operands, code: codeNames[code]!, features };
    },
    [Symbol.dispose]() {
      instruction.free();
      decoder.free();
    },
  };
}

function icedOperand(instruction: Instruction, index: number, mode: Mode): string {
  const kind = instruction.opKind(index);
  switch (kind) {
    case OpKind.Register:
      return registerNames[instruction.opRegister(index)]!;
    case OpKind.NearBranch16:
      return target(BigInt(instruction.nearBranch16));
    case OpKind.NearBranch32:
      return target(BigInt(instruction.nearBranch32));
    case OpKind.NearBranch64:
      return target(instruction.nearBranch64);
    case OpKind.FarBranch16:
      return far(instruction.farBranchSelector, instruction.farBranch16);
    case OpKind.FarBranch32:
      return far(instruction.farBranchSelector, instruction.farBranch32);
    case OpKind.Memory:
      return icedMemory(instruction, mode);
    case OpKind.Immediate8_2nd:
      return immediate(BigInt(instruction.immediate8_2nd));
    default:
      if (kind >= OpKind.Immediate8 && kind <= OpKind.Immediate32to64)
        return immediate(BigInt.asUintN(IMMEDIATE_BITS[kind - OpKind.Immediate8]!, instruction.immediate(index)));
      return `implicit ${kind}`;
  }
}

/** Widths of Immediate8, 8_2nd, 16, 32, 64, 8to16, 8to32, 8to64 and 32to64, as extended. */
const IMMEDIATE_BITS = [8, 8, 16, 32, 64, 16, 32, 64, 64];

function icedMemory(instruction: Instruction, mode: Mode): string {
  const base = registerNames[instruction.memoryBase]!;
  const index = registerNames[instruction.memoryIndex]!;
  const size = addressSizeOf(instruction, base, index, mode);
  const segment = registerNames[instruction.memorySegment]!;
  return memory(
    mode === 64 && segment !== "FS" && segment !== "GS" ? "DS" : segment, // the others mean nothing in 64-bit mode
    base,
    index,
    instruction.memoryIndexScale,
    instruction.memoryDisplacement,
    size,
    MemorySizeExt.size(instruction.memorySize),
  );
}

function addressSizeOf(instruction: Instruction, base: string, index: string, mode: Mode): 16 | 32 | 64 {
  for (const name of [base, index]) {
    if (/^(R..?|R1?[0-9])$/.test(name)) return 64;
    if (/^(E..|R1?[0-9]D)$/.test(name)) return 32;
    if (/^(BX|BP|SI|DI)$/.test(name)) return 16;
  }
  const bytes = instruction.memoryDisplSize;
  return bytes === 8 ? 64 : bytes === 4 ? 32 : bytes === 2 ? 16 : mode;
}

/** The forms in which both sides write their operands. */
export function immediate(value: bigint): string {
  return `#${BigInt.asUintN(64, value).toString(16)}`;
}
export function target(address: bigint): string {
  return `>${address.toString(16)}`;
}
export function far(selector: number, offset: number): string {
  return `>${selector.toString(16)}:${offset.toString(16)}`;
}
export function memory(
  segment: string,
  base: string,
  index: string,
  scale: number,
  displacement: bigint,
  addressSize: 16 | 32 | 64,
  bytes: number,
): string {
  const scaled = index === "None" ? "" : `+${index}*${scale}`;
  return `${bytes === 0 ? "" : bytes}@${segment}:${base}${scaled}+${BigInt.asUintN(addressSize, displacement).toString(16)}`;
}
