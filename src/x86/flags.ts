import type { Builder } from "../ir/builder.ts";
import type { Value } from "../ir/node.ts";
import { bitsOf } from "../ir/types.ts";
import type { Type } from "../ir/types.ts";
import { State } from "./state.ts";
import { multiplyHighSigned } from "./wide.ts";

/**
 * The canonical lazy form of the status flags: two words from which each flag is one or two operations away.
 *   result  the operation's result, sign-extended:  ZF = (result = 0)
 *   aux     bit 63 CF; bit 62 CF ⊕ OF; bit 3 AF; bits 8–15 are exclusive-ored with result's low byte for PF;
 *           bit 0 is exclusive-ored with result's sign for SF
 * Any of the 64 combinations of flags can be said, and the word pair depends on the operation alone, not on its width.
 */
export interface LazyFlags {
  readonly result: Value;
  readonly aux: Value;
}

/** RFLAGS bits. Intel SDM Vol. 1, "EFLAGS Register". */
export const Flag = {
  cf: 0,
  pf: 2,
  af: 4,
  zf: 6,
  sf: 7,
  tf: 8,
  if: 9,
  df: 10,
  iopl: 12,
  nt: 14,
  rf: 16,
  vm: 17,
  ac: 18,
  vif: 19,
  vip: 20,
  id: 21,
  of: 11,
} as const;
export type StatusFlag = "cf" | "pf" | "af" | "zf" | "sf" | "of";
export const statusFlagsMask = 0x8d5;

const top = 1n << 63n;

/** Moves the two highest bits of a carry vector to bits 63 and 62, and keeps bit 3. */
function auxOfCarries(ir: Builder, carries: Value): Value {
  const bits = bitsOf[carries.type];
  if (bits === 64) return ir.and(carries, (3n << 62n) | 8n);
  const wide = ir.zext(carries, "i64");
  return ir.or(ir.shl(ir.and(wide, 3n << BigInt(bits - 2)), 64 - bits), ir.and(wide, 8));
}

/** Carries out of each bit of a + b (+ carry) = r. */
export function addCarries(ir: Builder, a: Value, b: Value, r: Value): Value {
  return ir.or(ir.and(a, b), ir.and(ir.or(a, b), ir.not(r)));
}
/** Borrows out of each bit of a − b (− borrow) = r. */
export function subBorrows(ir: Builder, a: Value, b: Value, r: Value): Value {
  return ir.or(ir.and(ir.not(a), b), ir.and(ir.not(ir.xor(a, b)), r));
}

/** `carries` gave OF; CF stays what it was. */
function keepCarry(ir: Builder, aux: Value): Value {
  const kept = ir.hold(ir.and(ir.get("i64", State.ccAux), top));
  const overflow = ir.and(ir.xor(aux, ir.shl(aux, 1)), top);
  return ir.or(ir.or(ir.and(aux, 8), kept), ir.shr(ir.xor(overflow, kept), 1));
}

/** CF and OF of multiplications: whether the high half is more than the extension of the low one. */
export const overflowOf = {
  mul: (ir: Builder, [high]: readonly Value[]): Value => ir.ne(high!, 0),
  imul(ir: Builder, [a, b, low]: readonly Value[]): Value {
    if (low!.type === "i64") return ir.ne(multiplyHighSigned(ir, a!, b!), ir.sar(low!, 63));
    const [first, second, product] = [a!, b!, low!].map((value) => ir.sext(value, "i64")) as [Value, Value, Value];
    return ir.ne(ir.mul(first, second), product);
  },
};

/** What each form computes. The last operand of all but `explicit` and `carry` is the result. */
export const flagForms = {
  add: (ir: Builder, [a, b, r]: Value[]) => lazy(ir, r!, auxOfCarries(ir, addCarries(ir, a!, b!, r!))),
  sub: (ir: Builder, [a, b, r]: Value[]) => lazy(ir, r!, auxOfCarries(ir, subBorrows(ir, a!, b!, r!))),
  logic: (ir: Builder, [r]: Value[]) => lazy(ir, r!, ir.const("i64", 0)),
  inc: (ir: Builder, [a, r]: Value[]) =>
    lazy(ir, r!, keepCarry(ir, ir.hold(auxOfCarries(ir, addCarries(ir, a!, ir.const(a!.type, 1), r!))))),
  dec: (ir: Builder, [a, r]: Value[]) =>
    lazy(ir, r!, keepCarry(ir, ir.hold(auxOfCarries(ir, subBorrows(ir, a!, ir.const(a!.type, 1), r!))))),
  /** (cf: i1, of: i1, result): SF, ZF and PF follow the result, AF is clear. Shifts. */
  shift: (ir: Builder, [cf, of, r]: Value[]) => lazy(ir, r!, carryOverflow(ir, cf!, of!)),
  /** (result): rotations. CF and OF follow the result, the others stay. */
  rol: (ir: Builder, [r]: Value[]) => rotated(ir, "rol", r!),
  ror: (ir: Builder, [r]: Value[]) => rotated(ir, "ror", r!),
  /** (high, low): the halves of an unsigned product. CF and OF: it has more than the low one. */
  mul: (ir: Builder, [high, low]: Value[]) => {
    const more = ir.hold(overflowOf.mul(ir, [high!, low!]));
    return lazy(ir, low!, carryOverflow(ir, more, more));
  },
  /** (a, b, low): the factors, and the low half of their signed product. The high half costs more than the instruction. */
  imul: (ir: Builder, [a, b, low]: Value[]) => {
    const more = ir.hold(overflowOf.imul(ir, [a!, b!, low!]));
    return lazy(ir, low!, carryOverflow(ir, more, more));
  },
  /** (flags: i32): each status flag from its place in EFLAGS. */
  explicit: (ir: Builder, [flags]: Value[]) => {
    const bit = (flag: StatusFlag) => ir.and(ir.shr(ir.zext(flags!, "i64"), Flag[flag]), 1);
    const aux = [
      carryOverflow(ir, ir.trunc(bit("cf"), "i1"), ir.trunc(bit("of"), "i1")),
      ir.shl(bit("af"), 3),
      ir.shl(ir.xor(bit("pf"), 1), 8),
      bit("sf"),
    ];
    return { result: ir.shl(ir.xor(bit("zf"), 1), 8), aux: aux.reduce((all, part) => ir.or(all, part)) };
  },
} satisfies Record<string, (ir: Builder, operands: Value[]) => LazyFlags>;
export type FlagForm = keyof typeof flagForms;

