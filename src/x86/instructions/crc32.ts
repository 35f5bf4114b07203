import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";

/** 11EDC6F41h without its highest bit, the bits in reverse order. */
const polynomial = 0x82f63b78;

/** crc32c(crc: i32, data: i64, bits: i32) → crc: i32: the remainder after `bits` more bits, the lowest first. */
const crc32c = routine(
  "crc32c",
  { parameters: ["i32", "i64", "i32"], results: ["i32"], faults: false },
  () => new Builder(),
  (ir, crc, data, bits) => {
    // Data and remainder may be added beforehand: what is beyond 32 bits of data comes down as the bits are shifted out.
    const whole = ir.variable(ir.xor(data, ir.zext(crc, "i64")));
    const left = ir.variable(bits);
    const bit = (value: Value) => ir.xor(ir.shr(value, 1), ir.and(ir.neg(ir.and(value, 1)), polynomial));
    ir.loop((loop) => {
      const count = ir.read(left);
      ir.if(ir.eqz(count), () => ir.break(loop));
      let value = ir.read(whole);
      for (let n = 0; n < 8; n++) value = ir.hold(bit(value));
      ir.assign(whole, value);
      ir.assign(left, ir.sub(count, 8));
      ir.continue(loop);
    });
    ir.return(ir.trunc(ir.read(whole), "i32"));
  },
);

/** CRC32 — accumulates a CRC-32C. Intel SDM Vol. 2A, "CRC32—Accumulate CRC32 Value". */
export const crc32 = instruction({
  mnemonic: "crc32",
  encodings: ["F2 0F 38 F0  Gy,Eb", "F2 0F 38 F1  Gy,Ev"],
  feature: "SSE4_2",
  semantics(ir, destination, source) {
    const data = ir.zext(source.read(), "i64");
    const [crc] = ir.call(crc32c, destination.read("i32"), data, ir.const("i32", source.bits)) as [Value];
    destination.write(ir.zext(crc, destination.type));
  },
});
