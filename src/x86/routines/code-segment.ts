import type { Builder } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import {
  Attribute,
  attributesOf,
  dplOf,
  has,
  isCanonical,
  isCode,
  isLongModeActive,
  isWritableData,
  limitOf,
  segmentField,
  setFromDescriptor,
  setNullStack,
} from "../descriptors.ts";
import { Vector } from "../exceptions.ts";
import { State, segmentSlot } from "../state.ts";
import { findDescriptor, isNullSelector, markAccessed, selectorError } from "./descriptor.ts";
import type { FoundDescriptor } from "./descriptor.ts";

/** A code segment about to be entered. */
export interface CodeTarget {
  readonly selector: Value;
  readonly found: FoundDescriptor;
  readonly attributes: Value;
}

/** Reads the descriptor of a code segment: #GP(0) for a null selector, #GP(selector) for one that is no code segment. */
export function findCode(ir: Builder, selector: Value): CodeTarget {
  ir.if(isNullSelector(ir, selector), () => ir.fault(Vector.GP, 0));
  const refuse = () => ir.fault(Vector.GP, selectorError(ir, selector));
  const found = findDescriptor(ir, selector, refuse);
  const attributes = ir.hold(attributesOf(ir, found.descriptor));
  ir.if(ir.eqz(isCode(ir, attributes)), refuse);
  return { selector, found, attributes };
}

/** #GP(selector) where a 64-bit segment says it is 32-bit too, #NP(selector) where it is not present. */
export function checkPresence(ir: Builder, { selector, attributes }: CodeTarget): void {
  const both = ir.eq(ir.and(attributes, Attribute.long | Attribute.big), Attribute.long | Attribute.big);
  ir.if(ir.and(both, isLongModeActive(ir)), () => ir.fault(Vector.GP, selectorError(ir, selector)));
  ir.if(ir.eqz(has(ir, attributes, Attribute.present)), () => ir.fault(Vector.NP, selectorError(ir, selector)));
}

/** The segment is entered in 64-bit mode. */
export function entersLong(ir: Builder, { attributes }: CodeTarget): Value {
  return ir.and(has(ir, attributes, Attribute.long), isLongModeActive(ir));
}

/** #GP(0) unless `offset` is canonical in a 64-bit segment, or within the limit of another. */
export function checkOffset(ir: Builder, target: CodeTarget, offset: Value): void {
  const limit = ir.zext(limitOf(ir, target.found.descriptor), "i64");
  const inside = ir.select(entersLong(ir, target), isCanonical(ir, offset), ir.leu(offset, limit));
  ir.if(ir.eqz(inside), () => ir.fault(Vector.GP, 0));
}

/** The privilege checks of a return to the code segment's RPL. Intel SDM Vol. 2B, "RET—Return From Procedure". */
export function checkReturn(ir: Builder, target: CodeTarget, cpl: Value): void {
  const rpl = ir.and(target.selector, 3);
  const dpl = ir.hold(dplOf(ir, target.attributes));
  const conforming = has(ir, target.attributes, Attribute.conforming);
  const wrong = ir.select(conforming, ir.ltu(rpl, dpl), ir.ne(rpl, dpl));
  ir.if(ir.or(ir.ltu(rpl, cpl), wrong), () => ir.fault(Vector.GP, selectorError(ir, target.selector)));
  checkPresence(ir, target);
}

/** Loads CS, at privilege `cpl`. The accessed bit has been set. */
export function setCode(ir: Builder, { selector, found }: CodeTarget, cpl: Value): void {
  setFromDescriptor(ir, segmentSlot("cs"), ir.or(ir.and(selector, 0xfffc), cpl), found.descriptor);
}

/**
 * Checks the SS that a return to privilege `rpl` pops, and sets its accessed bit. @returns what loads it.
 * A null one is for 64-bit code that is not of ring 3.
 */
export function checkReturnStack(ir: Builder, selector: Value, code: CodeTarget, rpl: Value): () => void {
  const descriptor = ir.variable(ir.const("i64", 0));
  const isNull = ir.hold(isNullSelector(ir, selector));
  ir.if(
    isNull,
    () => {
      ir.if(ir.or(ir.eqz(entersLong(ir, code)), ir.eq(rpl, 3)), () => ir.fault(Vector.GP, 0));
    },
    () => {
      const refuse = () => ir.fault(Vector.GP, selectorError(ir, selector));
      const found = findDescriptor(ir, selector, refuse);
      const attributes = ir.hold(attributesOf(ir, found.descriptor));
      const level = ir.or(ir.ne(ir.and(selector, 3), rpl), ir.ne(dplOf(ir, attributes), rpl));
      ir.if(ir.or(level, ir.eqz(isWritableData(ir, attributes))), refuse);
      ir.if(ir.eqz(has(ir, attributes, Attribute.present)), () => ir.fault(Vector.SS, selectorError(ir, selector)));
      markAccessed(ir, found);
      ir.assign(descriptor, found.descriptor);
    },
  );
  return () =>
    ir.if(
      isNull,
      () => setNullStack(ir, selector),
      () => setFromDescriptor(ir, segmentSlot("ss"), selector, ir.read(descriptor)),
    );
}

/**
 * Behind a return to less privilege, takes away the data segments that the new level must not reach.
 * Bases stay: those of FS and GS are MSRs of their own.
 */
export function dropInnerSegments(ir: Builder): void {
  const cpl = ir.get("i32", State.cpl);
  for (const name of ["es", "ds", "fs", "gs"] as const) {
    const slot = segmentSlot(name);
    const attributes = ir.zext(ir.get("i16", segmentField(ir, slot, "attributes")), "i32");
    const conforming = ir.eq(
      ir.and(attributes, Attribute.code | Attribute.conforming),
      Attribute.code | Attribute.conforming,
    );
    const guarded = ir.and(has(ir, attributes, Attribute.application), ir.eqz(conforming));
    ir.if(ir.and(guarded, ir.ltu(dplOf(ir, attributes), cpl)), () => {
      ir.set(segmentField(ir, slot, "selector"), ir.const("i16", 0));
      ir.set(segmentField(ir, slot, "attributes"), ir.const("i16", 0));
      ir.set(segmentField(ir, slot, "limit"), ir.const("i32", 0));
    });
  }
}
