/** The registers that a region keeps in locals, and how parts of them are read and written. */

import type { Slot, Value } from "../../ir/node.ts";
import type { Type } from "../../ir/types.ts";
import type { Code } from "../../wasm/code.ts";
import type { ValueType } from "../../wasm/types.ts";
import { State } from "../../x86/state.ts";

const gprEnd = State.gpr + 16 * 8;
const xmmEnd = State.xmm + 16 * 16;

/** Whether a state slot is part of a register that regions keep in locals. */
export function isCached(slot: number): boolean {
  return (
    (slot >= State.gpr && slot < gprEnd) ||
    (slot >= State.xmm && slot < xmmEnd) ||
    slot === State.ccAux ||
    slot === State.ccResult
  );
}

/** A register and the byte in it at which a slot is. Undefined for slots that stay in memory. */
export function registerOf(slot: number): { readonly base: number; readonly byte: number } | undefined {
  if (!isCached(slot)) return undefined;
  if (slot >= State.xmm && slot < xmmEnd) {
    const byte = (slot - State.xmm) % 16;
    return { base: slot - byte, byte };
  }
  const byte = (slot - State.gpr) % 8;
  return slot < gprEnd ? { base: slot - byte, byte } : { base: slot, byte: 0 };
}

/** A slot of a form: an offset, or a record's number plus an offset. */
export interface SymbolicSlot {
  readonly field: string | undefined;
  readonly offset: number;
}

/** What decides a slot; undefined where that is more than a number of the record. */
export function symbolicSlot(slot: Slot): SymbolicSlot | undefined {
  if (typeof slot === "number") return { field: undefined, offset: slot };
  if (slot.kind === "field") return { field: slot.name, offset: 0 };
  if (slot.kind !== "operation" || slot.name !== "add") return undefined;
  const [base, offset] = slot.operands as [Value, Value];
  const inner = symbolicSlot(base);
  if (inner === undefined || offset.kind !== "const") return undefined;
  return { ...inner, offset: inner.offset + Number(BigInt.asIntN(32, offset.value)) };
}

export function registerType(base: number): ValueType {
  return base >= State.xmm && base < xmmEnd ? "v128" : "i64";
}

/** Takes `type` at byte `byte` of the register whose value is on the stack. */
export function extract(code: Code, base: number, byte: number, type: Type): void {
  if (registerType(base) === "v128") {
    if (type === "v128") return;
    if (type === "i64") code.lane("i64x2.extract_lane", byte / 8);
    else if (type === "i32") code.lane("i32x4.extract_lane", byte / 4);
    else if (type === "i16") code.lane("i16x8.extract_lane_u", byte / 2);
    else code.lane("i8x16.extract_lane_u", byte);
    return;
  }
  if (byte > 0) {
    code.i64(BigInt(byte * 8));
    code.op("i64.shr_u");
  }
  if (type === "i64") return;
  code.op("i32.wrap_i64");
  if (type === "i32") return;
  code.i32(type === "i16" ? 0xffff : type === "i8" ? 0xff : 1);
  code.op("i32.and");
}

/** Makes a register's new value of `type` at byte `byte`, which `value` puts on the stack, and of the old rest of it. */
export function insert(code: Code, local: number, base: number, byte: number, type: Type, value: () => void): void {
  if (registerType(base) === "v128") {
    if (type === "v128") {
      value();
      return;
    }
    code.get(local);
    value();
    if (type === "i64") code.lane("i64x2.replace_lane", byte / 8);
    else if (type === "i32") code.lane("i32x4.replace_lane", byte / 4);
    else if (type === "i16") code.lane("i16x8.replace_lane", byte / 2);
    else code.lane("i8x16.replace_lane", byte);
    return;
  }
  if (type === "i64") {
    value();
    return;
  }
  const bits = { i32: 32n, i16: 16n, i8: 8n, i1: 8n, v128: 64n }[type];
  const shift = BigInt(byte * 8);
  code.get(local);
  code.i64(BigInt.asIntN(64, ~(((1n << bits) - 1n) << shift)));
  code.op("i64.and");
  value();
  code.op("i64.extend_i32_u");
  if (byte > 0) {
    code.i64(shift);
    code.op("i64.shl");
  }
  code.op("i64.or");
}
