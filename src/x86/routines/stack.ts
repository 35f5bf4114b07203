import type { Builder } from "../../ir/builder.ts";
import type { Access, Value } from "../../ir/node.ts";
import { bitsOf, typeOf } from "../../ir/types.ts";
import { Attribute, has, is64Bit, segmentField } from "../descriptors.ts";
import { Vector } from "../exceptions.ts";
import { Gpr, gprSlot, segmentSlot } from "../state.ts";

/** A stack segment, loaded or about to be. */
export interface StackSegment {
  readonly base: Value;
  readonly limit: Value;
  readonly attributes: Value;
}

const ss = segmentSlot("ss");
const rsp = gprSlot(Gpr.rsp);

/** The loaded stack segment. */
export function currentStack(ir: Builder): StackSegment {
  return {
    base: ir.get("i64", ss),
    limit: ir.get("i32", segmentField(ir, ss, "limit")),
    attributes: ir.zext(ir.get("i16", segmentField(ir, ss, "attributes")), "i32"),
  };
}

/** Cuts a stack pointer to what the segment's B bit says. An i64. */
export function stackMask(ir: Builder, { attributes }: StackSegment): Value {
  return ir.select(has(ir, attributes, Attribute.big), ir.const("i64", 0xffffffff), ir.const("i64", 0xffff));
}

/**
 * The linear address of `bytes` bytes at offset `low` of a stack outside 64-bit mode, all inside the limit; otherwise
 * `refuse` raises the fault. A frame that wraps round is refused.
 */
export function stackRange(ir: Builder, segment: StackSegment, low: Value, bytes: Value, refuse: () => void): Value {
  const mask = ir.hold(stackMask(ir, segment));
  const limit = ir.zext(segment.limit, "i64");
  const first = ir.hold(ir.and(low, mask));
  const last = ir.hold(ir.and(ir.add(first, ir.sub(bytes, 1)), mask));
  ir.if(ir.ltu(last, first), refuse);
  ir.if(
    has(ir, segment.attributes, Attribute.expandDown),
    () => ir.if(ir.leu(first, limit), refuse),
    () => ir.if(ir.ltu(limit, last), refuse),
  );
  return ir.hold(ir.and(ir.add(segment.base, first), 0xffffffff));
}

/** Sets the part of RSP that a stack of this width uses. */
export function setStackPointer(ir: Builder, segment: StackSegment, pointer: Value): void {
  const mask = ir.hold(stackMask(ir, segment));
  const old = ir.get("i64", rsp);
  const kept = ir.select(has(ir, segment.attributes, Attribute.big), ir.const("i64", 0), ir.and(old, ~0xffffn));
  ir.set(rsp, ir.or(kept, ir.and(pointer, mask)));
}

/** Stores values of one type upwards from `address`, which has been found writable. */
export function storeFrame(ir: Builder, address: Value, values: readonly Value[], access: Access): void {
  values.forEach((value, index) => ir.store(ir.add(address, (index * bitsOf[value.type]) / 8), value, access));
}

/** Whether `bytes` bytes (an i64) from `address` on lie in two pages. */
export function crossesPage(ir: Builder, address: Value, bytes: Value): Value {
  return ir.ltu(4096, ir.add(ir.and(address, 0xfff), bytes));
}

/** The linear address of the stack at `pointer`, in the mode that is in force; #SS(0) where `bytes` bytes do not fit. */
function currentRange(ir: Builder, pointer: Value, bytes: Value): Value {
  const address = ir.variable(pointer);
  ir.if(ir.eqz(is64Bit(ir)), () => {
    ir.assign(
      address,
      stackRange(ir, currentStack(ir), pointer, bytes, () => ir.fault(Vector.SS, 0)),
    );
  });
  return ir.read(address);
}

/** Stores values of one type below the stack pointer, the first the lowest. @returns what makes it the stack's top. */
export function pushCurrent(ir: Builder, values: readonly Value[]): () => void {
  const bytes = values.reduce((sum, { type }) => sum + bitsOf[type] / 8, 0);
  const pointer = ir.hold(ir.sub(ir.get("i64", rsp), bytes));
  const address = currentRange(ir, pointer, ir.const("i64", bytes));
  ir.probeWrite(address, bytes, { stack: true });
  storeFrame(ir, address, values, { stack: true });
  return () => setCurrentPointer(ir, pointer);
}

/** Reads `count` words of `size` bits at the stack's top and `above` bytes above it, zero-extended to i64. */
export function readStack(ir: Builder, size: 16 | 32 | 64, count: number, above: Value | number = 0): Value[] {
  const bytes = size / 8;
  const pointer = ir.hold(ir.add(ir.get("i64", rsp), above));
  const address = currentRange(ir, pointer, ir.const("i64", count * bytes));
  return Array.from({ length: count }, (_, index) =>
    ir.zext(ir.load(typeOf(size), ir.add(address, index * bytes), { stack: true }), "i64"),
  );
}

/** Makes `pointer` the stack pointer, as much of it as the mode uses. */
export function setCurrentPointer(ir: Builder, pointer: Value): void {
  ir.if(
    is64Bit(ir),
    () => ir.set(rsp, pointer),
    () => setStackPointer(ir, currentStack(ir), pointer),
  );
}