/** CF and OF of a rotation by more than 0, whose result is `r`: the bit that came round, and whether the sign changed by the last step. */
export const rotationFlags = {
  rol: {
    cf: (ir: Builder, r: Value) => ir.trunc(r, "i1"),
    of: (ir: Builder, r: Value) => ir.xor(ir.trunc(r, "i1"), ir.lts(r, 0)),
  },
  ror: {
    cf: (ir: Builder, r: Value) => ir.lts(r, 0),
    of: (ir: Builder, r: Value) => ir.lts(ir.xor(r, ir.shl(r, 1)), 0),
  },
} as const;

function rotated(ir: Builder, form: keyof typeof rotationFlags, r: Value): LazyFlags {
  const { cf, of } = rotationFlags[form];
  const rest = ir.and(ir.get("i64", State.ccAux), (1n << 62n) - 1n);
  return { result: ir.get("i64", State.ccResult), aux: ir.or(rest, carryOverflow(ir, ir.hold(cf(ir, r)), of(ir, r))) };
}

function lazy(ir: Builder, result: Value, aux: Value): LazyFlags {
  return { result: ir.sext(result, "i64"), aux };
}

function carryOverflow(ir: Builder, cf: Value, of: Value): Value {
  const carry = ir.zext(cf, "i64");
  return ir.or(ir.shl(carry, 63), ir.shl(ir.xor(carry, ir.zext(of, "i64")), 62));
}

/** The status flags as the state holds them, each as an i1. */
export const statusFlags: Readonly<Record<StatusFlag, (ir: Builder) => Value>> = {
  cf: (ir) => ir.lts(ir.get("i64", State.ccAux), 0),
  of: (ir) => {
    const aux = ir.get("i64", State.ccAux);
    return ir.lts(ir.xor(aux, ir.shl(aux, 1)), 0);
  },
  zf: (ir) => ir.eqz(ir.get("i64", State.ccResult)),
  sf: (ir) => ir.lts(ir.xor(ir.get("i64", State.ccResult), ir.shl(ir.get("i64", State.ccAux), 63)), 0),
  af: (ir) => ir.trunc(ir.shr(ir.get("i64", State.ccAux), 3), "i1"),
  pf: (ir) => {
    const byte = ir.and(ir.xor(ir.get("i64", State.ccResult), ir.shr(ir.get("i64", State.ccAux), 8)), 0xff);
    return ir.eqz(ir.trunc(ir.op("popcnt", [byte]), "i1"));
  },
};

/** SF ≠ OF. */
function less(ir: Builder): Value {
  const aux = ir.get("i64", State.ccAux);
  const sign = ir.xor(ir.get("i64", State.ccResult), ir.shl(aux, 63));
  return ir.lts(ir.xor(sign, ir.xor(aux, ir.shl(aux, 1))), 0);
}

const positive: readonly ((ir: Builder) => Value)[] = [
  statusFlags.of,
  statusFlags.cf,
  statusFlags.zf,
  (ir) => ir.or(statusFlags.cf(ir), statusFlags.zf(ir)),
  statusFlags.sf,
  statusFlags.pf,
  less,
  (ir) => ir.or(statusFlags.zf(ir), less(ir)),
];

/** Condition 0–15 as the low bits of Jcc's opcode have it. Intel SDM Vol. 1, "EFLAGS Condition Codes". */
export function condition(ir: Builder, code: number): Value {
  const holds = ir.named(code & ~1, positive[code >> 1]!(ir));
  return (code & 1) === 0 ? holds : ir.eqz(holds);
}

/** The condition that each flag by itself is; AF is none. */
const conditionCodes: Readonly<Partial<Record<StatusFlag, number>>> = { of: 0, cf: 2, zf: 4, sf: 8, pf: 10 };

/** One status flag. */
export function statusFlag(ir: Builder, name: StatusFlag): Value {
  const code = conditionCodes[name];
  return code === undefined ? statusFlags[name](ir) : condition(ir, code);
}

/** The status flags in their EFLAGS places, as an i32. */
export function materialise(ir: Builder): Value {
  const flags = Object.entries(statusFlags).map(([name, read]) =>
    ir.shl(ir.zext(read(ir), "i32"), Flag[name as StatusFlag]),
  );
  return flags.reduce((all, flag) => ir.or(all, flag));
}

/** The type of a form's operation, for printing. */
export function formType(operands: readonly Value[]): Type {
  return operands.at(-1)?.type ?? "i32";
}
