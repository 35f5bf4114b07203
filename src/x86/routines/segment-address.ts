import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { Vector } from "../exceptions.ts";
import { SegmentField, segmentSlot } from "../state.ts";

/**
 * segmentAddress(slot: i32, offset: i64, bytes: i32, write: i32) → linear address, in any mode but 64-bit mode.
 * Checks type, limit and presence as Intel SDM Vol. 3A, "Limit Checking" and "Type Checking", say: #GP(0), or #SS(0) for SS.
 */
export const segmentAddress = routine(
  "segmentAddress",
  { parameters: ["i32", "i64", "i32", "i32"], results: ["i64"], faults: true },
  () => new Builder(),
  (ir, slot, offset, bytes, write) => {
    const at = (type: "i64" | "i32" | "i16", field: number) => ir.get(type, ir.add(slot, field));
    const base = at("i64", SegmentField.base);
    const limit = ir.zext(at("i32", SegmentField.limit), "i64");
    const attributes = ir.zext(at("i16", SegmentField.attributes), "i32");
    const last = ir.hold(ir.add(offset, ir.zext(ir.sub(bytes, 1), "i64")));
    const refuse = () => {
      ir.if(
        ir.eq(slot, segmentSlot("ss")),
        () => ir.fault(Vector.SS, 0),
        () => ir.fault(Vector.GP, 0),
      );
    };
    const has = (bit: number): Value => ir.ne(ir.and(attributes, bit), 0);
    const code = ir.hold(has(8));
    // Not present (a null selector), or a store to code or read-only data, or a load from execute-only code.
    const writeBad = ir.or(code, ir.eqz(has(2)));
    const readBad = ir.and(code, ir.eqz(has(2)));
    ir.if(ir.or(ir.eqz(has(0x80)), ir.select(ir.ne(write, 0), writeBad, readBad)), refuse);
    // Expand-down data: the valid offsets are those above the limit, up to 64 KiB or 4 GiB as B says.
    ir.if(
      ir.and(ir.eqz(code), has(4)),
      () => {
        const top = ir.select(has(0x400), ir.const("i64", 0xffffffff), ir.const("i64", 0xffff));
        ir.if(ir.or(ir.leu(offset, limit), ir.ltu(top, last)), refuse);
      },
      () => ir.if(ir.ltu(limit, last), refuse),
    );
    ir.return(ir.and(ir.add(base, offset), 0xffffffff));
  },
);
