import { Builder, routine } from "../../ir/builder.ts";
import type { Value, Variable } from "../../ir/node.ts";
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
  setSegment,
  virtual8086Attributes,
} from "../descriptors.ts";
import { FlagBit, readEflags, writeEflags } from "../eflags.ts";
import { Vector } from "../exceptions.ts";
import { Cr0 } from "../paging.ts";
import { Gpr, State, gprSlot, segmentSlot } from "../state.ts";
import type { Segment } from "../state.ts";
import { isNullSelector, markAccessed, readDescriptor, selectorError } from "./descriptor.ts";
import type { FoundDescriptor } from "./descriptor.ts";
import { mmu } from "./mmu.ts";
import { currentStack, setStackPointer, stackRange } from "./stack.ts";
import { loadField, loadSelector, storeField, storeSelector, task16, task32, taskRegisters } from "./task-state.ts";
import type { TaskFormat } from "./task-state.ts";

/** How a task is left for another. */
export const TaskSwitch = {
  /** JMP: the old task is no longer busy. */
  jump: 0,
  /** CALL, or an interrupt through a task gate: the new task is nested in the old one. */
  call: 1,
  /** IRET with NT: back to the task that the old one was nested in. */
  return: 2,
} as const;

const system = { system: true } as const;
const tr = segmentSlot("tr");
const segments = ["es", "cs", "ss", "ds", "fs", "gs"] as const;

/** A TSS descriptor that the switch may use. */
export interface TaskTarget extends FoundDescriptor {
  readonly selector: Value;
  readonly attributes: Value;
}

/** Saves the old task's registers. `rip` and `flags` are what it goes on with. */
function save(ir: Builder, format: TaskFormat, base: Value, flags: Value): void {
  storeField(ir, format, base, format.eip, 0, ir.trunc(ir.get("i64", State.rip), "i32"));
  storeField(ir, format, base, format.eflags, 0, flags);
  taskRegisters.forEach((name, index) =>
    storeField(ir, format, base, format.registers, index, ir.get("i32", gprSlot(Gpr[name]))),
  );
  format.segmentNames.forEach((name, index) =>
    storeSelector(ir, format, base, format.segments, index, selectorOf(ir, name)),
  );
}

/** What a TSS holds, read before anything changes; selectors of a format that lacks them are 0. */
interface Loaded {
  readonly cr3: Variable;
  readonly eip: Variable;
  readonly eflags: Variable;
  readonly registers: readonly Variable[];
  readonly selectors: Readonly<Record<(typeof segments)[number], Variable>>;
  readonly ldt: Variable;
  readonly trap: Variable;
}
function variables(ir: Builder): Loaded {
  const zero = () => ir.variable(ir.const("i32", 0));
  return {
    cr3: zero(), eip: zero(), eflags: zero(), ldt: zero(), trap: zero(),
    registers: taskRegisters.map(zero),
    selectors: { es: zero(), cs: zero(), ss: zero(), ds: zero(), fs: zero(), gs: zero() },
  }; // prettier-ignore
}
function read(ir: Builder, format: TaskFormat, base: Value, into: Loaded): void {
  if (format.cr3 !== undefined) ir.assign(into.cr3, loadField(ir, format, base, format.cr3));
  ir.assign(into.eip, loadField(ir, format, base, format.eip));
  ir.assign(into.eflags, loadField(ir, format, base, format.eflags));
  into.registers.forEach((variable, index) =>
    ir.assign(variable, loadField(ir, format, base, format.registers, index)),
  );
  format.segmentNames.forEach((name, index) => {
    ir.assign(
      into.selectors[name as keyof Loaded["selectors"]],
      loadSelector(ir, format, base, format.segments, index),
    );
  });
  ir.assign(into.ldt, loadSelector(ir, format, base, format.ldt));
  if (format.trap !== undefined) ir.assign(into.trap, ir.and(loadField(ir, format, base, format.trap), 1));
}

