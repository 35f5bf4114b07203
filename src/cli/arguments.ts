/** Values on the command line. What is wrong with one is said in its own words, and ends the program with status 2. */

import { InvalidArgumentError } from "commander";
import type { EngineCheck } from "../toolstack/domain-config.ts";

const UNITS: Readonly<Record<string, number>> = { k: 1 << 10, m: 1 << 20, g: 1 << 30 };
const PAGE = 4096;

/**
 * An amount of memory in bytes: `512M`, `1G`, `262144K`, and MiB without a unit, as in xl.cfg and QEMU.
 * @throws InvalidArgumentError
 */
export function memorySize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kmg])?(?:i?b)?$/i.exec(text);
  const bytes = Number(match?.[1]) * (UNITS[match?.[2]?.toLowerCase() ?? "m"] ?? Number.NaN);
  if (!(bytes >= PAGE && bytes <= 2 ** 42)) {
    throw new InvalidArgumentError('give an amount of memory, such as "512M" or "1G".');
  }
  return Math.floor(bytes / PAGE) * PAGE;
}

/**
 * A time in seconds, fractions allowed, above zero.
 * @throws InvalidArgumentError
 */
export function seconds(text: string): number {
  const value = /^\d+(?:\.\d+)?s?$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  if (!(value > 0 && value <= 2 ** 31 / 1000))
    throw new InvalidArgumentError('give a number of seconds, such as "30".');
  return value;
}

/** Of a region's later entries, each so many-th is compared. */
const LATER_ENTRIES = 1000;

/**
 * Which entries of translated code are compared with the interpreter: "all", or the number of each region's first ones.
 * @throws InvalidArgumentError
 */
export function checkSampling(text: string): EngineCheck {
  if (text === "all") return { first: Infinity, every: 1 };
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new InvalidArgumentError(
      'give "all" or a number, as in --engine-check=50; an image stands before the option.',
    );
  return { first: Number(text), every: LATER_ENTRIES };
}

/** Bytes for people: three digits and a decimal unit. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  for (const [unit, size] of [
    ["kB", 1e3],
    ["MB", 1e6],
  ] as const) {
    if (bytes < size * 999.5) return `${(bytes / size).toPrecision(3)} ${unit}`;
  }
  return `${(bytes / 1e9).toPrecision(3)} GB`;
}
