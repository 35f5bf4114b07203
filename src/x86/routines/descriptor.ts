import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { Attribute, has, segmentField } from "../descriptors.ts";
import { State, segmentSlot } from "../state.ts";

const ldtr = segmentSlot("ldtr");

/**
 * readDescriptor(selector: i32) → (descriptor: i64, address: i64): the eight bytes that a selector names in the GDT or LDT,
 * and where they are; the address is −1 where the selector lies outside its table. A null selector is the caller's affair.
 */
export const readDescriptor = routine(
  "readDescriptor",
  { parameters: ["i32"], results: ["i64", "i64"], faults: true },
  () => new Builder(),
  (ir, selector) => {
    const index = ir.hold(ir.and(selector, 0xfff8));
    const base = ir.variable(ir.get("i64", State.gdtrBase));
    const limit = ir.variable(ir.get("i32", State.gdtrLimit));
    ir.if(has(ir, selector, 4), () => {
      const attributes = ir.zext(ir.get("i16", segmentField(ir, ldtr, "attributes")), "i32");
      ir.assign(base, ir.get("i64", ldtr));
      const size = ir.get("i32", segmentField(ir, ldtr, "limit"));
      ir.assign(limit, ir.select(has(ir, attributes, Attribute.present), size, ir.const("i32", 0)));
    });
    ir.if(ir.ltu(ir.read(limit), ir.or(index, 7)), () => ir.return(ir.const("i64", 0), ir.const("i64", -1)));
    const address = ir.hold(ir.add(ir.read(base), ir.zext(index, "i64")));
    ir.return(ir.load("i64", address, { system: true }), address);
  },
);

/** A descriptor read for a transfer, and the means to refuse it. */
export interface FoundDescriptor {
  readonly descriptor: Value;
  readonly address: Value;
}

/** Reads a descriptor; `refuse` raises the fault for a selector outside its table. */
export function findDescriptor(ir: Builder, selector: Value, refuse: () => void): FoundDescriptor {
  const [descriptor, address] = ir.call(readDescriptor, selector) as [Value, Value];
  ir.if(ir.eq(address, -1), refuse);
  return { descriptor, address };
}

/** Sets the accessed bit of a code or data descriptor where it is clear; a table in read-only pages has it set beforehand. */
export function markAccessed(ir: Builder, { descriptor, address }: FoundDescriptor): void {
  ir.if(ir.eqz(ir.and(descriptor, 1n << 40n)), () => {
    const type = ir.trunc(ir.or(ir.shr(descriptor, 40), Attribute.accessed), "i8");
    ir.store(ir.add(address, 5), type, { system: true });
  });
}

/** The error code that names a selector. Intel SDM Vol. 3A, "Error Code". */
export function selectorError(ir: Builder, selector: Value, external?: Value): Value {
  const code = ir.and(selector, 0xfffc);
  return external === undefined ? code : ir.or(code, external);
}
/** Neither GDT entry 0 nor a real one. */
export function isNullSelector(ir: Builder, selector: Value): Value {
  return ir.eqz(ir.and(selector, 0xfffc));
}
