import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { typeOf } from "../../ir/types.ts";
import {
  Attribute,
  SystemType,
  attributesOf,
  dplOf,
  has,
  isCode,
  isLongModeActive,
  segmentField,
  selectorOf,
  setSegment,
} from "../descriptors.ts";
import { isProtectionEnabled, isVirtual8086 } from "../eflags.ts";
import { Vector } from "../exceptions.ts";
import { Gpr, State, gprSlot, segmentSlot } from "../state.ts";
import { checkGate, isCallGate, readCallGate } from "./call-gate.ts";
import {
  checkOffset,
  checkPresence,
  checkReturn,
  checkReturnStack,
  dropInnerSegments,
  entersLong,
  findCode,
  setCode,
} from "./code-segment.ts";
import type { CodeTarget } from "./code-segment.ts";
import { findDescriptor, isNullSelector, markAccessed, selectorError } from "./descriptor.ts";
import type { FoundDescriptor } from "./descriptor.ts";
import { callInner } from "./inner-call.ts";
import { EventKind, interrupt } from "./interrupt.ts";
import { currentStack, pushCurrent, readStack, setCurrentPointer, setStackPointer } from "./stack.ts";
import { enterTask, isTask, taskOfGate } from "./task-gate.ts";
import { TaskSwitch } from "./task-switch.ts";

type Size = 16 | 32 | 64;
const cs = segmentSlot("cs");
const rsp = gprSlot(Gpr.rsp);

/** Neither tables nor privileges: real and virtual-8086 mode. */
function isReal(ir: Builder): Value {
  return ir.or(ir.eqz(isProtectionEnabled(ir)), isVirtual8086(ir));
}

/** Loads CS in real and virtual-8086 mode and goes to `offset`. `commit` runs once nothing can fault. */
function enterReal(ir: Builder, selector: Value, offset: Value, commit: () => void = () => {}): void {
  const limit = ir.get("i32", segmentField(ir, cs, "limit"));
  ir.if(ir.ltu(ir.zext(limit, "i64"), offset), () => ir.fault(Vector.GP, 0));
  const attributes = ir.zext(ir.get("i16", segmentField(ir, cs, "attributes")), "i32");
  commit();
  setSegment(ir, cs, { selector, base: ir.zext(ir.shl(selector, 4), "i64"), limit, attributes });
  ir.set(State.rip, offset);
  ir.end("resynchronise");
}

/** Goes to a checked code segment at the privilege in force. */
function enter(ir: Builder, code: CodeTarget, offset: Value): void {
  markAccessed(ir, code.found);
  setCode(ir, code, ir.get("i32", State.cpl));
  ir.set(State.rip, offset);
  ir.end("resynchronise");
}

/** The privilege checks of a direct far jump or call: nonconforming code must be of CPL, and RPL not beyond it. */
function checkDirect(ir: Builder, { selector, attributes }: CodeTarget): void {
  const cpl = ir.get("i32", State.cpl);
  const dpl = ir.hold(dplOf(ir, attributes));
  const wrong = ir.or(ir.ltu(cpl, ir.and(selector, 3)), ir.ne(dpl, cpl));
  const conforming = has(ir, attributes, Attribute.conforming);
  ir.if(ir.select(conforming, ir.ltu(cpl, dpl), wrong), () => ir.fault(Vector.GP, selectorError(ir, selector)));
}

interface Transfer {
  readonly found: FoundDescriptor;
  readonly attributes: Value;
}
/** Reads what the selector of a far jump or call names. */
function findTarget(ir: Builder, selector: Value): Transfer {
  ir.if(isNullSelector(ir, selector), () => ir.fault(Vector.GP, 0));
  const found = findDescriptor(ir, selector, () => ir.fault(Vector.GP, selectorError(ir, selector)));
  return { found, attributes: ir.hold(attributesOf(ir, found.descriptor)) };
}

