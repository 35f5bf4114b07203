import type { Encoding, MandatoryPrefix } from "../encoding.ts";
import { Segment } from "../state.ts";
import { vexMaps } from "./opcode-map.ts";
import type { OpcodeMap, Row } from "./opcode-map.ts";

/** Why bytes are no instruction: more are needed, there is none such (#UD), or it is over 15 bytes long (#GP). */
export type Undecodable = "truncated" | "undefined" | "too-long";

/** A decoded instruction. Register numbers include the REX bits. */
export interface Decoded {
  readonly row: Row;
  /** Bytes, prefixes included. */
  readonly length: number;
  /** The opcode's low bits, for rows that span several. */
  readonly low: number;
  /** What CS.L and CS.D selected. */
  readonly codeSize: 16 | 32 | 64;
  readonly operandSize: 16 | 32 | 64;
  readonly addressSize: 16 | 32 | 64;
  readonly lock: boolean;
  readonly repeat: "none" | "rep" | "repne";
  readonly rex: boolean;
  /** The r/m operand is in memory. */
  readonly memory: boolean;
  readonly reg: number;
  readonly rm: number;
  /** Base and index register numbers; −1 for none; a base of 16 is RIP (of the next instruction). */
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly displacement: number;
  /** The segment register of the memory operand, overrides and defaults applied. */
  readonly segment: number;
  readonly immediate: bigint;
  readonly immediate2: number;
  /** VEX.vvvv, inverted; 0 without such a prefix. */
  readonly vvvv: number;
}

export const ripBase = 16;
const maximumLength = 15;
/** Xen's forced emulation prefix: ud2 followed by "xen". Xen: xen/arch/x86/include/asm/x86_emulate prefix handling. */
const forcedEmulation = [0x0f, 0x0b, 0x78, 0x65, 0x6e];

const segmentPrefix: Readonly<Record<number, number>> = {
  0x26: Segment.es, 0x2e: Segment.cs, 0x36: Segment.ss, 0x3e: Segment.ds, 0x64: Segment.fs, 0x65: Segment.gs,
}; // prettier-ignore

/** Base, index of the 16-bit addressing forms by r/m. Intel SDM Vol. 2A, "16-Bit Addressing Forms". */
const forms16 = [[3, 6], [3, 7], [5, 6], [5, 7], [6, -1], [7, -1], [5, -1], [3, -1]] as const; // prettier-ignore

class Truncated extends Error {}
const truncated = new Truncated();

class Reader {
  readonly bytes: Uint8Array;
  at: number;
  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }
  u8(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw truncated;
    this.at += 1;
    return byte;
  }
  i8(): number {
    return (this.u8() << 24) >> 24;
  }
  u16(): number {
    return this.u8() | (this.u8() << 8);
  }
  i32(): number {
    return this.u16() | (this.u16() << 16);
  }
  u64(): bigint {
    const low = BigInt(this.i32() >>> 0);
    return low | (BigInt(this.i32() >>> 0) << 32n);
  }
}

interface Prefixes {
  operand: boolean;
  address: boolean;
  lock: boolean;
  /** The last of F2 and F3. */
  repeat: number;
  segment: number;
  rex: number;
}

function readPrefixes(reader: Reader, codeSize: number): [Prefixes, opcode: number] {
  const prefixes: Prefixes = { operand: false, address: false, lock: false, repeat: 0, segment: -1, rex: 0 };
  for (;;) {
    const byte = reader.u8();
    if (codeSize === 64 && (byte & 0xf0) === 0x40) {
      // REX counts only directly before the opcode.
      prefixes.rex = byte;
      continue;
    }
    const segment = segmentPrefix[byte];
    if (byte === 0x66) prefixes.operand = true;
    else if (byte === 0x67) prefixes.address = true;
    else if (byte === 0xf0) prefixes.lock = true;
    else if (byte === 0xf2 || byte === 0xf3) prefixes.repeat = byte;
    else if (segment !== undefined) {
      // In 64-bit mode only FS and GS overrides mean anything; the others do not even cancel them.
      if (codeSize !== 64 || segment >= Segment.fs) prefixes.segment = segment;
    } else return [prefixes, byte];
    prefixes.rex = 0;
  }
}

