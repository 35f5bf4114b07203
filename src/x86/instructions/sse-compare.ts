import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { extractLane, raising, raisingLanes } from "../routines/sse.ts";
import type { Semantics } from "../semantics.ts";
import { Relation, comparison, predicates } from "../softfloat/compare.ts";
import type { Format } from "../softfloat/format.ts";
import {
  anySign,
  denormalLanes,
  either,
  isDenormal,
  isNan,
  lowName,
  nanLanes,
  none,
  outsideLanes,
  scalarName,
  vectorName,
} from "../sse-fast.ts";
import { pd, ps, sd, ss, vectorOperand } from "./sse-shapes.ts";
import type { Shape } from "./sse-shapes.ts";
import { maskOf } from "../vectors.ts";

/** Comparisons. Numbers that are neither NaN nor denormal raise nothing, and need no look at MXCSR. */

function arePlain(
  ir: Semantics,
  { format, packed }: Pick<Shape, "format" | "packed">,
  operands: readonly Value[],
): Value {
  if (packed)
    return none(
      ir,
      operands.flatMap((operand) => [denormalLanes(ir, format, operand), nanLanes(ir, format, operand)]),
    );
  const odd = operands.flatMap((operand) => [isDenormal(ir, format, operand), isNan(ir, format, operand)]);
  return ir.eqz(odd.reduce((any, one) => ir.or(any, one)));
}

/** The relation of two numbers that are neither NaN nor denormal, as an i32. */
function plainRelation(ir: Semantics, format: Format, a: Value, b: Value): Value {
  const less = ir.op(scalarName(format, "lt"), [a, b]);
  const equal = ir.op(scalarName(format, "eq"), [a, b]);
  const apart = ir.select(less, ir.const("i32", Relation.less), ir.const("i32", Relation.greater));
  return ir.select(equal, ir.const("i32", Relation.equal), apart);
}

/** ZF, PF and CF for each relation, a byte each: equal, less, greater, unordered. */
const flagsOfRelations = 0x45_00_01_40;

/**
 * COMIS and UCOMIS; for the first a quiet NaN is invalid as well. Magnitudes of the middle half of the exponents are neither
 * NaN nor denormal; whether others are is looked at apart.
 */
function ordered(mnemonic: string, feature: string, row: string, shape: Shape, quietToo: 0 | 1): Instruction {
  const { format } = shape;
  const slow = raising(comparison[format.name].compare);
  return instruction({
    mnemonic,
    feature,
    encodings: [row],
    semantics(ir: Semantics, ...[first, second]: Operand[]) {
      ir.requireSse();
      const operands = [vectorOperand(ir, second!), vectorOperand(ir, first!)].toReversed() as [Value, Value];
      const less = ir.zext(ir.op(lowName(format, "lt"), operands), "i32");
      const equal = ir.zext(ir.op(lowName(format, "eq"), operands), "i32");
      const flags = ir.variable(ir.or(less, ir.shl(equal, 6)));
      const outside = operands.map((operand) => outsideLanes(ir, format, operand, "operand"));
      ir.unless(ir.ne(anySign(ir, shape, outside), 0), () => {
        const [a, b] = operands.map((operand) => ir.hold(extractLane(ir, format, operand, 0))) as [Value, Value];
        ir.unless(ir.eqz(arePlain(ir, shape, [a, b])), () => {
          const [relation] = ir.call(slow, a, b, ir.const("i32", quietToo)) as [Value];
          ir.assign(flags, ir.and(ir.shr(ir.const("i32", flagsOfRelations), ir.shl(relation, 3)), 0xff));
        });
      });
      ir.flags.explicit(ir.read(flags));
    },
  });
}
export const ucomiss = ordered("ucomiss", "SSE", "NP 0F 2E  Vd,Wd", ss, 0);
export const ucomisd = ordered("ucomisd", "SSE2", "66 0F 2E  Vq,Wq", sd, 0);
export const comiss = ordered("comiss", "SSE", "NP 0F 2F  Vd,Wd", ss, 1);
export const comisd = ordered("comisd", "SSE2", "66 0F 2F  Vq,Wq", sd, 1);

/** All ones in the lanes where the immediate's predicate holds; its upper bits mean nothing. */
function compare(shape: Shape): Instruction {
  const { format, packed } = shape;
  const soft = comparison[format.name].satisfies;
  const slow = packed ? raisingLanes("satisfies", format, [soft], 2) : raising(soft);
  return instruction({
    mnemonic: `cmp${shape.suffix}`,
    feature: shape.feature,
    encodings: [`${shape.prefix} 0F C2  ${shape.destination},${shape.source},Ib`],
    semantics(ir: Semantics, ...[destination, source, immediate]: Operand[]) {
      ir.requireSse();
      const b = source!.read();
      const a = destination!.read();
      const predicate = ir.and(immediate!.read("i32"), 7);
      const wanted = ir.shr(ir.const("i32", predicates), ir.shl(predicate, 2));
      const fast = packed
        ? satisfying(ir, format, a, b, wanted)
        : ir.sext(ir.trunc(ir.shr(wanted, plainRelation(ir, format, a, b)), "i1"), format.type);
      destination!.write(either(ir, arePlain(ir, shape, [a, b]), fast, () => ir.call(slow, a, b, predicate)[0]!));
    },
  });
}

/** Lanes whose relation has its bit set in `wanted`; none is unordered. */
function satisfying(ir: Semantics, format: Format, a: Value, b: Value, wanted: Value): Value {
  const less = ir.op(vectorName(format, "lt"), [a, b]);
  const equal = ir.op(vectorName(format, "eq"), [a, b]);
  const greater = ir.op("v128.not", [ir.op("v128.or", [less, equal])]);
  const lanes = [equal, less, greater].map((mask, relation) => {
    const counts = maskOf(ir, ir.trunc(ir.shr(wanted, relation), "i1"));
    return ir.op("v128.and", [mask, counts]);
  });
  return lanes.reduce((all, mask) => ir.op("v128.or", [all, mask]));
}
export const cmpps = compare(ps);
export const cmppd = compare(pd);
export const cmpss = compare(ss);
export const cmpsd = compare(sd);
