import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { extendedToInteger, narrowing } from "../softfloat/extended-convert.ts";
import { Exception, defaultNan, double, single } from "../softfloat/format.ts";
import type { Format } from "../softfloat/format.ts";
import { floatControl, isStackEmpty, raisesUnmasked, readRegister, stackSlot, underflowFlags } from "./x87.ts";

/** ST(0) as a store makes it ready for memory: its bits, and the flags that are to be noted when it has been stored. */

const builder = () => new Builder();

/** Exceptions that keep a result from memory, and ST(0) on the stack, where they are not masked: all but precision. */
const keepsBack = Exception.invalid | Exception.overflow | Exception.underflow;

/** Whether what raised `flags` is to be stored, as an i1. */
export function mayStore(ir: Builder, flags: Value): Value {
  return ir.hold(ir.eqz(raisesUnmasked(ir, flags, keepsBack)));
}

/** () → (bits, flags). */
function stored(format: Format, narrow: Routine): Routine {
  const signature = { parameters: [], results: [format.type, "i32" as const], faults: false };
  return routine(`x87.stored.${format.name}`, signature, builder, (ir) => {
    ir.if(isStackEmpty(ir, 0), () =>
      ir.return(ir.const(format.type, defaultNan(format)), ir.const("i32", underflowFlags)),
    );
    const { significand, head } = readRegister(ir, stackSlot(ir, 0));
    const [bits, flags] = ir.call(narrow, significand, head, floatControl(ir)) as [Value, Value];
    // What is not stored is not inexact either.
    const inexact = Exception.precision | Exception.roundedUp;
    ir.return(bits, ir.select(mayStore(ir, flags), flags, ir.and(flags, ~inexact)));
  });
}
export const storedSingle = stored(single, narrowing.single);
export const storedDouble = stored(double, narrowing.double);

/** (bits: i32, rounding: i32) → (integer: i64, flags). */
export const storedInteger = routine(
  "x87.stored.integer",
  { parameters: ["i32", "i32"], results: ["i64", "i32"], faults: false },
  builder,
  (ir, bits, rounding) => {
    ir.if(isStackEmpty(ir, 0), () => {
      const smallest = ir.shl(ir.const("i64", -1), ir.zext(ir.sub(bits, 1), "i64"));
      ir.return(smallest, ir.const("i32", underflowFlags));
    });
    const { significand, head } = readRegister(ir, stackSlot(ir, 0));
    ir.return(...ir.call(extendedToInteger, significand, head, bits, rounding));
  },
);