function operandSizeOf(encoding: Encoding, codeSize: number, prefixes: Prefixes): 16 | 32 | 64 {
  if (codeSize === 64) {
    if (encoding.options.has("f64") || (prefixes.rex & 8) !== 0) return 64;
    if (prefixes.operand) return 16;
    return encoding.options.has("d64") ? 64 : 32;
  }
  return (codeSize === 32) === prefixes.operand ? 16 : 32;
}

/** Whether the reg field names a register that there is: CR0, CR2–CR4, in 64-bit mode CR8; DR0–DR7; ES–GS, CS only to read. */
function isRegister({ operands }: Encoding, codeSize: number, reg: number): boolean {
  const kind = operands.find((operand) => "CDS".includes(operand.kind))?.kind;
  if (kind === "C") return reg === 0 || (reg >= 2 && reg <= 4) || (reg === 8 && codeSize === 64);
  if (kind === "D") return reg < 8;
  if (kind === "S") return (reg & 7) < 6 && !((reg & 7) === Segment.cs && operands[0]?.kind === "S");
  return true;
}

/** Moves to and from control and debug registers take any mod for a register. Intel SDM Vol. 2B, "MOV—Move to/from Control Registers". */
function movesSpecial({ operands }: Encoding): boolean {
  return operands.some(({ kind }) => kind === "C" || kind === "D");
}

function matches(encoding: Encoding, codeSize: number, prefixes: Prefixes, mandatory: string, modrm: number): boolean {
  const { options } = encoding;
  if (encoding.prefix !== undefined && encoding.prefix !== mandatory) return false;
  if (codeSize === 64 ? options.has("i64") : options.has("x64")) return false;
  if (encoding.hasModrm) {
    if (encoding.modrm !== undefined && encoding.modrm !== modrm) return false;
    if (encoding.digit !== undefined && encoding.digit !== ((modrm >> 3) & 7)) return false;
    const form = modrm >= 0xc0 || movesSpecial(encoding) ? "register" : "memory";
    if (encoding.form !== "any" && encoding.form !== form) return false;
  }
  if (options.has("w0") && (prefixes.rex & 8) !== 0) return false;
  if (options.has("w1") && (prefixes.rex & 8) === 0) return false;
  if (options.has("b0") && (prefixes.rex & 1) !== 0) return false;
  if (options.has("o16") || options.has("o32") || options.has("o64")) {
    const size = operandSizeOf(encoding, codeSize, prefixes);
    if (!options.has(size === 16 ? "o16" : size === 32 ? "o32" : "o64")) return false;
  }
  return true;
}

interface Address {
  base: number;
  index: number;
  scale: number;
  displacement: number;
  stack: boolean;
}

function readAddress(reader: Reader, modrm: number, rex: number, addressSize: number, codeSize: number): Address {
  const [mod, rm] = [modrm >> 6, modrm & 7];
  const address: Address = { base: -1, index: -1, scale: 0, displacement: 0, stack: false };
  if (addressSize === 16) {
    const [base, index] = forms16[rm]!;
    if (mod === 0 && rm === 6) {
      address.displacement = reader.u16();
      return address;
    }
    [address.base, address.index] = [base, index];
    address.stack = base === 5;
    if (mod === 1) address.displacement = reader.i8();
    if (mod === 2) address.displacement = (reader.u16() << 16) >> 16;
    return address;
  }
  let base = rm;
  if (rm === 4) {
    const sib = reader.u8();
    base = sib & 7;
    const index = ((sib >> 3) & 7) | ((rex & 2) << 2);
    if (index !== 4) [address.index, address.scale] = [index, sib >> 6];
  }
  if (mod === 0 && base === 5) {
    address.displacement = reader.i32();
    if (rm !== 4 && codeSize === 64) address.base = ripBase;
    return address;
  }
  address.base = base | ((rex & 1) << 3);
  address.stack = address.base === 4 || address.base === 5;
  if (mod === 1) address.displacement = reader.i8();
  if (mod === 2) address.displacement = reader.i32();
  return address;
}

