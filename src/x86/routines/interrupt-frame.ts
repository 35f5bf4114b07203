import type { Builder } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { has } from "../descriptors.ts";
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
