import type { Access, Slot, Value } from "../ir/node.ts";
import { bitsOf, typeOf } from "../ir/types.ts";
import type { Type } from "../ir/types.ts";
import type { Semantics } from "./semantics.ts";

/** An operand of an instruction, bound to a register, a memory location or a number. */
export interface Operand {
  readonly kind: "register" | "memory" | "number";
  /** The operand's own width. */
  readonly type: Type;
  readonly bits: number;
  /** Reads it, or as many of its low bits as `type` has. */
  read(type?: Type): Value;
  /**
   * Writes it. A 32-bit general register is zero-extended to 64; narrower ones, and a narrower value in a vector
   * register, leave the other bits alone.
   */
  write(value: Value): void;
  /** Reads, computes and writes as one access, atomic under LOCK. @returns the values before and after. */
  update(change: (before: Value) => Value): [before: Value, after: Value];
  /** The linear address of a memory operand, checked for the access in legacy modes. */
  address(access: "read" | "write"): Value;
  /** The effective address (offset in its segment) of a memory operand. */
  offset(): Value;
  /** The state slot of a register operand. */
  readonly slot: Slot | undefined;
  /** Whether a 16-byte memory access must be aligned; vector instructions that allow any address turn it off. */
  unaligned(): Operand;
}

function wrong(what: string): never {
  throw new Error(`the operand is not ${what}`);
}

/** A general register, or a byte, word or doubleword of one. */
export function generalRegister(ir: Semantics, slot: Slot, type: Type): Operand {
  const operand: Operand = {
    kind: "register",
    type,
    bits: bitsOf[type],
    slot,
    read: (as = type) => ir.get(as, slot),
    write(value) {
      ir.set(slot, value.type === "i32" ? ir.zext(value, "i64") : value);
    },
    update(change) {
      const before = ir.get(type, slot);
      const after = ir.hold(change(before));
      operand.write(after);
      return [before, after];
    },
    address: () => wrong("in memory"),
    offset: () => wrong("in memory"),
    unaligned: () => operand,
  };
  return operand;
}

/** An MMX, XMM or segment-sized slot: written at just the width of the value. */
export function plainRegister(ir: Semantics, slot: Slot, type: Type): Operand {
  const operand: Operand = {
    ...generalRegister(ir, slot, type),
    write: (value) => ir.set(slot, value),
    update(change) {
      const before = ir.get(type, slot);
      const after = ir.hold(change(before));
      ir.set(slot, after);
      return [before, after];
    },
    unaligned: () => operand,
  };
  return operand;
}

/** A number in the instruction, already extended to the operand's width. */
export function number(ir: Semantics, value: Value): Operand {
  const operand: Operand = {
    kind: "number",
    type: value.type,
    bits: bitsOf[value.type],
    slot: undefined,
    read: (as = value.type) => ir.resize(value, as),
    write: () => wrong("writable"),
    update: () => wrong("writable"),
    address: () => wrong("in memory"),
    offset: () => wrong("in memory"),
    unaligned: () => operand,
  };
  return operand;
}

/** A memory location. `offset` gives the effective address, once; `linear` makes it a linear address. */
export function memory(
  ir: Semantics,
  type: Type,
  offset: () => Value,
  linear: (offset: Value, bytes: number, access: "read" | "write") => Value,
  lock: boolean,
  access: Access = type === "v128" ? { aligned: true } : {},
): Operand {
  let effective: Value | undefined;
  const addresses: { read?: Value; write?: Value } = {};
  const operand: Operand = {
    kind: "memory",
    type,
    bits: bitsOf[type],
    slot: undefined,
    read: (as = type) => ir.load(as, operand.address("read"), as === "v128" ? access : {}),
    write: (value) => ir.store(operand.address("write"), value, value.type === "v128" ? access : {}),
    update: (change) => ir.update(type, operand.address("write"), lock, change),
    address(wanted) {
      const known = addresses[wanted];
      if (known !== undefined) return known;
      const address = ir.hold(linear(operand.offset(), bitsOf[type] / 8, wanted));
      addresses[wanted] = address;
      return address;
    },
    offset: () => (effective ??= ir.hold(offset())),
    unaligned: () => memory(ir, type, operand.offset, linear, lock, {}),
  };
  return operand;
}

/** The type of an operand letter's size, where it has one. */
export function sizeType(size: string, operandSize: number): Type | undefined {
  switch (size) {
    case "b":
      return "i8";
    case "w":
      return "i16";
    case "d":
      return "i32";
    case "q":
      return "i64";
    case "x":
      return "v128";
    case "v":
    case "bs":
    case "ds":
      return typeOf(operandSize);
    case "z":
      return typeOf(Math.min(operandSize, 32));
    case "y":
      return typeOf(Math.max(operandSize, 32));
    default:
      return undefined;
  }
}
