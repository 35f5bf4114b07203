import assert from "node:assert/strict";
import { test } from "node:test";
import { callPure } from "../../../test/routine-harness.ts";
import type { Routine } from "../../ir/node.ts";
import { doubleBits, doubleOf, singleBits, singleOf } from "../../ir/float-operations.ts";
import { verify } from "../../ir/verify.ts";
import { arithmetic } from "./arithmetic.ts";
import type { ArithmeticOperation } from "./arithmetic.ts";
import { Control, Exception, Rounding } from "./format.ts";

const masked = 0x1f80n;

function call(routine: Routine, ...parameters: bigint[]): readonly [result: bigint, flags: number] {
  const [result, flags] = callPure(routine, ...parameters);
  return [result!, Number(flags) & 0x3f];
}

/** Bits of numbers with every exponent, few and many ones in the fraction, and the specials. */
function* patterns(count: number, fractionBits: number, exponentBits: number): Generator<bigint> {
  let seed = 12345n;
  const next = () => (seed = (seed * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n)) >> 11n;
  const ones = (1n << BigInt(exponentBits)) - 1n;
  const bias = ones >> 1n;
  for (let index = 0; index < count; index++) {
    const kind = next() % 8n;
    const exponent = kind === 0n ? 0n : kind === 1n ? ones : kind < 5n ? bias + (next() % 60n) - 30n : next() % ones;
    const fraction = (kind % 3n === 0n ? 0n : next()) & ((1n << BigInt(fractionBits)) - 1n);
    yield ((next() & 1n) << BigInt(fractionBits + exponentBits)) | (exponent << BigInt(fractionBits)) | fraction;
  }
}

const meanings: Record<ArithmeticOperation, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  sqrt: (a) => Math.sqrt(a),
};

const formats = {
  double: { of: doubleOf, bits: doubleBits, fraction: 52, exponent: 11 },
  single: { of: singleOf, bits: singleBits, fraction: 23, exponent: 8 },
} as const;

for (const [format, { of, bits, fraction, exponent }] of Object.entries(formats)) {
  for (const [name, meaning] of Object.entries(meanings)) {
    test(`${name} of ${format} numbers is the host's when rounding to nearest`, () => {
      const routine = arithmetic[format as "single" | "double"][name as ArithmeticOperation];
      const operands = [...patterns(600, fraction, exponent)];
      for (let index = 0; index + 1 < operands.length; index += 2) {
        const [a, b] = [operands[index]!, operands[index + 1]!];
        const [result] = call(routine, ...(name === "sqrt" ? [a] : [a, b]), masked);
        const expected = meaning(of(a), of(b));
        const text = `${name}(${a.toString(16)}, ${b.toString(16)})`;
        if (Number.isNaN(expected)) assert.ok(Number.isNaN(of(result)), text);
        else assert.equal(result.toString(16), bits(expected).toString(16), text);
      }
    });
  }
}

const { add, sub, mul, div, sqrt } = arithmetic.double;
const rounding = (mode: number) => masked | BigInt(mode << Control.roundingShift);
const one = doubleBits(1);
const tiny = doubleBits(2 ** -1074);

test("each rounding mode goes its way, and says that it did", () => {
  const cases = [
    [Rounding.nearest, 1],
    [Rounding.down, 1],
    [Rounding.up, 1 + 2 ** -52],
    [Rounding.zero, 1],
  ] as const;
  for (const [mode, expected] of cases) {
    assert.deepEqual(call(add, one, doubleBits(2 ** -60), rounding(mode)), [doubleBits(expected), Exception.precision]);
  }
});

test("an exact zero difference is negative only when rounding down", () => {
  assert.deepEqual(call(sub, one, one, rounding(Rounding.nearest)), [0n, 0]);
  assert.deepEqual(call(sub, one, one, rounding(Rounding.down)), [1n << 63n, 0]);
});

test("overflow and underflow set their flags, and flush to zero where asked", () => {
  const large = doubleBits(Number.MAX_VALUE);
  const raised = Exception.overflow | Exception.precision;
  assert.deepEqual(call(mul, large, large, masked), [doubleBits(Infinity), raised]);
  assert.deepEqual(call(mul, large, large, rounding(Rounding.zero)), [large, raised]);
  const small = doubleBits(2 ** -1000);
  assert.deepEqual(call(mul, small, small, masked), [0n, Exception.underflow | Exception.precision]);
  assert.deepEqual(call(mul, doubleBits(2 ** -1022), doubleBits(0.5), masked), [doubleBits(2 ** -1023), 0]);
  const flush = masked | BigInt(Control.flushToZero);
  assert.deepEqual(call(mul, doubleBits(2 ** -1022), doubleBits(0.5), flush), [
    0n,
    Exception.underflow | Exception.precision,
  ]);
});

test("the first NaN wins and becomes quiet; invalid operations give the default NaN", () => {
  const [signaling, quiet] = [0x7ff0000000000123n, 0xfff8000000000456n];
  assert.deepEqual(call(add, quiet, signaling, masked), [quiet, Exception.invalid]);
  assert.deepEqual(call(add, signaling, quiet, masked), [0x7ff8000000000123n, Exception.invalid]);
  assert.deepEqual(call(sqrt, doubleBits(-1), masked), [0xfff8000000000000n, Exception.invalid]);
  assert.deepEqual(call(div, 0n, 0n, masked), [0xfff8000000000000n, Exception.invalid]);
  assert.deepEqual(call(div, one, 1n << 63n, masked), [doubleBits(-Infinity), Exception.zeroDivide]);
});

test("denormal operands are reported, or taken for zero", () => {
  assert.deepEqual(call(add, tiny, tiny, masked), [doubleBits(2 ** -1073), Exception.denormal]);
  assert.deepEqual(call(add, tiny, one, masked | BigInt(Control.denormalsAreZero)), [one, 0]);
});

test("the routines are well-formed", () => {
  for (const routine of Object.values(arithmetic.single)) assert.deepEqual(verify(routine.body()), []);
});
