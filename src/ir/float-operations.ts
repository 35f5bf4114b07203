import type { Operation } from "./operation.ts";
import type { Type } from "./types.ts";

const scratch = new DataView(new ArrayBuffer(8));

/** The number whose IEEE 754 binary64 bits these are. */
export function doubleOf(bits: bigint): number {
  scratch.setBigUint64(0, bits);
  return scratch.getFloat64(0);
}
export function doubleBits(value: number): bigint {
  scratch.setFloat64(0, value);
  return scratch.getBigUint64(0);
}
export function singleOf(bits: bigint): number {
  scratch.setUint32(0, Number(bits));
  return scratch.getFloat32(0);
}
export function singleBits(value: number): bigint {
  scratch.setFloat32(0, value);
  return BigInt(scratch.getUint32(0));
}

interface Format {
  readonly type: Type;
  readonly of: (bits: bigint) => number;
  readonly bits: (value: number) => bigint;
}
const double: Format = { type: "i64", of: doubleOf, bits: doubleBits };
const single: Format = { type: "i32", of: singleOf, bits: singleBits };

/** Round to nearest, ties to even: correctly rounded, because a double holds 2p + 2 bits of a single. */
function arithmetic(format: Format, evaluate: (a: number, b: number) => number): Operation {
  return {
    operands: [format.type, format.type],
    result: format.type,
    evaluate: (_, [a = 0n, b = 0n]) => format.bits(evaluate(format.of(a), format.of(b))),
  };
}
function unary(format: Format, evaluate: (a: number) => number): Operation {
  return {
    operands: [format.type],
    result: format.type,
    evaluate: (_, [a = 0n]) => format.bits(evaluate(format.of(a))),
  };
}
function compare(format: Format, evaluate: (a: number, b: number) => boolean): Operation {
  return {
    operands: [format.type, format.type],
    result: "i1",
    evaluate: (_, [a = 0n, b = 0n]) => (evaluate(format.of(a), format.of(b)) ? 1n : 0n),
  };
}
function nearest(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  const rounded = rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
  return rounded === 0 && (value < 0 || Object.is(value, -0)) ? -0 : rounded;
}
function saturate(bits: number, value: number): bigint {
  if (Number.isNaN(value)) return 0n;
  const limit = 2n ** BigInt(bits - 1);
  if (value >= Number(limit)) return limit - 1n;
  if (value < -Number(limit)) return -limit;
  return BigInt(Math.trunc(value));
}
function family(prefix: "f64" | "f32", format: Format) {
  return {
    [`${prefix}.add`]: arithmetic(format, (a, b) => a + b),
    [`${prefix}.sub`]: arithmetic(format, (a, b) => a - b),
    [`${prefix}.mul`]: arithmetic(format, (a, b) => a * b),
    [`${prefix}.div`]: arithmetic(format, (a, b) => a / b),
    [`${prefix}.sqrt`]: unary(format, Math.sqrt),
    [`${prefix}.floor`]: unary(format, Math.floor),
    [`${prefix}.ceil`]: unary(format, Math.ceil),
    [`${prefix}.trunc`]: unary(format, Math.trunc),
    [`${prefix}.nearest`]: unary(format, nearest),
    [`${prefix}.eq`]: compare(format, (a, b) => a === b),
    [`${prefix}.lt`]: compare(format, (a, b) => a < b),
    [`${prefix}.le`]: compare(format, (a, b) => a <= b),
    /** Truncation to an integer; out of range saturates and NaN gives 0, as WebAssembly's trunc_sat. */
    [`${prefix}.to_i32`]: {
      operands: [format.type],
      result: "i32",
      evaluate: (_: number, [a = 0n]: readonly bigint[]) => saturate(32, format.of(a)),
    },
    [`${prefix}.to_i64`]: {
      operands: [format.type],
      result: "i64",
      evaluate: (_: number, [a = 0n]: readonly bigint[]) => saturate(64, format.of(a)),
    },
    [`${prefix}.from_i32`]: {
      operands: ["i32"],
      result: format.type,
      evaluate: (_: number, [a = 0n]: readonly bigint[]) => format.bits(Number(BigInt.asIntN(32, a))),
    },
  };
}

/** A signed 64-bit integer rounded once to binary32; through a double it could be rounded twice. */
function singleOfInteger(value: bigint): number {
  const magnitude = value < 0n ? -value : value;
  const extra = BigInt(Math.max(0, magnitude.toString(2).length - 24));
  let kept = magnitude >> extra;
  const rest = magnitude - (kept << extra);
  const half = extra === 0n ? 1n : 1n << (extra - 1n);
  if (rest > half || (rest === half && extra > 0n && (kept & 1n) === 1n)) kept += 1n;
  const rounded = Number(kept << extra);
  return value < 0n ? -rounded : rounded;
}

type FamilyOperation =
  | "add" | "sub" | "mul" | "div" | "sqrt" | "floor" | "ceil" | "trunc" | "nearest" | "eq" | "lt" | "le"
  | "to_i32" | "to_i64" | "from_i32"; // prettier-ignore

/** Arithmetic on bit patterns with WebAssembly's meaning (round to nearest even); a NaN result has no defined payload. */
export const floatOperations = {
  ...(family("f64", double) as Record<`f64.${FamilyOperation}`, Operation>),
  ...(family("f32", single) as Record<`f32.${FamilyOperation}`, Operation>),
  "f64.from_i64": {
    operands: ["i64"],
    result: "i64",
    evaluate: (_, [a = 0n]) => doubleBits(Number(BigInt.asIntN(64, a))),
  },
  "f32.from_i64": {
    operands: ["i64"],
    result: "i32",
    evaluate: (_, [a = 0n]) => singleBits(singleOfInteger(BigInt.asIntN(64, a))),
  },
  "f32.demote": { operands: ["i64"], result: "i32", evaluate: (_, [a = 0n]) => singleBits(doubleOf(a)) },
  "f64.promote": { operands: ["i32"], result: "i64", evaluate: (_, [a = 0n]) => doubleBits(singleOf(a)) },
} satisfies Record<string, Operation>;
