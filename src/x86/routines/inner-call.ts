import type { Builder } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import {
  isCanonical,
  isLongModeActive,
  segmentField,
  selectorOf,
  setFromDescriptor,
  setNullStack,
} from "../descriptors.ts";
import { Vector } from "../exceptions.ts";
import { Gpr, State, gprSlot, segmentSlot } from "../state.ts";
import type { CallGate } from "./call-gate.ts";
import { setCode } from "./code-segment.ts";
import { markAccessed, selectorError } from "./descriptor.ts";
import { readInnerStack } from "./interrupt-protected.ts";
import { currentStack, setStackPointer, stackRange, storeFrame } from "./stack.ts";

const system = { system: true } as const;
const tr = segmentSlot("tr");
const rsp = gprSlot(Gpr.rsp);

/** Loads CS and RIP at the inner privilege and ends the instruction. */
function arrive(ir: Builder, { code, offset }: CallGate, dpl: Value): void {
  markAccessed(ir, code.found);
  ir.set(State.cpl, dpl);
  setCode(ir, code, dpl);
  ir.set(State.rip, offset);
  ir.end("resynchronise");
}

/** In IA-32e mode: RSP from the TSS, a null SS, four pushes of eight bytes, no parameters. */
function callInnerLong(ir: Builder, gate: CallGate, dpl: Value, rip: Value): void {
  const none = ir.const("i32", 0);
  const at = ir.hold(ir.add(ir.shl(dpl, 3), 4));
  ir.if(ir.ltu(ir.get("i32", segmentField(ir, tr, "limit")), ir.add(at, 7)), () => {
    ir.fault(Vector.TS, selectorError(ir, selectorOf(ir, "tr")));
  });
  const top = ir.load("i64", ir.add(ir.get("i64", tr), ir.zext(at, "i64")), system);
  const bottom = ir.hold(ir.sub(top, 32));
  ir.if(ir.eqz(ir.and(isCanonical(ir, bottom), isCanonical(ir, ir.sub(top, 1)))), () => ir.fault(Vector.SS, none));
  const wide = (value: Value) => ir.hold(ir.zext(value, "i64"));
  const values = [rip, wide(selectorOf(ir, "cs")), ir.get("i64", rsp), wide(selectorOf(ir, "ss"))];
  markAccessed(ir, gate.code.found);
  ir.probeWrite(bottom, 32, system);
  storeFrame(ir, bottom, values, system);
  setNullStack(ir, dpl);
  ir.set(rsp, bottom);
  arrive(ir, gate, dpl);
}

/** Copies the gate's parameters and pushes the old stack and the return address on the new one. */
function pushInner(ir: Builder, gate: CallGate, dpl: Value, rip: Value, size: 16 | 32): void {
  const bytes = size / 8;
  const type = size === 16 ? "i16" : "i32";
  const stack = readInnerStack(ir, dpl, ir.const("i32", 0));
  const count = ir.hold(ir.zext(gate.count, "i64"));
  const length = ir.hold(ir.add(ir.mul(count, bytes), 4 * bytes));
  const low = ir.hold(ir.sub(stack.pointer, length));
  const refuse = () => ir.fault(Vector.SS, selectorError(ir, stack.selector));
  const frame = stackRange(ir, stack.segment, low, length, refuse);
  ir.probeWrite(frame, 2 * bytes, system);
  const old = ir.hold(ir.add(frame, ir.sub(length, 2 * bytes)));
  ir.probeWrite(old, 2 * bytes, system);
  const parameters = ir.variable(ir.const("i64", 0));
  ir.if(ir.ne(count, 0), () => {
    const from = stackRange(ir, currentStack(ir), ir.get("i64", rsp), ir.mul(count, bytes), () =>
      ir.fault(Vector.SS, 0),
    );
    ir.assign(parameters, from);
  });
  const index = ir.variable(ir.const("i64", 0));
  ir.loop((loop) => {
    const now = ir.read(index);
    ir.if(ir.leu(count, now), () => ir.break(loop));
    const word = ir.load(type, ir.add(ir.read(parameters), ir.mul(now, bytes)));
    ir.store(ir.add(frame, ir.add(ir.mul(now, bytes), 2 * bytes)), word, system);
    ir.assign(index, ir.add(now, 1));
    ir.continue(loop);
  });
  const word = (value: Value) => ir.hold(ir.resize(value, type));
  storeFrame(ir, frame, [word(rip), word(selectorOf(ir, "cs"))], system);
  storeFrame(ir, old, [word(ir.get("i64", rsp)), word(selectorOf(ir, "ss"))], system);
  markAccessed(ir, stack.found);
  setFromDescriptor(ir, segmentSlot("ss"), stack.selector, stack.found.descriptor);
  setStackPointer(ir, stack.segment, low);
  arrive(ir, gate, dpl);
}

/** A call through a gate to higher privilege, with a change of stacks. Ends the instruction. Intel SDM Vol. 3A, "Stack Switching". */
export function callInner(ir: Builder, gate: CallGate, dpl: Value, rip: Value): void {
  ir.if(isLongModeActive(ir), () => callInnerLong(ir, gate, dpl, rip));
  ir.if(
    gate.wide,
    () => pushInner(ir, gate, dpl, rip, 32),
    () => pushInner(ir, gate, dpl, rip, 16),
  );
}