/** Ends the routine with an exception of the new task. */
function raise(ir: Builder, vector: number, code: Value): void {
  ir.return(ir.const("i32", vector), code);
}

/** Reads a descriptor for the new task; one outside its table is #TS. */
function find(
  ir: Builder,
  selector: Value,
  external: Value,
): { found: FoundDescriptor; attributes: Value; refuse: () => void } {
  const refuse = () => raise(ir, Vector.TS, selectorError(ir, selector, external));
  const [descriptor, address] = ir.call(readDescriptor, selector) as [Value, Value];
  ir.if(ir.eq(address, -1), refuse);
  return { found: { descriptor, address }, attributes: ir.hold(attributesOf(ir, descriptor)), refuse };
}

function loadLdt(ir: Builder, selector: Value, external: Value): void {
  ir.if(ir.eqz(isNullSelector(ir, selector)), () => {
    ir.if(has(ir, selector, 4), () => raise(ir, Vector.TS, selectorError(ir, selector, external)));
    const { found, attributes, refuse } = find(ir, selector, external);
    const usable = ir.eq(ir.and(attributes, 0x9f), Attribute.present | SystemType.ldt);
    ir.if(ir.eqz(usable), refuse);
    setSegment(ir, segmentSlot("ldtr"), {
      selector,
      base: baseOf(ir, found.descriptor),
      limit: limitOf(ir, found.descriptor),
      attributes,
    });
  });
}

function loadCode(ir: Builder, selector: Value, external: Value): void {
  ir.if(isNullSelector(ir, selector), () => raise(ir, Vector.TS, external));
  const { found, attributes, refuse } = find(ir, selector, external);
  const rpl = ir.hold(ir.and(selector, 3));
  const dpl = ir.hold(dplOf(ir, attributes));
  const wrongLevel = ir.select(has(ir, attributes, Attribute.conforming), ir.ltu(rpl, dpl), ir.ne(rpl, dpl));
  ir.if(ir.or(ir.eqz(isCode(ir, attributes)), wrongLevel), refuse);
  ir.if(ir.eqz(has(ir, attributes, Attribute.present)), () =>
    raise(ir, Vector.NP, selectorError(ir, selector, external)),
  );
  markAccessed(ir, found);
  setFromDescriptor(ir, segmentSlot("cs"), selector, found.descriptor);
}

function loadStack(ir: Builder, selector: Value, external: Value): void {
  ir.if(isNullSelector(ir, selector), () => raise(ir, Vector.TS, external));
  const { found, attributes, refuse } = find(ir, selector, external);
  const cpl = ir.get("i32", State.cpl);
  const wrongLevel = ir.or(ir.ne(ir.and(selector, 3), cpl), ir.ne(dplOf(ir, attributes), cpl));
  ir.if(ir.or(ir.eqz(isWritableData(ir, attributes)), wrongLevel), refuse);
  ir.if(ir.eqz(has(ir, attributes, Attribute.present)), () =>
    raise(ir, Vector.SS, selectorError(ir, selector, external)),
  );
  markAccessed(ir, found);
  setFromDescriptor(ir, segmentSlot("ss"), selector, found.descriptor);
}

function loadData(ir: Builder, name: Segment, selector: Value, external: Value): void {
  ir.if(ir.eqz(isNullSelector(ir, selector)), () => {
    const { found, attributes, refuse } = find(ir, selector, external);
    const dpl = ir.hold(dplOf(ir, attributes));
    const executeOnly = ir.eq(ir.and(attributes, Attribute.code | Attribute.readable), Attribute.code);
    ir.if(ir.or(ir.eqz(has(ir, attributes, Attribute.application)), executeOnly), refuse);
    const outside = ir.or(ir.ltu(dpl, ir.get("i32", State.cpl)), ir.ltu(dpl, ir.and(selector, 3)));
    const bits = Attribute.code | Attribute.conforming;
    ir.if(ir.and(outside, ir.ne(ir.and(attributes, bits), bits)), refuse);
    ir.if(ir.eqz(has(ir, attributes, Attribute.present)), () =>
      raise(ir, Vector.NP, selectorError(ir, selector, external)),
    );
    markAccessed(ir, found);
    setFromDescriptor(ir, segmentSlot(name), selector, found.descriptor);
  });
}

