import type { Operation } from "./operation.ts";

const laneBits = { i8x16: 8, i16x8: 16, i32x4: 32, i64x2: 64 } as const;
type Shape = keyof typeof laneBits;

/** Splits 128 bits into unsigned lanes, lowest first. */
export function lanesOf(bits: number, value: bigint): bigint[] {
  const lanes: bigint[] = [];
  for (let at = 0; at < 128; at += bits) lanes.push(BigInt.asUintN(bits, value >> BigInt(at)));
  return lanes;
}
export function fromLanes(bits: number, lanes: readonly bigint[]): bigint {
  return lanes.reduce((value, lane, index) => value | (BigInt.asUintN(bits, lane) << BigInt(index * bits)), 0n);
}

type LaneFunction = (a: bigint, b: bigint, bits: number) => bigint;

function lanewise(bits: number, evaluate: LaneFunction): Operation {
  return {
    operands: ["v128", "v128"],
    result: "v128",
    evaluate: (_, [a = 0n, b = 0n]) => {
      const right = lanesOf(bits, b);
      return fromLanes(
        bits,
        lanesOf(bits, a).map((lane, index) => evaluate(lane, right[index] ?? 0n, bits)),
      );
    },
  };
}
function each(bits: number, evaluate: (a: bigint, bits: number) => bigint): Operation {
  return {
    operands: ["v128"],
    result: "v128",
    evaluate: (_, [a = 0n]) =>
      fromLanes(
        bits,
        lanesOf(bits, a).map((lane) => evaluate(lane, bits)),
      ),
  };
}
function shift(bits: number, evaluate: LaneFunction): Operation {
  return {
    operands: ["v128", "i32"],
    result: "v128",
    evaluate: (_, [a = 0n, by = 0n]) =>
      fromLanes(
        bits,
        lanesOf(bits, a).map((lane) => evaluate(lane, by & BigInt(bits - 1), bits)),
      ),
  };
}
const s = (value: bigint, bits: number) => BigInt.asIntN(bits, value);
const clamp = (value: bigint, low: bigint, high: bigint) => (value < low ? low : value > high ? high : value);
const clampSigned = (value: bigint, bits: number) =>
  clamp(value, -(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n);
const clampUnsigned = (value: bigint, bits: number) => clamp(value, 0n, (1n << BigInt(bits)) - 1n);
const mask = (condition: boolean) => (condition ? -1n : 0n);

const everyShape: Record<string, (bits: number) => Operation> = {
  add: (n) => lanewise(n, (a, b) => a + b),
  sub: (n) => lanewise(n, (a, b) => a - b),
  neg: (n) => each(n, (a) => -a),
  abs: (n) => each(n, (a) => (s(a, n) < 0n ? -s(a, n) : a)),
  eq: (n) => lanewise(n, (a, b) => mask(a === b)),
  ne: (n) => lanewise(n, (a, b) => mask(a !== b)),
  lt_s: (n) => lanewise(n, (a, b) => mask(s(a, n) < s(b, n))),
  gt_s: (n) => lanewise(n, (a, b) => mask(s(a, n) > s(b, n))),
  shl: (n) => shift(n, (a, by) => a << by),
  shr_s: (n) => shift(n, (a, by) => s(a, n) >> by),
  shr_u: (n) => shift(n, (a, by) => a >> by),
  bitmask: (n) => ({
    operands: ["v128"],
    result: "i32",
    evaluate: (_, [a = 0n]) =>
      lanesOf(n, a).reduce((set, lane, index) => set | ((lane >> BigInt(n - 1)) << BigInt(index)), 0n),
  }),
};
const minMax: Record<string, (bits: number) => Operation> = {
  min_s: (n) => lanewise(n, (a, b) => (s(a, n) < s(b, n) ? a : b)),
  min_u: (n) => lanewise(n, (a, b) => (a < b ? a : b)),
  max_s: (n) => lanewise(n, (a, b) => (s(a, n) > s(b, n) ? a : b)),
  max_u: (n) => lanewise(n, (a, b) => (a > b ? a : b)),
};
const saturating: Record<string, (bits: number) => Operation> = {
  add_sat_s: (n) => lanewise(n, (a, b) => clampSigned(s(a, n) + s(b, n), n)),
  add_sat_u: (n) => lanewise(n, (a, b) => clampUnsigned(a + b, n)),
  sub_sat_s: (n) => lanewise(n, (a, b) => clampSigned(s(a, n) - s(b, n), n)),
  sub_sat_u: (n) => lanewise(n, (a, b) => clampUnsigned(a - b, n)),
  avgr_u: (n) => lanewise(n, (a, b) => (a + b + 1n) >> 1n),
};

function shape<Name extends string>(
  of: Shape,
  table: Record<Name, (bits: number) => Operation>,
): Record<string, Operation> {
  return Object.fromEntries(
    Object.entries<(bits: number) => Operation>(table).map(([name, make]) => [`${of}.${name}`, make(laneBits[of])]),
  );
}

function extend(from: number, half: "low" | "high", sign: "s" | "u"): Operation {
  const count = 64 / from;
  return {
    operands: ["v128"],
    result: "v128",
    evaluate: (_, [a = 0n]) => {
      const lanes = lanesOf(from, a).slice(half === "low" ? 0 : count, half === "low" ? count : 2 * count);
      return fromLanes(
        2 * from,
        lanes.map((lane) => (sign === "s" ? s(lane, from) : lane)),
      );
    },
  };
}
function narrow(from: number, sign: "s" | "u"): Operation {
  const to = from / 2;
  return {
    operands: ["v128", "v128"],
    result: "v128",
    evaluate: (_, [a = 0n, b = 0n]) =>
      fromLanes(
        to,
        [...lanesOf(from, a), ...lanesOf(from, b)].map((lane) =>
          (sign === "s" ? clampSigned : clampUnsigned)(s(lane, from), to),
        ),
      ),
  };
}
function extendedMultiply(from: number, half: "low" | "high", sign: "s" | "u"): Operation {
  const widen = extend(from, half, sign);
  return {
    operands: ["v128", "v128"],
    result: "v128",
    evaluate: (n, [a = 0n, b = 0n]) => {
      const right = lanesOf(2 * from, widen.evaluate(n, [b], 0));
      return fromLanes(
        2 * from,
        lanesOf(2 * from, widen.evaluate(n, [a], 0)).map(
          (lane, index) => s(lane, 2 * from) * s(right[index] ?? 0n, 2 * from),
        ),
      );
    },
  };
}
function extendAddPairs(from: number, sign: "s" | "u"): Operation {
  return {
    operands: ["v128"],
    result: "v128",
    evaluate: (_, [a = 0n]) => {
      const lanes = lanesOf(from, a).map((lane) => (sign === "s" ? s(lane, from) : lane));
      return fromLanes(
        2 * from,
        Array.from({ length: 64 / from }, (__, index) => (lanes[2 * index] ?? 0n) + (lanes[2 * index + 1] ?? 0n)),
      );
    },
  };
}
function splat(of: Shape): Operation {
  const bits = laneBits[of];
  return {
    operands: [bits === 64 ? "i64" : "i32"],
    result: "v128",
    evaluate: (_, [a = 0n]) =>
      fromLanes(
        bits,
        Array.from({ length: 128 / bits }, () => a),
      ),
  };
}
/** Lane accesses of 8 and 16 bits give and take an i32, as WebAssembly's do; extraction zero-extends. */
function extract(of: Shape): Operation {
  const bits = laneBits[of];
  return {
    operands: ["v128"],
    result: bits === 64 ? "i64" : "i32",
    evaluate: (_, [a = 0n], lane) => lanesOf(bits, a)[lane] ?? 0n,
  };
}
function replace(of: Shape): Operation {
  const bits = laneBits[of];
  return {
    operands: ["v128", bits === 64 ? "i64" : "i32"],
    result: "v128",
    evaluate: (_, [a = 0n, b = 0n], lane) =>
      fromLanes(
        bits,
        lanesOf(bits, a).map((old, index) => (index === lane ? b : old)),
      ),
  };
}

type Of<S extends string, Names extends string> = Record<`${S}.${Names}`, Operation>;
type Every = "add" | "sub" | "neg" | "abs" | "eq" | "ne" | "lt_s" | "gt_s" | "shl" | "shr_s" | "shr_u" | "bitmask";
type MinMax = "min_s" | "min_u" | "max_s" | "max_u";
type Saturating = "add_sat_s" | "add_sat_u" | "sub_sat_s" | "sub_sat_u" | "avgr_u";

const ones = (1n << 128n) - 1n;

/** Integer vector operations, named and meant as WebAssembly's. */
export const vectorOperations = {
  ...(shape("i8x16", { ...everyShape, ...minMax, ...saturating }) as Of<"i8x16", Every | MinMax | Saturating>),
  ...(shape("i16x8", { ...everyShape, ...minMax, ...saturating }) as Of<"i16x8", Every | MinMax | Saturating>),
  ...(shape("i32x4", { ...everyShape, ...minMax }) as Of<"i32x4", Every | MinMax>),
  ...(shape("i64x2", everyShape) as Of<"i64x2", Every>),
  "i16x8.mul": lanewise(16, (a, b) => a * b),
  "i32x4.mul": lanewise(32, (a, b) => a * b),
  "i64x2.mul": lanewise(64, (a, b) => a * b),
  "v128.and": lanewise(64, (a, b) => a & b),
  /** a AND NOT b: PANDN with its operands exchanged. */
  "v128.andnot": lanewise(64, (a, b) => a & ~b),
  "v128.or": lanewise(64, (a, b) => a | b),
  "v128.xor": lanewise(64, (a, b) => a ^ b),
  "v128.not": { operands: ["v128"], result: "v128", evaluate: (_, [a = 0n]) => a ^ ones },
  /** bitselect(a, b, mask): bits of a where the mask is one. */
  "v128.bitselect": {
    operands: ["v128", "v128", "v128"],
    result: "v128",
    evaluate: (_, [a = 0n, b = 0n, c = 0n]) => (a & c) | (b & (c ^ ones)),
  },
  "v128.any_true": { operands: ["v128"], result: "i1", evaluate: (_, [a = 0n]) => (a === 0n ? 0n : 1n) },
  /** swizzle(a, indices): an index of 16 or more gives zero. */
  "i8x16.swizzle": {
    operands: ["v128", "v128"],
    result: "v128",
    evaluate: (_, [a = 0n, b = 0n]) => {
      const bytes = lanesOf(8, a);
      return fromLanes(
        8,
        lanesOf(8, b).map((index) => bytes[Number(index)] ?? 0n),
      );
    },
  },
  "i8x16.splat": splat("i8x16"),
  "i16x8.splat": splat("i16x8"),
  "i32x4.splat": splat("i32x4"),
  "i64x2.splat": splat("i64x2"),
  "i8x16.extract_lane_u": extract("i8x16"),
  "i16x8.extract_lane_u": extract("i16x8"),
  "i32x4.extract_lane": extract("i32x4"),
  "i64x2.extract_lane": extract("i64x2"),
  "i8x16.replace_lane": replace("i8x16"),
  "i16x8.replace_lane": replace("i16x8"),
  "i32x4.replace_lane": replace("i32x4"),
  "i64x2.replace_lane": replace("i64x2"),
  "i16x8.extend_low_i8x16_s": extend(8, "low", "s"),
  "i16x8.extend_low_i8x16_u": extend(8, "low", "u"),
  "i16x8.extend_high_i8x16_s": extend(8, "high", "s"),
  "i16x8.extend_high_i8x16_u": extend(8, "high", "u"),
  "i32x4.extend_low_i16x8_s": extend(16, "low", "s"),
  "i32x4.extend_low_i16x8_u": extend(16, "low", "u"),
  "i32x4.extend_high_i16x8_s": extend(16, "high", "s"),
  "i32x4.extend_high_i16x8_u": extend(16, "high", "u"),
  "i64x2.extend_low_i32x4_s": extend(32, "low", "s"),
  "i64x2.extend_low_i32x4_u": extend(32, "low", "u"),
  "i16x8.extadd_pairwise_i8x16_s": extendAddPairs(8, "s"),
  "i16x8.extadd_pairwise_i8x16_u": extendAddPairs(8, "u"),
  "i32x4.extadd_pairwise_i16x8_s": extendAddPairs(16, "s"),
  "i32x4.extadd_pairwise_i16x8_u": extendAddPairs(16, "u"),
  "i32x4.extmul_low_i16x8_s": extendedMultiply(16, "low", "s"),
  "i32x4.extmul_low_i16x8_u": extendedMultiply(16, "low", "u"),
  "i32x4.extmul_high_i16x8_s": extendedMultiply(16, "high", "s"),
  "i32x4.extmul_high_i16x8_u": extendedMultiply(16, "high", "u"),
  "i64x2.extmul_low_i32x4_s": extendedMultiply(32, "low", "s"),
  "i64x2.extmul_low_i32x4_u": extendedMultiply(32, "low", "u"),
  "i8x16.narrow_i16x8_s": narrow(16, "s"),
  "i8x16.narrow_i16x8_u": narrow(16, "u"),
  "i16x8.narrow_i32x4_s": narrow(32, "s"),
  "i16x8.narrow_i32x4_u": narrow(32, "u"),
  /** Sums of adjacent products of signed 16-bit lanes: PMADDWD. */
  "i32x4.dot_i16x8_s": {
    operands: ["v128", "v128"],
    result: "v128",
    evaluate: (_, [a = 0n, b = 0n]) => {
      const right = lanesOf(16, b);
      const products = lanesOf(16, a).map((lane, index) => s(lane, 16) * s(right[index] ?? 0n, 16));
      return fromLanes(
        32,
        [0, 2, 4, 6].map((index) => (products[index] ?? 0n) + (products[index + 1] ?? 0n)),
      );
    },
  },
} satisfies Record<string, Operation>;
