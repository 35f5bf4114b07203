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

/** Products and quotients can be too small for a normal number, inexactly; sums and roots cannot. */
const underflowing: ReadonlySet<ArithmeticOperation> = new Set(["mul", "div"]);

/** Whether a vector result has raised nothing: no operand is denormal, the result is finite, and not too small. */
export function fitsLanes(
  ir: Semantics,
  { format }: Shape,
  operands: readonly Value[],
  result: Value,
  underflows: boolean,
): Value {
  return none(ir, [
    ...operands.map((operand) => denormalLanes(ir, format, operand)),
    specialLanes(ir, format, result),
    ...(underflows ? [smallLanes(ir, format, result)] : []),
  ]);
}

/** An operation of a shape: fast where nothing but PE, which is set already, is raised; else exact. */
export function computation(operation: ArithmeticOperation, shape: Shape): Computation {
  const { format, packed } = shape;
  const soft = arithmetic[format.name][operation];
  const slow = packed ? raisingLanes(operation, format, [soft]) : raising(soft);
  const underflows = underflowing.has(operation);
  return (ir, destination, source) => {
    // A root looks at the source alone.
    const operands = operation === "sqrt" ? [source] : [destination, source];
    const name = packed ? vectorName(format, operation) : scalarName(format, operation);
    const result = ir.hold(ir.op(name, operands));
    const fits = packed
      ? fitsLanes(ir, shape, operands, result, underflows)
      : operands.reduce(
          (all, operand) => ir.and(all, ir.eqz(isDenormal(ir, format, operand))),
          underflows ? isNormal(ir, format, result) : isFinite(ir, format, result),
        );
    return either(ir, ir.and(roundsFreely(ir), fits), result, () => ir.call(slow, ...operands)[0]!);
  };
}
