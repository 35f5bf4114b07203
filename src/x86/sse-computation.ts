import { Builder, routine } from "../ir/builder.ts";
import type { Routine, Value } from "../ir/node.ts";
import { extractLane, raising, raisingLanes, replaceLane } from "./routines/sse.ts";
import type { Semantics } from "./semantics.ts";
import { arithmetic } from "./softfloat/arithmetic.ts";
import type { ArithmeticOperation } from "./softfloat/arithmetic.ts";
import { Exception } from "./softfloat/format.ts";
import type { Format } from "./softfloat/format.ts";
import {
  denormalLanes,
  lowName,
  none,
  outsideLanes,
  roundsToNearest,
  smallLanes,
  specialLanes,
  unlessOdd,
  vectorName,
} from "./sse-fast.ts";
import { whereExactness } from "./sse-exactness.ts";
import type { Shape } from "./instructions/sse-shapes.ts";
import { State } from "./state.ts";

/** What an arithmetic instruction computes of its destination and source: vectors, of which a scalar changes the lowest lane. */
export type Computation = (ir: Semantics, destination: Value, source: Value) => Value;

/**
 * Which of its two operands and its result (2) an operation is looked at, to know that all three are numbers, neither
 * denormal nor zero (a difference may be zero), and that nothing has been raised but PE. Magnitudes are looked for in the
 * middle half of the exponents (sse-fast.ts `outsideLanes`): sums of two such numbers are neither too large nor too small;
 * what a product or quotient is, and one operand, say that the other is in between; a root says all by itself.
 */
const looked: Readonly<Record<ArithmeticOperation, readonly (0 | 1 | 2)[]>> = {
  add: [0, 1],
  sub: [0, 1],
  mul: [0, 2],
  div: [1, 2],
  sqrt: [2],
};

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
  ir: Builder,
  format: Format,
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

/**
 * What is between the inline way and the exact one: zeros, magnitudes near the ends of the range, and MXCSR without PE.
 * Returns what `give` makes of a result that it can vouch for. All lanes of the vectors count.
 */
function lookCloser(
  ir: Builder,
  operation: ArithmeticOperation,
  format: Format,
  operands: readonly Value[],
  give: (result: Value) => Value,
): void {
  const result = ir.hold(ir.op(vectorName(format, operation), operands));
  const zeros = zeroing[operation]?.map((index) => operands[index]!);
  ir.if(ir.and(roundsToNearest(ir), fitsLanes(ir, format, operands, result, zeros)), () => {
    const mxcsr = ir.get("i32", State.mxcsr);
    ir.if(ir.ne(ir.and(mxcsr, Exception.precision), 0), () => ir.return(give(result)));
    whereExactness(ir, operation, format, operands, result, (isExact) => {
      const raised = ir.select(isExact, ir.const("i32", 0), ir.const("i32", Exception.precision));
      ir.set(State.mxcsr, ir.or(mxcsr, raised));
      ir.return(give(result));
    });
  });
}

/** All lanes of the operands, of which a root has one. */
function roundAbout(name: string, operation: ArithmeticOperation, format: Format): Routine {
  const exact = raisingLanes(operation, format, [arithmetic[format.name][operation]]);
  return routine(
    `sse.about.${name}`,
    { parameters: exact.parameters, results: ["v128"], faults: true },
    () => new Builder(),
    (ir, ...operands) => {
      lookCloser(ir, operation, format, operands, (result) => result);
      ir.return(ir.call(exact, ...operands)[0]!);
    },
  );
}

/** A scalar: (destination, source) → the destination with its new lowest lane. A root has a destination too. */
function roundAboutLowest(name: string, operation: ArithmeticOperation, format: Format): Routine {
  const exact = raising(arithmetic[format.name][operation]);
  const splat = format.bits === 32 ? "i32x4.splat" : "i64x2.splat";
  return routine(
    `sse.about.${name}`,
    { parameters: ["v128", "v128"], results: ["v128"], faults: true },
    () => new Builder(),
    (ir, destination, source) => {
      const scalars = (operation === "sqrt" ? [source] : [destination, source]).map((operand) =>
        ir.hold(extractLane(ir, format, operand, 0)),
      );
      const operands = scalars.map((scalar) => ir.hold(ir.op(splat, [scalar])));
      const lowest = (scalar: Value) => replaceLane(ir, format, destination, 0, scalar);
      lookCloser(ir, operation, format, operands, (result) => lowest(extractLane(ir, format, result, 0)));
      ir.return(lowest(ir.call(exact, ...scalars)[0]!));
    },
  );
}

/** An operation of a shape: inline where nothing but PE, which is set already, is raised; else by a routine. */
export function computation(operation: ArithmeticOperation, shape: Shape): Computation {
  const { format, packed, suffix } = shape;
  const name = `${operation}.${suffix}`;
  const slow = (packed ? roundAbout : roundAboutLowest)(name, operation, format);
  return (ir, destination, source) => {
    // A packed root looks at the source alone.
    const operands = operation === "sqrt" && packed ? [source] : [ir.hold(destination), ir.hold(source)];
    const result = ir.hold(ir.op(packed ? vectorName(format, operation) : lowName(format, operation), operands));
    const values = operation === "sqrt" ? { 2: result } : { 0: destination, 1: source, 2: result };
    const outside = looked[operation].map((which) =>
      outsideLanes(ir, format, values[which as 2], which === 2 ? "result" : "operand"),
    );
    return unlessOdd(ir, { format, packed }, outside, result, () => ir.call(slow, ...operands)[0]!);
  };
}
