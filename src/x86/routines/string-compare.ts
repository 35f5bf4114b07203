import { Builder, routine } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import { bytesVector, iota } from "../vectors.ts";

/** The comparisons of SSE4.2's string instructions. Intel SDM Vol. 2B, "Imm8 Control Byte Operation for PCMPESTRI". */

/** Fields of the immediate. */
const Immediate = { words: 1, signed: 2, aggregation: 0xc, negate: 0x10, validOnly: 0x20 } as const;
const Aggregation = { equalAny: 0, ranges: 4, equalEach: 8, equalOrdered: 12 } as const;

interface Elements {
  readonly shape: "i8x16" | "i16x8";
  readonly count: 8 | 16;
}
const bytes: Elements = { shape: "i8x16", count: 16 };
const words: Elements = { shape: "i16x8", count: 8 };

interface Strings {
  readonly ir: Builder;
  readonly elements: Elements;
  readonly a: Value;
  readonly b: Value;
  /** Masks of the elements that belong to each string. */
  readonly validA: Value;
  readonly validB: Value;
  readonly lengthA: Value;
}

/** The element of that number in every lane. */
function everywhere(ir: Builder, { shape }: Elements, vector: Value, number: Value): Value {
  if (shape === "i8x16") return ir.op("i8x16.swizzle", [vector, ir.op("i8x16.splat", [number])]);
  const offset = ir.op("i8x16.splat", [ir.shl(number, 1)]);
  const within = bytesVector(
    ir,
    Array.from({ length: 16 }, (_, index) => index % 2),
  );
  return ir.op("i8x16.swizzle", [vector, ir.op("i8x16.add", [within, offset])]);
}

function bits(ir: Builder, { shape }: Elements, mask: Value): Value {
  return ir.op(`${shape}.bitmask`, [mask]);
}

/** Goes through the elements of `a`, `step` at a time, as long as all of them belong to the string. */
function eachOfA({ ir, lengthA }: Strings, step: 1 | 2, visit: (number: Value) => void): void {
  const number = ir.variable(ir.const("i32", 0));
  ir.loop((loop) => {
    const now = ir.read(number);
    ir.if(ir.ltu(lengthA, ir.add(now, step)), () => ir.break(loop));
    visit(now);
    ir.assign(number, ir.add(now, step));
  });
}

/** Elements of `b` that are any of `a`'s. */
function equalAny(strings: Strings): Value {
  const { ir, elements, a, b, validB } = strings;
  const found = ir.variable(ir.const("v128", 0));
  eachOfA(strings, 1, (number) => {
    const equal = ir.op(`${elements.shape}.eq`, [b, everywhere(ir, elements, a, number)]);
    ir.assign(found, ir.op("v128.or", [ir.read(found), equal]));
  });
  return ir.and(bits(ir, elements, ir.read(found)), validB);
}

/** Elements of `b` that lie in any of the ranges that pairs of `a`'s elements are. `bias` makes unsigned ones compare as signed. */
function ranges(strings: Strings, bias: Value): Value {
  const { ir, elements, validB } = strings;
  const { shape } = elements;
  const [a, b] = [strings.a, strings.b].map((vector) => ir.hold(ir.op("v128.xor", [vector, bias]))) as [Value, Value];
  const found = ir.variable(ir.const("v128", 0));
  eachOfA(strings, 2, (number) => {
    const below = ir.op(`${shape}.lt_s`, [b, everywhere(ir, elements, a, number)]);
    const above = ir.op(`${shape}.gt_s`, [b, everywhere(ir, elements, a, ir.add(number, 1))]);
    const inside = ir.op("v128.not", [ir.op("v128.or", [below, above])]);
    ir.assign(found, ir.op("v128.or", [ir.read(found), inside]));
  });
  return ir.and(bits(ir, elements, ir.read(found)), validB);
}

/** Elements that are equal, or belong to neither string. */
function equalEach({ ir, elements, a, b, validA, validB }: Strings): Value {
  const equal = bits(ir, elements, ir.op(`${elements.shape}.eq`, [a, b]));
  const neither = ir.not(ir.or(validA, validB));
  return ir.or(ir.and(equal, ir.and(validA, validB)), neither);
}