/** Virtual-8086 mode: bases from selectors, no tables. */
function loadVirtual(ir: Builder, loaded: Loaded): void {
  for (const name of segments) {
    const selector = ir.read(loaded.selectors[name]);
    const base = ir.zext(ir.shl(selector, 4), "i64");
    setSegment(ir, segmentSlot(name), {
      selector,
      base,
      limit: ir.const("i32", 0xffff),
      attributes: ir.const("i32", virtual8086Attributes),
    });
  }
  ir.set(State.cpl, ir.const("i32", 3));
}

/** Pushes the error code of the exception whose handler the new task is. */
function pushError(ir: Builder, wide: Value, errorCode: Value, external: Value): void {
  const push = (bytes: 2 | 4) => () => {
    const segment = currentStack(ir);
    const low = ir.hold(ir.sub(ir.get("i64", gprSlot(Gpr.rsp)), bytes));
    const address = stackRange(ir, segment, low, ir.const("i64", bytes), () => raise(ir, Vector.SS, external));
    ir.store(address, bytes === 4 ? errorCode : ir.trunc(errorCode, "i16"));
    setStackPointer(ir, segment, low);
  };
  ir.if(ir.les(0, errorCode), () => ir.if(wide, push(4), push(2)));
}

/** Runs `body` for the format that a TSS's type selects. */
function byFormat(ir: Builder, attributes: Value, body: (format: TaskFormat) => void): void {
  ir.if(
    has(ir, attributes, 8),
    () => body(task32),
    () => body(task16),
  );
}

function setBusy(ir: Builder, address: Value, attributes: Value, busy: boolean): void {
  const type = busy ? ir.or(attributes, 2) : ir.and(attributes, ~2);
  ir.store(ir.add(address, 5), ir.trunc(type, "i8"), system);
}

/** Clears the busy flag of the task that is left, in its descriptor. */
function clearOldBusy(ir: Builder): void {
  const [descriptor, address] = ir.call(readDescriptor, selectorOf(ir, "tr")) as [Value, Value];
  ir.if(ir.ne(address, -1), () => setBusy(ir, address, attributesOf(ir, descriptor), false));
}

/** Loads the new task's state, then its segments one by one; from here on exceptions are the new task's. */
function enterTask(
  ir: Builder,
  target: TaskTarget,
  base: Value,
  loaded: Loaded,
  kind: Value,
  external: Value,
  errorCode: Value,
): void {
  const wide = ir.hold(has(ir, target.attributes, 8));
  const busy = ir.or(target.attributes, 2);
  setSegment(ir, tr, { selector: target.selector, base, limit: limitOf(ir, target.descriptor), attributes: busy });
  const cr0 = ir.get("i64", State.cr0);
  ir.set(State.cr0, ir.or(cr0, Cr0.ts));
  const dr7 = State.dr + 7 * 8;
  ir.set(dr7, ir.and(ir.get("i64", dr7), ~0x155n));
  ir.if(ir.and(wide, has(ir, cr0, Cr0.pg)), () => ir.call(mmu.loadCr3, ir.zext(ir.read(loaded.cr3), "i64")));
  const nested = ir.select(ir.eq(kind, TaskSwitch.call), ir.const("i32", FlagBit.nt), ir.const("i32", 0));
  writeEflags(ir, ir.hold(ir.or(ir.read(loaded.eflags), nested)), ir.const("i32", 0x003f7fd5));
  taskRegisters.forEach((name, index) => ir.set(gprSlot(Gpr[name]), ir.zext(ir.read(loaded.registers[index]!), "i64")));
  ir.set(State.rip, ir.zext(ir.read(loaded.eip), "i64"));
  // Until they are found valid, nothing can be reached through the new selectors.
  for (const name of segments) setNull(ir, segmentSlot(name), ir.read(loaded.selectors[name]));
  setNull(ir, segmentSlot("ldtr"), ir.read(loaded.ldt));
  const cs = ir.read(loaded.selectors.cs);
  ir.set(State.cpl, ir.and(cs, 3));
  loadLdt(ir, ir.read(loaded.ldt), external);
  ir.if(
    has(ir, ir.get("i32", State.flags), FlagBit.vm),
    () => loadVirtual(ir, loaded),
    () => {
      loadCode(ir, cs, external);
      loadStack(ir, ir.read(loaded.selectors.ss), external);
      for (const name of ["ds", "es", "fs", "gs"] as const)
        loadData(ir, name, ir.read(loaded.selectors[name]), external);
    },
  );
  ir.call(mmu.updateMode);
  pushError(ir, wide, errorCode, external);
  const limit = ir.get("i32", segmentField(ir, segmentSlot("cs"), "limit"));
  ir.if(ir.ltu(limit, ir.read(loaded.eip)), () => raise(ir, Vector.GP, external));
  ir.if(ir.ne(ir.read(loaded.trap), 0), () => {
    const dr6 = State.dr + 6 * 8;
    ir.set(dr6, ir.or(ir.get("i64", dr6), 1 << 15));
    raise(ir, Vector.DB, ir.const("i32", -1));
  });
  raise(ir, -1, ir.const("i32", -1));
}

