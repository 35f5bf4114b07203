import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import type { Semantics } from "../semantics.ts";
import { lane64 } from "../vectors.ts";

/**
 * SHA-1 and SHA-256. Intel SDM Vol. 2B, "SHA1RNDS4" to "SHA256RNDS2"; FIPS 180-4 §4.1 and §6 for the functions. Rounds are
 * computed in integers: only the message schedule has anything to do in several lanes at once.
 */

/** An instruction on two XMM registers that has no mandatory prefix: `NP 0F <opcode>`. */
function digest(
  mnemonic: string,
  opcode: string,
  operation: (ir: Semantics, a: Value, b: Value) => Value,
): Instruction {
  return instruction({
    mnemonic,
    feature: "SHA",
    encodings: [`NP 0F ${opcode}  Vx,Wx`],
    semantics(ir: Semantics, ...[destination, source]: Operand[]) {
      ir.requireSse();
      const right = source!.read();
      destination!.write(operation(ir, destination!.read(), right));
    },
  });
}

/** The doublewords of a vector, lowest first. */
function words(ir: Semantics, vector: Value): [Value, Value, Value, Value] {
  const [low, high] = [ir.hold(lane64(ir, vector, 0)), ir.hold(lane64(ir, vector, 1))];
  const halves = [low, high].flatMap((half) => [
    ir.hold(ir.trunc(half, "i32")),
    ir.hold(ir.trunc(ir.shr(half, 32), "i32")),
  ]);
  return halves as [Value, Value, Value, Value];
}
/** A vector of doublewords, lowest first. */
function fromWords(ir: Semantics, [a, b, c, d]: readonly [Value, Value, Value, Value]): Value {
  const pair = (low: Value, high: Value) => ir.or(ir.zext(low, "i64"), ir.shl(ir.zext(high, "i64"), 32));
  return ir.op("i64x2.replace_lane", [ir.op("i64x2.splat", [pair(a, b)]), pair(c, d)], 1);
}

/** Doublewords of the two vectors, lowest first: 0 to 3 of `a`, 4 to 7 of `b`. */
function arranged(ir: Semantics, a: Value, b: Value, places: readonly number[]): Value {
  return ir.shuffle(
    a,
    b,
    places.flatMap((place) => [0, 1, 2, 3].map((byte) => 4 * place + byte)),
  );
}
function xor(ir: Semantics, values: readonly Value[]): Value {
  return ir.hold(values.reduce((all, value) => ir.op("v128.xor", [all, value])));
}
function shifted(ir: Semantics, vector: Value, by: number, direction: "shl" | "shr_u"): Value {
  return ir.op(`i32x4.${direction}`, [vector, ir.const("i32", by)]);
}
/** The parts of a rotation of each lane to the right. */
function rotation(ir: Semantics, vector: Value, by: number): readonly Value[] {
  return [shifted(ir, vector, by, "shr_u"), shifted(ir, vector, 32 - by, "shl")];
}
function sum(ir: Semantics, values: readonly Value[]): Value {
  return ir.hold(values.reduce((all, value) => ir.add(all, value)));
}

const choose = (ir: Semantics, x: Value, y: Value, z: Value) => ir.xor(z, ir.and(x, ir.xor(y, z)));
const majority = (ir: Semantics, x: Value, y: Value, z: Value) => ir.or(ir.and(x, y), ir.and(z, ir.or(x, y)));
const parity = (ir: Semantics, x: Value, y: Value, z: Value) => ir.xor(ir.xor(x, y), z);

// SHA-256.

/** FIPS 180-4's Σ functions. */
function bigSigma(ir: Semantics, value: Value, [a, b, c]: readonly [number, number, number]): Value {
  const turned = (by: number) => ir.op("rotr", [value, ir.const("i32", by)]);
  return parity(ir, turned(a), turned(b), turned(c));
}
/** Its σ functions, in each lane: two rotations and a shift. */
function smallSigma(ir: Semantics, vector: Value, [a, b, shift]: readonly [number, number, number]): Value {
  return xor(ir, [...rotation(ir, vector, a), ...rotation(ir, vector, b), shifted(ir, vector, shift, "shr_u")]);
}

export const sha256msg1 = digest("sha256msg1", "38 CC", (ir, first, next) =>
  ir.op("i32x4.add", [first, smallSigma(ir, ir.hold(arranged(ir, first, next, [1, 2, 3, 4])), [7, 18, 3])]),
);

