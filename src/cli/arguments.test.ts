import assert from "node:assert/strict";
import { test } from "node:test";

import { checkSampling, formatBytes, memorySize, seconds } from "./arguments.ts";

test("arguments: memory has the units that QEMU's has", () => {
  assert.equal(memorySize("512"), 512 << 20);
  assert.equal(memorySize("512M"), 512 << 20);
  assert.equal(memorySize("1.5g"), 1536 << 20);
  assert.equal(memorySize("65537K"), 65536 << 10);
  assert.equal(memorySize("1GiB"), 1 << 30);
  for (const bad of ["", "M", "-1M", "0", "1T", "1e3", "much", "99999999G"]) assert.throws(() => memorySize(bad), bad);
});

test("arguments: a time is a positive number of seconds", () => {
  assert.equal(seconds("2.5"), 2.5);
  assert.equal(seconds("30s"), 30);
  for (const bad of ["", "0", "-1", "1m", "99999999999"]) assert.throws(() => seconds(bad), bad);
});

test("arguments: all entries of translated code are compared, or the first ones and some later", () => {
  assert.deepEqual(checkSampling("all"), { first: Infinity, every: 1 });
  assert.deepEqual(checkSampling("50"), { first: 50, every: 1000 });
  for (const bad of ["", "0", "-1", "1.5", "some", "debian:12"]) assert.throws(() => checkSampling(bad), bad);
});

test("arguments: bytes are shown with three digits", () => {
  assert.deepEqual([0, 999, 1000, 12_345, 999_499, 999_500, 65_900_000, 2e9].map(formatBytes), [
    "0 B",
    "999 B",
    "1.00 kB",
    "12.3 kB",
    "999 kB",
    "1.00 MB",
    "65.9 MB",
    "2.00 GB",
  ]);
});
