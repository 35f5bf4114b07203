import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import {
  Attribute,
  attributesOf,
  dplOf,
  has,
  isCanonical,
  isCode,
  segmentField,
  selectorOf,
  setFromDescriptor,
  setNullStack,
} from "../descriptors.ts";
import { Vector } from "../exceptions.ts";
import { Gpr, State, gprSlot, segmentSlot } from "../state.ts";
import { findDescriptor, isNullSelector, markAccessed, selectorError } from "./descriptor.ts";
import type { FoundDescriptor } from "./descriptor.ts";
import { enterHandler, pushedFlags } from "./interrupt-frame.ts";
import type { Event } from "./interrupt-frame.ts";
import { mmu } from "./mmu.ts";
import { crossesPage, storeFrame } from "./stack.ts";

const system = { system: true } as const;
const tr = segmentSlot("tr");

/** A 16-byte gate and the code segment that it leads to, all of which has been checked. */
interface Gate {
  /** The first eight bytes, and the handler's address. */
  readonly low: Value;
  readonly offset: Value;
  readonly selector: Value;
  readonly code: FoundDescriptor;
  readonly dpl: Value;
  /** The handler runs at a higher privilege. */
  readonly inner: Value;
}

/** Reads and checks the vector's gate and its code segment. */
function readGate(ir: Builder, { vector, kind, external }: Event): Gate {
  const error = ir.hold(ir.or(ir.or(ir.shl(vector, 3), 2), external));
  const at = ir.hold(ir.shl(vector, 4));
  ir.if(ir.ltu(ir.get("i32", State.idtrLimit), ir.or(at, 15)), () => ir.fault(Vector.GP, error));
  const address = ir.hold(ir.add(ir.get("i64", State.idtrBase), ir.zext(at, "i64")));
  const low = ir.load("i64", address, system);
  const high = ir.load("i64", ir.add(address, 8), system);
  const gate = ir.hold(attributesOf(ir, low));
  const cpl = ir.get("i32", State.cpl);
  // Types 14 and 15, S clear.
  ir.if(ir.ne(ir.and(gate, 0x1e), 0x0e), () => ir.fault(Vector.GP, error));
  ir.if(ir.and(ir.ne(kind, 0), ir.ltu(dplOf(ir, gate), cpl)), () => ir.fault(Vector.GP, error));
  ir.if(ir.eqz(has(ir, gate, Attribute.present)), () => ir.fault(Vector.NP, error));
  const selector = ir.hold(ir.and(ir.trunc(ir.shr(low, 16), "i32"), 0xffff));
  ir.if(isNullSelector(ir, selector), () => ir.fault(Vector.GP, external));
  const refuse = () => ir.fault(Vector.GP, selectorError(ir, selector, external));
  const code = findDescriptor(ir, selector, refuse);
  const attributes = ir.hold(attributesOf(ir, code.descriptor));
  const dpl = ir.hold(dplOf(ir, attributes));
  ir.if(ir.or(ir.eqz(isCode(ir, attributes)), ir.ltu(cpl, dpl)), refuse);
  ir.if(ir.ne(ir.and(attributes, Attribute.long | Attribute.big), Attribute.long), refuse);
  ir.if(ir.eqz(has(ir, attributes, Attribute.present)), () =>
    ir.fault(Vector.NP, selectorError(ir, selector, external)),
  );
  const offset = ir.hold(ir.or(ir.or(ir.and(low, 0xffff), ir.and(ir.shr(low, 32), 0xffff0000)), ir.shl(high, 32)));
  ir.if(ir.eqz(isCanonical(ir, offset)), () => ir.fault(Vector.GP, external));
  const inner = ir.hold(ir.and(ir.eqz(has(ir, attributes, Attribute.conforming)), ir.ltu(dpl, cpl)));
  return { low, offset, selector, code, dpl, inner };
}

