/**
 * Encoding rows on the interpreter and through the translator: the cases of test/differential, each translated before it
 * is executed. Every tenth form, another tenth by XENOLITH_SEED; XENOLITH_TIER_ROWS=all for all of them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { instructions } from "../../src/x86/instructions/index.ts";
import { NOTHING_IGNORED, differences, report } from "../differential/compare.ts";
import { interpreterMachine } from "../differential/machine.ts";
import { casesOf, subjectsOf } from "../differential/suite.ts";

const ALL = process.env["XENOLITH_TIER_ROWS"] === "all";
const SEED = Number(process.env["XENOLITH_SEED"] ?? 0);
const SAMPLE = 10;
const CASES = 4;

test("tiers: instructions do through the translator what they do in the interpreter", (t) => {
  const [plain, translating] = [interpreterMachine(0), interpreterMachine(1)];
  // Nothing but 64-bit code is translated.
  const subjects = subjectsOf(instructions)
    .filter(({ form }) => form.mode === 64)
    .filter((_, index) => ALL || index % SAMPLE === SEED % SAMPLE);
  const failures: string[] = [];
  let cases = 0;
  for (const subject of subjects) {
    const requests = casesOf(subject, CASES, SEED);
    const [expected, outcomes] = [plain.run(requests), translating.run(requests)];
    requests.forEach((request, index) => {
      const [one, two] = [expected[index]!, outcomes[index]!];
      if (differences(request, one, two, NOTHING_IGNORED).length > 0)
        failures.push(report(subject.name, request, one, two, NOTHING_IGNORED));
    });
    cases += requests.length;
  }
  t.diagnostic(`${subjects.length} forms, ${cases} cases`);
  assert.ok(subjects.length > 100 && cases > subjects.length * 3);
  assert.equal(failures.length, 0, `${failures.length} reports\n${failures.slice(0, 12).join("\n\n")}`);
});
