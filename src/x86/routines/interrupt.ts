import { Builder, routine } from "../../ir/builder.ts";
import { isLongModeActive, selectorOf, setSegment, segmentField } from "../descriptors.ts";
import { FlagBit, isProtectionEnabled, readEflags } from "../eflags.ts";
import { Vector } from "../exceptions.ts";
import { Gpr, State, gprSlot, segmentSlot } from "../state.ts";
import { interruptLong } from "./interrupt-long.ts";
import { interruptProtected } from "./interrupt-protected.ts";
import { currentStack, stackRange, storeFrame } from "./stack.ts";

/** How an interrupt came about: decides about privilege checks and the EXT bit of error codes. */
export const EventKind = {
  /** A fault, a trap, INT1, or an interrupt from outside. */
  hardware: 0,
  /** INT n. */
  software: 1,
  /** INT3 and INTO. */
  trap: 2,
} as const;

/** interruptReal(vector: i32): through the vector table of real mode. Intel SDM Vol. 3B, "Interrupt and Exception Handling". */
const interruptReal = routine(
  "interruptReal",
  { parameters: ["i32"], results: [], faults: true },
  () => new Builder(),
  (ir, vector) => {
    const at = ir.hold(ir.shl(vector, 2));
    ir.if(ir.ltu(ir.get("i32", State.idtrLimit), ir.or(at, 3)), () => ir.fault(Vector.GP, 0));
    const entry = ir.load("i32", ir.add(ir.get("i64", State.idtrBase), ir.zext(at, "i64")), { system: true });
    const cs = segmentSlot("cs");
    const offset = ir.hold(ir.and(entry, 0xffff));
    const codeLimit = ir.get("i32", segmentField(ir, cs, "limit"));
    ir.if(ir.ltu(codeLimit, offset), () => ir.fault(Vector.GP, 0));
    const pointer = ir.get("i64", gprSlot(Gpr.rsp));
    const low = ir.hold(ir.and(ir.sub(pointer, 6), 0xffff));
    const address = stackRange(ir, currentStack(ir), low, ir.const("i64", 6), () => ir.fault(Vector.SS, 0));
    const values = [
      ir.trunc(ir.get("i64", State.rip), "i16"),
      ir.trunc(selectorOf(ir, "cs"), "i16"),
      ir.hold(ir.trunc(readEflags(ir), "i16")),
    ];
    ir.probeWrite(address, 6);
    storeFrame(ir, address, values, {});
    ir.set(gprSlot(Gpr.rsp), ir.or(ir.and(pointer, ~0xffffn), low));
    const selector = ir.hold(ir.shr(entry, 16));
    const attributes = ir.zext(ir.get("i16", segmentField(ir, cs, "attributes")), "i32");
    setSegment(ir, cs, { selector, base: ir.zext(ir.shl(selector, 4), "i64"), limit: codeLimit, attributes });
    ir.set(State.rip, ir.zext(offset, "i64"));
    ir.set(State.flags, ir.and(ir.get("i32", State.flags), ~(FlagBit.if | FlagBit.tf | FlagBit.ac | FlagBit.rf)));
    ir.set(State.shadow, ir.const("i32", 0));
    ir.return();
  },
);

/**
 * interrupt(vector: i32, errorCode: i32, kind: i32): delivers an interrupt or exception through the IDT in the mode that
 * is in force. State.rip is the address to return to; errorCode is −1 for none; kind is an {@link EventKind}. If it faults,
 * nothing has changed but accessed bits; what a fault on the way to a handler means is the caller's affair.
 * Intel SDM Vol. 2A, "INT n/INTO/INT3/INT1—Call to Interrupt Procedure"; Vol. 3A, "Exception- or Interrupt-Handler Procedures".
 */
export const interrupt = routine(
  "interrupt",
  { parameters: ["i32", "i32", "i32"], results: [], faults: true },
  () => new Builder(),
  (ir, vector, errorCode, kind) => {
    ir.if(isLongModeActive(ir), () => {
      ir.call(interruptLong, vector, errorCode, kind);
      ir.return();
    });
    ir.if(isProtectionEnabled(ir), () => {
      ir.call(interruptProtected, vector, errorCode, kind);
      ir.return();
    });
    ir.call(interruptReal, vector);
    ir.return();
  },
);
