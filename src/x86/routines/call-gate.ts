import type { Builder } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { Attribute, SystemType, dplOf, has, isLongModeActive } from "../descriptors.ts";
import { Vector } from "../exceptions.ts";
import { State } from "../state.ts";
import type { CodeTarget } from "./code-segment.ts";
import { findCode } from "./code-segment.ts";
import { readDescriptor, selectorError } from "./descriptor.ts";

/** A call gate, checked, and the code segment that it names, of which only the type is. */
export interface CallGate {
  readonly code: CodeTarget;
  readonly offset: Value;
  /** 32-bit (or 64-bit) gate, as against a 16-bit one. */
  readonly wide: Value;
  /** Parameters to copy to an inner stack, in words of the gate's size. */
  readonly count: Value;
}

/** #GP(selector) where a gate is beyond CPL and RPL, #NP(selector) where it is not present. */
export function checkGate(ir: Builder, selector: Value, attributes: Value): void {
  const dpl = ir.hold(dplOf(ir, attributes));
  const outside = ir.or(ir.ltu(dpl, ir.get("i32", State.cpl)), ir.ltu(dpl, ir.and(selector, 3)));
  ir.if(outside, () => ir.fault(Vector.GP, selectorError(ir, selector)));
  ir.if(ir.eqz(has(ir, attributes, Attribute.present)), () => ir.fault(Vector.NP, selectorError(ir, selector)));
}

/** Whether a system descriptor's type is that of a call gate in the mode that is in force. */
export function isCallGate(ir: Builder, type: Value): Value {
  const narrow = ir.and(ir.eq(type, SystemType.callGate16), ir.eqz(isLongModeActive(ir)));
  return ir.or(ir.eq(type, SystemType.callGate32), narrow);
}

/**
 * Follows a call gate to its code segment. In IA-32e mode gates have 16 bytes and lead to 64-bit code only.
 * Intel SDM Vol. 3A, "Call Gates", "IA-32e Mode Call Gates".
 */
export function readCallGate(ir: Builder, selector: Value, gate: Value, attributes: Value): CallGate {
  checkGate(ir, selector, attributes);
  const wide = ir.hold(has(ir, attributes, 8));
  const offset = ir.variable(ir.and(gate, 0xffff));
  ir.if(wide, () => ir.assign(offset, ir.or(ir.and(gate, 0xffff), ir.and(ir.shr(gate, 32), 0xffff0000))));
  const long = ir.hold(isLongModeActive(ir));
  ir.if(long, () => {
    const [high, address] = ir.call(readDescriptor, ir.add(selector, 8)) as [Value, Value];
    const refuse = () => ir.fault(Vector.GP, selectorError(ir, selector));
    ir.if(ir.or(ir.eq(address, -1), has(ir, high, 0x1fn << 40n)), refuse);
    ir.assign(offset, ir.or(ir.read(offset), ir.shl(high, 32)));
  });
  const code = findCode(ir, ir.hold(ir.and(ir.trunc(ir.shr(gate, 16), "i32"), 0xffff)));
  const notLong = ir.ne(ir.and(code.attributes, Attribute.long | Attribute.big), Attribute.long);
  ir.if(ir.and(long, notLong), () => ir.fault(Vector.GP, selectorError(ir, code.selector)));
  return { code, offset: ir.read(offset), wide, count: ir.and(ir.trunc(ir.shr(gate, 32), "i32"), 0x1f) };
}
