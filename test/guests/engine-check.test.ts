/**
 * A real guest whose translated code is compared with the interpreter, interrupts and all: debian:12 boots and works, and
 * whatever is entered often enough is compared.
 * XENOLITH_CHECK_FIRST, XENOLITH_CHECK_EVERY: which entries of each region; XENOLITH_CHECK_THRESHOLD: after how many entries code is translated.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeMachine } from "../../src/host/node/machine.ts";
import { Host } from "../../src/toolstack/host.ts";
import { imageUnavailable, runInImage } from "./image-guest.ts";

const setting = (name: string, otherwise: number) => Number(process.env[`XENOLITH_CHECK_${name}`] ?? otherwise);
const check = { first: setting("FIRST", 20), every: setting("EVERY", 1000) };
const translation = setting("THRESHOLD", 1000);

/** Processes, pipes, signals, arithmetic, floating point, string instructions. */
const script = [
  "echo $((6*7))",
  "printf 'a\\nb\\nc\\n' | wc -l",
  "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; echo $i",
  "for i in 1 2 3 4 5 6 7 8 9 10; do /bin/true; done; ls / | sort | tail -1",
  "head -c 200000 /bin/busybox | gzip | gunzip | sha256sum | wc -c",
  "awk 'BEGIN { for (i = 0; i < 3000; i++) s += i / 3; printf \"%.3f\\n\", s }'",
  "seq 1 1000 | awk '{ s += $1 } END { print s }'",
  "sleep 5 & kill $!; wait $!; echo $?",
  "find / -xdev 2>&1 | sort | uniq | md5sum | wc -c",
].join("; ");
const answers = ["42", "3", "3000", "xenolith", "68", "1499500.000", "500500", "143", "36"];

const skip = (await imageUnavailable("debian:12")) ?? false;

test(
  "engine check: debian:12 boots and works in translated code as in the interpreter",
  { skip, timeout: 600_000 },
  async (t) => {
    const machine = nodeMachine();
    await using host = await Host.open({
      ...machine,
      startPcpu: (assignment, listener) => machine.startPcpu({ ...assignment, check, translation }, listener),
    });
    const result = await runInImage(host, "debian:12", ["sh", "-c", `${script}; exit 5`]);
    const { ending, statistics } = result;
    assert.notEqual(ending.kind, "tiers-differ", ending.kind === "tiers-differ" ? ending.report : "");
    const { regions, entries, instructions, ...unchecked } = statistics.check;
    t.diagnostic(
      `${regions} regions, ${entries} entries, ${instructions} instructions compared; not ${JSON.stringify(unchecked)}`,
    );
    t.diagnostic(
      `${statistics.instructions} instructions, ${JSON.stringify(statistics.translation)}, ${statistics.seconds.toFixed(1)} s`,
    );
    assert.equal(result.status, 5, result.lastLines.join("\n"));
    assert.deepEqual(result.stdout.trim().split("\n"), answers);
    assert.ok(regions > 100 && entries > regions * 5 && instructions > entries);
  },
);
