import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sample } from "./measure.ts";
import { compare, figures, geometricMean, median, verdicts } from "./results.ts";
import { isRight, suite } from "./suite.ts";

const programs = suite.filter(({ name }) => name === "shell" || name === "awk" || name === "openssl-rsa");

function sample(benchmark: string, peer: string, seconds: number, phase: Sample["phase"] = "steady"): Sample {
  return { benchmark, peer, phase, seconds, rounds: 1 };
}

/** A host that takes a second for the shell loop, with TCG's usual slow-down; Xenolith is twice as fast as TCG's fastest. */
const samples = [
  ...[9, 8, 30].map((seconds) => sample("shell", "xenolith", seconds)),
  ...[20, 19, 21].map((seconds) => sample("shell", "qemu", seconds)),
  ...[16, 17, 15].map((seconds) => sample("shell", "qemu-mitigations-off", seconds)),
  sample("shell", "v86", 45),
  sample("shell", "native", 1),
  sample("boot", "xenolith", 5.2, "first"),
  sample("boot", "qemu", 2.6, "first"),
];

test("results: the median is a value that was measured", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2);
});

test("results: a geometric mean does not depend on which of two is the reference", () => {
  assert.equal(geometricMean([4, 0.25]), 1);
  assert.ok(Number.isNaN(geometricMean([])));
});

test("results: a figure is its samples' median, with least and most", () => {
  const [ours] = figures(samples);
  assert.deepEqual([ours?.seconds, ours?.least, ours?.most, ours?.runs], [9, 8, 30, 3]);
});

test("results: Xenolith is judged by the fastest of QEMU's runs", () => {
  const [, shell] = compare(figures(samples), programs, 2.6);
  assert.equal(shell?.benchmark, "shell");
  assert.equal(shell?.againstTcg, 16 / 9);
  assert.equal(shell?.againstV86, 5);
  assert.equal(shell?.tcgSlowDown, 16);
  assert.equal(shell?.void, undefined);
});

test("results: a reference that is far from what TCG usually takes is void", () => {
  const busy = samples.map((each) => (each.peer.startsWith("qemu") ? { ...each, seconds: each.seconds * 1.5 } : each));
  for (const row of compare(figures(busy), programs, 2.6)) assert.match(row.void ?? "", /^reference/, row.benchmark);
});

test("results: boot counts as a multiple of TCG's time, and in no mean", () => {
  const found = verdicts(compare(figures(samples), programs, 2.6));
  assert.deepEqual(
    found.map(({ figure, value, of }) => [figure.split(",")[0], value, of]),
    [
      ["all programs against TCG", 16 / 9, 1],
      ["systems programs against TCG", 16 / 9, 1],
      ["slowest single program against TCG", 16 / 9, 1],
      ["boot", 2, 1],
      ["all programs against v86", 5, 1],
    ].map(([name, value, of]) => [name, value, of]),
  );
});

test("suite: a program that prints something else is wrong, whatever its figure", () => {
  const [shell, , rsa] = programs;
  assert.ok(isRight(shell!, 3, "30000\n"));
  assert.ok(!isRight(shell!, 3, "3000\n"));
  const digest = typeof rsa!.expected === "string" ? rsa!.expected : "";
  const output = `+F2:0:2048:50.000000:2000.000000\n${digest}\n`;
  assert.ok(isRight(rsa!, 1, output));
  assert.ok(!isRight(rsa!, 1, output.replace(digest, "")));
  assert.equal(rsa!.seconds?.(output), 1 / 50);
});
