import type { Value } from "../../ir/node.ts";
import type { Instruction } from "../instruction.ts";
import { raising, raisingLanes } from "../routines/sse.ts";
import type { Semantics } from "../semantics.ts";
import type { ArithmeticOperation } from "../softfloat/arithmetic.ts";
import { comparison } from "../softfloat/compare.ts";
import { denormalLanes, either, isDenormal, isNan, nanLanes, none, scalarName, vectorName } from "../sse-fast.ts";
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
function extreme(operation: "min" | "max") {
  return ({ format, packed }: Shape) => {
    const soft = comparison[format.name][operation];
    const slow = packed ? raisingLanes(operation, format, [soft]) : raising(soft);
    return (ir: Semantics, a: Value, b: Value) => {
      const [less, more] = operation === "min" ? [a, b] : [b, a];
      const name = packed ? vectorName(format, "lt") : scalarName(format, "lt");
      const first = ir.op(name, [less, more]);
      const result = packed ? ir.op("v128.bitselect", [a, b, first]) : ir.select(first, a, b);
      const plain = packed
        ? none(
            ir,
            [a, b].flatMap((operand) => [denormalLanes(ir, format, operand), nanLanes(ir, format, operand)]),
          )
        : [a, b]
            .flatMap((operand) => [isDenormal(ir, format, operand), isNan(ir, format, operand)])
            .reduce((all, bad) => ir.and(all, ir.eqz(bad)), ir.const("i1", 1));
      return either(ir, plain, result, () => ir.call(slow, a, b)[0]!);
    };
  };
}
export const [minps, minpd, minss, minsd] = four("min", "5D", extreme("min"));
export const [maxps, maxpd, maxss, maxsd] = four("max", "5F", extreme("max"));
