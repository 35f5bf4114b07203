/**
 * A second judge of these tests, and of those of paging: what their programs do to registers and memory is compared with QEMU's
 * emulator, which is given the same state. The tests are run once more to note the states.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { deserialize } from "node:v8";
import { differences } from "./qemu-compare.ts";
import { gaps } from "./qemu-gaps.ts";
import { Qemu, qemuMissing } from "./qemu.ts";
import { RECORD } from "./record.ts";
import type { Run } from "./record.ts";

/** Runs the tests. @returns by test, what their machines did. */
async function recorded(): Promise<Map<string, Run[]>> {
  const directory = mkdtempSync(join(tmpdir(), "xenolith-runs-"));
  try {
    const globs = ["*.test.ts", "../../src/engine/mmu/*.test.ts"].map((glob) => join(import.meta.dirname, glob));
    const files = globSync(globs).filter((file) => file !== import.meta.filename);
    const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
    const child = spawn(process.execPath, ["--test", "--test-isolation=none", ...files.toSorted()], {
      env: { ...environment, [RECORD]: directory },
      stdio: "ignore",
    });
    await new Promise((resolve) => child.on("close", resolve));
    const runs = readdirSync(directory).flatMap((name) => runsOf(readFileSync(join(directory, name))));
    return Map.groupBy(runs, ({ name }) => name);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function runsOf(bytes: Buffer): Run[] {
  const runs: Run[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32LE(at);
    runs.push(deserialize(bytes.subarray(at + 4, at + 4 + length)) as Run);
    at += 4 + length;
  }
  return runs;
}

test(
  "qemu: programs of system tests do the same there",
  { skip: qemuMissing() ?? false, timeout: 300_000 },
  async (t) => {
    const tests = await recorded();
    let [runs, known] = [0, 0];
    await using qemu = await Qemu.start();
    for (const [name, itsRuns] of tests) {
      const gap = gaps.find(({ test: begin }) => name.startsWith(begin));
      // A program that goes another way may not halt.
      const patience = gap !== undefined && gap.differs === undefined ? 500 : 20_000;
      await t.test(`qemu: ${name}`, async () => {
        for (const run of itsRuns) {
          const found = differences(run, await qemu.run(run, patience));
          runs++;
          const wrong = gap === undefined ? found : found.filter((each) => gap.differs?.test(each) === false);
          assert.deepEqual(wrong, [], "QEMU's, ours");
          if (found.length > 0) known++;
        }
      });
    }
    t.diagnostic(`${runs} runs of ${tests.size} tests; ${known} differ, as QEMU is known to`);
    // Of some 170 tests the others need what QEMU's machine has not, or look at single steps.
    assert.ok(tests.size >= 150, `only ${tests.size} tests were noted`);
    assert.deepEqual(
      gaps.filter(({ test: begin }) => ![...tests.keys()].some((name) => name.startsWith(begin))),
      [],
      "a gap whose test is gone",
    );
  },
);
