import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import {
  Control,
  Exception,
  Rounding,
  defaultNan,
  double,
  infinityBits,
  quietBit,
  signBit,
  single,
} from "../softfloat/format.ts";
import type { Format } from "../softfloat/format.ts";
import { integers } from "../softfloat/integral.ts";
import { roundingOf } from "../softfloat/round.ts";
import { isNormal, isZero, scalarName } from "../sse-fast.ts";
import { State } from "../state.ts";
import { raising } from "./sse.ts";

const builder = () => new Builder();

/** The immediate of ROUNDSD. Intel SDM Vol. 2B, "Rounding Modes and Encoding of Immediate Field". */
const Immediate = { mode: 3, fromMxcsr: 4, quiet: 8 } as const;

function roundingChosen(ir: Builder, immediate: Value, control: Value): Value {
  const own = ir.and(immediate, Immediate.mode);
  return ir.hold(ir.select(ir.ne(ir.and(immediate, Immediate.fromMxcsr), 0), roundingOf(ir, control), own));
}

/** (a, immediate: i32, control) → (a, flags). */
function rounded(format: Format): Routine {
  return routine(
    `float.rounded.${format.name}`,
    { parameters: [format.type, "i32", "i32"], results: [format.type, "i32"], faults: false },
    builder,
    (ir, value, immediate, control) => {
      const mode = ir.shl(roundingChosen(ir, immediate, control), Control.roundingShift);
      const changed = ir.or(ir.and(control, ~(3 << Control.roundingShift)), mode);
      const [result, flags] = ir.call(integers[format.name].toIntegral, value, changed) as [Value, Value];
      const quiet = ir.ne(ir.and(immediate, Immediate.quiet), 0);
      ir.return(result, ir.select(quiet, ir.and(flags, ~Exception.precision), flags));
    },
  );
}
export const roundedLane = { single: rounded(single), double: rounded(double) };

/**
 * (a, immediate: i32) → a: raises. The fast way is for zeros and normal numbers whose result raises nothing: PE is not
 * wanted, or set and masked already, or the number is integral.
 */
function fastRounded(format: Format): Routine {
  const slow = raising(roundedLane[format.name]);
  const settled = Exception.precision | (Exception.precision << Control.maskShift);
  return routine(
    `sse.rounded.fast.${format.name}`,
    { parameters: [format.type, "i32"], results: [format.type], faults: true },
    builder,
    (ir, value, immediate) => {
      const mxcsr = ir.get("i32", State.mxcsr);
      const mode = roundingChosen(ir, immediate, mxcsr);
      const result = ir.variable(value);
      const names = [
        ["nearest", Rounding.nearest],
        ["floor", Rounding.down],
        ["ceil", Rounding.up],
        ["trunc", Rounding.zero],
      ] as const;
      for (const [name, number] of names) {
        ir.if(ir.eq(mode, number), () => ir.assign(result, ir.op(scalarName(format, name), [value])));
      }
      const found = ir.read(result);
      const silent = ir.or(ir.ne(ir.and(immediate, Immediate.quiet), 0), ir.eq(ir.and(mxcsr, settled), settled));
      const plain = ir.or(isNormal(ir, format, value), isZero(ir, value));
      ir.if(ir.and(plain, ir.or(silent, ir.eq(found, value))), () => ir.return(found));
      ir.return(...ir.call(slow, value, immediate));
    },
  );
}
export const roundedScalar = { single: fastRounded(single), double: fastRounded(double) };

/** Cuts a number of single precision to 12 significant bits, rounded: within 2^-13 of it. */
function coarse(ir: Builder, value: Value): Value {
  return ir.and(ir.add(value, 0x800), ~0xfff);
}

const one = 0x3f800000;
const infinity = infinityBits(single);

/** (a: i32) → i32; `compute` has the cases that are neither NaN, infinity, zero nor denormal. */
function approximation(name: string, compute: (ir: Builder, value: Value) => void): Routine {
  return routine(`sse.${name}`, { parameters: ["i32"], results: ["i32"], faults: false }, builder, (ir, value) => {
    const magnitude = ir.hold(ir.and(value, signBit(single) - 1n));
    const sign = ir.hold(ir.and(value, signBit(single)));
    ir.if(ir.ltu(infinity, magnitude), () => ir.return(ir.or(value, quietBit(single))));
    // Denormals count as zeros.
    ir.if(ir.ltu(magnitude, 1n << 23n), () => ir.return(ir.or(sign, infinity)));
    compute(ir, value);
  });
}

/**
 * RCP and RSQRT within 1.5 × 2^-12 of the true value: Intel SDM Vol. 2B, "RCPPS", "RSQRTPS". Each processor has its own
 * tables; ours are the division and the root rounded to 12 bits.
 */
export const approximations = {
  rcp: approximation("rcp", (ir, value) => {
    const result = ir.hold(ir.op("f32.div", [ir.const("i32", one), value]));
    const tiny = ir.ltu(ir.and(result, signBit(single) - 1n), 1n << 23n);
    ir.return(ir.select(tiny, ir.and(value, signBit(single)), coarse(ir, result)));
  }),
  rsqrt: approximation("rsqrt", (ir, value) => {
    ir.if(ir.lts(value, 0), () => ir.return(ir.const("i32", defaultNan(single))));
    ir.if(ir.eq(value, infinity), () => ir.return(ir.const("i32", 0)));
    ir.return(coarse(ir, ir.op("f32.div", [ir.const("i32", one), ir.op("f32.sqrt", [value])])));
  }),
};