export const sha256msg2 = digest("sha256msg2", "38 CD", (ir, partial, last) => {
  const zero = ir.const("v128", 0);
  const sigma = (vector: Value) => smallSigma(ir, ir.hold(vector), [17, 19, 10]);
  const lower = ir.hold(ir.op("i32x4.add", [partial, sigma(arranged(ir, last, zero, [2, 3, 4, 4]))]));
  return ir.op("i32x4.add", [lower, sigma(arranged(ir, lower, zero, [4, 4, 0, 1]))]);
});

/** Two rounds: DEST has C, D, G and H, SRC has A, B, E and F, from the highest; XMM0 the sums of words and constants. */
export const sha256rnds2 = instruction({
  mnemonic: "sha256rnds2",
  feature: "SHA",
  encodings: ["NP 0F 38 CB  Vx,Wx,XMM0"],
  semantics(ir, destination, source, keys) {
    ir.requireSse();
    let [f, e, b, a] = words(ir, ir.hold(source.read()));
    let [h, g, d, c] = words(ir, ir.hold(destination.read()));
    const additions = ir.hold(lane64(ir, keys.read(), 0));
    for (const addition of [ir.trunc(additions, "i32"), ir.trunc(ir.shr(additions, 32), "i32")]) {
      const t = sum(ir, [ir.add(h, addition), choose(ir, e, f, g), bigSigma(ir, e, [6, 11, 25])]);
      const next = sum(ir, [t, majority(ir, a, b, c), bigSigma(ir, a, [2, 13, 22])]);
      [a, b, c, d, e, f, g, h] = [next, a, b, c, sum(ir, [t, d]), e, f, g];
    }
    destination.write(fromWords(ir, [f, e, b, a]));
  },
});

// SHA-1.

export const sha1msg1 = digest("sha1msg1", "38 C9", (ir, first, next) =>
  xor(ir, [first, arranged(ir, first, next, [6, 7, 0, 1])]),
);

export const sha1msg2 = digest("sha1msg2", "38 CA", (ir, partial, last) => {
  const zero = ir.const("v128", 0);
  const turned = (vector: Value) => xor(ir, rotation(ir, ir.hold(vector), 31));
  const upper = turned(xor(ir, [partial, arranged(ir, last, zero, [4, 0, 1, 2])]));
  return xor(ir, [upper, turned(arranged(ir, upper, zero, [3, 4, 4, 4]))]);
});

/** SRC with DEST's A, which becomes E, added to its highest word. */
export const sha1nexte = digest("sha1nexte", "38 C8", (ir, state, addends) => {
  const turned = xor(ir, rotation(ir, state, 2));
  return ir.op("i32x4.add", [addends, arranged(ir, turned, ir.const("v128", 0), [4, 4, 4, 3])]);
});

/** By the immediate: what is added in rounds 0–19, 20–39, 40–59 and 60–79. FIPS 180-4 §4.2.1. */
const constants = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6] as const;

/** Four rounds: DEST has A, B, C and D from the highest, SRC four words, E added to the highest. */
export const sha1rnds4 = instruction({
  mnemonic: "sha1rnds4",
  feature: "SHA",
  encodings: ["NP 0F 3A CC  Vx,Wx,Ib"],
  semantics(ir, destination, source, immediate) {
    ir.requireSse();
    const added = words(ir, ir.hold(source.read())).toReversed();
    let [d, c, b, a] = words(ir, ir.hold(destination.read()));
    const kind = ir.hold(ir.and(immediate.read("i32"), 3));
    const of = (number: number) => ir.eq(kind, number);
    const [first, third] = [ir.hold(of(0)), ir.hold(of(2))];
    const word = (index: number) => ir.const("i32", constants[index]!);
    const constant = ir.hold(ir.select(first, word(0), ir.select(third, word(2), ir.select(of(1), word(1), word(3)))));
    let e: Value | undefined;
    for (const addend of added) {
      const mixed = ir.select(first, choose(ir, b, c, d), ir.select(third, majority(ir, b, c, d), parity(ir, b, c, d)));
      const own = ir.add(addend, constant);
      const t = sum(ir, [e === undefined ? own : ir.add(own, e), mixed, ir.op("rotl", [a, ir.const("i32", 5)])]);
      [a, b, c, d, e] = [t, a, ir.hold(ir.op("rotl", [b, ir.const("i32", 30)])), c, d];
    }
    destination.write(fromWords(ir, [d, c, b, a]));
  },
});
