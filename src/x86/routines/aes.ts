import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { bytesVector } from "../vectors.ts";

/** The steps of AES on a vector of 16 bytes. FIPS 197, "Advanced Encryption Standard". */

/** Multiplication by x in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
function timesX(value: number): number {
  return ((value << 1) ^ (value & 0x80 ? 0x11b : 0)) & 0xff;
}

/** Powers of the generator x + 1 of GF(2^8), so that products and inverses are found by exponents. */
const powers = Array.from({ length: 255 }, () => 1);
for (let index = 1; index < 255; index++) powers[index] = powers[index - 1]! ^ timesX(powers[index - 1]!);
const exponents = new Map(powers.map((value, exponent) => [value, exponent]));

function product(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : powers[(exponents.get(a)! + exponents.get(b)!) % 255]!;
}
function reciprocal(value: number): number {
  return powers[(255 - exponents.get(value)!) % 255]!;
}

/** The matrix of the S-box's affine map. FIPS 197 §5.1.1. */
function scrambled(value: number): number {
  const doubled = value * 0x101;
  return [0, 4, 5, 6, 7].reduce((sum, by) => sum ^ (doubled >> by), 0) & 0xff;
}
const unscramble = Array.from({ length: 256 }, () => 0);
for (let value = 0; value < 256; value++) unscramble[scrambled(value)] = value;
const constant = 0x63;

/**
 * The inverse in GF(2^8) by tables of 16 bytes, after M. Hamburg, "Accelerating AES with Vector Permute Instructions".
 *
 * Over the subfield GF(2^4), τ is a root of y² + ay + 1. Then x = i + jτ has the norm M = i² + aij + j² = k² + aij, k being
 * i + j, and its inverse is its conjugate over M: ((i + aj) + jτ) / M, a sum of multiples of (k + ai) / M and (k + aj) / M.
 * Those are the inverses of 1/(1/i + a/k) + j and 1/(1/j + a/k) + i, as multiplying out shows: five inverses in GF(2^4), and no
 * product. An infinite value is one whose highest bit is set: swizzles take it to 0, and 1/0 is one.
 */
const infinite = 0x80;

/** GF(2^4) in GF(2^8), by the numbers that the tables know its elements by: 0 is 0, and addition is ⊕ of both. */
const subfield: readonly number[] = (() => {
  const basis = [0, 1, 2, 3].map((exponent) => powers[17 * exponent]!);
  return Array.from({ length: 16 }, (_, number) =>
    basis.reduce((sum, element, bit) => ((number >> bit) & 1 ? sum ^ element : sum), 0),
  );
})();
const numberOf = new Map(subfield.map((element, number) => [element, number]));

/** a, and τ, of which a is the sum with its conjugate τ^16, and 1 the product. */
const [a, tau] = (() => {
  const root = powers[15]!;
  return [root ^ reciprocal(root), root];
})();

/** By a byte x = i + jτ: i in the higher four bits of the result, k in the lower. */
const parts = Array.from({ length: 256 }, () => 0);
for (const [i, first] of subfield.entries())
  for (const [j, second] of subfield.entries()) parts[first ^ product(second, tau)] = (i << 4) | (i ^ j);

/** By the number of an element n: c/n in numbers. */
const overNumber = (c: number) =>
  subfield.map((element) => (element === 0 ? infinite : numberOf.get(product(c, reciprocal(element)))!));
const reciprocals = overNumber(1);
const aReciprocals = overNumber(a);

/**
 * (k + ai)/M and (k + aj)/M are u = ((1 + a)i + j)/M and v = (i + (1 + a)j)/M. Of those, i/M is ((1 + a)u + v)/a², j/M is
 * (u + (1 + a)v)/a², and the inverse is i/M + (a + τ)j/M.
 */
const [uFactor, vFactor] = (() => {
  const overSquare = reciprocal(product(a, a));
  return [a ^ 1 ^ a ^ tau, 1 ^ product(a ^ tau, a ^ 1)].map((factor) => product(factor, overSquare)) as [
    number,
    number,
  ];
})();

interface SubstitutionTables {
  /** By the lower and the higher half of a byte: what ⊕ makes the parts of the byte to be inverted. */
  readonly input: readonly [readonly number[], readonly number[]];
  /** By 1/u and 1/v: what ⊕ makes the result. */
  readonly output: readonly [readonly number[], readonly number[]];
}
function tables(before: (byte: number) => number, after: (byte: number) => number, first: number): SubstitutionTables {
  const halves = [0, 4].map((shift) =>
    Array.from({ length: 16 }, (_, half) => parts[before(half << shift) ^ (shift === 0 ? first : 0)]!),
  ) as [number[], number[]];
  const outputs = [uFactor, vFactor].map((factor) =>
    subfield.map((element) => (element === 0 ? 0 : after(product(factor, reciprocal(element))))),
  ) as [number[], number[]];
  return { input: halves, output: outputs };
}

