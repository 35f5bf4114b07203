/**
 * The comparison of the tiers within one machine (src/engine/check) finds nothing where there is nothing, and a machine
 * that is compared does what one does that is not.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkAll } from "../engine-harness.ts";
import { compareTiers } from "./compare.ts";
import { generate } from "./generate.ts";
import { TierMachine } from "./machine.ts";
import { place } from "./program.ts";

const PROGRAMS = 60;

for (const changesCode of [false, true]) {
  const what = changesCode ? "programs that change their code and its mappings" : "programs";
  test(`checked tiers: random ${what}, every entry of every region compared`, (t) => {
    const pair = { plain: new TierMachine(0), translating: new TierMachine(2, { check: checkAll }) };
    for (let seed = 7_000_000; seed < 7_000_000 + PROGRAMS; seed++) {
      const program = generate(seed, { changesCode });
      if (place(program) !== undefined) assert.equal(compareTiers(pair, program), undefined, `seed ${seed}`);
    }
    const { vcpu } = pair.translating.machine;
    const { entries, instructions, regions, unsteady } = vcpu.checks!;
    t.diagnostic(`${regions} regions, ${entries} entries, ${instructions} instructions`);
    assert.ok(regions > PROGRAMS * 5 && entries > regions * 10 && instructions > vcpu.retired / 2);
    assert.equal(unsteady, 0);
  });
}
