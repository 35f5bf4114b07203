import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import {
  Attribute,
  SystemType,
  attributesOf,
  baseOf,
  dplOf,
  has,
  isCode,
  isWritableData,
  limitOf,
  segmentField,
  selectorOf,
  setFromDescriptor,
  setNull,
} from "../descriptors.ts";
import { isVirtual8086 } from "../eflags.ts";
import { Vector } from "../exceptions.ts";
import { Gpr, State, gprSlot, segmentSlot } from "../state.ts";
import { findDescriptor, isNullSelector, markAccessed, selectorError } from "./descriptor.ts";
import type { FoundDescriptor } from "./descriptor.ts";
import { enterHandler, pushedFlags } from "./interrupt-frame.ts";
import type { Event } from "./interrupt-frame.ts";
import { mmu } from "./mmu.ts";
import { currentStack, setStackPointer, stackRange, storeFrame } from "./stack.ts";
import type { StackSegment } from "./stack.ts";
import { enterTask, taskOfGate } from "./task-gate.ts";
import { TaskSwitch } from "./task-switch.ts";

const system = { system: true } as const;
const tr = segmentSlot("tr");
const ss = segmentSlot("ss");

/** What delivery needs to know of the gate and its code segment, all checked. */
interface Handler {
  readonly gateType: Value;
  readonly wide: Value;
  readonly selector: Value;
  readonly offset: Value;
  readonly code: FoundDescriptor;
  readonly dpl: Value;
  readonly inner: Value;
}

/** Reads and checks the gate. @returns its eight bytes and attributes. */
function readGate(ir: Builder, { vector, kind, external }: Event): [gate: Value, attributes: Value] {
  const error = ir.hold(ir.or(ir.or(ir.shl(vector, 3), 2), external));
  const at = ir.hold(ir.shl(vector, 3));
  ir.if(ir.ltu(ir.get("i32", State.idtrLimit), ir.or(at, 7)), () => ir.fault(Vector.GP, error));
  const gate = ir.load("i64", ir.add(ir.get("i64", State.idtrBase), ir.zext(at, "i64")), system);
  const attributes = ir.hold(attributesOf(ir, gate));
  const type = ir.and(attributes, 0x1f);
  // 16- and 32-bit interrupt and trap gates, and task gates.
  const known = ir.or(ir.eq(ir.and(type, 0x16), 6), ir.eq(type, 5));
  ir.if(ir.eqz(known), () => ir.fault(Vector.GP, error));
  ir.if(ir.and(ir.ne(kind, 0), ir.ltu(dplOf(ir, attributes), ir.get("i32", State.cpl))), () =>
    ir.fault(Vector.GP, error),
  );
  ir.if(ir.eqz(has(ir, attributes, Attribute.present)), () => ir.fault(Vector.NP, error));
  return [gate, attributes];
}

/** Reads and checks the code segment of an interrupt or trap gate. */
function readHandler(ir: Builder, gate: Value, gateType: Value, external: Value): Handler {
  const selector = ir.hold(ir.and(ir.trunc(ir.shr(gate, 16), "i32"), 0xffff));
  ir.if(isNullSelector(ir, selector), () => ir.fault(Vector.GP, external));
  const refuse = () => ir.fault(Vector.GP, selectorError(ir, selector, external));
  const code = findDescriptor(ir, selector, refuse);
  const attributes = ir.hold(attributesOf(ir, code.descriptor));
  const cpl = ir.get("i32", State.cpl);
  const dpl = ir.hold(dplOf(ir, attributes));
  ir.if(ir.or(ir.eqz(isCode(ir, attributes)), ir.ltu(cpl, dpl)), refuse);
  ir.if(ir.eqz(has(ir, attributes, Attribute.present)), () =>
    ir.fault(Vector.NP, selectorError(ir, selector, external)),
  );
  const inner = ir.hold(ir.and(ir.eqz(has(ir, attributes, Attribute.conforming)), ir.ltu(dpl, cpl)));
  // Out of virtual-8086 mode only ring 0 is entered.
  ir.if(ir.and(isVirtual8086(ir), ir.or(ir.eqz(inner), ir.ne(dpl, 0))), refuse);
  const wide = ir.hold(has(ir, gateType, 8));
  const full = ir.or(ir.and(gate, 0xffff), ir.and(ir.shr(gate, 32), 0xffff0000));
  const offset = ir.hold(ir.select(wide, full, ir.and(gate, 0xffff)));
  ir.if(ir.ltu(ir.zext(limitOf(ir, code.descriptor), "i64"), offset), () => ir.fault(Vector.GP, external));
  return { gateType, wide, selector, offset, code, dpl, inner };
}

