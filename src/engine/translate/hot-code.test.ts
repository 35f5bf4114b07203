import assert from "node:assert/strict";
import { test } from "node:test";
import { Handler } from "../dispatch.ts";
import { RecordField, recordBytes } from "../record.ts";
import { HotCode } from "./hot-code.ts";
import type { Wanted } from "./hot-code.ts";

/** Heads in a memory of their own, with the counts given. */
function queue(...counts: readonly number[]) {
  const view = new DataView(new ArrayBuffer((counts.length + 1) * recordBytes));
  const hot = new HotCode(view);
  const wanted = counts.map((count, index) => {
    const head = (index + 1) * recordBytes;
    const at = 0x1000 + index;
    view.setUint16(head + RecordField.handler, Handler.head, true);
    view.setInt32(head + RecordField.immediate, count, true);
    view.setInt32(head + RecordField.displacement, at, true);
    view.setUint16(head + RecordField.immediate2, 2, true);
    const each: Wanted = { head, at, mode: 2, frames: new Map(), recipe: undefined };
    hot.add(each);
    return each;
  });
  const indices = (most: number) => hot.take(most).map((each) => wanted.indexOf(each));
  return { view, hot, wanted, indices };
}

test("hot code: what was entered most often is taken first, and once", () => {
  const { hot, indices } = queue(-5, -900, -1, -50, -51);
  assert.deepEqual(indices(2), [1, 4]);
  assert.deepEqual(indices(2), [3, 0]);
  assert.deepEqual(indices(2), [2]);
  assert.deepEqual([indices(2), hot.size], [[], 0]);
});

test("hot code: what waits gets colder, but never asks anew", () => {
  const { view, wanted, indices } = queue(-1000, -80, -1);
  indices(1);
  const counts = wanted.map(({ head }) => view.getInt32(head + RecordField.immediate, true));
  assert.deepEqual(counts, [-1000, -70, -1]);
});

test("hot code: what a region has, or is not there any more, is not taken", () => {
  const { view, hot, wanted, indices } = queue(-4, -3, -2, -1);
  hot.claim([wanted[0]!.head]);
  view.setUint16(wanted[1]!.head + RecordField.handler, Handler.lookUp, true);
  view.setInt32(wanted[2]!.head + RecordField.displacement, 0x9000, true);
  assert.deepEqual(indices(4), [3]);
  assert.equal(hot.isFree(wanted[0]!.head), false);
  hot.release([wanted[0]!.head]);
  assert.equal(hot.isFree(wanted[0]!.head), true);
});
