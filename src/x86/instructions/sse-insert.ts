import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import type { Semantics } from "../semantics.ts";
import type { Type } from "../../ir/types.ts";
import { bitsOf } from "../../ir/types.ts";
import { enterMmx, requireFor, slotAt } from "../vectors.ts";

/** Lanes of integers to and from general registers and memory. Intel SDM Vol. 2B, "PEXTRB/PEXTRD/PEXTRQ" to "PMOVMSKB". */

/** The slot of the lane that an immediate selects: its bits above the number of lanes do not count. */
function laneSlot(ir: Semantics, vector: Operand, immediate: Operand, type: Type): ReturnType<typeof slotAt> {
  const bytes = bitsOf[type] / 8;
  const lane = ir.and(immediate.read("i32"), vector.bits / bitsOf[type] - 1);
  return slotAt(ir, vector.slot!, ir.mul(lane, bytes));
}

function insert(ir: Semantics, destination: Operand, source: Operand, immediate: Operand, type: Type): void {
  requireFor(ir, destination);
  const value: Value = source.read(type);
  ir.set(laneSlot(ir, destination, immediate, type), value);
  if (destination.type !== "i64") return;
  ir.set(slotAt(ir, destination.slot!, 8), ir.const("i16", 0xffff));
  enterMmx(ir);
}
export const pinsrw = instruction({
  mnemonic: "pinsrw",
  feature: "SSE2",
  encodings: ["NP 0F C4  Pq,Rd,Ib", "NP 0F C4  Pq,Mw,Ib", "66 0F C4  Vx,Rd,Ib", "66 0F C4  Vx,Mw,Ib"],
  semantics: (ir, destination, source, immediate) => insert(ir, destination, source, immediate, "i16"),
});
export const pinsrb = instruction({
  mnemonic: "pinsrb",
  feature: "SSE4_1",
  encodings: ["66 0F 3A 20  Vx,Rd,Ib", "66 0F 3A 20  Vx,Mb,Ib"],
  semantics: (ir, destination, source, immediate) => insert(ir, destination, source, immediate, "i8"),
});
export const pinsrd = instruction({
  mnemonic: "pinsrd",
  feature: "SSE4_1",
  encodings: ["66 0F 3A 22  Vx,Ed,Ib  w0"],
  semantics: (ir, destination, source, immediate) => insert(ir, destination, source, immediate, "i32"),
});
export const pinsrq = instruction({
  mnemonic: "pinsrq",
  feature: "SSE4_1",
  encodings: ["66 0F 3A 22  Vx,Eq,Ib  w1"],
  semantics: (ir, destination, source, immediate) => insert(ir, destination, source, immediate, "i64"),
});

/** A general register gets the lane zero-extended; memory, just the lane. */
function extract(ir: Semantics, destination: Operand, source: Operand, immediate: Operand, type: Type): void {
  requireFor(ir, source);
  const value = ir.get(type, laneSlot(ir, source, immediate, type));
  destination.write(ir.resize(value, destination.type));
  if (source.type === "i64") enterMmx(ir);
}
export const pextrw = instruction({
  mnemonic: "pextrw",
  feature: "SSE2",
  encodings: ["NP 0F C5  Gd,Nq,Ib", "66 0F C5  Gd,Ux,Ib", "66 0F 3A 15  Rd,Vx,Ib", "66 0F 3A 15  Mw,Vx,Ib"],
  semantics: (ir, destination, source, immediate) => extract(ir, destination, source, immediate, "i16"),
});
export const pextrb = instruction({
  mnemonic: "pextrb",
  feature: "SSE4_1",
  encodings: ["66 0F 3A 14  Rd,Vx,Ib", "66 0F 3A 14  Mb,Vx,Ib"],
  semantics: (ir, destination, source, immediate) => extract(ir, destination, source, immediate, "i8"),
});
export const pextrd = instruction({
  mnemonic: "pextrd",
  feature: "SSE4_1",
  encodings: ["66 0F 3A 16  Ed,Vx,Ib  w0"],
  semantics: (ir, destination, source, immediate) => extract(ir, destination, source, immediate, "i32"),
});
export const pextrq = instruction({
  mnemonic: "pextrq",
  feature: "SSE4_1",
  encodings: ["66 0F 3A 16  Eq,Vx,Ib  w1"],
  semantics: (ir, destination, source, immediate) => extract(ir, destination, source, immediate, "i64"),
});

/** The highest bit of every byte. */
export const pmovmskb = instruction({
  mnemonic: "pmovmskb",
  feature: "SSE2",
  encodings: ["NP 0F D7  Gd,Nq", "66 0F D7  Gd,Ux"],
  semantics(ir, destination, source) {
    requireFor(ir, source);
    if (source.type === "i64") {
      const vector = ir.op("i64x2.splat", [source.read()]);
      destination.write(ir.and(ir.op("i8x16.bitmask", [vector]), 0xff));
      enterMmx(ir);
    } else {
      destination.write(ir.op("i8x16.bitmask", [source.read()]));
    }
  },
});
