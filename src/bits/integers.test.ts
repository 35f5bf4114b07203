import assert from "node:assert/strict";
import test from "node:test";

import fc from "fast-check";

import { alignDown, alignUp, lowestBit, u32AsBigint } from "./integers.ts";

test("integers: alignUp and alignDown bracket a value with multiples, beyond 32 bits too", () => {
  fc.assert(
    fc.property(fc.nat(2 ** 31 - 1), fc.nat(2 ** 20), fc.nat(20), (low, high, shift) => {
      const value = high * 2 ** 31 + low;
      const unit = 2 ** shift;
      assert.ok(alignDown(value, unit) <= value && value <= alignUp(value, unit));
      assert.ok(alignUp(value, unit) - alignDown(value, unit) <= unit);
      assert.equal(alignUp(value, unit) % unit, 0);
    }),
  );
});

test("integers: lowestBit finds the lowest set bit, bit 31 included", () => {
  fc.assert(
    fc.property(fc.nat(31), fc.integer(), (bit, rest) => {
      const word = ((rest << bit) | (1 << bit)) & ~((1 << bit) - 1);
      assert.equal(lowestBit(word), bit);
    }),
  );
  assert.equal(lowestBit(0), 32);
});

test("integers: a 32-bit word as a bigint is unsigned and wraps", () => {
  const view = new DataView(new ArrayBuffer(4));
  u32AsBigint.set(view, 0, -1n);
  assert.equal(u32AsBigint.get(view, 0), 0xffffffffn);
});
