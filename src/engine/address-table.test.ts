import assert from "node:assert/strict";
import { test } from "node:test";
import { AddressTable } from "./address-table.ts";

test("address table: what was set is found, among thousands, above 2 GiB too, and until it is deleted", () => {
  const table = new AddressTable();
  const expected = new Map<number, number>();
  let random = 12345;
  for (let round = 1; round <= 40_000; round++) {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    // Few enough addresses that many are set and deleted again, on pages that share their low bits.
    const address = 0x1000 + ((random >>> 16) % 9000) * 0x7000 + (random & 3);
    if ((random & 0xf00) !== 0) {
      table.set(address, round);
      expected.set(address, round);
    } else {
      // Another's value deletes nothing.
      table.delete(address, -1);
      table.delete(address, expected.get(address) ?? -2);
      expected.delete(address);
    }
  }
  assert.ok(expected.size > 5000);
  for (const [address, value] of expected) assert.equal(table.get(address), value);
  table.set(0xfffff123, 7);
  assert.equal(table.get(0xfffff123), 7);
  assert.equal(table.get(0x2345), 0);
  table.delete(0xfffff123, 7);
  assert.equal(table.get(0xfffff123), 0);
});

test("address table: entries that come and go do not make it fuller and fuller", () => {
  const table = new AddressTable();
  for (let address = 1; address < 200_000; address++) {
    table.set(address, 1);
    table.delete(address, 1);
  }
  table.set(77, 5);
  assert.equal(table.get(77), 5);
  assert.equal(table.get(78), 0);
});
