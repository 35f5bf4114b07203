import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import type { Type } from "../../ir/types.ts";
import { Vector } from "../exceptions.ts";
import { arithmetic } from "../softfloat/arithmetic.ts";
import { Control, Exception, allExceptions, double, single } from "../softfloat/format.ts";
import type { Format } from "../softfloat/format.ts";
import { State } from "../state.ts";

/** Soft-float routines with MXCSR around them: what SSE instructions call when the fast way is not exact. */

const builder = () => new Builder();
const osxmmexcpt = 1 << 10;

/** Exceptions of operands. Where one is not masked nothing is computed, in no lane, and no result has exceptions. */
const ofOperands = Exception.invalid | Exception.denormal | Exception.zeroDivide;

/**
 * Sets the sticky flags of MXCSR; a flag that is not masked is #XM, or #UD where the system has not said that it handles
 * that. Intel SDM Vol. 1, "SIMD Floating-Point Exceptions". Nothing is to be written before.
 */
export function raise(ir: Builder, flags: Value): void {
  const mxcsr = ir.get("i32", State.mxcsr);
  const unmasked = ir.not(ir.shr(mxcsr, Control.maskShift));
  const stops = ir.ne(ir.and(ir.and(flags, unmasked), ofOperands), 0);
  const raised = ir.hold(ir.and(flags, ir.select(stops, ir.const("i32", ofOperands), ir.const("i32", allExceptions))));
  ir.set(State.mxcsr, ir.or(mxcsr, raised));
  ir.if(ir.ne(ir.and(raised, unmasked), 0), () => {
    ir.if(ir.eqz(ir.and(ir.get("i64", State.cr4), osxmmexcpt)), () => ir.fault(Vector.UD));
    ir.fault(Vector.XM);
  });
}

/** Makes of a soft-float routine (…, control) → (value, flags) one (…) → value that raises. */
export function raising(soft: Routine): Routine {
  const parameters = soft.parameters.slice(0, -1);
  return routine(
    `sse.${soft.name}`,
    { parameters, results: soft.results.slice(0, 1), faults: true },
    builder,
    (ir, ...values) => {
      const [value, flags] = ir.call(soft, ...values, ir.get("i32", State.mxcsr)) as [Value, Value];
      raise(ir, flags);
      ir.return(value);
    },
  );
}

/** Lanes are as wide as this says; what is in them may be an integer. */
export type LaneFormat = Pick<Format, "bits">;

export function extractLane(ir: Builder, format: LaneFormat, vector: Value, lane: number): Value {
  return ir.op(format.bits === 32 ? "i32x4.extract_lane" : "i64x2.extract_lane", [vector], lane);
}
export function replaceLane(ir: Builder, format: LaneFormat, vector: Value, lane: number, value: Value): Value {
  return ir.op(format.bits === 32 ? "i32x4.replace_lane" : "i64x2.replace_lane", [vector, value], lane);
}

/** What one lane of an instruction computes: its bits, and flags. */
type Lane = (
  ir: Builder,
  lane: number,
  operands: readonly Value[],
  control: Value,
) => readonly [bits: Value, flags: Value];

/**
 * A routine that computes the `lanes` lowest lanes of a vector, the others being zero. The flags of all lanes are collected
 * before any is raised.
 */
export function raisingVector(
  name: string,
  parameters: readonly Type[],
  lanes: number,
  format: LaneFormat,
  compute: Lane,
): Routine {
  return routine(`sse.${name}`, { parameters, results: ["v128"], faults: true }, builder, (ir, ...operands) => {
    const control = ir.get("i32", State.mxcsr);
    let result = ir.const("v128", 0);
    let flags = ir.const("i32", 0);
    for (let lane = 0; lane < lanes; lane++) {
      const [value, raised] = compute(ir, lane, operands, control);
      result = replaceLane(ir, format, result, lane, value);
      flags = ir.or(flags, raised);
    }
    raise(ir, flags);
    ir.return(result);
  });
}

/**
 * A soft-float routine (a, b, …, control) → (value, flags) for every lane of vectors; `softs` has the routine of each lane,
 * repeated as often as needed. Parameters behind `vectors` are the same for all lanes.
 */
export function raisingLanes(
  name: string,
  format: Format,
  softs: readonly Routine[],
  vectors = softs[0]!.parameters.length - 1,
): Routine {
  const parameters = softs[0]!.parameters.slice(0, -1).map((type, index) => (index < vectors ? "v128" : type));
  return raisingVector(
    `packed.${name}.${format.name}`,
    parameters,
    128 / format.bits,
    format,
    (ir, lane, operands, control) => {
      const values = operands.map((operand, index) =>
        index < vectors ? extractLane(ir, format, operand, lane) : operand,
      );
      return ir.call(softs[lane % softs.length]!, ...values, control) as [Value, Value];
    },
  );
}

/**
 * DPPS and DPPD, (a, b, control: i32) → v128: bits 4 to 7 of the control choose products, bits 0 to 3 the lanes that get
 * their sum, pairs being added first. An unmasked exception of one step ends it. Intel SDM Vol. 2A, "DPPS".
 */
function dotProduct(format: Format): Routine {
  const { mul, add } = arithmetic[format.name];
  return routine(
    `sse.dotProduct.${format.name}`,
    { parameters: ["v128", "v128", "i32"], results: ["v128"], faults: true },
    builder,
    (ir, a, b, lanes) => {
      const control = ir.get("i32", State.mxcsr);
      const has = (bit: number) => ir.ne(ir.and(lanes, 1 << bit), 0);
      const step = (pairs: readonly (readonly [soft: Routine, x: Value, y: Value, wanted: Value | undefined])[]) => {
        let flags = ir.const("i32", 0);
        const values = pairs.map(([soft, x, y, wanted]) => {
          const [value, raised] = ir.call(soft, x, y, control) as [Value, Value];
          flags = ir.or(flags, wanted === undefined ? raised : ir.select(wanted, raised, 0));
          return wanted === undefined ? value : ir.hold(ir.select(wanted, value, 0));
        });
        raise(ir, flags);
        return values;
      };
      let terms = step(
        Array.from({ length: 128 / format.bits }, (_, lane) => {
          return [mul, extractLane(ir, format, a, lane), extractLane(ir, format, b, lane), has(4 + lane)] as const;
        }),
      );
      while (terms.length > 1) {
        const halves = Array.from(
          { length: terms.length / 2 },
          (_, index) => [add, terms[2 * index]!, terms[2 * index + 1]!, undefined] as const,
        );
        terms = step(halves);
      }
      let result = ir.const("v128", 0);
      for (let lane = 0; lane < 128 / format.bits; lane++) {
        result = replaceLane(ir, format, result, lane, ir.select(has(lane), terms[0]!, 0));
      }
      ir.return(result);
    },
  );
}
export const dotProducts = { single: dotProduct(single), double: dotProduct(double) };
