import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { floatRoutine } from "./arithmetic.ts";
import { Exception, double, single } from "./format.ts";
import type { Format } from "./format.ts";
import { denormalFlag, flushed, unpack } from "./unpack.ts";
import type { Unpacked } from "./unpack.ts";

/** How two numbers stand to each other. */
export const Relation = { equal: 0, less: 1, greater: 2, unordered: 3 } as const;

/** A number's bits as a signed integer that is ordered as the numbers are; both zeros are 0. */
function ordinal(ir: Builder, format: Format, { bits, sign }: Unpacked): Value {
  const magnitude = ir.and(bits, (1n << BigInt(format.bits - 1)) - 1n);
  return ir.hold(ir.select(ir.ne(sign, 0), ir.neg(magnitude), magnitude));
}

/**
 * compare(a, b, quietToo: i32, control: i32) → (relation: i32, flags: i32). A signalling NaN is invalid, with `quietToo` a
 * quiet one as well.
 */
function compare(format: Format): Routine {
  return routine(
    `float.compare.${format.name}`,
    { parameters: [format.type, format.type, "i32", "i32"], results: ["i32", "i32"], faults: false },
    () => new Builder(),
    (ir, first, second, quietToo, control) => {
      const [a, b] = [first, second].map((value) =>
        unpack(ir, format, flushed(ir, format, ir.zext(value, "i64"), control)),
      ) as [Unpacked, Unpacked];
      ir.if(ir.or(a.isNan, b.isNan), () => {
        const invalid = ir.or(ir.or(a.isSignaling, b.isSignaling), ir.ne(quietToo, 0));
        ir.return(ir.const("i32", Relation.unordered), ir.zext(invalid, "i32"));
      });
      const [x, y] = [ordinal(ir, format, a), ordinal(ir, format, b)];
      const apart = ir.select(ir.lts(x, y), ir.const("i32", Relation.less), ir.const("i32", Relation.greater));
      const relation = ir.select(ir.eq(x, y), ir.const("i32", Relation.equal), apart);
      ir.return(relation, denormalFlag(ir, ir.or(a.isDenormal, b.isDenormal)));
    },
  );
}

/** MIN and MAX: the second operand where either is a NaN, or both are zeros. Intel SDM Vol. 2B, "MINSS". */
function extreme(format: Format, name: "min" | "max"): Routine {
  return floatRoutine(name, format, 2, ({ ir, finish }, ...bits) => {
    const [a, b] = bits.map((each) => unpack(ir, format, each)) as [Unpacked, Unpacked];
    ir.if(ir.or(a.isNan, b.isNan), () => finish(b.bits, Exception.invalid));
    const [x, y] = [ordinal(ir, format, a), ordinal(ir, format, b)];
    const first = name === "min" ? ir.lts(x, y) : ir.lts(y, x);
    finish(ir.select(first, a.bits, b.bits), denormalFlag(ir, ir.or(a.isDenormal, b.isDenormal)));
  });
}

/**
 * Which relations satisfy a predicate of CMPPS, a nibble for each of the eight: EQ, LT, LE, UNORD, NEQ, NLT, NLE, ORD. A
 * relation's bit is its number.
 */
export const predicates = 0x7cde8321;
/** The predicates for which a quiet NaN is invalid: LT, LE, NLT, NLE. */
const signalingPredicates = 0b0110_0110;

/** satisfies(a, b, predicate: i32, control) → (mask, flags): all ones where the predicate, 0 to 7, holds. */
function satisfies(format: Format, relate: Routine): Routine {
  return routine(
    `float.satisfies.${format.name}`,
    { parameters: [format.type, format.type, "i32", "i32"], results: [format.type, "i32"], faults: false },
    () => new Builder(),
    (ir, a, b, predicate, control) => {
      const quietToo = ir.and(ir.shr(ir.const("i32", signalingPredicates), predicate), 1);
      const [relation, flags] = ir.call(relate, a, b, quietToo, control) as [Value, Value];
      const holds = ir.shr(ir.shr(ir.const("i32", predicates), ir.shl(predicate, 2)), relation);
      ir.return(ir.sext(ir.trunc(holds, "i1"), format.type), flags);
    },
  );
}

function family(format: Format) {
  const relate = compare(format);
  return {
    compare: relate,
    satisfies: satisfies(format, relate),
    min: extreme(format, "min"),
    max: extreme(format, "max"),
  };
}
export const comparison = { single: family(single), double: family(double) };
