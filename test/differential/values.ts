/**
 * Operand values worth trying: the edges where carries, overflows, roundings and special cases live, mixed with random
 * ones. Everything is drawn from a seeded generator, so that a failing case can be made again.
 */

/** A stream of pseudo-random numbers: SplitMix32, fast and good enough to hit every edge list. */
export interface Random {
  /** 32 bits. */
  u32(): number;
  u64(): bigint;
  /** An integer in [0, bound). */
  below(bound: number): number;
  /** True once in `n` calls. */
  oneIn(n: number): boolean;
  pick<T>(from: readonly T[]): T;
}

export function randomFrom(seed: number): Random {
  let state = seed | 0;
  const u32 = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let z = state ^ (state >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  const below = (bound: number): number => Math.floor((u32() / 2 ** 32) * bound);
  return {
    u32,
    below,
    u64: () => (BigInt(u32()) << 32n) | BigInt(u32()),
    oneIn: (n) => below(n) === 0,
    pick: (from) => from[below(from.length)]!,
  };
}

/** A seed that depends on a text alone: each encoding row has its own stream, whatever rows come before it. */
export function seedOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

const ALL_ONES = 0xffff_ffff_ffff_ffffn;

/** Edges of 8-, 16-, 32- and 64-bit integers, and numbers whose nibbles make carries and decimal adjustments. */
const INTEGER_EDGES: readonly bigint[] = [
  0n,
  1n,
  2n,
  ALL_ONES,
  ALL_ONES - 1n,
  ...[7n, 8n, 15n, 16n, 31n, 32n, 63n].flatMap((bit) => [(1n << bit) - 1n, 1n << bit, (1n << bit) + 1n]),
  ...[8n, 16n, 32n].map((bits) => ALL_ONES << bits),
  ...[7n, 15n, 31n].map((bit) => ALL_ONES << bit),
  ...[7n, 15n, 31n].map((bit) => (ALL_ONES << bit) & ALL_ONES),
  0x0fn,
  0x10n,
  0x99n,
  0x9an,
  0x5555_5555_5555_5555n,
  0xaaaa_aaaa_aaaa_aaaan,
  0x0123_4567_89ab_cdefn,
  0xfedc_ba98_7654_3210n,
].map((value) => value & ALL_ONES);

/** 64 bits, of which an instruction uses as many as it likes. */
export function integer(random: Random): bigint {
  switch (random.below(8)) {
    case 0:
    case 1:
    case 2:
      return random.pick(INTEGER_EDGES);
    case 3:
      return 1n << BigInt(random.below(64));
    case 4:
      return BigInt(random.below(256));
    case 5:
      return (ALL_ONES - BigInt(random.below(256))) & ALL_ONES;
    default:
      return random.u64();
  }
}

/** Sign, exponent and fraction widths of the formats; `x87` has an explicit integer bit, which is part of its fraction here. */
const FORMATS = {
  single: { exponent: 8, fraction: 23 },
  double: { exponent: 11, fraction: 52 },
  extended: { exponent: 15, fraction: 64 },
} as const;
export type Format = keyof typeof FORMATS;

/** The bit pattern of a floating-point number: every class of them, and pairs that round, overflow and cancel. */
export function float(random: Random, format: Format): bigint {
  const { exponent, fraction } = FORMATS[format];
  const explicit = format === "extended" ? 1n << 63n : 0n;
  const bias = (1 << (exponent - 1)) - 1;
  const maximum = (1 << exponent) - 1;
  const payload = (): bigint => {
    const bits = random.u64() & ((1n << BigInt(fraction)) - 1n);
    switch (random.below(5)) {
      case 0:
        return 0n;
      case 1: // few significant bits: exact results and halfway cases
        return (bits >> BigInt(fraction - 4)) << BigInt(fraction - 4);
      case 2:
        return (1n << BigInt(fraction)) - 1n - (bits & 3n);
      case 3:
        return bits & 7n;
      default:
        return bits;
    }
  };
  const make = (sign: boolean, biased: number, bits: bigint): bigint => {
    const integerBit = biased === 0 ? 0n : explicit;
    return (
      (BigInt(sign ? 1 : 0) << BigInt(exponent + fraction)) | (BigInt(biased) << BigInt(fraction)) | integerBit | bits
    );
  };
  const fractionBits = (bits: bigint): bigint => bits & ~explicit;
  const quiet = 1n << BigInt(format === "extended" ? 62 : fraction - 1);
  const negative = random.oneIn(2);
  switch (random.below(16)) {
    case 0:
      return make(negative, 0, 0n);
    case 1:
      return make(negative, maximum, 0n);
    case 2:
      return make(negative, maximum, fractionBits(payload()) | quiet);
    case 3: // signalling, unless its payload is empty, which makes it an infinity
      return make(negative, maximum, (fractionBits(payload()) & ~quiet) | 1n);
    case 4: // denormal; for the extended format also pseudo-denormal
      return make(negative, 0, format === "extended" && !random.oneIn(4) ? fractionBits(payload()) : payload());
    case 5:
      return make(negative, 1 + random.below(3), fractionBits(payload()));
    case 6:
      return make(negative, maximum - 1 - random.below(3), fractionBits(payload()));
    case 7:
      return make(negative, bias, 0n);
    case 8: // around the integer types' limits
      return make(negative, bias + random.pick([7, 14, 15, 16, 30, 31, 32, 62, 63, 64]), fractionBits(payload()));
    case 9: // halves and other small fractions
      return make(negative, bias - 3 + random.below(6), fractionBits(payload()));
    case 10:
      if (format === "extended" && random.oneIn(4)) return unnormal(random);
      return make(negative, random.below(maximum + 1), fractionBits(payload()));
    default:
      return make(negative, bias - 40 + random.below(80), fractionBits(payload()));
  }
}

/** Extended encodings without the integer bit: unnormals, pseudo-infinities, pseudo-NaNs; invalid since the 80387. */
function unnormal(random: Random): bigint {
  const biased = random.oneIn(2) ? 0x7fff : 1 + random.below(0x7ffe);
  return (BigInt((random.below(2) << 15) | biased) << 64n) | (random.oneIn(2) ? 0n : random.u64() >> 1n);
}

/** 128 bits for a vector register or memory operand: integers, singles or doubles in every lane. */
export function vector(random: Random): bigint {
  switch (random.below(8)) {
    case 0:
    case 1:
    case 2: {
      let lanes = 0n;
      for (let i = 0; i < 4; i++) lanes = (lanes << 32n) | float(random, "single");
      return lanes;
    }
    case 3:
    case 4:
    case 5:
      return (float(random, "double") << 64n) | float(random, "double");
    case 6:
      return (integer(random) << 64n) | integer(random);
    default:
      return (random.u64() << 64n) | random.u64();
  }
}

/** MXCSR: mostly as programs have it, sometimes with any rounding, FTZ, DAZ, unmasked exceptions, sticky flags. */
export function mxcsr(random: Random): number {
  let value = random.oneIn(2) ? 0x1f80 : 0x1fa0;
  if (random.oneIn(2)) value |= random.below(4) << 13;
  if (random.oneIn(4)) value |= 0x8000;
  if (random.oneIn(4)) value |= 0x40;
  if (random.oneIn(4)) value |= random.below(64);
  if (random.oneIn(6)) value &= ~(1 << (7 + random.below(6)));
  if (random.oneIn(24)) value &= ~0x1f80;
  return value;
}

/** The x87 control word: every precision and rounding, sometimes with an unmasked exception. */
export function controlWord(random: Random): number {
  let value = 0x37f;
  if (random.oneIn(2)) value = (value & ~0xf00) | (random.below(4) << 10) | (random.pick([0, 2, 3, 3]) << 8);
  if (random.oneIn(6)) value &= ~(1 << random.below(6));
  return value;
}

/** Status flags and DF, each way; AC, TF and ID stay clear. */
export function flags(random: Random): number {
  return 0x202 | (random.u32() & 0x8d5) | (random.oneIn(4) ? 0x400 : 0);
}
