import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { extendedScaling } from "../softfloat/extended-scale.ts";
import { indefinite } from "../softfloat/extended.ts";
import {
  concluded,
  fill,
  floatControl,
  isEmpty,
  isStackEmpty,
  ofSlots,
  ofTop,
  overflowFlags,
  physical,
  readRegister,
  setTop,
  slotOf,
  stackSlot,
  underflowFlags,
} from "./x87.ts";

export const roundTop = ofTop(extendedScaling.toIntegral);
export const scaleTop = ofSlots(extendedScaling.scale);

/** FXTRACT: ST(0) becomes its exponent, and its significand is pushed. Both become indefinite where the stack is at fault. */
export const extractTop = routine(
  "x87.extract",
  { parameters: [], results: [], faults: true },
  () => new Builder(),
  (ir) => {
    const [slot, number] = [stackSlot(ir, 0), physical(ir, 7)];
    const above = slotOf(ir, number);
    const push = () => setTop(ir, number);
    const empty = ir.hold(isStackEmpty(ir, 0));
    ir.if(ir.or(empty, ir.eqz(isEmpty(ir, number))), () => {
      const flags = ir.select(empty, ir.const("i32", underflowFlags), ir.const("i32", overflowFlags));
      ir.if(concluded(ir, flags), () => {
        fill(ir, slot, indefinite(ir));
        fill(ir, above, indefinite(ir));
        push();
      });
      ir.return();
    });
    const { significand, head } = readRegister(ir, slot);
    const operand = [significand, head, floatControl(ir)] as const;
    const [exponent, exponentHead, flags] = ir.call(extendedScaling.exponentOf, ...operand) as [Value, Value, Value];
    const [fraction, fractionHead] = ir.call(extendedScaling.significandOf, ...operand) as [Value, Value];
    ir.if(concluded(ir, flags), () => {
      fill(ir, slot, { significand: exponent, head: exponentHead });
      fill(ir, above, { significand: fraction, head: fractionHead });
      push();
    });
    ir.return();
  },
);
