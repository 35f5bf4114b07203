import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { Relation } from "./compare.ts";
import { denormalOperands, unpackExtended } from "./extended.ts";
import type { UnpackedExtended } from "./extended.ts";
import { Exception } from "./format.ts";

/** A finite number, or an infinity, as an integer that is ordered as magnitudes are: exponent, then significand. */
function isLess(ir: Builder, a: UnpackedExtended, b: UnpackedExtended): Value {
  const [x, y] = [a, b].map(({ isInfinity, isZero, exponent }) =>
    ir.hold(ir.select(isInfinity, ir.const("i32", 0x7fff), ir.select(isZero, ir.const("i32", -0x7fff), exponent))),
  ) as [Value, Value];
  return ir.hold(ir.or(ir.lts(x, y), ir.and(ir.eq(x, y), ir.ltu(a.normal, b.normal))));
}

/**
 * compareExtended(a, b, quietToo: i32, control: i32) → (relation: i32, flags: i32). A signalling NaN is invalid, and an
 * unsupported encoding; with `quietToo` a quiet NaN as well.
 */
export const compareExtended = routine(
  "extended.compare",
  { parameters: ["i64", "i32", "i64", "i32", "i32", "i32"], results: ["i32", "i32"], faults: false },
  () => new Builder(),
  (ir, significandA, headA, significandB, headB, quietToo, control) => {
    const a = unpackExtended(ir, { significand: significandA, head: headA });
    const b = unpackExtended(ir, { significand: significandB, head: headB });
    const unsupported = ir.or(a.isUnsupported, b.isUnsupported);
    const nan = ir.or(a.isNan, b.isNan);
    ir.if(ir.or(unsupported, nan), () => {
      const signaling = ir.or(a.isSignaling, b.isSignaling);
      const invalid = ir.or(ir.or(unsupported, signaling), ir.ne(quietToo, 0));
      ir.return(
        ir.const("i32", Relation.unordered),
        ir.select(invalid, ir.const("i32", Exception.invalid), ir.const("i32", 0)),
      );
    });
    const finish = (relation: Value | number) =>
      ir.return(
        typeof relation === "number" ? ir.const("i32", relation) : relation,
        denormalOperands(ir, control, a, b),
      );
    ir.if(ir.and(a.isZero, b.isZero), () => finish(Relation.equal));
    const [less, more] = [ir.const("i32", Relation.less), ir.const("i32", Relation.greater)];
    ir.if(ir.ne(a.sign, b.sign), () => finish(ir.select(ir.ne(a.sign, 0), less, more)));
    const negative = ir.hold(ir.ne(a.sign, 0));
    ir.if(isLess(ir, a, b), () => finish(ir.select(negative, more, less)));
    ir.if(isLess(ir, b, a), () => finish(ir.select(negative, less, more)));
    finish(Relation.equal);
  },
);