/** Places of `b` where `a` begins; what would lie behind the vector's end counts as equal. */
function equalOrdered(strings: Strings): Value {
  const { ir, elements, a, b, validB } = strings;
  const found = ir.variable(ir.const("i32", -1));
  eachOfA(strings, 1, (number) => {
    const equal = ir.and(
      bits(ir, elements, ir.op(`${elements.shape}.eq`, [b, everywhere(ir, elements, a, number)])),
      validB,
    );
    const behind = ir.shl(ir.const("i32", -1), ir.sub(elements.count, number));
    ir.assign(found, ir.and(ir.read(found), ir.or(ir.shr(equal, number), behind)));
  });
  return ir.read(found);
}

/** The lowest `count` bits. */
function lowest(ir: Builder, count: Value): Value {
  return ir.hold(ir.sub(ir.shl(ir.const("i32", 1), count), 1));
}

function compareAs(
  ir: Builder,
  elements: Elements,
  [a, b, lengthA, lengthB, immediate]: readonly [Value, Value, Value, Value, Value],
): void {
  const validB = lowest(ir, lengthB);
  const strings: Strings = { ir, elements, a, b, lengthA, validA: lowest(ir, lengthA), validB };
  const all = (1 << elements.count) - 1;
  const finish = (result: Value) => {
    const inverted = ir.select(ir.ne(ir.and(immediate, Immediate.validOnly), 0), validB, ir.const("i32", all));
    const flip = ir.select(ir.ne(ir.and(immediate, Immediate.negate), 0), inverted, ir.const("i32", 0));
    ir.return(ir.and(ir.xor(result, flip), all));
  };
  const aggregation = ir.hold(ir.and(immediate, Immediate.aggregation));
  ir.if(ir.eq(aggregation, Aggregation.equalAny), () => finish(equalAny(strings)));
  ir.if(ir.eq(aggregation, Aggregation.equalEach), () => finish(equalEach(strings)));
  ir.if(ir.eq(aggregation, Aggregation.equalOrdered), () => finish(equalOrdered(strings)));
  const top = ir.const("i32", elements.shape === "i8x16" ? 0x80 : 0x8000);
  const sign = ir.select(ir.ne(ir.and(immediate, Immediate.signed), 0), ir.const("i32", 0), top);
  finish(ranges(strings, ir.hold(ir.op(`${elements.shape}.splat`, [sign]))));
}

/**
 * stringCompare(a: v128, b: v128, lengthA: i32, lengthB: i32, immediate: i32) → i32: the second intermediate result, a bit
 * for each element. Lengths are at most the number of elements.
 */
export const stringCompare = routine(
  "stringCompare",
  { parameters: ["v128", "v128", "i32", "i32", "i32"], results: ["i32"], faults: false },
  () => new Builder(),
  (ir, ...operands) => {
    const all = operands as [Value, Value, Value, Value, Value];
    ir.if(
      ir.ne(ir.and(all[4], Immediate.words), 0),
      () => compareAs(ir, words, all),
      () => compareAs(ir, bytes, all),
    );
  },
);

/** Elements before the first that is zero, and at most as many as there are. */
export function implicitLength(ir: Builder, vector: Value, areWords: Value): Value {
  const zeros = ({ shape, count }: Elements) => {
    const found = bits(ir, { shape, count }, ir.op(`${shape}.eq`, [vector, ir.const("v128", 0)]));
    return ir.op("ctz", [ir.or(found, 1 << count)]);
  };
  return ir.select(areWords, zeros(words), zeros(bytes));
}

/** All ones in the lanes whose bit is set. */
export function expanded(ir: Builder, mask: Value, areWords: Value): Value {
  const inBytes = ir.op("i8x16.swizzle", [
    ir.op("i32x4.splat", [mask]),
    ir.op("i8x16.shr_u", [iota(ir), ir.const("i32", 3)]),
  ]);
  const lanesOf = ({ shape, count }: Elements, vector: Value, places: readonly number[]) => {
    const selected = ir.const(
      "v128",
      places.reduce((all, place, lane) => all | (BigInt(place) << BigInt((lane * 128) / count)), 0n),
    );
    return ir.op(`${shape}.eq`, [ir.op("v128.and", [vector, selected]), selected]);
  };
  const byteMask = lanesOf(
    bytes,
    inBytes,
    Array.from({ length: 16 }, (_, lane) => 1 << (lane % 8)),
  );
  const wordMask = lanesOf(
    words,
    ir.op("i16x8.splat", [mask]),
    Array.from({ length: 8 }, (_, lane) => 1 << lane),
  );
  return ir.op("v128.bitselect", [wordMask, byteMask, ir.op("i64x2.splat", [ir.sext(areWords, "i64")])]);
}
