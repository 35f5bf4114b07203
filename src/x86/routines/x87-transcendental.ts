import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { arctangentRoutine } from "../softfloat/arctangent.ts";
import { exponential } from "../softfloat/exponential.ts";
import { extended, indefinite, integerBit, unpackExtended } from "../softfloat/extended.ts";
import type { Extended } from "../softfloat/extended.ts";
import { logarithms } from "../softfloat/logarithm.ts";
import { trigonometry } from "../softfloat/trigonometry.ts";
import { State } from "../state.ts";
import {
  Status,
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
  stackUnderflow,
  underflowFlags,
} from "./x87.ts";

const builder = () => new Builder();

/** Functions of ST(0), and of ST(0) and ST(1), by slot: (destination, a, b, hints). */
export const x87Exponential = ofTop(exponential);
export const x87Logarithm = ofSlots(logarithms.timesLogarithm);
export const x87LogarithmPlusOne = ofSlots(logarithms.timesLogarithmPlusOne);
export const x87Arctangent = ofSlots(arctangentRoutine);

function setC2(ir: Builder, value: 0 | 1): void {
  const rest = ir.and(ir.get("i32", State.fsw), ~(Status.c2 | Status.c1));
  ir.set(State.fsw, value === 0 ? rest : ir.or(rest, Status.c2));
}

/** Says in C2 whether ST(0) is too large for an angle; ends the routine where it is. */
function checkRange(ir: Builder, number: Extended): void {
  const a = unpackExtended(ir, number);
  const finite = ir.eqz(ir.or(ir.or(a.isUnsupported, a.isNan), ir.or(a.isInfinity, a.isZero)));
  ir.if(ir.and(finite, ir.les(63, a.exponent)), () => {
    setC2(ir, 1);
    ir.return();
  });
  setC2(ir, 0);
}

/** FSIN and FCOS: ST(0) becomes its sine or cosine. */
function circular(name: string, soft: Routine): Routine {
  return routine(`x87.${name}`, { parameters: [], results: [], faults: true }, builder, (ir) => {
    const slot = stackSlot(ir, 0);
    ir.if(isStackEmpty(ir, 0), () => {
      setC2(ir, 0);
      ir.call(stackUnderflow, slot);
      ir.return();
    });
    const operand = readRegister(ir, slot);
    checkRange(ir, operand);
    const [significand, head, flags] = ir.call(soft, operand.significand, operand.head, floatControl(ir)) as [
      Value,
      Value,
      Value,
    ];
    ir.if(concluded(ir, flags), () => fill(ir, slot, { significand, head }));
    ir.return();
  });
}

/** FSINCOS and FPTAN: ST(0) becomes one number, and another is pushed. */
function pair(name: string, soft: Routine, pushed: Routine | "one"): Routine {
  return routine(`x87.${name}`, { parameters: [], results: [], faults: true }, builder, (ir) => {
    const [slot, number] = [stackSlot(ir, 0), physical(ir, 7)];
    const above = slotOf(ir, number);
    const finish = (below: Extended, top: Extended, flags: Value) => {
      ir.if(concluded(ir, flags), () => {
        fill(ir, slot, below);
        fill(ir, above, top);
        setTop(ir, number);
      });
      ir.return();
    };
    const empty = ir.hold(isStackEmpty(ir, 0));
    ir.if(ir.or(empty, ir.eqz(isEmpty(ir, number))), () => {
      setC2(ir, 0);
      const flags = ir.select(empty, ir.const("i32", underflowFlags), ir.const("i32", overflowFlags));
      finish(indefinite(ir), indefinite(ir), flags);
    });
    const operand = readRegister(ir, slot);
    checkRange(ir, operand);
    const parameters = [operand.significand, operand.head, floatControl(ir)] as const;
    const [significand, head, flags] = ir.call(soft, ...parameters) as [Value, Value, Value];
    if (pushed === "one") {
      const a = unpackExtended(ir, { significand, head });
      const one = extended(ir, 0x3fff, integerBit);
      const top = {
        significand: ir.select(a.isNan, significand, one.significand),
        head: ir.select(a.isNan, head, one.head),
      };
      finish({ significand, head }, top, flags);
      return;
    }
    const [otherSignificand, otherHead, otherFlags] = ir.call(pushed, ...parameters) as [Value, Value, Value];
    finish({ significand, head }, { significand: otherSignificand, head: otherHead }, ir.or(flags, otherFlags));
  });
}

export const x87Circular = {
  sine: circular("sine", trigonometry.sine),
  cosine: circular("cosine", trigonometry.cosine),
  both: pair("sineAndCosine", trigonometry.sine, trigonometry.cosine),
  tangent: pair("tangent", trigonometry.tangent, "one"),
};