/** To the task that a TSS or task gate names; neither exists in IA-32e mode. State.rip is where the old task goes on. */
function transferTask(ir: Builder, selector: Value, { found, attributes }: Transfer, kind: number): void {
  const none = ir.const("i32", -1);
  const legacy = ir.hold(ir.eqz(isLongModeActive(ir)));
  const type = ir.hold(ir.and(attributes, 0x1f));
  const finish = ([vector, code]: [Value, Value]) => {
    ir.if(ir.les(0, vector), () => ir.call(interrupt, vector, code, ir.const("i32", EventKind.hardware)));
    ir.end("resynchronise");
  };
  const transfer = { kind, external: ir.const("i32", 0), errorCode: none };
  ir.if(ir.and(legacy, ir.eq(type, SystemType.taskGate)), () => {
    checkGate(ir, selector, attributes);
    finish(enterTask(ir, taskOfGate(ir, found.descriptor), "available", transfer));
  });
  ir.if(ir.and(legacy, isTask(ir, type)), () => {
    const dpl = ir.hold(dplOf(ir, attributes));
    const outside = ir.or(ir.ltu(dpl, ir.get("i32", State.cpl)), ir.ltu(dpl, ir.and(selector, 3)));
    ir.if(outside, () => ir.fault(Vector.GP, selectorError(ir, selector)));
    finish(enterTask(ir, selector, "available", transfer));
  });
}

/** farJump(selector: i32, offset: i64): ends the instruction; State.rip is the next one's address. Intel SDM Vol. 2A, "JMP—Jump". */
export const farJump = routine(
  "farJump",
  { parameters: ["i32", "i64"], results: [], faults: true },
  () => new Builder(),
  (ir, selector, offset) => {
    ir.if(isReal(ir), () => enterReal(ir, selector, offset));
    const { found, attributes } = findTarget(ir, selector);
    ir.if(isCode(ir, attributes), () => {
      const code = { selector: selector, found, attributes };
      checkDirect(ir, code);
      checkPresence(ir, code);
      checkOffset(ir, code, offset);
      enter(ir, code, offset);
    });
    const type = ir.hold(ir.and(attributes, 0x1f));
    ir.if(isCallGate(ir, type), () => {
      const gate = readCallGate(ir, selector, found.descriptor, attributes);
      const { code } = gate;
      const cpl = ir.get("i32", State.cpl);
      const dpl = ir.hold(dplOf(ir, code.attributes));
      const conforming = has(ir, code.attributes, Attribute.conforming);
      ir.if(ir.select(conforming, ir.ltu(cpl, dpl), ir.ne(dpl, cpl)), () =>
        ir.fault(Vector.GP, selectorError(ir, code.selector)),
      );
      checkPresence(ir, code);
      checkOffset(ir, code, gate.offset);
      enter(ir, code, gate.offset);
    });
    transferTask(ir, selector, { found, attributes }, TaskSwitch.jump);
    ir.fault(Vector.GP, selectorError(ir, selector));
  },
);

/** Pushes CS and the return address as words of one size. @returns what makes them the stack's top. */
function pushReturn(ir: Builder, size: Size, rip: Value): () => void {
  const type = typeOf(size);
  return pushCurrent(ir, [ir.resize(rip, type), ir.resize(selectorOf(ir, "cs"), type)]);
}

/** Calls through a gate to the same privilege: the gate's size is that of what is pushed. */
function callSameGate(ir: Builder, code: CodeTarget, offset: Value, wide: Value, rip: Value): void {
  const pointer = ir.variable(ir.const("i64", 0));
  const push = (size: Size) => {
    const commit = pushReturn(ir, size, rip);
    markAccessed(ir, code.found);
    commit();
    ir.assign(pointer, ir.get("i64", rsp));
  };
  ir.if(
    isLongModeActive(ir),
    () => push(64),
    () =>
      ir.if(
        wide,
        () => push(32),
        () => push(16),
      ),
  );
  enter(ir, code, offset);
}

/**
 * farCall(selector: i32, offset: i64, rip: i64): ends the instruction; `rip`, State.rip too, is the return address.
 * Intel SDM Vol. 2A, "CALL—Call Procedure".
 */
