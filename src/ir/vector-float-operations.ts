import { floatOperations } from "./float-operations.ts";
import type { Operation } from "./operation.ts";
import { fromLanes, lanesOf } from "./vector-operations.ts";

/** Floating-point operations on lanes, named and meant as WebAssembly's; each lane as the scalar operation does it. */

type Scalar = keyof typeof floatOperations;

/** Applies a scalar operation to lanes of `from` bits, giving lanes of `to` bits; lanes that have no source are zero. */
function lanewise(from: number, to: number, scalar: Scalar, operands: 1 | 2 = 1): Operation {
  const { evaluate, result } = floatOperations[scalar];
  const count = 128 / Math.max(from, to);
  const toLane = (value: bigint) => (result === "i1" ? -value : value);
  return {
    operands: operands === 1 ? ["v128"] : ["v128", "v128"],
    result: "v128",
    evaluate: (_, values) => {
      const [first = [], second = []] = values.map((value) => lanesOf(from, value));
      const each = first.slice(0, count).map((lane, index) => toLane(evaluate(from, [lane, second[index] ?? 0n], 0)));
      return fromLanes(to, each);
    },
  };
}

const shapes = { f32x4: ["f32", 32], f64x2: ["f64", 64] } as const;

function family<S extends keyof typeof shapes>(shape: S) {
  const [prefix, bits] = shapes[shape];
  const binary = (name: "add" | "sub" | "mul" | "div" | "eq" | "lt" | "le") =>
    lanewise(bits, bits, `${prefix}.${name}`, 2);
  const unary = (name: "sqrt" | "nearest") => lanewise(bits, bits, `${prefix}.${name}`);
  const named = {
    add: binary("add"),
    sub: binary("sub"),
    mul: binary("mul"),
    div: binary("div"),
    eq: binary("eq"),
    lt: binary("lt"),
    le: binary("le"),
    sqrt: unary("sqrt"),
    nearest: unary("nearest"),
  };
  return Object.fromEntries(
    Object.entries(named).map(([name, operation]) => [`${shape}.${name}`, operation]),
  ) as Record<`${S}.${keyof typeof named}`, Operation>;
}

export const vectorFloatOperations = {
  ...family("f32x4"),
  ...family("f64x2"),
  "f64x2.promote_low_f32x4": lanewise(32, 64, "f64.promote"),
  "f32x4.demote_f64x2_zero": lanewise(64, 32, "f32.demote"),
  "f32x4.convert_i32x4_s": lanewise(32, 32, "f32.from_i32"),
  "f64x2.convert_low_i32x4_s": lanewise(32, 64, "f64.from_i32"),
  "i32x4.trunc_sat_f32x4_s": lanewise(32, 32, "f32.to_i32"),
  "i32x4.trunc_sat_f64x2_s_zero": lanewise(64, 32, "f64.to_i32"),
} satisfies Record<string, Operation>;