/** The stack of ring `dpl` as the TSS has it: its pointer and checked segment. */
export interface InnerStack {
  readonly selector: Value;
  readonly pointer: Value;
  readonly found: FoundDescriptor;
  readonly segment: StackSegment;
}

/**
 * Reads SS and ESP of ring `dpl` from the 16- or 32-bit TSS and checks the segment: #TS, or #SS where it is not present.
 * Intel SDM Vol. 3A, "Stack Switching".
 */
export function readInnerStack(ir: Builder, dpl: Value, external: Value): InnerStack {
  const type = ir.zext(ir.get("i16", segmentField(ir, tr, "attributes")), "i32");
  const limit = ir.get("i32", segmentField(ir, tr, "limit"));
  const base = ir.get("i64", tr);
  const refuseTask = () => ir.fault(Vector.TS, selectorError(ir, selectorOf(ir, "tr"), external));
  const pointer = ir.variable(ir.const("i64", 0));
  const stack = ir.variable(ir.const("i32", 0));
  ir.if(
    has(ir, type, 8),
    () => {
      const at = ir.hold(ir.add(ir.shl(dpl, 3), 4));
      ir.if(ir.ltu(limit, ir.add(at, 7)), refuseTask);
      const address = ir.hold(ir.add(base, ir.zext(at, "i64")));
      ir.assign(pointer, ir.zext(ir.load("i32", address, system), "i64"));
      ir.assign(stack, ir.zext(ir.load("i16", ir.add(address, 4), system), "i32"));
    },
    () => {
      const at = ir.hold(ir.add(ir.shl(dpl, 2), 2));
      ir.if(ir.ltu(limit, ir.add(at, 3)), refuseTask);
      const address = ir.hold(ir.add(base, ir.zext(at, "i64")));
      ir.assign(pointer, ir.zext(ir.load("i16", address, system), "i64"));
      ir.assign(stack, ir.zext(ir.load("i16", ir.add(address, 2), system), "i32"));
    },
  );
  const selector = ir.read(stack);
  ir.if(isNullSelector(ir, selector), () => ir.fault(Vector.TS, external));
  const refuse = () => ir.fault(Vector.TS, selectorError(ir, selector, external));
  const found = findDescriptor(ir, selector, refuse);
  const attributes = ir.hold(attributesOf(ir, found.descriptor));
  const wrongLevel = ir.or(ir.ne(ir.and(selector, 3), dpl), ir.ne(dplOf(ir, attributes), dpl));
  ir.if(ir.or(wrongLevel, ir.eqz(isWritableData(ir, attributes))), refuse);
  ir.if(ir.eqz(has(ir, attributes, Attribute.present)), () =>
    ir.fault(Vector.SS, selectorError(ir, selector, external)),
  );
  const segment = {
    base: ir.hold(baseOf(ir, found.descriptor)),
    limit: ir.hold(limitOf(ir, found.descriptor)),
    attributes,
  };
  return { selector, pointer: ir.read(pointer), found, segment };
}

/** Pushes `values` (the last first) as 32- or 16-bit words below `pointer`. @returns what the stack pointer becomes. */
function pushWords(
  ir: Builder,
  segment: StackSegment,
  pointer: Value,
  values: readonly Value[],
  event: Event,
  wide: boolean,
  access: { readonly system?: true },
  refuse: () => void,
): Value {
  const size = wide ? 4 : 2;
  const withCode = ir.hold(ir.les(0, event.errorCode));
  const frameBytes = values.length * size;
  const bytes = ir.hold(ir.select(withCode, ir.const("i64", frameBytes + size), ir.const("i64", frameBytes)));
  const low = ir.hold(ir.sub(pointer, bytes));
  const address = stackRange(ir, segment, low, bytes, refuse);
  const frame = ir.hold(ir.add(address, ir.sub(bytes, frameBytes)));
  ir.probeWrite(address, size, access);
  ir.probeWrite(frame, frameBytes, access);
  const word = (value: Value) => (wide ? value : ir.trunc(value, "i16"));
  storeFrame(ir, frame, values.map(word), access);
  ir.if(withCode, () => ir.store(address, word(event.errorCode), access));
  return low;
}

