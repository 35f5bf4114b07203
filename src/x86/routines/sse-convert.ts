import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { conversion } from "../softfloat/convert.ts";
import { Rounding, double, single } from "../softfloat/format.ts";
import type { Format } from "../softfloat/format.ts";
import { integers } from "../softfloat/integral.ts";
import { roundingOf } from "../softfloat/round.ts";
import { State } from "../state.ts";
import { extractLane, raise, raisingVector } from "./sse.ts";

/** Exact conversions, for what the fast ways leave. */

/** Rounding as MXCSR says, or the truncation of CVTT. */
type Direction = "nearest" | "zero";

function rounding(ir: Builder, direction: Direction, control: Value): Value {
  return direction === "zero" ? ir.const("i32", Rounding.zero) : roundingOf(ir, control);
}

/** (a, bits: i32) → i64: raises. */
function toInteger(format: Format, direction: Direction): Routine {
  return routine(
    `sse.toInteger.${format.name}.${direction}`,
    { parameters: [format.type, "i32"], results: ["i64"], faults: true },
    () => new Builder(),
    (ir, value, bits) => {
      const control = ir.get("i32", State.mxcsr);
      const soft = integers[format.name].toInteger;
      const [integer, flags] = ir.call(soft, value, bits, rounding(ir, direction, control), control) as [Value, Value];
      raise(ir, flags);
      ir.return(integer);
    },
  );
}
function bothWays(format: Format) {
  return { nearest: toInteger(format, "nearest"), zero: toInteger(format, "zero") };
}
export const scalarToInteger = { single: bothWays(single), double: bothWays(double) };

const word = { bits: 32 } as const;

/** v128 → v128, as many of the lowest lanes as are converted, zero above. */
export const vectorConversions = {
  singlesOfIntegers: (lanes: 2 | 4) =>
    raisingVector(`singlesOfIntegers.${lanes}`, ["v128"], lanes, single, (ir, lane, [source], control) => {
      const integer = ir.sext(extractLane(ir, word, source!, lane), "i64");
      return ir.call(integers.single.fromInteger, integer, control) as [Value, Value];
    }),
  integers: (format: Format, lanes: 2 | 4, direction: Direction) =>
    raisingVector(
      `integers.${format.name}.${lanes}.${direction}`,
      ["v128"],
      lanes,
      word,
      (ir, lane, [source], control) => {
        const value = extractLane(ir, format, source!, lane);
        const parameters = [value, ir.const("i32", 32), rounding(ir, direction, control), control] as const;
        const [integer, flags] = ir.call(integers[format.name].toInteger, ...parameters) as [Value, Value];
        return [ir.trunc(integer, "i32"), flags];
      },
    ),
  widen: raisingVector("widen", ["v128"], 2, double, (ir, lane, [source], control) => {
    return ir.call(conversion.singleToDouble, extractLane(ir, single, source!, lane), control) as [Value, Value];
  }),
  narrow: raisingVector("narrow", ["v128"], 2, single, (ir, lane, [source], control) => {
    return ir.call(conversion.doubleToSingle, extractLane(ir, double, source!, lane), control) as [Value, Value];
  }),
};
