import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluate } from "../../ir/evaluate.ts";
import type { Machine } from "../../ir/evaluate.ts";
import type { Routine } from "../../ir/node.ts";
import { verify } from "../../ir/verify.ts";
import { arctangentRoutine } from "./arctangent.ts";
import { exponential } from "./exponential.ts";
import { extendedArithmetic } from "./extended-arithmetic.ts";
import { remainders } from "./extended-remainder.ts";
import { extendedScaling } from "./extended-scale.ts";
import { ExtendedControl } from "./extended.ts";
import { Control, Exception } from "./format.ts";
import { logarithms } from "./logarithm.ts";
import { trigonometry } from "./trigonometry.ts";

/** Against exact arithmetic on fractions; what processors do with special operands is for the differential tests. */

const nothing = (): never => {
  throw new Error("soft-float touches neither state nor memory");
};
const machine: Machine = {
  get: nothing, set: nothing, field: nothing, load: nothing, store: nothing, probe: nothing,
  host: nothing, hostLoad: nothing, hostStore: nothing,
}; // prettier-ignore

type Number80 = readonly [significand: bigint, head: bigint];

function call(routine: Routine, operands: readonly Number80[], control: number): bigint[] {
  const outcome = evaluate(routine.body(), machine, [...operands.flat(), BigInt(control)]);
  assert.ok(outcome.kind === "return");
  return [...outcome.values];
}
function controlOf(precision: number, rounding = 0, masks = 0x3f): number {
  return (
    (masks << Control.maskShift) | (rounding << Control.roundingShift) | (precision << ExtendedControl.precisionShift)
  );
}

/** A number times 2^scale, as an integer. */
const scale = 400n;
function integerOf([significand, head]: Number80): bigint {
  const magnitude = significand << ((head & 0x7fffn) - 16383n - 63n + scale);
  return (head & 0x8000n) === 0n ? magnitude : -magnitude;
}

/** numerator / denominator, in units of 2^-scale, rounded to nearest or downwards. */
function rounded(numerator: bigint, denominator: bigint, precision: number, down: boolean): Number80 {
  const sign = numerator < 0n !== denominator < 0n ? 1n : 0n;
  const [n, d] = [numerator, denominator].map((value) => (value < 0n ? -value : value)) as [bigint, bigint];
  if (n === 0n) return [0n, down ? 0x8000n : 0n];
  // Scaled so that the quotient has `precision` bits.
  let shift = BigInt(precision - (n.toString(2).length - d.toString(2).length));
  const scaled = (): [bigint, bigint] => (shift >= 0n ? [n << shift, d] : [n, d << -shift]);
  const limit = 1n << BigInt(precision);
  const [trial, by] = scaled();
  if (trial / by >= limit) shift--;
  const [dividend, divisor] = scaled();
  let quotient = dividend / divisor;
  const rest = dividend % divisor;
  const up = down
    ? sign === 1n && rest !== 0n
    : 2n * rest > divisor || (2n * rest === divisor && (quotient & 1n) === 1n);
  if (up) quotient++;
  if (quotient === limit) [quotient, shift] = [quotient >> 1n, shift - 1n];
  const exponent = BigInt(precision - 1) - shift - scale;
  return [quotient << BigInt(64 - precision), (sign << 15n) | (exponent + 16383n)];
}

let seed = 99n;
function random(bits: bigint): bigint {
  seed = (seed * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
  return seed >> (64n - bits);
}
/** Few or many bits set, exponents from −20 to 43, so that sums cancel, and quotients end. */
function pick(): Number80 {
  const kind = random(2n);
  const fraction = kind === 0n ? 0n : kind === 1n ? random(5n) << 58n : random(63n);
  return [(1n << 63n) | fraction, (random(1n) << 15n) | (16383n - 20n + random(6n))];
}

const meanings = {
  add: (a: bigint, b: bigint) => [a + b, 1n],
  sub: (a: bigint, b: bigint) => [a - b, 1n],
  mul: (a: bigint, b: bigint) => [a * b, 1n << scale],
  div: (a: bigint, b: bigint) => [a << scale, b],
} as const;

for (const [name, meaning] of Object.entries(meanings)) {
  test(`${name} rounds exact results to 24, 53 or 64 bits`, () => {
    for (let index = 0; index < 300; index++) {
      const [a, b] = [pick(), pick()];
      const [numerator, denominator] = meaning(integerOf(a), integerOf(b)) as [bigint, bigint];
      const precision = [24, 53, 64][index % 3]!;
      for (const mode of [0, 1]) {
        const expected = rounded(numerator, denominator, precision, mode === 1);
        const [significand, head] = call(
          extendedArithmetic[name as keyof typeof meanings],
          [a, b],
          controlOf(precision, mode),
        );
        const text = `${name}(${[a, b]
          .flat()
          .map((part) => part.toString(16))
          .join(" ")}) to ${precision} bits, rounding ${mode}`;
        assert.deepEqual([significand, head], expected, text);
      }
    }
  });
}

test("a square root is the largest number whose square is not larger", () => {
  for (let index = 0; index < 200; index++) {
    const [significand, head] = pick();
    const a: Number80 = [significand, head & 0x7fffn];
    const [root, rootHead] = call(extendedArithmetic.sqrt, [a], controlOf(64, 1)) as [bigint, bigint];
    const radicand = integerOf(a) << scale;
    const value = integerOf([root, rootHead]);
    const ulp = integerOf([1n, rootHead]);
    assert.ok(value ** 2n <= radicand && (value + ulp) ** 2n > radicand, head.toString(16));
  }
});

test("remainders take the quotient truncated, or the nearest, and give its last bits", () => {
  for (let index = 0; index < 200; index++) {
    const [a, b] = [pick(), pick()];
    const [x, y] = [integerOf(a), integerOf(b)];
    const quotient = x / y;
    const rest = x - quotient * y;
    const [significand, head, , bits] = call(remainders.truncated, [a, b], controlOf(64)) as [
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    assert.equal(integerOf([significand, head]), rest);
    assert.equal(bits & 7n, (quotient < 0n ? -quotient : quotient) & 7n);
    const [nearest, nearestHead] = call(remainders.nearest, [a, b], controlOf(64)) as [bigint, bigint];
    const found = integerOf([nearest, nearestHead]);
    assert.equal((x - found) % y, 0n);
    assert.ok(4n * found * found <= y * y);
  }
});

test("what is not masked keeps its exponent within reach, off by 24576", () => {
  const large: Number80 = [1n << 63n, 0x7ffen];
  const overflow = controlOf(64, 0, 0x3f & ~Exception.overflow);
  assert.deepEqual(call(extendedArithmetic.mul, [large, large], overflow), [
    1n << 63n,
    0x7ffen * 2n - 16383n - 24576n,
    BigInt(Exception.overflow),
  ]);
  const least: Number80 = [1n << 63n, 1n];
  const underflow = controlOf(64, 0, 0x3f & ~Exception.underflow);
  assert.deepEqual(call(extendedArithmetic.mul, [least, least], underflow), [
    1n << 63n,
    2n - 16383n + 24576n,
    BigInt(Exception.underflow),
  ]);
});

test("the routines are well-formed", () => {
  const families = [
    extendedArithmetic,
    remainders,
    extendedScaling,
    logarithms,
    trigonometry,
    { exponential, arctangentRoutine },
  ];
  for (const family of families)
    for (const routine of Object.values(family)) assert.deepEqual(verify(routine.body()), []);
});
