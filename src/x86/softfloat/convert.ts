import { Builder, routine } from "../../ir/builder.ts";
import type { Routine } from "../../ir/node.ts";
import { Exception, double, infinityBits, quietBit, single } from "./format.ts";
import type { Format } from "./format.ts";
import { denormalFlag, flushed, isUnmasked, roundPack, signed, unpack } from "./unpack.ts";

/**
 * convert(a, control: i32) → (b, flags: i32) from one format to another. A NaN keeps its sign and the highest bits of its
 * payload, and becomes quiet.
 */
function convert(from: Format, to: Format): Routine {
  return routine(
    `float.${from.name}To.${to.name}`,
    { parameters: [from.type, "i32"], results: [to.type, "i32"], faults: false },
    () => new Builder(),
    (ir, value, control) => {
      const a = unpack(ir, from, flushed(ir, from, ir.zext(value, "i64"), control));
      const none = ir.const("i32", 0);
      const result = (bits: typeof a.bits) => ir.resize(bits, to.type);
      ir.if(a.isNan, () => {
        const fraction = ir.and(a.bits, (1n << BigInt(from.precision - 1)) - 1n);
        const distance = from.precision - to.precision;
        const payload = distance > 0 ? ir.shr(fraction, distance) : ir.shl(fraction, -distance);
        const nan = ir.or(payload, infinityBits(to) | quietBit(to));
        ir.return(result(ir.or(signed(ir, to, a.sign, 0n), nan)), ir.zext(a.isSignaling, "i32"));
      });
      ir.if(a.isInfinity, () => ir.return(result(signed(ir, to, a.sign, infinityBits(to))), none));
      ir.if(a.isZero, () => ir.return(result(signed(ir, to, a.sign, 0n)), none));
      const denormals = denormalFlag(ir, a.isDenormal);
      const refused = isUnmasked(ir, control, denormals, Exception.denormal);
      ir.if(refused, () => ir.return(ir.const(to.type, 0), denormals));
      const [bits, flags] = roundPack(ir, to, a.sign, a.exponent, a.significand, ir.const("i64", 0), control);
      ir.return(result(bits), ir.or(flags, denormals));
    },
  );
}

export const conversion = { singleToDouble: convert(single, double), doubleToSingle: convert(double, single) };
