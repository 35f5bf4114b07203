import { floatOperations } from "./float-operations.ts";
import type { Operation } from "./operation.ts";
import { fromLanes, lanesOf } from "./vector-operations.ts";

/**
 * Floating-point operations on the lowest lane of vectors, as SSE's scalars have them: numbers stay where they are, and the
 * other lanes of the first operand with them. Each is the scalar operation of the same name (float-operations.ts).
 */

const shapes = { f32x4: ["f32", 32], f64x2: ["f64", 64] } as const;
type LowShape = keyof typeof shapes;

/** What gives a vector puts its result into the first operand's lowest lane; with one operand, it is the second. */
function family<S extends LowShape>(shape: S) {
  const [prefix, bits] = shapes[shape];
  const lowest = (value: bigint) => BigInt.asUintN(bits, value);
  const binary = (name: "add" | "sub" | "mul" | "div" | "sqrt" | "nearest"): Operation => {
    const { evaluate } = floatOperations[`${prefix}.${name}`];
    return {
      operands: ["v128", "v128"],
      result: "v128",
      evaluate: (_, [a = 0n, b = 0n]) => {
        const low = evaluate(bits, name === "sqrt" || name === "nearest" ? [lowest(b)] : [lowest(a), lowest(b)], 0);
        return fromLanes(bits, [low, ...lanesOf(bits, a).slice(1)]);
      },
    };
  };
  const compare = (name: "lt" | "eq"): Operation => {
    const { evaluate } = floatOperations[`${prefix}.${name}`];
    return {
      operands: ["v128", "v128"],
      result: "i1",
      evaluate: (_, [a = 0n, b = 0n]) => evaluate(bits, [lowest(a), lowest(b)], 0),
    };
  };
  const fromInteger = (type: "i32" | "i64"): Operation => {
    const { evaluate } = floatOperations[`${prefix}.from_${type}`];
    return {
      operands: ["v128", type],
      result: "v128",
      evaluate: (_, [a = 0n, b = 0n]) => fromLanes(bits, [evaluate(bits, [b], 0), ...lanesOf(bits, a).slice(1)]),
    };
  };
  const toInteger = (type: "i32" | "i64"): Operation => {
    const { evaluate } = floatOperations[`${prefix}.to_${type}`];
    return { operands: ["v128"], result: type, evaluate: (_, [a = 0n]) => evaluate(bits, [lowest(a)], 0) };
  };
  const named = {
    add: binary("add"),
    sub: binary("sub"),
    mul: binary("mul"),
    div: binary("div"),
    sqrt: binary("sqrt"),
    nearest: binary("nearest"),
    lt: compare("lt"),
    eq: compare("eq"),
    from_i32: fromInteger("i32"),
    from_i64: fromInteger("i64"),
    to_i32: toInteger("i32"),
    to_i64: toInteger("i64"),
  };
  return Object.fromEntries(
    Object.entries(named).map(([name, operation]) => [`${shape}.${name}_low`, operation]),
  ) as Record<`${S}.${keyof typeof named}_low`, Operation>;
}

export const lowLaneOperations = { ...family("f32x4"), ...family("f64x2") } satisfies Record<string, Operation>;
