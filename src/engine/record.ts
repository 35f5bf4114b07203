import type { Decoded } from "../x86/decode/decode.ts";
import type { Place } from "./dispatch.ts";
import { ripBase } from "../x86/decode/decode.ts";
import type { NumberName, SlotName } from "../x86/semantics.ts";
import { State, byteSlot, gprSlot, segmentSlot, xmmSlot } from "../x86/state.ts";
import { mmxSlot } from "../x86/bind.ts";

/** Bytes of a decoded instruction's record (engine.md §A). */
export const recordBytes = 32;

/** Where the dispatcher and the forms find a record's numbers: byte offset and how to load it. */
export const RecordField = {
  /** The dispatcher's case. */
  handler: 0,
  /** The function table's slot of this form. */
  form: 2,
  /** Page offsets of this instruction and the next; the latter may pass 4096. */
  start: 4,
  next: 6,
  /** State slots. */
  reg: 8,
  rm: 10,
  index: 12,
  segment: 14,
  /** i64: the immediate, or a branch target's page offset. */
  immediate: 16,
  /** i32, sign-extended. A RIP-relative one includes the page offset of the next instruction. */
  displacement: 24,
  /** u8 each. */
  scale: 28,
  addressMask: 29,
  immediate2: 30,
} as const;

type Load = readonly [instruction: "i32.load8_u" | "i32.load16_u" | "i64.load" | "i64.load32_s", offset: number];

/** How each of the semantics' numbers is read; `base` shares its place with `rm`, and numbers with slots. */
export const fieldLoads: Readonly<Record<NumberName | SlotName, Load>> = {
  start: ["i32.load16_u", RecordField.start],
  next: ["i32.load16_u", RecordField.next],
  reg: ["i32.load16_u", RecordField.reg],
  rm: ["i32.load16_u", RecordField.rm],
  base: ["i32.load16_u", RecordField.rm],
  index: ["i32.load16_u", RecordField.index],
  segment: ["i32.load16_u", RecordField.segment],
  immediate: ["i64.load", RecordField.immediate],
  target: ["i64.load", RecordField.immediate],
  displacement: ["i64.load32_s", RecordField.displacement],
  scale: ["i32.load8_u", RecordField.scale],
  immediate2: ["i32.load16_u", RecordField.immediate2],
  /** No instruction with a VEX prefix has a second immediate. */
  vvvv: ["i32.load16_u", RecordField.immediate2],
  regNumber: ["i32.load16_u", RecordField.reg],
  rmNumber: ["i32.load16_u", RecordField.rm],
  /** Kept as a shift count: −1 >>> count is the mask. */
  addressMask: ["i32.load8_u", RecordField.addressMask],
};

/** The state slot, or plain number, that an operand letter's register field stands for. */
function registerField(kind: string | undefined, size: string | undefined, number: number, rex: boolean): number {
  switch (kind) {
    case "V":
    case "W":
    case "U":
      return xmmSlot(number);
    case "P":
    case "Q":
    case "N":
      return mmxSlot(number & 7);
    case "S":
    case "C":
    case "D":
    case "F":
      return number;
    default:
      return size === "b" ? byteSlot(number, rex) : gprSlot(number);
  }
}

/** Writes the record of an instruction at page offset `start`. */
export function writeRecord(
  view: DataView,
  at: number,
  decoded: Decoded,
  start: number,
  { handler, form }: Place,
): void {
  const next = start + decoded.length;
  const { branch, inReg: regSpec, inRm: rmSpec } = decoded.row;
  view.setUint16(at + RecordField.handler, handler, true);
  view.setUint16(at + RecordField.form, form, true);
  view.setUint16(at + RecordField.start, start, true);
  view.setUint16(at + RecordField.next, next, true);
  const regNumber = regSpec?.kind === "S" ? decoded.reg & 7 : decoded.reg;
  view.setUint16(at + RecordField.reg, registerField(regSpec?.kind, regSpec?.size, regNumber, decoded.rex), true);
  let displacement = decoded.displacement;
  if (decoded.memory) {
    const base = decoded.base === ripBase ? State.ripPage : decoded.base < 0 ? State.zero : gprSlot(decoded.base);
    if (decoded.base === ripBase) displacement += next;
    view.setUint16(at + RecordField.rm, base, true);
    view.setUint16(at + RecordField.index, decoded.index < 0 ? State.zero : gprSlot(decoded.index), true);
  } else {
    const rmNumber = rmSpec?.kind === "F" ? decoded.rm & 7 : decoded.rm;
    view.setUint16(at + RecordField.rm, registerField(rmSpec?.kind, rmSpec?.size, rmNumber, decoded.rex), true);
    view.setUint16(at + RecordField.index, State.zero, true);
  }
  // In 64-bit mode only FS and GS have bases, whatever the address size; the slot of zeros saves the others a look.
  const flat = decoded.codeSize === 64 && decoded.segment < 4;
  view.setUint16(at + RecordField.segment, flat ? State.zero : segmentSlot(decoded.segment), true);
  view.setBigInt64(at + RecordField.immediate, branch ? decoded.immediate + BigInt(next) : decoded.immediate, true);
  view.setInt32(at + RecordField.displacement, displacement, true);
  view.setUint8(at + RecordField.scale, decoded.scale);
  view.setUint8(at + RecordField.addressMask, 64 - decoded.addressSize);
  view.setUint16(
    at + RecordField.immediate2,
    decoded.row.encoding.vex ? gprSlot(decoded.vvvv) : decoded.immediate2,
    true,
  );
}
