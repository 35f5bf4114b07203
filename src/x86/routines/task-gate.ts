import type { Builder } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { Attribute, SystemType, attributesOf, has } from "../descriptors.ts";
import { Vector } from "../exceptions.ts";
import { findDescriptor, selectorError } from "./descriptor.ts";
import { taskSwitch } from "./task-switch.ts";

/** Whether a system descriptor's type, in legacy modes, is that of a TSS, busy or not. */
export function isTask(ir: Builder, type: Value): Value {
  return ir.eq(ir.and(type, 0x15), 1);
}

/** What a transfer to a task is made with. */
export interface TaskTransfer {
  /** A {@link TaskSwitch} kind. */
  readonly kind: number;
  /** EXT of error codes. */
  readonly external: Value;
  /** Pushed on the new task's stack, unless −1. */
  readonly errorCode: Value;
}

/**
 * Checks a TSS and switches to its task. A TSS that cannot be used is #GP, or #TS on the way back out of a nested task.
 * @returns the exception that the new task begins with: its vector, −1 for none, and its error code.
 */
export function enterTask(
  ir: Builder,
  selector: Value,
  busy: "available" | "busy",
  transfer: TaskTransfer,
): [vector: Value, errorCode: Value] {
  const { kind, external, errorCode } = transfer;
  const vector = busy === "busy" ? Vector.TS : Vector.GP;
  const refuse = () => ir.fault(vector, selectorError(ir, selector, external));
  ir.if(has(ir, selector, 4), refuse);
  const { descriptor } = findDescriptor(ir, selector, refuse);
  const attributes = ir.hold(attributesOf(ir, descriptor));
  const wanted = busy === "busy" ? SystemType.tss16Busy : SystemType.tss16Available;
  ir.if(ir.ne(ir.and(attributes, 0x17), wanted), refuse);
  ir.if(ir.eqz(has(ir, attributes, Attribute.present)), () =>
    ir.fault(Vector.NP, selectorError(ir, selector, external)),
  );
  return ir.call(taskSwitch, selector, ir.const("i32", kind), external, errorCode) as [Value, Value];
}

/** The TSS selector in a task gate. */
export function taskOfGate(ir: Builder, gate: Value): Value {
  return ir.hold(ir.and(ir.trunc(ir.shr(gate, 16), "i32"), 0xffff));
}
