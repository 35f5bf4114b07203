import assert from "node:assert/strict";
import { test } from "node:test";
import { callPure } from "../../../test/routine-harness.ts";
import { doubleBits, singleBits } from "../../ir/float-operations.ts";
import { comparison, Relation } from "./compare.ts";
import { conversion } from "./convert.ts";
import { Control, Exception, Rounding } from "./format.ts";
import { integers } from "./integral.ts";

const masked = 0x1f80n;
const rounding = (mode: number) => masked | BigInt(mode << Control.roundingShift);
const { toInteger, fromInteger, toIntegral } = integers.double;
const { nearest, down, up, zero } = Rounding;
const inexact = BigInt(Exception.precision);

/** The integer, as a number, and the flags that x87's C1 is not one of. */
function integerOf(value: number, bits: 32 | 64, mode: number): [integer: bigint, flags: bigint] {
  const [integer, flags] = callPure(toInteger, doubleBits(value), BigInt(bits), BigInt(mode), masked);
  return [BigInt.asIntN(64, integer!), flags! & 0x3fn];
}

test("to an integer: each mode rounds its way, ties to even", () => {
  const rows = [
    [2.5, [2n, 2n, 3n, 2n]],
    [3.5, [4n, 3n, 4n, 3n]],
    [-2.5, [-2n, -3n, -2n, -2n]],
    [-0.25, [0n, -1n, 0n, 0n]],
    [1e-300, [0n, 0n, 1n, 0n]],
  ] as const;
  for (const [value, expected] of rows) {
    [nearest, down, up, zero].forEach((mode, index) => {
      assert.deepEqual(integerOf(value, 32, mode), [expected[index], inexact], `${value} in mode ${mode}`);
    });
  }
});

test("to an integer: what does not fit is invalid, and gives the smallest integer", () => {
  const smallest = { 32: -(2n ** 31n), 64: -(2n ** 63n) } as const;
  for (const bits of [32, 64] as const) {
    const limit = 2 ** (bits - 1);
    for (const value of [limit, -limit * 1.5, Infinity, NaN, 1e300]) {
      assert.deepEqual(integerOf(value, bits, nearest), [smallest[bits], 1n], `${value} in ${bits} bits`);
    }
    assert.deepEqual(integerOf(-limit, bits, nearest), [smallest[bits], 0n]);
  }
  assert.deepEqual(integerOf(2 ** 31 - 0.5, 32, nearest), [smallest[32], 1n]);
  assert.deepEqual(integerOf(2 ** 31 - 0.5, 32, zero), [2n ** 31n - 1n, inexact]);
});

test("from an integer: exact as far as the significand reaches, rounded beyond", () => {
  const of = (integer: bigint, control = masked) => callPure(fromInteger, BigInt.asUintN(64, integer), control);
  for (const integer of [0n, 1n, -1n, 2n ** 53n, -(2n ** 63n)])
    assert.deepEqual(of(integer), [doubleBits(Number(integer)), 0n]);
  const [bits, flags] = of(2n ** 53n + 1n, rounding(up));
  assert.deepEqual([bits, flags! & 0x3fn], [doubleBits(2 ** 53 + 2), inexact]);
});

test("to an integral value: signs of zero stay", () => {
  const of = (value: number, mode: number) => callPure(toIntegral, doubleBits(value), rounding(mode))[0];
  assert.equal(of(-0.5, nearest), doubleBits(-0));
  assert.equal(of(-0.5, down), doubleBits(-1));
  assert.equal(of(1e300, up), doubleBits(1e300));
  assert.equal(of(4503599627370495.5, nearest), doubleBits(4503599627370496));
});

test("between the formats: payloads keep their highest bits, denormals are reported", () => {
  const { singleToDouble, doubleToSingle } = conversion;
  assert.deepEqual(callPure(singleToDouble, 0xff800001n, masked), [0xfff8000020000000n, 1n]);
  assert.deepEqual(callPure(doubleToSingle, 0x7ff0000020000000n, masked), [0x7fc00001n, 1n]);
  assert.deepEqual(callPure(singleToDouble, 1n, masked), [doubleBits(2 ** -149), BigInt(Exception.denormal)]);
  const [tiny, flags] = callPure(doubleToSingle, doubleBits(2 ** -150 * 1.5), masked);
  assert.deepEqual([tiny, flags! & 0x3fn], [1n, BigInt(Exception.underflow | Exception.precision)]);
  assert.equal(callPure(doubleToSingle, doubleBits(1e300), rounding(zero))[0], 0x7f7fffffn);
});

test("comparisons: quiet NaNs are invalid only where asked; zeros are equal", () => {
  const { compare, min, max } = comparison.single;
  const [one, minusZero, quiet] = [singleBits(1), 0x80000000n, 0x7fc00000n];
  assert.deepEqual(callPure(compare, quiet, one, 0n, masked), [BigInt(Relation.unordered), 0n]);
  assert.deepEqual(callPure(compare, quiet, one, 1n, masked), [BigInt(Relation.unordered), 1n]);
  assert.deepEqual(callPure(compare, minusZero, 0n, 0n, masked), [BigInt(Relation.equal), 0n]);
  assert.deepEqual(callPure(compare, singleBits(-2), singleBits(-1), 0n, masked), [BigInt(Relation.less), 0n]);
  assert.deepEqual(callPure(min, minusZero, 0n, masked), [0n, 0n]);
  assert.deepEqual(callPure(max, quiet, one, masked), [one, 1n]);
});