/** Reads the immediates in the order of the operands. */
function readImmediates(
  reader: Reader,
  encoding: Encoding,
  operandSize: number,
  addressSize: number,
): [bigint, number] {
  let immediate = 0n;
  let immediate2 = 0;
  let seen = false;
  for (const { kind, size } of encoding.operands) {
    if (kind === "O") {
      immediate = addressSize === 64 ? reader.u64() : BigInt(addressSize === 32 ? reader.i32() >>> 0 : reader.u16());
    } else if (kind === "A") {
      immediate = BigInt(operandSize === 16 ? reader.u16() : reader.i32() >>> 0);
      immediate2 = reader.u16();
    } else if (kind === "I" || kind === "J") {
      if (seen) {
        immediate2 = reader.u8();
        continue;
      }
      seen = true;
      if (size === "b" || size === "bs") immediate = BigInt(size === "bs" || kind === "J" ? reader.i8() : reader.u8());
      else if (size === "w") immediate = BigInt(reader.u16());
      else if (size === "v" && operandSize === 64) immediate = reader.u64();
      else immediate = operandSize === 16 ? BigInt((reader.u16() << 16) >> 16) : BigInt(reader.i32());
    }
  }
  return [immediate, immediate2];
}

function readOpcode(reader: Reader, first: number): number {
  if (first !== 0x0f) return first;
  const second = reader.u8();
  if (second === 0x38) return 512 + reader.u8();
  if (second === 0x3a) return 768 + reader.u8();
  return 256 + second;
}

/** What a VEX prefix says beside the bits it has in common with REX, which go to the prefixes. */
interface Vex {
  /** Index into the opcode map. */
  readonly opcode: number;
  readonly mandatory: MandatoryPrefix;
  readonly vvvv: number;
}

/** Whether C4 or C5 begins a VEX prefix: outside 64-bit mode these are LES and LDS unless ModR/M would name a register. */
function beginsVex(reader: Reader, first: number, codeSize: number): boolean {
  if (first !== 0xc4 && first !== 0xc5) return false;
  return codeSize === 64 || (reader.bytes[reader.at] ?? 0) >= 0xc0;
}

/** Reads a VEX prefix behind its first byte, and the opcode. Intel SDM Vol. 2A, "The VEX Prefix". L must be 0. */
function readVex(reader: Reader, first: number, prefixes: Prefixes, codeSize: number): Vex | undefined {
  const legacy = prefixes.rex !== 0 || prefixes.operand || prefixes.repeat !== 0 || prefixes.lock;
  const second = reader.u8();
  const third = first === 0xc4 ? reader.u8() : second;
  const map = first === 0xc4 ? second & 31 : 1;
  const opcode = reader.u8();
  // R, X and B are inverted; the short form has R alone.
  const extension = first === 0xc4 ? (~second >> 5) & 7 : (~second >> 5) & 4;
  const wide = first === 0xc4 && codeSize === 64 ? (third >> 4) & 8 : 0;
  if (codeSize === 64) prefixes.rex = 0x40 | wide | extension;
  if (legacy || map < 1 || map > 3 || (third & 4) !== 0) return undefined;
  const vvvv = (~third >> 3) & (codeSize === 64 ? 15 : 7);
  return { opcode: vexMaps + map * 256 + opcode, mandatory: vexPrefixes[third & 3]!, vvvv };
}

/** VEX.pp. */
const vexPrefixes = ["NP", "66", "F3", "F2"] as const;

