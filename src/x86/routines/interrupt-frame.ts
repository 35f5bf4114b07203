import type { Builder } from "../../ir/builder.ts";
import type { Access, Value } from "../../ir/node.ts";
import { bitsOf } from "../../ir/types.ts";
import { Attribute, has } from "../descriptors.ts";
import { FlagBit, readEflags } from "../eflags.ts";
import { State } from "../state.ts";

/** What is to be delivered. Its parts are i32. */
export interface Event {
  readonly vector: Value;
  /** −1 for none. */
  readonly errorCode: Value;
  /** An {@link EventKind}. */
  readonly kind: Value;
  /** EXT of error codes: 0 if a program asked for the interrupt, otherwise 1. */
  readonly external: Value;
}

/** Vectors of faults, whose handlers find RF set. Intel SDM Vol. 3B, "Resume Flag". */
const faults = [0, 5, 6, 7, 10, 11, 12, 13, 14, 16, 17, 19].reduce((set, vector) => set | (1 << vector), 0);

/** EFLAGS as delivery pushes it. */
export function pushedFlags(ir: Builder, { vector, kind }: Event): Value {
  const isFault = has(ir, ir.shr(ir.const("i32", faults), vector), 1);
  const resumes = ir.and(ir.and(isFault, ir.ltu(vector, 32)), ir.eqz(kind));
  return ir.or(readEflags(ir), ir.select(resumes, ir.const("i32", FlagBit.rf), ir.const("i32", 0)));
}

/** Clears what a handler starts without; `gate` is a gate's type, even for interrupt gates. */
export function enterHandler(ir: Builder, gateType: Value): void {
  const cleared = FlagBit.tf | FlagBit.nt | FlagBit.rf | FlagBit.vm;
  const mask = ir.select(has(ir, gateType, 1), ir.const("i32", ~cleared), ir.const("i32", ~(cleared | FlagBit.if)));
  ir.set(State.flags, ir.and(ir.get("i32", State.flags), mask));
  ir.set(State.shadow, ir.const("i32", 0));
}

/** A stack segment, loaded or about to be. */
export interface StackSegment {
  readonly base: Value;
  readonly limit: Value;
  readonly attributes: Value;
}

/** Cuts a stack pointer to what the segment's B bit says. An i64. */
export function stackMask(ir: Builder, { attributes }: StackSegment): Value {
  return ir.select(has(ir, attributes, Attribute.big), ir.const("i64", 0xffffffff), ir.const("i64", 0xffff));
}

/**
 * The linear address of `bytes` bytes at offset `low` of a stack outside 64-bit mode, all inside the limit; otherwise
 * `refuse` raises the fault.
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

/** Stores values of one type upwards from `address`, which has been found writable. */
export function storeFrame(ir: Builder, address: Value, values: readonly Value[], access: Access): void {
  values.forEach((value, index) => ir.store(ir.add(address, (index * bitsOf[value.type]) / 8), value, access));
}


/** Whether `bytes` bytes (an i64) from `address` on lie in two pages. */
export function crossesPage(ir: Builder, address: Value, bytes: Value): Value {
  return ir.ltu(4096, ir.add(ir.and(address, 0xfff), bytes));
}
