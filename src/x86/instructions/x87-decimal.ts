import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import { fromDecimal, storedDecimal } from "../routines/x87-decimal.ts";
import { mayStore } from "../routines/x87-store.ts";
import { concluded, pop, push } from "../routines/x87.ts";
import { beginX87, loadWide, setPointers, storeWide } from "../x87-operands.ts";

const feature = "x87";

/** FBLD. Intel SDM Vol. 2A, "FBLD—Load Binary Coded Decimal". */
export const fbld = instruction({
  mnemonic: "fbld",
  encodings: ["DF /4  Mt"],
  feature,
  semantics(ir, source) {
    beginX87(ir);
    const { significand, head } = loadWide(ir, source);
    setPointers(ir, source);
    const number = ir.call(fromDecimal, significand, head) as [Value, Value];
    ir.call(push, ...number, ir.const("i32", 0));
  },
});

/** FBSTP. Intel SDM Vol. 2A, "FBSTP—Store BCD Integer and Pop". */
export const fbstp = instruction({
  mnemonic: "fbstp",
  encodings: ["DF /6  Mt"],
  feature,
  semantics(ir, destination) {
    beginX87(ir);
    const [significand, head, flags] = ir.call(storedDecimal) as [Value, Value, Value];
    const storable = mayStore(ir, flags);
    storeWide(ir, destination, { significand, head }, storable);
    setPointers(ir, destination);
    concluded(ir, flags);
    ir.if(storable, () => pop(ir));
  },
});
