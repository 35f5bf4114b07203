import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import {
  Attribute,
  attributesOf,
  dplOf,
  has,
  is64Bit,
  isWritableData,
  segmentField,
  segmentSlotOf,
  setFromDescriptor,
  setNull,
  setNullStack,
  setSegment,
  virtual8086Attributes,
} from "../descriptors.ts";
import { isProtectionEnabled, isVirtual8086 } from "../eflags.ts";
import { Vector } from "../exceptions.ts";
import { Segment, State } from "../state.ts";
import { findDescriptor, isNullSelector, markAccessed, selectorError } from "./descriptor.ts";

/** Loads in real and virtual-8086 mode: the base is the selector times 16. Real mode keeps the limit it finds. */
function loadReal(ir: Builder, slot: Value, selector: Value): void {
  const base = ir.zext(ir.shl(selector, 4), "i64");
  const old = ir.zext(ir.get("i16", segmentField(ir, slot, "attributes")), "i32");
  const limit = ir.get("i32", segmentField(ir, slot, "limit"));
  const limited = ir.or(isVirtual8086(ir), ir.eqz(has(ir, old, Attribute.present)));
  setSegment(ir, slot, {
    selector,
    base,
    limit: ir.select(limited, ir.const("i32", 0xffff), limit),
    attributes: ir.select(isVirtual8086(ir), ir.const("i32", virtual8086Attributes), ir.or(ir.and(old, 0xf00), 0x93)),
  });
}

/** The checks of SS. */
function checkStack(ir: Builder, selector: Value, attributes: Value): void {
  const cpl = ir.get("i32", State.cpl);
  const refuse = () => ir.fault(Vector.GP, selectorError(ir, selector));
  ir.if(ir.ne(ir.and(selector, 3), cpl), refuse);
  ir.if(ir.eqz(isWritableData(ir, attributes)), refuse);
  ir.if(ir.ne(dplOf(ir, attributes), cpl), refuse);
  ir.if(ir.eqz(has(ir, attributes, Attribute.present)), () => ir.fault(Vector.SS, selectorError(ir, selector)));
}

/** The checks of DS, ES, FS and GS. */
function checkData(ir: Builder, selector: Value, attributes: Value): void {
  const cpl = ir.get("i32", State.cpl);
  const dpl = ir.hold(dplOf(ir, attributes));
  const refuse = () => ir.fault(Vector.GP, selectorError(ir, selector));
  const executeOnly = ir.eq(ir.and(attributes, Attribute.code | Attribute.readable), Attribute.code);
  ir.if(ir.or(ir.eqz(has(ir, attributes, Attribute.application)), executeOnly), refuse);
  const conforming = ir.eq(
    ir.and(attributes, Attribute.code | Attribute.conforming),
    Attribute.code | Attribute.conforming,
  );
  const outside = ir.or(ir.ltu(dpl, ir.and(selector, 3)), ir.ltu(dpl, cpl));
  ir.if(ir.and(ir.eqz(conforming), outside), refuse);
  ir.if(ir.eqz(has(ir, attributes, Attribute.present)), () => ir.fault(Vector.NP, selectorError(ir, selector)));
}

/**
 * loadSegment(number: i32, selector: i32): loads ES, SS, DS, FS or GS with all checks of the mode.
 * Intel SDM Vol. 2B, "MOV—Move"; Vol. 3A, "Privilege Level Checking When Accessing Data Segments".
 */
export const loadSegment = routine(
  "loadSegment",
  { parameters: ["i32", "i32"], results: [], faults: true },
  () => new Builder(),
  (ir, number, selector) => {
    const slot = ir.hold(segmentSlotOf(ir, number));
    const isStack = ir.hold(ir.eq(number, Segment.ss));
    ir.if(ir.or(ir.eqz(isProtectionEnabled(ir)), isVirtual8086(ir)), () => {
      loadReal(ir, slot, selector);
      ir.return();
    });
    ir.if(isNullSelector(ir, selector), () => {
      ir.if(isStack, () => {
        // A null SS is for kernels in 64-bit mode only.
        const cpl = ir.get("i32", State.cpl);
        const allowed = ir.and(is64Bit(ir), ir.and(ir.ne(cpl, 3), ir.eq(selector, cpl)));
        ir.if(ir.eqz(allowed), () => ir.fault(Vector.GP, 0));
        setNullStack(ir, selector);
        ir.return();
      });
      setNull(ir, slot, selector);
      ir.return();
    });
    const found = findDescriptor(ir, selector, () => ir.fault(Vector.GP, selectorError(ir, selector)));
    const attributes = ir.hold(attributesOf(ir, found.descriptor));
    ir.if(
      isStack,
      () => checkStack(ir, selector, attributes),
      () => checkData(ir, selector, attributes),
    );
    markAccessed(ir, found);
    setFromDescriptor(ir, slot, selector, found.descriptor);
    ir.return();
  },
);
