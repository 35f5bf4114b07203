import type { Value } from "../ir/node.ts";
import { raising, raisingLanes } from "./routines/sse.ts";
import type { Semantics } from "./semantics.ts";
import { arithmetic } from "./softfloat/arithmetic.ts";
import type { ArithmeticOperation } from "./softfloat/arithmetic.ts";
import {
  denormalLanes,
  either,
  isDenormal,
  isFinite,
  isNormal,
  isZero,
  none,
  roundsFreely,
  scalarName,
  smallLanes,
  specialLanes,
  vectorName,
} from "./sse-fast.ts";
import type { Shape } from "./instructions/sse-shapes.ts";

/** What an arithmetic instruction computes of its destination and source. */
export type Computation = (ir: Semantics, destination: Value, source: Value) => Value;

/**
 * The operands of products and quotients whose being zero makes an exact zero; else a small result may be an inexact one.
 * Sums and roots are never inexactly small.
 */
const zeroing: Readonly<Partial<Record<ArithmeticOperation, readonly number[]>>> = { mul: [0, 1], div: [0] };

/**
 * Whether a vector result has raised nothing: no operand is denormal, and the result is finite, and not too small except
 * where one of `zeros` is zero. Undefined where it cannot be too small.
 */
export function fitsLanes(
  ir: Semantics,
  { format }: Shape,
  operands: readonly Value[],
  result: Value,
  zeros?: readonly Value[],
): Value {
  const odd = [...operands.map((operand) => denormalLanes(ir, format, operand)), specialLanes(ir, format, result)];
  if (zeros === undefined) return none(ir, odd);
  // A lane that is small and not denormal is zero.
  const exact = zeros
    .map((zero) => smallLanes(ir, format, zero))
    .reduce((all, lanes) => ir.op("v128.or", [all, lanes]));
  return none(ir, [...odd, ir.op("v128.andnot", [smallLanes(ir, format, result), exact])]);
}

/** The same of a scalar. */
function fits(
  ir: Semantics,
  { format }: Shape,
  operands: readonly Value[],
  result: Value,
  zeros?: readonly Value[],
): Value {
  const finite = isFinite(ir, format, result);
  const exact = zeros?.map((zero) => isZero(ir, zero)).reduce((any, zero) => ir.or(any, zero));
  const sized = exact === undefined ? finite : ir.or(isNormal(ir, format, result), ir.and(finite, exact));
  return operands.reduce((all, operand) => ir.and(all, ir.eqz(isDenormal(ir, format, operand))), sized);
}

/** An operation of a shape: fast where nothing but PE, which is set already, is raised; else exact. */
export function computation(operation: ArithmeticOperation, shape: Shape): Computation {
  const { format, packed } = shape;
  const soft = arithmetic[format.name][operation];
  const slow = packed ? raisingLanes(operation, format, [soft]) : raising(soft);
  return (ir, destination, source) => {
    // A root looks at the source alone.
    const operands = operation === "sqrt" ? [source] : [destination, source];
    const zeros = zeroing[operation]?.map((index) => operands[index]!);
    const name = packed ? vectorName(format, operation) : scalarName(format, operation);
    const result = ir.hold(ir.op(name, operands));
    const plain = (packed ? fitsLanes : fits)(ir, shape, operands, result, zeros);
    return either(ir, ir.and(roundsFreely(ir), plain), result, () => ir.call(slow, ...operands)[0]!);
  };
}
