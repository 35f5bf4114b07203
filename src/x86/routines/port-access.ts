import { Builder, routine } from "../../ir/builder.ts";
import { has, segmentField } from "../descriptors.ts";
import { iopl, isProtectionEnabled, isVirtual8086 } from "../eflags.ts";
import { Vector } from "../exceptions.ts";
import { State, segmentSlot } from "../state.ts";

const tr = segmentSlot("tr");
const system = { system: true } as const;
/** Where a 32-bit or 64-bit TSS says at which offset its permission bitmap begins. */
const mapBase = 0x66;

/**
 * requirePorts(port: i32, bytes: i32): #GP(0) unless CPL ≤ IOPL or the TSS's bitmap has a 0 for every port of the access.
 * Intel SDM Vol. 1, "I/O Permission Bit Map".
 */
export const requirePorts = routine(
  "requirePorts",
  { parameters: ["i32", "i32"], results: [], faults: true },
  () => new Builder(),
  (ir, port, bytes) => {
    const guarded = ir.or(ir.ltu(iopl(ir), ir.get("i32", State.cpl)), isVirtual8086(ir));
    ir.if(ir.eqz(ir.and(isProtectionEnabled(ir), guarded)), () => ir.return());
    const refuse = () => ir.fault(Vector.GP, 0);
    const type = ir.zext(ir.get("i16", segmentField(ir, tr, "attributes")), "i32");
    const limit = ir.get("i32", segmentField(ir, tr, "limit"));
    // A 16-bit TSS has no bitmap.
    ir.if(ir.or(ir.eqz(has(ir, type, 8)), ir.ltu(limit, mapBase + 1)), refuse);
    const base = ir.get("i64", tr);
    const map = ir.zext(ir.load("i16", ir.add(base, mapBase), system), "i32");
    // Two bytes are read always; the map ends with a byte of ones.
    const at = ir.hold(ir.add(map, ir.shr(port, 3)));
    ir.if(ir.ltu(limit, ir.add(at, 1)), refuse);
    const bits = ir.zext(ir.load("i16", ir.add(base, ir.zext(at, "i64")), system), "i32");
    const mask = ir.shl(ir.sub(ir.shl(ir.const("i32", 1), bytes), 1), ir.and(port, 7));
    ir.if(ir.ne(ir.and(bits, mask), 0), refuse);
    ir.return();
  },
);
