import { bitsOf } from "./types.ts";
import type { Type } from "./types.ts";
import type { Operation } from "./operation.ts";
import { vectorOperations } from "./vector-operations.ts";
import { vectorFloatOperations } from "./vector-float-operations.ts";
import { floatOperations } from "./float-operations.ts";
import { lowLaneOperations } from "./low-lane-operations.ts";

const signed = (bits: number, value: bigint) => BigInt.asIntN(bits, value);
/** Shift counts are taken modulo 64 for i64 and modulo 32 for narrower types, as x86 masks them. */
const count = (bits: number, value: bigint) => value & (bits === 64 ? 63n : 31n);
const bit = (condition: boolean) => (condition ? 1n : 0n);

function unary(evaluate: (bits: number, a: bigint) => bigint): Operation {
  return { operands: ["any"], result: "same", evaluate: (bits, [a = 0n]) => evaluate(bits, a) };
}
function binary(evaluate: (bits: number, a: bigint, b: bigint) => bigint): Operation {
  return { operands: ["any", "same"], result: "same", evaluate: (bits, [a = 0n, b = 0n]) => evaluate(bits, a, b) };
}
function compare(evaluate: (bits: number, a: bigint, b: bigint) => boolean): Operation {
  return { operands: ["any", "same"], result: "i1", evaluate: (bits, [a = 0n, b = 0n]) => bit(evaluate(bits, a, b)) };
}
function rotate(bits: number, a: bigint, by: bigint): bigint {
  const n = by % BigInt(bits);
  return (a << n) | (a >> (BigInt(bits) - n));
}
function population(value: bigint): bigint {
  let ones = 0n;
  for (let rest = value; rest !== 0n; rest >>= 1n) ones += rest & 1n;
  return ones;
}

export const integerOperations = {
  add: binary((_, a, b) => a + b),
  sub: binary((_, a, b) => a - b),
  mul: binary((_, a, b) => a * b),
  /** Divisions: the divisor is not zero, and the signed quotient fits; the caller has checked. i32 and i64 only. */
  divu: binary((_, a, b) => a / b),
  remu: binary((_, a, b) => a % b),
  divs: binary((n, a, b) => signed(n, a) / signed(n, b)),
  rems: binary((n, a, b) => signed(n, a) % signed(n, b)),
  and: binary((_, a, b) => a & b),
  or: binary((_, a, b) => a | b),
  xor: binary((_, a, b) => a ^ b),
  shl: binary((n, a, b) => a << count(n, b)),
  shr: binary((n, a, b) => a >> count(n, b)),
  sar: binary((n, a, b) => signed(n, a) >> count(n, b)),
  rotl: binary((n, a, b) => rotate(n, a, b)),
  rotr: binary((n, a, b) => rotate(n, a, BigInt(n) - (b % BigInt(n)))),
  not: unary((_, a) => ~a),
  neg: unary((_, a) => -a),
  clz: unary((n, a) => BigInt(a === 0n ? n : n - a.toString(2).length)),
  ctz: unary((n, a) => (a === 0n ? BigInt(n) : population((a & -a) - 1n))),
  popcnt: unary((_, a) => population(a)),
  eqz: { operands: ["any"], result: "i1", evaluate: (_, [a = 0n]) => bit(a === 0n) },
  eq: compare((_, a, b) => a === b),
  ne: compare((_, a, b) => a !== b),
  ltu: compare((_, a, b) => a < b),
  leu: compare((_, a, b) => a <= b),
  lts: compare((n, a, b) => signed(n, a) < signed(n, b)),
  les: compare((n, a, b) => signed(n, a) <= signed(n, b)),
  /** select(condition, then, otherwise) */
  select: {
    operands: ["i1", "any", "same"],
    result: "same",
    evaluate: (_, [c = 0n, a = 0n, b = 0n]) => (c !== 0n ? a : b),
  },
} satisfies Record<string, Operation>;

/** Changes of width: the result type is given with the operation. */
export const conversions = {
  zext: (_from: number, _to: number, a: bigint) => a,
  sext: (from: number, to: number, a: bigint) => BigInt.asUintN(to, signed(from, a)),
  trunc: (_from: number, to: number, a: bigint) => BigInt.asUintN(to, a),
} as const;
export type Conversion = keyof typeof conversions;

/** Every pure operation. What is not here does not exist: builder, verifier, evaluator and lowering all read this table. */
export const operations = {
  ...integerOperations,
  ...floatOperations,
  ...vectorOperations,
  ...vectorFloatOperations,
  ...lowLaneOperations,
};
export type OperationName = keyof typeof operations;

export function operation(name: OperationName): Operation {
  return operations[name];
}

/** The result type of `name` on operands of these types. Throws where they do not fit: the instruction's author is wrong. */
export function resultType(name: OperationName, types: readonly Type[]): Type {
  const { operands, result } = operation(name);
  const any = types[operands.indexOf("any")];
  const fits =
    types.length === operands.length &&
    operands.every((wanted, index) => {
      const type = types[index];
      if (wanted === "any") return type !== undefined && type !== "v128";
      return type === (wanted === "same" ? any : wanted);
    });
  if (!fits) throw new Error(`${name} does not take (${types.join(", ")})`);
  if (result !== "same") return result;
  if (any === undefined) throw new Error(`${name} has no operand to take its type from`);
  return any;
}

/** Evaluates a pure operation on unsigned BigInts. */
export function evaluateOperation(
  name: OperationName,
  types: readonly Type[],
  values: readonly bigint[],
  lane: number,
): bigint {
  const { operands, evaluate } = operation(name);
  const any = types[operands.indexOf("any")];
  const result = evaluate(any === undefined ? 0 : bitsOf[any], values, lane);
  return BigInt.asUintN(bitsOf[resultType(name, types)], result);
}