function farCallOf(size: Size): Routine {
  return routine(
    `farCall${size}`,
    { parameters: ["i32", "i64", "i64"], results: [], faults: true },
    () => new Builder(),
    (ir, selector, offset, rip) => {
      ir.if(isReal(ir), () => {
        const limit = ir.get("i32", segmentField(ir, cs, "limit"));
        ir.if(ir.ltu(ir.zext(limit, "i64"), offset), () => ir.fault(Vector.GP, 0));
        enterReal(ir, selector, offset, pushReturn(ir, size, rip));
      });
      const { found, attributes } = findTarget(ir, selector);
      ir.if(isCode(ir, attributes), () => {
        const code = { selector: selector, found, attributes };
        checkDirect(ir, code);
        checkPresence(ir, code);
        checkOffset(ir, code, offset);
        pushReturn(ir, size, rip)();
        enter(ir, code, offset);
      });
      const type = ir.hold(ir.and(attributes, 0x1f));
      ir.if(isCallGate(ir, type), () => {
        const gate = readCallGate(ir, selector, found.descriptor, attributes);
        const { code } = gate;
        const cpl = ir.get("i32", State.cpl);
        const dpl = ir.hold(dplOf(ir, code.attributes));
        ir.if(ir.ltu(cpl, dpl), () => ir.fault(Vector.GP, selectorError(ir, code.selector)));
        checkPresence(ir, code);
        checkOffset(ir, code, gate.offset);
        const inner = ir.and(ir.ltu(dpl, cpl), ir.eqz(has(ir, code.attributes, Attribute.conforming)));
        ir.if(inner, () => callInner(ir, gate, dpl, rip));
        callSameGate(ir, code, gate.offset, gate.wide, rip);
      });
      transferTask(ir, selector, { found, attributes }, TaskSwitch.call);
      ir.fault(Vector.GP, selectorError(ir, selector));
    },
  );
}

/** farReturn(drop: i32): RET far, `drop` bytes of parameters taken off. Intel SDM Vol. 2B, "RET—Return From Procedure". */
function farReturnOf(size: Size): Routine {
  return routine(
    `farReturn${size}`,
    { parameters: ["i32"], results: [], faults: true },
    () => new Builder(),
    (ir, dropped) => {
      const drop = ir.zext(dropped, "i64");
      const words = readStack(ir, size, 2);
      const offset = words[0]!;
      const selector = ir.hold(ir.and(ir.trunc(words[1]!, "i32"), 0xffff));
      const bytes = ir.hold(ir.add(drop, size / 4));
      const popped = () => setCurrentPointer(ir, ir.add(ir.get("i64", rsp), bytes));
      ir.if(isReal(ir), () => enterReal(ir, selector, offset, popped));
      const cpl = ir.get("i32", State.cpl);
      const code = findCode(ir, selector);
      checkReturn(ir, code, cpl);
      const rpl = ir.hold(ir.and(selector, 3));
      ir.if(ir.eq(rpl, cpl), () => {
        checkOffset(ir, code, offset);
        markAccessed(ir, code.found);
        popped();
        setCode(ir, code, rpl);
        ir.set(State.rip, offset);
        ir.end("resynchronise");
      });
      const outer = readStack(ir, size, 2, bytes);
      const pointer = ir.hold(ir.add(outer[0]!, drop));
      const loadStack = checkReturnStack(ir, ir.hold(ir.and(ir.trunc(outer[1]!, "i32"), 0xffff)), code, rpl);
      checkOffset(ir, code, offset);
      markAccessed(ir, code.found);
      ir.set(State.cpl, rpl);
      setCode(ir, code, rpl);
      loadStack();
      ir.if(
        entersLong(ir, code),
        () => ir.set(rsp, pointer),
        () => setStackPointer(ir, currentStack(ir), pointer),
      );
      dropInnerSegments(ir);
      ir.set(State.rip, offset);
      ir.end("resynchronise");
    },
  );
}

export const farCall = { 16: farCallOf(16), 32: farCallOf(32), 64: farCallOf(64) } as const;
export const farReturn = { 16: farReturnOf(16), 32: farReturnOf(32), 64: farReturnOf(64) } as const;
