import { Vector } from "../exceptions.ts";
import { instruction } from "../instruction.ts";

/** BOUND — #BR unless the signed index lies between the two bounds in memory. Intel SDM Vol. 2A, "BOUND". */
export const bound = instruction({
  mnemonic: "bound",
  encodings: ["62  Gv,M  i64 osz"],
  semantics(ir, index, bounds) {
    const { type, bits } = index;
    const address = ir.hold(ir.linear(ir.numbers.slot(ir, "segment"), bounds.offset(), bits / 4, "read"));
    const lower = ir.load(type, address);
    const upper = ir.load(type, ir.add(address, bits / 8));
    const value = index.read();
    ir.if(ir.or(ir.lts(value, lower), ir.lts(upper, value)), () => ir.fault(Vector.BR));
  },
});
