import type { Builder } from "../ir/builder.ts";
import type { Slot, Value } from "../ir/node.ts";
import { SegmentField, State, segmentSlot } from "./state.ts";

/**
 * Segment attributes as the state keeps them: bits 40–47 of a descriptor at 0–7, bits 52–55 at 8–11.
 * Intel SDM Vol. 3A, "Segment Descriptors".
 */
export const Attribute = {
  accessed: 1,
  /** Data: may be written. Code: may be read. */
  writable: 2,
  readable: 2,
  /** Code: runs at the caller's privilege. */
  conforming: 4,
  expandDown: 4,
  code: 8,
  /** S: a code or data segment, not a system one. */
  application: 0x10,
  present: 0x80,
  /** L: 64-bit code. */
  long: 0x200,
  /** D/B: 32-bit code, or a stack that ESP points into. */
  big: 0x400,
} as const;

/** Types of system descriptors, S included as zero. Intel SDM Vol. 3A, "System Descriptor Types". */
export const SystemType = {
  tss16Available: 1,
  ldt: 2,
  tss16Busy: 3,
  callGate16: 4,
  taskGate: 5,
  interruptGate16: 6,
  trapGate16: 7,
  /** In IA-32e mode: the 64-bit one. */
  tss32Available: 9,
  tss32Busy: 11,
  callGate32: 12,
  interruptGate32: 14,
  trapGate32: 15,
} as const;

/** Attributes of the flat segments that SYSCALL, SYSENTER and their returns load without looking at a table. */
export const FlatAttributes = {
  code64: 0xa9b,
  code32: 0xc9b,
  data: 0xc93,
  /** OR-ed in for CPL 3. */
  user: 0x60,
} as const;
/** What a segment register holds in virtual-8086 mode: 64 KiB of writable data at DPL 3. */
export const virtual8086Attributes = 0xf3;

/** Whether any of `bits` is set. */
export function has(ir: Builder, value: Value, bits: number | bigint): Value {
  return ir.ne(ir.and(value, bits), 0);
}

/** Bits 40–47 and 52–55 of a descriptor as {@link Attribute}, an i32. */
export function attributesOf(ir: Builder, descriptor: Value): Value {
  const low = ir.and(ir.shr(descriptor, 40), 0xff);
  return ir.trunc(ir.or(low, ir.and(ir.shr(descriptor, 44), 0xf00)), "i32");
}
export function dplOf(ir: Builder, attributes: Value): Value {
  return ir.and(ir.shr(attributes, 5), 3);
}
/** The base of a descriptor's first eight bytes, an i64. */
export function baseOf(ir: Builder, descriptor: Value): Value {
  return ir.or(ir.and(ir.shr(descriptor, 16), 0xffffff), ir.and(ir.shr(descriptor, 32), 0xff000000));
}
/** The limit in bytes, granularity applied, an i32. */
export function limitOf(ir: Builder, descriptor: Value): Value {
  const raw = ir.trunc(ir.or(ir.and(descriptor, 0xffff), ir.and(ir.shr(descriptor, 32), 0xf0000)), "i32");
  return ir.select(has(ir, descriptor, 1n << 55n), ir.or(ir.shl(raw, 12), 0xfff), raw);
}

export function isCode(ir: Builder, attributes: Value): Value {
  return ir.eq(ir.and(attributes, Attribute.application | Attribute.code), Attribute.application | Attribute.code);
}
export function isWritableData(ir: Builder, attributes: Value): Value {
  const wanted = Attribute.application | Attribute.writable;
  return ir.eq(ir.and(attributes, wanted | Attribute.code), wanted);
}

/** A field of the segment register in `slot`. */
export function segmentField(ir: Builder, slot: Slot, field: keyof typeof SegmentField): Slot {
  return typeof slot === "number" ? slot + SegmentField[field] : ir.add(slot, SegmentField[field]);
}
/** The slot of a segment register whose number is a value. */
export function segmentSlotOf(ir: Builder, number: Value): Value {
  return ir.add(ir.shl(number, 4), State.segments);
}
export function selectorOf(ir: Builder, segment: Parameters<typeof segmentSlot>[0]): Value {
  return ir.zext(ir.get("i16", segmentSlot(segment) + SegmentField.selector), "i32");
}

/** What a segment register is loaded with. */
export interface SegmentValue {
  readonly selector: Value;
  readonly base: Value;
  readonly limit: Value;
  readonly attributes: Value;
}

export function setSegment(ir: Builder, slot: Slot, { selector, base, limit, attributes }: SegmentValue): void {
  const parts = [
    ir.hold(base),
    ir.hold(limit),
    ir.hold(ir.trunc(selector, "i16")),
    ir.hold(ir.trunc(attributes, "i16")),
  ];
  const fields = ["base", "limit", "selector", "attributes"] as const;
  fields.forEach((field, index) => ir.set(segmentField(ir, slot, field), parts[index]!));
}
/** Loads a segment register from a code or data descriptor, whose accessed bit is set by then. */
export function setFromDescriptor(ir: Builder, slot: Slot, selector: Value, descriptor: Value): void {
  setSegment(ir, slot, {
    selector,
    base: baseOf(ir, descriptor),
    limit: limitOf(ir, descriptor),
    attributes: ir.or(attributesOf(ir, descriptor), Attribute.accessed),
  });
}
/** Makes a segment register null: nothing can be reached through it outside 64-bit mode. */
export function setNull(ir: Builder, slot: Slot, selector: Value): void {
  setSegment(ir, slot, {
    selector,
    base: ir.const("i64", 0),
    limit: ir.const("i32", 0),
    attributes: ir.const("i32", 0),
  });
}
/** The null SS of 64-bit mode, whose RPL is CPL. Its DPL is kept: a saved context tells CPL by it. */
export function setNullStack(ir: Builder, selector: Value): void {
  const attributes = ir.shl(ir.and(selector, 3), 5);
  setSegment(ir, segmentSlot("ss"), { selector, base: ir.const("i64", 0), limit: ir.const("i32", 0), attributes });
}
/** A 4 GiB segment at 0. */
export function setFlat(ir: Builder, slot: Slot, selector: Value, attributes: number | Value): void {
  const given = typeof attributes === "number" ? ir.const("i32", attributes) : attributes;
  setSegment(ir, slot, { selector, base: ir.const("i64", 0), limit: ir.const("i32", 0xffffffff), attributes: given });
}

/** Whether a 48-bit linear address is canonical. */
export function isCanonical(ir: Builder, address: Value): Value {
  return ir.eq(ir.sar(ir.shl(address, 16), 16), address);
}
/** IA-32e mode, 64-bit or compatibility. */
export function isLongModeActive(ir: Builder): Value {
  return has(ir, ir.get("i64", State.efer), 1 << 10);
}
/** 64-bit mode. */
export function is64Bit(ir: Builder): Value {
  return ir.eq(ir.and(ir.get("i32", State.mode), 3), 2);
}
