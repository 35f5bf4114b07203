import assert from "node:assert/strict";
import { test } from "node:test";
import { callPure } from "../../../test/routine-harness.ts";
import type { Routine } from "../../ir/node.ts";
import { singleBits, singleOf } from "../../ir/float-operations.ts";
import { approximations } from "./sse-round.ts";

function approximate(routine: Routine, bits: bigint): bigint {
  return callPure(routine, bits)[0]!;
}

/** Intel SDM Vol. 2B, "RCPPS": |relative error| ≤ 1.5 × 2^-12. */
const bound = 1.5 * 2 ** -12;

const meanings = { rcp: (a: number) => 1 / a, rsqrt: (a: number) => 1 / Math.sqrt(a) } as const;

for (const [name, meaning] of Object.entries(meanings)) {
  test(`${name} is within 1.5 × 2^-12 of the true value`, () => {
    for (let step = 0; step < 4000; step++) {
      const bits = BigInt(0x00800000 + step * 506_573) & 0x7fffffffn;
      const value = singleOf(bits);
      if (!(value >= 2 ** -126 && value < 2 ** 126)) continue;
      const found = singleOf(approximate(approximations[name as "rcp" | "rsqrt"], bits));
      assert.ok(Math.abs(found / meaning(value) - 1) <= bound, `${name}(${value}) = ${found}`);
    }
  });
}

test("zeros, denormals, infinities, negative numbers and NaNs", () => {
  const { rcp, rsqrt } = approximations;
  const rows = [
    [rcp, 0n, singleBits(Infinity)],
    [rcp, 0x80000001n, singleBits(-Infinity)],
    [rcp, singleBits(-Infinity), 0x80000000n],
    [rcp, singleBits(2 ** 127), 0n],
    [rcp, 0x7f800001n, 0x7fc00001n],
    [rsqrt, 0x80000000n, singleBits(-Infinity)],
    [rsqrt, singleBits(-1), 0xffc00000n],
    [rsqrt, singleBits(Infinity), 0n],
  ] as const;
  for (const [routine, bits, expected] of rows)
    assert.equal(approximate(routine, bits).toString(16), expected.toString(16));
});
