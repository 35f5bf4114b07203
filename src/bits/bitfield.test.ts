import assert from "node:assert/strict";
import test from "node:test";

import fc from "fast-check";

import { bitfield, bits } from "./bitfield.ts";
import { u16, u64 } from "./integers.ts";
import { struct } from "./struct.ts";

const pte = bitfield(u64, { present: 0, writable: 1, frame: bits(12, 51), noExecute: 63 });
const flags = bitfield(u16, { type: bits(0, 1), readonly: 2, reading: 3 });

test("bitfield: unpack and pack undo each other on named bits", () => {
  const named = pte.masks.present | pte.masks.writable | pte.masks.frame | pte.masks.noExecute;
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (word) => {
      assert.equal(pte.pack(pte.unpack(word)), word & named);
    }),
  );
});

test("bitfield: ranges of a narrow word are numbers", () => {
  assert.deepEqual(flags.unpack(0b0111), { type: 3, readonly: true, reading: false });
  assert.equal(flags.pack({ type: 1, reading: true }), 0b1001);
});

test("bitfield: a value too large for its field, an overlap and a bit outside the word are refused", () => {
  assert.throws(() => flags.pack({ type: 4 }), /does not fit/);
  assert.throws(() => bitfield(u16, { a: bits(0, 3), b: 3 }), /overlaps/);
  assert.throws(() => bitfield(u16, { a: 16 }), /bits 16 to 16 of 16/);
});

test("bitfield: is a member of structures", () => {
  const entry = struct("entry", 4, { flags, domid: u16 });
  const memory = entry.encode({ flags: flags.unpack(5), domid: 7 });
  assert.deepEqual([...memory], [5, 0, 7, 0]);
  assert.equal(entry.read(memory).flags.readonly, true);
});
