import { floatOperations } from "./float-operations.ts";
import type { Operation } from "./operation.ts";
import { fromLanes, lanesOf } from "./vector-operations.ts";

/**
 * Floating-point operations on the lowest lane of vectors, as SSE's scalars have them: numbers stay where they are, and the
 * other lanes of the first operand with them. Each is the scalar operation of the same name (float-operations.ts).
 */

const shapes = { f32x4: ["f32", 32], f64x2: ["f64", 64] } as const;
type LowShape = keyof typeof shapes;

/** A binary one puts its result into the first operand's lowest lane; a root is that of the second operand. */
function family<S extends LowShape>(shape: S) {
  const [prefix, bits] = shapes[shape];
  const lowest = (value: bigint) => BigInt.asUintN(bits, value);
  const binary = (name: "add" | "sub" | "mul" | "div" | "sqrt"): Operation => {
    const { evaluate } = floatOperations[`${prefix}.${name}`];
    return {
      operands: ["v128", "v128"],
      result: "v128",
      evaluate: (_, [a = 0n, b = 0n]) => {
        const low = evaluate(bits, name === "sqrt" ? [lowest(b)] : [lowest(a), lowest(b)], 0);
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
  const named = {
    add: binary("add"),
    sub: binary("sub"),
    mul: binary("mul"),
    div: binary("div"),
    sqrt: binary("sqrt"),
    lt: compare("lt"),
    eq: compare("eq"),
  };
  return Object.fromEntries(
    Object.entries(named).map(([name, operation]) => [`${shape}.${name}_low`, operation]),
  ) as Record<`${S}.${keyof typeof named}_low`, Operation>;
}

export const lowLaneOperations = { ...family("f32x4"), ...family("f64x2") } satisfies Record<string, Operation>;