/**
 * taskSwitch(selector: i32, kind: i32, external: i32, errorCode: i32) → (vector: i32, errorCode: i32): leaves the current task
 * for the one whose TSS `selector` names; its descriptor's kind and presence are checked by then. State.rip is where the old
 * task goes on. A fault that the routine raises itself comes before anything changed; one of the new task is the result,
 * which is −1 for none. Not for IA-32e mode. Intel SDM Vol. 3A, "Task Switching".
 */
export const taskSwitch = routine(
  "taskSwitch",
  { parameters: ["i32", "i32", "i32", "i32"], results: ["i32", "i32"], faults: true },
  () => new Builder(),
  (ir, selector, kind, external, errorCode) => {
    const [descriptor, address] = ir.call(readDescriptor, selector) as [Value, Value];
    const attributes = ir.hold(attributesOf(ir, descriptor));
    const target: TaskTarget = { selector: selector, descriptor, address, attributes };
    const base = ir.hold(baseOf(ir, descriptor));
    const limit = limitOf(ir, descriptor);
    const wide = has(ir, attributes, 8);
    ir.if(ir.ltu(limit, ir.select(wide, ir.const("i32", task32.limit), ir.const("i32", task16.limit))), () => {
      ir.fault(Vector.TS, selectorError(ir, selector, external));
    });
    const loaded = variables(ir);
    byFormat(ir, attributes, (format) => {
      ir.if(ir.eq(kind, TaskSwitch.call), () => ir.probeWrite(base, 2, system));
      read(ir, format, base, loaded);
    });
    const oldBase = ir.get("i64", tr);
    const oldSelector = ir.hold(selectorOf(ir, "tr"));
    const oldAttributes = ir.zext(ir.get("i16", segmentField(ir, tr, "attributes")), "i32");
    const flags = readEflags(ir);
    const returns = ir.hold(ir.eq(kind, TaskSwitch.return));
    const saved = ir.hold(ir.select(returns, ir.and(flags, ~FlagBit.nt), flags));
    byFormat(ir, oldAttributes, (format) => {
      ir.probeWrite(ir.add(oldBase, format.eip), format.ldt - format.eip, system);
      save(ir, format, oldBase, saved);
    });
    ir.if(ir.ne(kind, TaskSwitch.call), () => clearOldBusy(ir));
    ir.if(ir.eqz(returns), () => setBusy(ir, address, attributes, true));
    ir.if(ir.eq(kind, TaskSwitch.call), () => ir.store(base, ir.trunc(oldSelector, "i16"), system));
    enterTask(ir, target, base, loaded, kind, external, errorCode);
  },
);
