import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluate } from "../../ir/evaluate.ts";
import type { Machine } from "../../ir/evaluate.ts";
import type { Routine } from "../../ir/node.ts";
import { arctangentRoutine } from "./arctangent.ts";
import { exponential } from "./exponential.ts";
import { fullPrecision } from "./extended.ts";
import { Control, Exception, Rounding } from "./format.ts";
import { logarithms } from "./logarithm.ts";
import { trigonometry } from "./trigonometry.ts";

/** Against the same functions in fixed point with 512 bits behind the point, summed in the plainest way. */

const nothing = (): never => {
  throw new Error("soft-float touches neither state nor memory");
};
const machine: Machine = {
  get: nothing, set: nothing, field: nothing, load: nothing, store: nothing, probe: nothing,
  host: nothing, hostLoad: nothing, hostStore: nothing,
}; // prettier-ignore

const point = 512n;
const one = 1n << point;
const times = (a: bigint, b: bigint) => (a * b) >> point;
const over = (a: bigint, b: bigint) => (a << point) / b;

/** Adds terms until they vanish. */
function sum(first: bigint, next: (term: bigint, index: bigint) => bigint): bigint {
  let total = 0n;
  let term = first;
  for (let index = 1n; term !== 0n && term !== -1n; index++) {
    total += term;
    term = next(term, index);
  }
  return total;
}
/** Σ ±z^(2k+1) / (2k+1), of the area or the arc tangent. */
function odd(z: bigint, sign: 1n | -1n): bigint {
  let power = z;
  return sum(z, (_, k) => {
    power = sign * times(power, times(z, z));
    return power / (2n * k + 1n);
  });
}
const ln2 = 2n * odd(one / 3n, 1n);
const pi = 16n * odd(one / 5n, -1n) - 4n * odd(one / 239n, -1n);
/** The processor's π has 66 bits. */
const shortPi = 0x3243f6a8885a308d3n << (point - 64n);

function expm1(x: bigint): bigint {
  return sum(x, (term, n) => times(term, x) / (n + 1n));
}
function ln(x: bigint): bigint {
  let [value, halvings] = [x, 0n];
  for (; value > one + (one >> 1n); halvings++) value >>= 1n;
  for (; value < one - (one >> 2n); halvings--) value <<= 1n;
  return 2n * odd(over(value - one, value + one), 1n) + halvings * ln2;
}
function atan(x: bigint): bigint {
  return x > one >> 1n ? pi / 4n - atan(over(one - x, one + x)) : odd(x, -1n);
}
function angle(y: bigint, x: bigint): bigint {
  if (y < 0n) return -angle(-y, x);
  if (x < 0n) return pi - angle(y, -x);
  return y > x ? pi / 2n - atan(over(x, y)) : atan(over(y, x));
}
/** The sine of so many quarter turns and x, both reduced by quarters of the processor's π. */
function sine(x: bigint, quarters = 0n): bigint {
  const quarter = shortPi / 2n;
  const turns = (2n * x + quarter + (quarter << 100n)) / (2n * quarter) - (1n << 99n);
  const rest = x - turns * quarter;
  const quadrant = (turns + quarters) & 3n;
  const first = (quadrant & 1n) === 0n ? rest : one;
  const offset = quadrant & 1n;
  const value = sum(first, (term, n) => -times(times(term, rest), rest) / ((2n * n - offset) * (2n * n + 1n - offset)));
  return quadrant < 2n ? value : -value;
}

type Number80 = readonly [significand: bigint, head: bigint];
function valueOf([significand, head]: Number80): bigint {
  const shift = (head & 0x7fffn) - 16383n - 63n + point;
  const magnitude = shift >= 0n ? significand << shift : significand >> -shift;
  return (head & 0x8000n) === 0n ? magnitude : -magnitude;
}

let seed = 2024n;
function random(bits: bigint): bigint {
  seed = (seed * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
  return seed >> (64n - bits);
}
/** A number with an exponent from `least` to `most`. */
function pick(least: number, most: number, signs: "positive" | "both" = "both"): Number80 {
  const exponent = BigInt(least) + (random(20n) % BigInt(most - least + 1));
  const sign = signs === "both" ? random(1n) << 15n : 0n;
  return [(1n << 63n) | random(63n), sign | (exponent + 16383n)];
}

const modes = [
  [Rounding.nearest, (error: bigint, ulp: bigint) => 2n * (error < 0n ? -error : error) <= ulp],
  [Rounding.down, (error: bigint, ulp: bigint) => error <= 0n && -error <= ulp],
  [Rounding.up, (error: bigint, ulp: bigint) => error >= 0n && error <= ulp],
] as const;

/** Runs a routine, and checks that its result is the nearest number in the direction of rounding. */
function check(routine: Routine, operands: readonly Number80[], expected: bigint): void {
  for (const [mode, fits] of modes) {
    const control = BigInt(0x1f80 | (mode << Control.roundingShift) | fullPrecision);
    const outcome = evaluate(routine.body(), machine, [...operands.flat(), control]);
    assert.ok(outcome.kind === "return");
    const [significand, head, flags] = outcome.values as [bigint, bigint, bigint];
    const ulp = 1n << ((head & 0x7fffn) - 16383n - 63n + point);
    const text = operands.map(([s, h]) => `${h.toString(16)} ${s.toString(16)}`).join(", ");
    assert.ok(fits(valueOf([significand, head]) - expected, ulp), `${routine.name}(${text}), rounding ${mode}`);
    assert.ok((Number(flags) & Exception.precision) !== 0, text);
  }
}

const count = 12;
function repeat(body: () => void): void {
  for (let index = 0; index < count; index++) body();
}

test("2^x − 1 is rounded correctly", () => {
  repeat(() => {
    const x = pick(-40, -1);
    check(exponential, [x], expm1(times(valueOf(x), ln2)));
  });
});

test("y × log2(x) is rounded correctly, also where x is near 1", () => {
  const near = (): Number80 => [(1n << 63n) | random(30n), 16383n];
  repeat(() => {
    for (const x of [pick(-60, 60, "positive"), near()]) {
      const y = pick(-3, 3);
      check(logarithms.timesLogarithm, [x, y], over(times(valueOf(y), ln(valueOf(x))), ln2));
    }
  });
});

test("y × log2(x + 1) is rounded correctly", () => {
  repeat(() => {
    const [x, y] = [pick(-50, -3), pick(-3, 3)];
    check(logarithms.timesLogarithmPlusOne, [x, y], over(times(valueOf(y), ln(one + valueOf(x))), ln2));
  });
});

test("arctangents are rounded correctly in all four quadrants", () => {
  repeat(() => {
    const [x, y] = [pick(-8, 8), pick(-8, 8)];
    check(arctangentRoutine, [x, y], angle(valueOf(y), valueOf(x)));
  });
});

test("sine, cosine and tangent are rounded correctly, of arguments reduced by a π of 66 bits", () => {
  repeat(() => {
    const x = pick(-30, 62);
    const value = valueOf(x);
    const [s, c] = [sine(value), sine(value, 1n)];
    check(trigonometry.sine, [x], s);
    check(trigonometry.cosine, [x], c);
    check(trigonometry.tangent, [x], over(s, c));
  });
});