function decodeAt(map: OpcodeMap, reader: Reader, start: number, codeSize: 16 | 32 | 64): Decoded | Undecodable {
  const [prefixes, first] = readPrefixes(reader, codeSize);
  const vex = beginsVex(reader, first, codeSize) ? readVex(reader, first, prefixes, codeSize) : null;
  if (vex === undefined) return "undefined";
  const opcode = vex?.opcode ?? readOpcode(reader, first);
  const candidates = map.byOpcode[opcode];
  if (candidates === undefined) return "undefined";
  const modrm = candidates[0]!.encoding.hasModrm ? reader.u8() : 0;
  const mandatory =
    vex !== null
      ? vex.mandatory
      : prefixes.repeat === 0xf3
        ? "F3"
        : prefixes.repeat === 0xf2
          ? "F2"
          : prefixes.operand
            ? "66"
            : "NP";
  const row = candidates.find(({ encoding }) => matches(encoding, codeSize, prefixes, mandatory, modrm));
  if (row === undefined) return "undefined";
  const { encoding } = row;
  if (vex !== null && vex.vvvv !== 0 && !encoding.operands.some(({ kind }) => kind === "B")) return "undefined";
  const operandSize = operandSizeOf(encoding, codeSize, prefixes);
  const addressSize = codeSize === 64 ? (prefixes.address ? 32 : 64) : (codeSize === 32) === prefixes.address ? 16 : 32;
  const memory = encoding.hasModrm && modrm < 0xc0 && encoding.modrm === undefined && !movesSpecial(encoding);
  const address = memory ? readAddress(reader, modrm, prefixes.rex, addressSize, codeSize) : undefined;
  const [immediate, immediate2] = readImmediates(reader, encoding, operandSize, addressSize);
  const length = reader.at - start;
  if (length > maximumLength) return "too-long";
  if (!isRegister(encoding, codeSize, ((modrm >> 3) & 7) | ((prefixes.rex & 4) << 1))) return "undefined";
  if (prefixes.lock && !(encoding.options.has("lock") && memory)) return "undefined";
  const repeats = encoding.options.has("rep") && prefixes.repeat !== 0;
  const opcodeLow = (opcode & 0xff) - encoding.opcode;
  return {
    row, length, codeSize, operandSize, addressSize, memory, immediate, immediate2,
    low: opcodeLow,
    lock: prefixes.lock,
    repeat: !repeats ? "none" : prefixes.repeat === 0xf3 ? "rep" : "repne",
    rex: prefixes.rex !== 0,
    reg: encoding.span === 8 ? opcodeLow | ((prefixes.rex & 1) << 3) : ((modrm >> 3) & 7) | ((prefixes.rex & 4) << 1),
    rm: (modrm & 7) | ((prefixes.rex & 1) << 3),
    base: address?.base ?? -1,
    index: address?.index ?? -1,
    scale: address?.scale ?? 0,
    displacement: address?.displacement ?? 0,
    vvvv: vex?.vvvv ?? 0,
    segment: prefixes.segment >= 0 ? prefixes.segment : address?.stack === true ? Segment.ss : Segment.ds,
  }; // prettier-ignore
}

/**
 * Decodes the instruction at `start`. `codeSize` is what CS.L and CS.D select. A forced-emulation prefix counts as part
 * of the instruction but not towards its 15 bytes.
 */
export function decode(
  map: OpcodeMap,
  bytes: Uint8Array,
  start: number,
  codeSize: 16 | 32 | 64,
): Decoded | Undecodable {
  try {
    if (bytes[start] === forcedEmulation[0] && forcedEmulation.every((byte, index) => bytes[start + index] === byte)) {
      const at = start + forcedEmulation.length;
      const inner = decodeAt(map, new Reader(bytes, at), at, codeSize);
      return typeof inner === "string" ? inner : { ...inner, length: inner.length + forcedEmulation.length };
    }
    return decodeAt(map, new Reader(bytes, start), start, codeSize);
  } catch (error) {
    if (error instanceof Truncated) return bytes.length - start > maximumLength ? "too-long" : "truncated";
    throw error;
  }
}
