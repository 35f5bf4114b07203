import { Builder, routine } from "../../ir/builder.ts";
import type { Routine } from "../../ir/node.ts";

/** A loop over the ones of a mask, from the lowest; each is paired with the next of the consecutive places from bit 0. */
function overMask(name: "pdep" | "pext"): Routine {
  return routine(
    name,
    { parameters: ["i64", "i64"], results: ["i64"], faults: false },
    () => new Builder(),
    (ir, source, mask) => {
      const result = ir.variable(ir.const("i64", 0));
      const left = ir.variable(mask);
      const place = ir.variable(ir.const("i64", 1));
      ir.loop((loop) => {
        const now = ir.read(left);
        ir.if(ir.eqz(now), () => ir.break(loop));
        const lowest = ir.hold(ir.and(now, ir.neg(now)));
        const at = ir.read(place);
        const [from, to] = name === "pext" ? [lowest, at] : [at, lowest];
        ir.if(ir.ne(ir.and(source, from), 0), () => ir.assign(result, ir.or(ir.read(result), to)));
        ir.assign(left, ir.xor(now, lowest));
        ir.assign(place, ir.shl(at, 1));
        ir.continue(loop);
      });
      ir.return(ir.read(result));
    },
  );
}

/** depositBits(source: i64, mask: i64) → i64: the low bits of the source go to the places of the mask's ones. */
export const depositBits = overMask("pdep");
/** extractBits(source: i64, mask: i64) → i64: the bits at the mask's ones, side by side. */
export const extractBits = overMask("pext");
