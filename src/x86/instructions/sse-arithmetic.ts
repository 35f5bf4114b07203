import type { Value } from "../../ir/node.ts";
import type { Instruction } from "../instruction.ts";
import { extractLane, raising, raisingLanes, replaceLane } from "../routines/sse.ts";
import type { Semantics } from "../semantics.ts";
import type { ArithmeticOperation } from "../softfloat/arithmetic.ts";
import { comparison } from "../softfloat/compare.ts";
import type { Format } from "../softfloat/format.ts";
import { denormalLanes, either, isDenormal, isNan, lowName, nanLanes, none, vectorName } from "../sse-fast.ts";
import { computation } from "../sse-computation.ts";
import { floating, pd, ps, sd, ss } from "./sse-shapes.ts";
import type { Shape } from "./sse-shapes.ts";

/** Arithmetic, square roots, minima and maxima. Intel SDM Vol. 2, "ADDPS" to "SUBSS". */

/** Four instructions, in the order ps, pd, ss, sd. */
type Four = [Instruction, Instruction, Instruction, Instruction];

function four(
  name: string,
  opcode: string,
  compute: (shape: Shape) => (ir: Semantics, a: Value, b: Value) => Value,
): Four {
  return [ps, pd, ss, sd].map((shape) => floating(name, opcode, shape, compute(shape))) as Four;
}

const arithmeticOf = (operation: ArithmeticOperation) => (shape: Shape) => computation(operation, shape);

export const [addps, addpd, addss, addsd] = four("add", "58", arithmeticOf("add"));
export const [subps, subpd, subss, subsd] = four("sub", "5C", arithmeticOf("sub"));
export const [mulps, mulpd, mulss, mulsd] = four("mul", "59", arithmeticOf("mul"));
export const [divps, divpd, divss, divsd] = four("div", "5E", arithmeticOf("div"));
export const [sqrtps, sqrtpd, sqrtss, sqrtsd] = four("sqrt", "51", arithmeticOf("sqrt"));

/** DEST where it is less, or greater, than SRC; else SRC. Numbers that are neither NaN nor denormal raise nothing. */
function extremeLanes(operation: "min" | "max", format: Format) {
  const slow = raisingLanes(operation, format, [comparison[format.name][operation]]);
  return (ir: Semantics, a: Value, b: Value) => {
    const first = ir.op(vectorName(format, "lt"), operation === "min" ? [a, b] : [b, a]);
    const odd = [a, b].flatMap((operand) => [denormalLanes(ir, format, operand), nanLanes(ir, format, operand)]);
    return either(ir, none(ir, odd), ir.op("v128.bitselect", [a, b, first]), () => ir.call(slow, a, b)[0]!);
  };
}
/** The same of the lowest lanes. */
function extremeLowest(operation: "min" | "max", format: Format) {
  const slow = raising(comparison[format.name][operation]);
  return (ir: Semantics, destination: Value, source: Value) => {
    const [a, b] = [destination, source].map((vector) => ir.hold(extractLane(ir, format, vector, 0))) as [Value, Value];
    const first = ir.op(lowName(format, "lt"), operation === "min" ? [destination, source] : [source, destination]);
    const odd = [a, b]
      .flatMap((operand) => [isDenormal(ir, format, operand), isNan(ir, format, operand)])
      .reduce((any, bad) => ir.or(any, bad));
    const result = either(ir, ir.eqz(odd), ir.select(first, a, b), () => ir.call(slow, a, b)[0]!);
    return replaceLane(ir, format, destination, 0, result);
  };
}
const extreme =
  (operation: "min" | "max") =>
  ({ format, packed }: Shape) =>
    (packed ? extremeLanes : extremeLowest)(operation, format);
export const [minps, minpd, minss, minsd] = four("min", "5D", extreme("min"));
export const [maxps, maxpd, maxss, maxsd] = four("max", "5F", extreme("max"));
