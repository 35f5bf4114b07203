import type { Builder } from "../ir/builder.ts";
import type { Value } from "../ir/node.ts";
import { State } from "./state.ts";

/** Changes CF and OF (each an i1) and leaves the other status flags as they are. See flags.ts for the canonical form. */
export function setCarryOverflow(ir: Builder, cf: Value, of: Value): void {
  const carry = ir.zext(cf, "i64");
  const rest = ir.and(ir.get("i64", State.ccAux), (1n << 62n) - 1n);
  ir.set(State.ccAux, ir.or(rest, ir.or(ir.shl(carry, 63), ir.shl(ir.xor(carry, ir.zext(of, "i64")), 62))));
}

/** Changes ZF (an i1) and leaves the other status flags as they are. */
export function setZero(ir: Builder, zf: Value): void {
  const aux = ir.get("i64", State.ccAux);
  const result = ir.get("i64", State.ccResult);
  const sign = ir.and(ir.xor(ir.shr(result, 63), aux), 1);
  const parity = ir.shl(ir.and(ir.xor(result, ir.shr(aux, 8)), 0xff), 8);
  // The new result has neither sign nor low byte, so both flags move into the auxiliary word.
  const moved = ir.or(ir.and(aux, (3n << 62n) | 8n), ir.or(sign, parity));
  ir.set(State.ccAux, moved);
  ir.set(State.ccResult, ir.shl(ir.zext(ir.eqz(zf), "i64"), 8));
}

/** Whether a value's highest bit is set. */
export function isNegative(ir: Builder, value: Value): Value {
  return ir.lts(value, 0);
}

/** Changes AF (an i1) and leaves the other status flags as they are. */
export function setAuxiliary(ir: Builder, af: Value): void {
  const rest = ir.and(ir.get("i64", State.ccAux), ~8n);
  ir.set(State.ccAux, ir.or(rest, ir.shl(ir.zext(af, "i64"), 3)));
}
