/** Constants of 128 bits and the coefficients of series, computed when the routines that need them are built. */

const guard = 32n;
const bits = 128n;
const one = 1n << (bits + guard);

function toNearest(value: bigint): bigint {
  return (value + (1n << (guard - 1n))) >> guard;
}

/** atan(1 / n) or atanh(1 / n), with guard bits. */
function inverseSeries(n: bigint, signs: "same" | "alternating"): bigint {
  let sum = 0n;
  let power = one / n;
  for (let k = 0n; power !== 0n; k++) {
    const term = power / (2n * k + 1n);
    sum += signs === "alternating" && k % 2n === 1n ? -term : term;
    power /= n * n;
  }
  return sum;
}

/** atan(p / q) for p ≤ q, as a fraction of 2^128, with guard bits. */
function arctangent(p: bigint, q: bigint): bigint {
  // Twice atan(x / (1 + √(1 + x²))) has an argument below one half, where the series is short; the root by Newton's rule.
  const x = (p * one) / q;
  const radicand = one * one + x * x;
  let root = one * 2n;
  for (let next = (root + radicand / root) / 2n; next < root; next = (root + radicand / root) / 2n) root = next;
  const reduced = (x * one) / (one + root);
  const square = (reduced * reduced) / one;
  let sum = 0n;
  let power = reduced;
  for (let k = 0n; power !== 0n; k++) {
    const term = power / (2n * k + 1n);
    sum += k % 2n === 1n ? -term : term;
    power = (power * square) / one;
  }
  return sum * 2n;
}

/** π × 2^128. Machin's formula. */
export const pi128 = toNearest(16n * inverseSeries(5n, "alternating") - 4n * inverseSeries(239n, "alternating"));
const ln2 = 2n * inverseSeries(3n, "same");
/** ln 2 × 2^128. */
export const ln2Fraction = toNearest(ln2);
/** 2 / ln 2 × 2^126: with exponent 1 as a number. */
export const twoOverLn2 = toNearest((2n * one * one) / ln2) >> 2n;
/** atan(k / 8) × 2^125 for k from 0 to 8. */
export const arctangents: readonly bigint[] = Array.from({ length: 9 }, (_, k) =>
  toNearest(arctangent(BigInt(k), 8n) >> 3n),
);

function factorial(n: number): bigint {
  let result = 1n;
  for (let k = 2n; k <= n; k++) result *= k;
  return result;
}

/** 1 / (first)!, 1 / (first + step)!, … as fractions, as long as they matter for arguments below one. */
export function factorialCoefficients(first: number, step: number): bigint[] {
  const coefficients: bigint[] = [];
  for (let n = first; ; n += step) {
    const coefficient = toNearest(one / factorial(n));
    if (coefficient === 0n) return coefficients;
    coefficients.push(coefficient);
  }
}
/** 1/3, 1/5, 1/7, … `count` of them, as fractions. */
export function oddCoefficients(count: number): bigint[] {
  return Array.from({ length: count }, (_, k) => toNearest(one / BigInt(2 * k + 3)));
}
