import type { Routine, Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { extractLane, raising, replaceLane } from "../routines/sse.ts";
import { scalarToInteger, vectorConversions } from "../routines/sse-convert.ts";
import type { Semantics } from "../semantics.ts";
import { conversion } from "../softfloat/convert.ts";
import { double, single } from "../softfloat/format.ts";
import type { Format } from "../softfloat/format.ts";
import { integers } from "../softfloat/integral.ts";
import {
  denormalLanes,
  either,
  everyLane,
  isDenormal,
  isNan,
  isNormal,
  isZero,
  lowName,
  nanLanes,
  none,
  roundsFreely,
  smallLanes,
  specialLanes,
  vectorName,
} from "../sse-fast.ts";
import { vectorOperand } from "./sse-shapes.ts";
import { enterMmx, lane64, requireMmx, writeMmx, zeroExtended } from "../vectors.ts";

/** Conversions. Intel SDM Vol. 2A, "CVTDQ2PD" to "CVTTSS2SI". */

/** A signed integer to a scalar. It is exact, and free of flags, where the integer has no more bits than a significand. */
function fromInteger(mnemonic: string, feature: string, row: string, format: Format): Instruction {
  const slow = raising(integers[format.name].fromInteger);
  return instruction({
    mnemonic,
    feature,
    encodings: [row],
    semantics(ir: Semantics, ...[destination, source]: Operand[]) {
      ir.requireSse();
      const integer = source!.read();
      const slot = destination!.slot!;
      const old = ir.get("v128", slot);
      const result = ir.op(lowName(format, `from_${integer.type}`), [old, integer]);
      if (integer.type === "i32" && format === double) {
        ir.set(slot, result);
        return;
      }
      const wide = ir.hold(ir.sext(integer, "i64"));
      const limit = 1n << BigInt(format.precision);
      const exact = ir.leu(ir.add(wide, limit), 2n * limit);
      const converted = either(ir, ir.or(exact, roundsFreely(ir)), result, () =>
        replaceLane(ir, format, old, 0, ir.call(slow, wide)[0]!),
      );
      ir.set(slot, converted);
    },
  });
}
export const cvtsi2ss = fromInteger("cvtsi2ss", "SSE", "F3 0F 2A  Vd,Ey", single);
export const cvtsi2sd = fromInteger("cvtsi2sd", "SSE2", "F2 0F 2A  Vq,Ey", double);

type Direction = "nearest" | "zero";

/** A scalar to a signed integer. Exact conversions raise nothing; the saturated limits may be overflows. */
function toInteger(mnemonic: string, feature: string, row: string, format: Format, direction: Direction): Instruction {
  return instruction({
    mnemonic,
    feature,
    encodings: [row],
    semantics(ir: Semantics, ...[destination, source]: Operand[]) {
      ir.requireSse();
      const vector = ir.hold(vectorOperand(ir, source!));
      const type = destination!.type as "i32" | "i64";
      const rounded = direction === "zero" ? vector : ir.op(lowName(format, "nearest"), [vector, vector]);
      const integer = ir.hold(ir.op(lowName(format, `to_${type}`), [rounded]));
      const limit = 1n << BigInt(type === "i32" ? 31 : 63);
      const inside = ir.hold(ir.ltu(1, ir.add(integer, limit + 1n)));
      const isNumber = ir.op(lowName(format, "eq"), [vector, vector]);
      const result = ir.variable(integer);
      ir.unless(ir.eqz(ir.and(ir.and(inside, isNumber), roundsFreely(ir))), () => {
        const back = ir.op(lowName(format, `from_${type}`), [vector, integer]);
        ir.if(ir.eqz(ir.and(inside, ir.op(lowName(format, "eq"), [back, vector]))), () => {
          const slow = scalarToInteger[format.name][direction];
          const bits = ir.const("i32", type === "i32" ? 32 : 64);
          const [exact] = ir.call(slow, extractLane(ir, format, vector, 0), bits) as [Value];
          ir.assign(result, ir.resize(exact, type));
        });
      });
      destination!.write(ir.read(result));
    },
  });
}
export const cvtss2si = toInteger("cvtss2si", "SSE", "F3 0F 2D  Gy,Wd", single, "nearest");
export const cvtsd2si = toInteger("cvtsd2si", "SSE2", "F2 0F 2D  Gy,Wq", double, "nearest");
export const cvttss2si = toInteger("cvttss2si", "SSE", "F3 0F 2C  Gy,Wd", single, "zero");
export const cvttsd2si = toInteger("cvttsd2si", "SSE2", "F2 0F 2C  Gy,Wq", double, "zero");

const widen = raising(conversion.singleToDouble);
export const cvtss2sd = instruction({
  mnemonic: "cvtss2sd",
  feature: "SSE2",
  encodings: ["F3 0F 5A  Vq,Wd"],
  semantics(ir, destination, source) {
    ir.requireSse();
    const value = source.read();
    const plain = ir.eqz(ir.or(isDenormal(ir, single, value), isNan(ir, single, value)));
    destination.write(either(ir, plain, ir.op("f64.promote", [value]), () => ir.call(widen, value)[0]!));
  },
});

const narrow = raising(conversion.doubleToSingle);
export const cvtsd2ss = instruction({
  mnemonic: "cvtsd2ss",
  feature: "SSE2",
  encodings: ["F2 0F 5A  Vd,Wq"],
  semantics(ir, destination, source) {
    ir.requireSse();
    const value = source.read();
    const result = ir.hold(ir.op("f32.demote", [value]));
    const fast = ir.or(isZero(ir, value), ir.and(roundsFreely(ir), isNormal(ir, single, result)));
    destination.write(either(ir, fast, result, () => ir.call(narrow, value)[0]!));
  },
});

/** An operand of one or two lanes' width as a vector, zero above. */
function vectorOf(ir: Semantics, operand: Operand): Value {
  const value = operand.read();
  return value.type === "i64" ? zeroExtended(ir, value) : value;
}

interface PackedConversion {
  readonly mnemonic: string;
  readonly feature: string;
  readonly row: string;
  /** The result for a source vector, by the fast way if possible. */
  readonly convert: (ir: Semantics, source: Value) => Value;
}

/**
 * DEST ← convert(SRC): an XMM register as far as its operand letter reaches, or an MMX register. The x87 state has become
 * that of MMX even where the conversion then raises an exception.
 */
function packedConversion({ mnemonic, feature, row, convert }: PackedConversion): Instruction {
  const mmxDestination = /Pq,/.test(row);
  const mmxSource = /,Qq/.test(row);
  return instruction({
    mnemonic,
    feature,
    encodings: [row],
    semantics(ir: Semantics, ...[destination, source]: Operand[]) {
      ir.requireSse();
      const mmx = mmxDestination || (mmxSource && source!.kind === "register");
      if (mmx) requireMmx(ir);
      const operand = vectorOf(ir, source!);
      if (mmx) enterMmx(ir);
      const result = convert(ir, operand);
      if (mmxDestination) writeMmx(ir, destination!, lane64(ir, result, 0));
      else destination!.write(destination!.type === "i64" ? lane64(ir, result, 0) : result);
    },
  });
}

/** Rounds integers of 32 bits to single precision. */
function singlesOfIntegers(lanes: 2 | 4) {
  const slow = vectorConversions.singlesOfIntegers(lanes);
  return (ir: Semantics, source: Value) =>
    either(ir, roundsFreely(ir), ir.op("f32x4.convert_i32x4_s", [source]), () => ir.call(slow, source)[0]!);
}
/** Always exact. */
function doublesOfIntegers(ir: Semantics, source: Value): Value {
  return ir.op("f64x2.convert_low_i32x4_s", [source]);
}
export const cvtdq2ps = packedConversion({
  mnemonic: "cvtdq2ps",
  feature: "SSE2",
  row: "NP 0F 5B  Vx,Wx",
  convert: singlesOfIntegers(4),
});
export const cvtpi2ps = packedConversion({
  mnemonic: "cvtpi2ps",
  feature: "SSE",
  row: "NP 0F 2A  Vq,Qq",
  convert: singlesOfIntegers(2),
});
export const cvtdq2pd = packedConversion({
  mnemonic: "cvtdq2pd",
  feature: "SSE2",
  row: "F3 0F E6  Vx,Wq",
  convert: doublesOfIntegers,
});
export const cvtpi2pd = packedConversion({
  mnemonic: "cvtpi2pd",
  feature: "SSE2",
  row: "66 0F 2A  Vx,Qq",
  convert: doublesOfIntegers,
});

/** Integers of 32 bits in the low lanes, zero above. */
function integersOf(format: Format, lanes: 2 | 4, direction: Direction) {
  const slow: Routine = vectorConversions.integers(format, lanes, direction);
  const names =
    format === single
      ? (["i32x4.trunc_sat_f32x4_s", "f32x4.convert_i32x4_s"] as const)
      : (["i32x4.trunc_sat_f64x2_s_zero", "f64x2.convert_low_i32x4_s"] as const);
  return (ir: Semantics, source: Value) => {
    const rounded = direction === "zero" ? source : ir.op(vectorName(format, "nearest"), [source]);
    const result = ir.hold(ir.op(names[0], [rounded]));
    const limits = [0x80000000n, 0x7fffffffn].map((limit) => ir.op("i32x4.eq", [result, everyLane(ir, single, limit)]));
    const inexact = ir.op("v128.not", [ir.op(vectorName(format, "eq"), [ir.op(names[1], [result]), source])]);
    const free = ir.and(roundsFreely(ir), none(ir, [...limits, nanLanes(ir, format, source)]));
    return either(ir, ir.or(free, none(ir, [...limits, inexact])), result, () => ir.call(slow, source)[0]!);
  };
}
const singles = (direction: Direction) => integersOf(single, 4, direction);
const lowSingles = (direction: Direction) => integersOf(single, 2, direction);
const doubles = (direction: Direction) => integersOf(double, 2, direction);
export const cvtps2dq = packedConversion({
  mnemonic: "cvtps2dq",
  feature: "SSE2",
  row: "66 0F 5B  Vx,Wx",
  convert: singles("nearest"),
});
export const cvttps2dq = packedConversion({
  mnemonic: "cvttps2dq",
  feature: "SSE2",
  row: "F3 0F 5B  Vx,Wx",
  convert: singles("zero"),
});
export const cvtpd2dq = packedConversion({
  mnemonic: "cvtpd2dq",
  feature: "SSE2",
  row: "F2 0F E6  Vx,Wx",
  convert: doubles("nearest"),
});
export const cvttpd2dq = packedConversion({
  mnemonic: "cvttpd2dq",
  feature: "SSE2",
  row: "66 0F E6  Vx,Wx",
  convert: doubles("zero"),
});
export const cvtps2pi = packedConversion({
  mnemonic: "cvtps2pi",
  feature: "SSE",
  row: "NP 0F 2D  Pq,Wq",
  convert: lowSingles("nearest"),
});
export const cvttps2pi = packedConversion({
  mnemonic: "cvttps2pi",
  feature: "SSE",
  row: "NP 0F 2C  Pq,Wq",
  convert: lowSingles("zero"),
});
export const cvtpd2pi = packedConversion({
  mnemonic: "cvtpd2pi",
  feature: "SSE2",
  row: "66 0F 2D  Pq,Wx",
  convert: doubles("nearest"),
});
export const cvttpd2pi = packedConversion({
  mnemonic: "cvttpd2pi",
  feature: "SSE2",
  row: "66 0F 2C  Pq,Wx",
  convert: doubles("zero"),
});

export const cvtps2pd = packedConversion({
  mnemonic: "cvtps2pd",
  feature: "SSE2",
  row: "NP 0F 5A  Vx,Wq",
  convert(ir, source) {
    const plain = none(ir, [denormalLanes(ir, single, source), nanLanes(ir, single, source)]);
    return either(
      ir,
      plain,
      ir.op("f64x2.promote_low_f32x4", [source]),
      () => ir.call(vectorConversions.widen, source)[0]!,
    );
  },
});
export const cvtpd2ps = packedConversion({
  mnemonic: "cvtpd2ps",
  feature: "SSE2",
  row: "66 0F 5A  Vx,Wx",
  convert(ir, source) {
    const result = ir.hold(ir.op("f32x4.demote_f64x2_zero", [source]));
    const low = ir.const("v128", (1n << 64n) - 1n);
    const odd = ir.op("v128.or", [smallLanes(ir, single, result), specialLanes(ir, single, result)]);
    const fast = ir.and(roundsFreely(ir), none(ir, [ir.op("v128.and", [odd, low])]));
    return either(ir, fast, result, () => ir.call(vectorConversions.narrow, source)[0]!);
  },
});
