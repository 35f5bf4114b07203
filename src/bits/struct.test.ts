import assert from "node:assert/strict";
import test from "node:test";

import fc from "fast-check";

import { i8, i16, i32, i64, u8, u16, u32, u64 } from "./integers.ts";
import { aligned, array, bytes, struct } from "./struct.ts";

const inner = struct("inner", 16, { flag: u8, address: u64 });
const outer = struct("outer", 72, {
  a: i8,
  b: i16,
  c: i32,
  d: i64,
  name: bytes(3),
  list: array(u16, 5),
  pair: array(inner, 2),
  last: u32,
});

test("struct: members lie where C puts them", () => {
  assert.deepEqual(inner.offsets, { flag: 0, address: 8 });
  assert.deepEqual(outer.offsets, { a: 0, b: 2, c: 4, d: 8, name: 16, list: 20, pair: 32, last: 64 });
  assert.equal(outer.alignof, 8);
});

test("struct: a size that the members do not give is refused as it is declared", () => {
  assert.throws(() => struct("wrong", 12, { a: u64, b: u8 }), /laid out in 16 bytes, not 12/);
});

test("struct: what is written reads back, wherever it lies", () => {
  const plain = { noNullPrototype: true };
  const address = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
  const innerValue = fc.record({ flag: fc.nat(255), address }, plain);
  const fields = {
    a: fc.integer({ min: -128, max: 127 }),
    b: fc.integer({ min: -32768, max: 32767 }),
    c: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    d: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
    name: fc.uint8Array({ minLength: 3, maxLength: 3 }),
    list: fc.array(fc.nat(65535), { minLength: 5, maxLength: 5 }),
    pair: fc.array(innerValue, { minLength: 2, maxLength: 2 }),
    last: fc.nat(2 ** 32 - 1),
  };
  const value = fc.record(fields, plain);
  fc.assert(
    fc.property(value, fc.nat(64), (sample, offset) => {
      const memory = new Uint8Array(new SharedArrayBuffer(outer.sizeof + 64));
      outer.write(memory, offset, sample);
      const back = outer.read(memory, offset);
      assert.deepEqual({ ...back, name: [...back.name] }, { ...sample, name: [...sample.name] });
      assert.ok(memory.subarray(0, offset).every((byte) => byte === 0));
    }),
  );
});

test("struct: a read is a copy", () => {
  const memory = new Uint8Array(outer.sizeof);
  const before = outer.read(memory);
  memory.fill(0xff);
  assert.deepEqual([...before.name], [0, 0, 0]);
  assert.equal(before.last, 0);
});

test("struct: padding keeps what it held, and encode leaves it zero", () => {
  const memory = new Uint8Array(16).fill(0xaa);
  inner.write(memory, 0, { flag: 1, address: 2n });
  assert.equal(memory[1], 0xaa);
  assert.equal(inner.encode({ flag: 1, address: 2n })[1], 0);
});

test("struct: aligned changes the layout as the i386 ABI does", () => {
  const compat = struct("compat", 12, { flag: u8, address: aligned(u64, 4) });
  assert.deepEqual(compat.offsets, { flag: 0, address: 4 });
});

test("struct: zero has every member", () => {
  assert.deepEqual(inner.zero(), { flag: 0, address: 0n });
  assert.equal(outer.zero().pair.length, 2);
});
