import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { remainders } from "../softfloat/extended-remainder.ts";
import { when } from "../softfloat/round.ts";
import { State } from "../state.ts";
import {
  Status,
  conclude,
  floatControl,
  isStackEmpty,
  readRegister,
  stackSlot,
  stackUnderflow,
  writeRegister,
} from "./x87.ts";

/** FPREM and FPREM1: ST(0) by ST(1); the quotient's last three bits in C0, C3 and C1, and in C2 whether there is more to do. */
function step(name: string, soft: Routine): Routine {
  return routine(
    `x87.${name}`,
    { parameters: [], results: [], faults: true },
    () => new Builder(),
    (ir) => {
      const slot = stackSlot(ir, 0);
      const setConditions = (codes: Value, which: number) =>
        ir.set(State.fsw, ir.or(ir.and(ir.get("i32", State.fsw), ~which), codes));
      ir.if(ir.or(isStackEmpty(ir, 0), isStackEmpty(ir, 1)), () => {
        setConditions(ir.const("i32", 0), Status.c2);
        ir.call(stackUnderflow, slot);
        ir.return();
      });
      const [a, b] = [readRegister(ir, slot), readRegister(ir, stackSlot(ir, 1))];
      const results = ir.call(soft, a.significand, a.head, b.significand, b.head, floatControl(ir));
      const [significand, head, flags, quotient, partial] = results as [Value, Value, Value, Value, Value];
      const [stored] = ir.call(conclude, flags) as [Value];
      ir.if(ir.lts(quotient, 0), () => setConditions(ir.const("i32", 0), Status.c2));
      ir.if(ir.ne(stored, 0), () => {
        writeRegister(ir, slot, { significand, head });
        const bit = (number: number, code: number) => when(ir, ir.ne(ir.and(quotient, 1 << number), 0), code);
        const codes = [bit(0, Status.c1), bit(1, Status.c3), bit(2, Status.c0), when(ir, ir.ne(partial, 0), Status.c2)];
        const all = Status.c0 | Status.c1 | Status.c2 | Status.c3;
        ir.if(ir.les(0, quotient), () =>
          setConditions(
            codes.reduce((sum, code) => ir.or(sum, code)),
            all,
          ),
        );
      });
      ir.return();
    },
  );
}

export const x87Remainder = {
  fprem: step("fprem", remainders.truncated),
  fprem1: step("fprem1", remainders.nearest),
};
