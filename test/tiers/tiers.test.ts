/**
 * Random programs on the interpreter alone and with the translator: the same registers, flags, memory, exceptions and
 * numbers of instructions wherever a run stops. XENOLITH_TIER_PROGRAMS multiplies the programs, XENOLITH_SEED says from
 * which one on.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compareTiers } from "./compare.ts";
import type { Pair, Tally } from "./compare.ts";
import { generate } from "./generate.ts";
import type { Wishes } from "./generate.ts";
import { TierMachine } from "./machine.ts";
import { minimise } from "./minimise.ts";
import { listing, place } from "./program.ts";
import type { Program } from "./program.ts";

const FACTOR = Number(process.env["XENOLITH_TIER_PROGRAMS"] ?? 1);
const SEED = Number(process.env["XENOLITH_SEED"] ?? 0);

function pairOf(translation: number): Pair {
  return { plain: new TierMachine(0), translating: new TierMachine(translation) };
}

/** What is wrong with a program on machines that have run nothing else. */
function alone(program: Program, translation: number): string | undefined {
  try {
    return compareTiers(pairOf(translation), program);
  } catch (error) {
    return String(error);
  }
}

/** A report of a program that the tiers part on, as small as it can be made. */
function reportOf(program: Program, translation: number, difference: string): string {
  const first = alone(program, translation);
  const smallest = first === undefined ? program : minimise(program, (each) => alone(each, translation) !== undefined);
  return [
    `translation after ${translation}: interpreter, translator: ${difference}`,
    first === undefined ? "only after the programs before it" : `alone: ${alone(smallest, translation)}`,
    listing(smallest, place(smallest)!),
  ].join("\n");
}

const suites: readonly [name: string, translation: number, programs: number, wishes: Wishes][] = [
  ["programs", 3, 250, { changesCode: false }],
  ["programs that change their code and its mappings", 2, 250, { changesCode: true }],
  ["programs of which everything is translated at once", 1, 24, { changesCode: true }],
];

for (const [name, translation, count, wishes] of suites) {
  test(`tiers: random ${name}, translated after ${translation}`, (t) => {
    const pair = pairOf(translation);
    const tally: Tally = { instructions: 0, exceptions: 0, stops: 0 };
    const first = 1_000_000 * translation + SEED;
    let programs = 0;
    for (let seed = first; seed < first + count * FACTOR; seed++) {
      const program = generate(seed, wishes);
      if (place(program) === undefined) continue;
      programs += 1;
      const difference = compareTiers(pair, program, tally);
      if (difference !== undefined) assert.fail(reportOf(program, translation, difference));
    }
    const { translation: done } = pair.translating.machine.vcpu.statistics();
    t.diagnostic(`${programs} programs, ${tally.instructions} instructions, ${tally.stops} stops compared`);
    t.diagnostic(`${tally.exceptions} exceptions, ${done!.regions} regions, ${done!.dropped} dropped`);
    // They have tested something.
    assert.ok(
      programs > count * FACTOR * 0.8 && tally.instructions > programs * 500 && tally.exceptions > programs * 5,
    );
    assert.ok(done!.regions > programs && done!.dropped > programs);
  });
}