/** The stack pointer that the gate's IST or the change of privilege selects, aligned. Intel SDM Vol. 3A, "64-Bit Mode Stack Frame". */
function selectStack(ir: Builder, { low, dpl, inner }: Gate, external: Value): Value {
  const ist = ir.hold(ir.and(ir.trunc(ir.shr(low, 32), "i32"), 7));
  const pointer = ir.variable(ir.get("i64", gprSlot(Gpr.rsp)));
  ir.if(ir.or(inner, ir.ne(ist, 0)), () => {
    const ofIst = ir.add(ir.shl(ist, 3), 28);
    const at = ir.hold(ir.select(ir.eqz(ist), ir.add(ir.shl(dpl, 3), 4), ofIst));
    ir.if(ir.ltu(ir.get("i32", segmentField(ir, tr, "limit")), ir.add(at, 7)), () => {
      ir.fault(Vector.TS, selectorError(ir, selectorOf(ir, "tr"), external));
    });
    ir.assign(pointer, ir.load("i64", ir.add(ir.get("i64", tr), ir.zext(at, "i64")), system));
  });
  return ir.and(ir.read(pointer), -16n);
}

/**
 * interruptLong(vector: i32, errorCode: i32, kind: i32): delivery in IA-32e mode. The frame has SS and RSP whatever the
 * privilege. Intel SDM Vol. 3A, "Interrupt and Exception Handling in 64-bit Mode".
 */
export const interruptLong = routine(
  "interruptLong",
  { parameters: ["i32", "i32", "i32"], results: [], faults: true },
  () => new Builder(),
  (ir, vector, errorCode, kind) => {
    const external = ir.hold(ir.zext(ir.eqz(kind), "i32"));
    const event: Event = { vector: vector, errorCode: errorCode, kind: kind, external };
    const gate = readGate(ir, event);
    const withCode = ir.hold(ir.les(0, errorCode));
    const bytes = ir.select(withCode, ir.const("i64", 48), ir.const("i64", 40));
    const frame = ir.hold(ir.sub(selectStack(ir, gate, external), 40));
    const bottom = ir.hold(ir.add(frame, ir.sub(40, bytes)));
    const canonical = ir.and(isCanonical(ir, bottom), isCanonical(ir, ir.add(frame, 39)));
    ir.if(ir.eqz(canonical), () => ir.fault(Vector.SS, external));
    const oldStack = ir.get("i64", gprSlot(Gpr.rsp));
    const values = [
      ir.get("i64", State.rip),
      ir.hold(ir.zext(selectorOf(ir, "cs"), "i64")),
      ir.hold(ir.zext(pushedFlags(ir, event), "i64")),
      oldStack,
      ir.hold(ir.zext(selectorOf(ir, "ss"), "i64")),
    ];
    const push = (access: { readonly system?: true; readonly stack?: true }) => {
      // Where the frame lies in one page, its first store fails before any other could succeed.
      ir.if(crossesPage(ir, bottom, bytes), () => {
        ir.probeWrite(bottom, 8, access);
        ir.probeWrite(frame, 40, access);
      });
      storeFrame(ir, frame, values, access);
      ir.if(withCode, () => ir.store(ir.sub(frame, 8), ir.zext(errorCode, "i64"), access));
    };
    markAccessed(ir, gate.code);
    ir.if(
      gate.inner,
      () => {
        push(system);
        ir.set(State.cpl, gate.dpl);
        setNullStack(ir, gate.dpl);
      },
      () => push({ stack: true }),
    );
    const cpl = ir.get("i32", State.cpl);
    setFromDescriptor(ir, segmentSlot("cs"), ir.or(ir.and(gate.selector, 0xfffc), cpl), gate.code.descriptor);
    ir.set(gprSlot(Gpr.rsp), bottom);
    enterHandler(ir, ir.trunc(ir.shr(gate.low, 40), "i32"));
    ir.set(State.rip, gate.offset);
    ir.call(mmu.updateMode);
    ir.return();
  },
);