/** Loads CS, EIP, CPL and flags of the handler. */
function enter(ir: Builder, handler: Handler): void {
  const cpl = ir.get("i32", State.cpl);
  setFromDescriptor(ir, segmentSlot("cs"), ir.or(ir.and(handler.selector, 0xfffc), cpl), handler.code.descriptor);
  ir.set(State.rip, handler.offset);
  enterHandler(ir, handler.gateType);
  ir.call(mmu.updateMode);
  ir.return();
}

/** To a handler of higher privilege, out of virtual-8086 mode too. */
function deliverInner(ir: Builder, handler: Handler, event: Event): void {
  const stack = readInnerStack(ir, handler.dpl, event.external);
  const refuse = () => ir.fault(Vector.SS, selectorError(ir, stack.selector, event.external));
  const flags = ir.hold(pushedFlags(ir, event));
  const eip = ir.trunc(ir.get("i64", State.rip), "i32");
  const esp = ir.trunc(ir.get("i64", gprSlot(Gpr.rsp)), "i32");
  const common = [eip, selectorOf(ir, "cs"), flags, esp, selectorOf(ir, "ss")];
  const fromVirtual = ir.hold(isVirtual8086(ir));
  const data = [selectorOf(ir, "es"), selectorOf(ir, "ds"), selectorOf(ir, "fs"), selectorOf(ir, "gs")];
  markAccessed(ir, handler.code);
  markAccessed(ir, stack.found);
  const pointer = ir.variable(ir.const("i64", 0));
  const push = (values: readonly Value[], wide: boolean) =>
    ir.assign(pointer, pushWords(ir, stack.segment, stack.pointer, values, event, wide, system, refuse));
  const both = (values: readonly Value[]) =>
    ir.if(
      handler.wide,
      () => push(values, true),
      () => push(values, false),
    );
  ir.if(
    fromVirtual,
    () => {
      both([...common, ...data]);
      for (const name of ["es", "ds", "fs", "gs"] as const) setNull(ir, segmentSlot(name), ir.const("i32", 0));
    },
    () => both(common),
  );
  ir.set(State.cpl, handler.dpl);
  setFromDescriptor(ir, ss, stack.selector, stack.found.descriptor);
  setStackPointer(ir, stack.segment, ir.read(pointer));
  enter(ir, handler);
}

/** To a handler of the same privilege, on the stack in use. */
function deliverSame(ir: Builder, handler: Handler, event: Event): void {
  const segment = currentStack(ir);
  const refuse = () => ir.fault(Vector.SS, event.external);
  const values = [ir.trunc(ir.get("i64", State.rip), "i32"), selectorOf(ir, "cs"), ir.hold(pushedFlags(ir, event))];
  const esp = ir.get("i64", gprSlot(Gpr.rsp));
  const pointer = ir.variable(ir.const("i64", 0));
  const push = (wide: boolean) => ir.assign(pointer, pushWords(ir, segment, esp, values, event, wide, {}, refuse));
  markAccessed(ir, handler.code);
  ir.if(
    handler.wide,
    () => push(true),
    () => push(false),
  );
  setStackPointer(ir, segment, ir.read(pointer));
  enter(ir, handler);
}

/**
 * interruptProtected(vector: i32, errorCode: i32, kind: i32): delivery in protected and virtual-8086 mode.
 * Intel SDM Vol. 3A, "Exception- or Interrupt-Handler Procedures".
 */
export const interruptProtected: Routine = routine(
  "interruptProtected",
  { parameters: ["i32", "i32", "i32"], results: [], faults: true },
  () => new Builder(),
  (ir, vector, errorCode, kind) => {
    const external = ir.hold(ir.zext(ir.eqz(kind), "i32"));
    const event: Event = { vector: vector, errorCode: errorCode, kind: kind, external };
    const [gate, attributes] = readGate(ir, event);
    ir.if(ir.eq(ir.and(attributes, 0x1f), SystemType.taskGate), () => {
      const transfer = { kind: TaskSwitch.call, external, errorCode: errorCode };
      const [next, nextCode] = enterTask(ir, taskOfGate(ir, gate), "available", transfer);
      // An exception of the new task's own, before its first instruction.
      ir.if(ir.les(0, next), () => ir.call(interruptProtected, next, nextCode, ir.const("i32", 0)));
      ir.return();
    });
    const handler = readHandler(ir, gate, ir.and(attributes, 0x1f), external);
    ir.if(
      handler.inner,
      () => deliverInner(ir, handler, event),
      () => deliverSame(ir, handler, event),
    );
  },
);
