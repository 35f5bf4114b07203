import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import { slotAt } from "../vectors.ts";
import type { Operand } from "../operand.ts";
import type { Semantics } from "../semantics.ts";

/** product(a: i64, b: i64) → v128: the product of polynomials over GF(2). */
const product = routine(
  "carrylessProduct",
  { parameters: ["i64", "i64"], results: ["v128"], faults: false },
  () => new Builder(),
  (ir, a, b) => {
    const rest = ir.variable(b);
    const low = ir.variable(ir.const("i64", 0));
    const high = ir.variable(ir.const("i64", 0));
    ir.loop((loop) => {
      const left = ir.read(rest);
      ir.if(ir.eqz(left), () => ir.break(loop));
      const place = ir.hold(ir.op("ctz", [left]));
      ir.assign(low, ir.xor(ir.read(low), ir.shl(a, place)));
      // In two steps, since a shift by 64 would be one by 0.
      ir.assign(high, ir.xor(ir.read(high), ir.shr(ir.shr(a, 1), ir.sub(63, place))));
      ir.assign(rest, ir.and(left, ir.sub(left, 1)));
    });
    ir.return(ir.op("i64x2.replace_lane", [ir.op("i64x2.splat", [ir.read(low)]), ir.read(high)], 1));
  },
);

/** The half of a vector that a bit of the immediate chooses. */
function half(ir: Semantics, operand: Operand, immediate: Value, bit: number): Value {
  const upper = ir.ne(ir.and(immediate, 1 << bit), 0);
  if (operand.kind === "register")
    return ir.get("i64", slotAt(ir, operand.slot!, ir.select(upper, ir.const("i32", 8), ir.const("i32", 0))));
  const vector = operand.read();
  const [first, second] = [0, 1].map((lane) => ir.op("i64x2.extract_lane", [vector], lane)) as [Value, Value];
  return ir.select(upper, second, first);
}

/** PCLMULQDQ — Intel SDM Vol. 2B. Bit 0 of the immediate chooses DEST's half, bit 4 SRC's. */
export const pclmulqdq = instruction({
  mnemonic: "pclmulqdq",
  feature: "PCLMULQDQ",
  encodings: ["66 0F 3A 44  Vx,Wx,Ib"],
  semantics(ir, destination, source, immediate) {
    ir.requireSse();
    const control = immediate.read("i32");
    const right = half(ir, source, control, 4);
    destination.write(ir.call(product, half(ir, destination, control, 0), right)[0]!);
  },
});