/** (bytes: v128) → v128: each byte substituted but for what `tables` leave out. */
function substitution(name: string, { input, output }: SubstitutionTables): Routine {
  return routine(
    name,
    { parameters: ["v128"], results: ["v128"], faults: false },
    () => new Builder(),
    (ir, vector) => {
      const xor = (left: Value, right: Value) => ir.hold(ir.op("v128.xor", [left, right]));
      const lookUp = (table: readonly number[], places: Value) =>
        ir.op("i8x16.swizzle", [bytesVector(ir, table), places]);
      const halves = (bytes: Value) => {
        const mask = everyByte(ir, 0x0f);
        const upper = ir.op("i16x8.shr_u", [bytes, ir.const("i32", 4)]);
        return [bytes, upper].map((half) => ir.hold(ir.op("v128.and", [half, mask]))) as [Value, Value];
      };
      const [low, high] = halves(vector);
      const [k, i] = halves(xor(lookUp(input[0], low), lookUp(input[1], high)));
      const j = xor(i, k);
      const shared = ir.hold(lookUp(aReciprocals, k));
      const inverse = (of: Value, other: Value) => {
        const sum = xor(lookUp(reciprocals, of), shared);
        return xor(lookUp(reciprocals, sum), other);
      };
      ir.return(xor(lookUp(output[0], inverse(i, j)), lookUp(output[1], inverse(j, i))));
    },
  );
}

function everyByte(ir: Builder, byte: number): Value {
  return bytesVector(
    ir,
    Array.from({ length: 16 }, () => byte),
  );
}

/** SubBytes without its constant, and InvSubBytes. The constant is the same wherever MixColumns takes it. */
export const substitute = {
  forward: substitution(
    "aes.substitute",
    tables((byte) => byte, scrambled, 0),
  ),
  inverse: substitution(
    "aes.unsubstitute",
    tables(
      (byte) => unscramble[byte]!,
      (byte) => byte,
      unscramble[constant]!,
    ),
  ),
};
/** What {@link substitute}.forward leaves out. */
export function substitutionConstant(ir: Builder): Value {
  return everyByte(ir, constant);
}

/** ShiftRows and its inverse: row r, the bytes r, r + 4, r + 8 and r + 12, moves by r columns. */
export function shiftRows(ir: Builder, state: Value, direction: "forward" | "inverse"): Value {
  const by = direction === "forward" ? 5 : 13;
  return ir.shuffle(
    state,
    state,
    Array.from({ length: 16 }, (_, index) => (index & 12) + (index & 3)).map(
      (index) => (index + (index & 3) * (by - 1)) % 16,
    ),
  );
}

function timesXLanes(ir: Builder, vector: Value): Value {
  const doubled = ir.op("i8x16.add", [vector, vector]);
  const negative = ir.op("i8x16.lt_s", [vector, ir.const("v128", 0)]);
  return ir.hold(ir.op("v128.xor", [doubled, ir.op("v128.and", [negative, everyByte(ir, 0x1b)])]));
}
/** Each column's bytes moved up by `by` places. */
function rotated(ir: Builder, vector: Value, by: number): Value {
  return ir.shuffle(
    vector,
    vector,
    Array.from({ length: 16 }, (_, index) => (index & 12) + ((index + by) & 3)),
  );
}
function sum(ir: Builder, values: readonly Value[]): Value {
  return ir.hold(values.reduce((all, value) => ir.op("v128.xor", [all, value])));
}

/** MixColumns: each byte becomes 2a + 3b + c + d of itself and the three below it in its column. FIPS 197 §5.1.3. */
export function mixColumns(ir: Builder, state: Value): Value {
  const doubled = timesXLanes(ir, state);
  const next = rotated(ir, sum(ir, [state, doubled]), 1);
  return sum(ir, [doubled, next, rotated(ir, state, 2), rotated(ir, state, 3)]);
}

/** InvMixColumns: 14a + 11b + 13c + 9d, which is MixColumns of 5a + 4c. FIPS 197 §5.3.3. */
export function unmixColumns(ir: Builder, state: Value): Value {
  const fourfold = timesXLanes(ir, timesXLanes(ir, state));
  return mixColumns(ir, sum(ir, [state, fourfold, rotated(ir, fourfold, 2)]));
}
