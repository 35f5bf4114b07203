import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { XENCONS_RING, xencons_interface } from "../abi/io/console.ts";
import { consoleBackend } from "./console.ts";
import type { ConsoleBackend } from "./console.ts";

const at = xencons_interface.offsets;

interface Fixture {
  readonly page: Uint8Array;
  readonly view: DataView;
  readonly backend: ConsoleBackend;
  readonly printed: number[];
  notified: number;
  accept: boolean;
}

function fixture(start = 0): Fixture {
  const page = new Uint8Array(4096);
  const view = new DataView(page.buffer);
  for (const index of [at.in_cons, at.in_prod, at.out_cons, at.out_prod]) view.setUint32(index, start, true);
  const printed: number[] = [];
  const made: Fixture = {
    page,
    view,
    printed,
    notified: 0,
    accept: true,
    backend: consoleBackend(page, () => made.notified++, {
      write(bytes) {
        printed.push(...bytes);
        return made.accept;
      },
    }),
  };
  return made;
}

/** What a guest does to print: as much as fits. */
function print({ page, view }: Fixture, bytes: readonly number[]): number {
  const prod = view.getUint32(at.out_prod, true);
  const free = XENCONS_RING.out - ((prod - view.getUint32(at.out_cons, true)) >>> 0);
  const length = Math.min(free, bytes.length);
  for (let i = 0; i < length; i++) page[at.out + ((prod + i) % XENCONS_RING.out)] = bytes[i] ?? 0;
  view.setUint32(at.out_prod, prod + length, true);
  return length;
}

/** What a guest does to read: at most `most` bytes. */
function read({ page, view }: Fixture, most: number): number[] {
  const cons = view.getUint32(at.in_cons, true);
  const length = Math.min((view.getUint32(at.in_prod, true) - cons) >>> 0, most);
  const bytes = Array.from({ length }, (_, i) => page[at.in + ((cons + i) % XENCONS_RING.in)] ?? 0);
  view.setUint32(at.in_cons, cons + length, true);
  return bytes;
}

const chunk = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 3000 });

test("console: all that a guest prints comes out once and in order, also where indices wrap", () => {
  fc.assert(
    fc.property(fc.constantFrom(0, 0xffff_ff00, 0x7fff_ffff), fc.array(chunk, { maxLength: 5 }), (start, chunks) => {
      const guest = fixture(start);
      for (const bytes of chunks) {
        for (let sent = 0; sent < bytes.length;) {
          sent += print(guest, bytes.slice(sent));
          guest.backend.service();
        }
      }
      assert.deepEqual(guest.printed, chunks.flat());
    }),
    { numRuns: 50 },
  );
});

test("console: all that is typed arrives once and in order, however slowly the guest reads", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(0, 0xffff_fe00),
      fc.array(chunk, { maxLength: 5 }),
      fc.integer({ min: 1, max: 2000 }),
      (start, chunks, step) => {
        const guest = fixture(start);
        for (const bytes of chunks) void guest.backend.type(Uint8Array.from(bytes));
        const arrived: number[] = [];
        for (let piece = read(guest, step); piece.length > 0; piece = read(guest, step)) {
          arrived.push(...piece);
          guest.backend.service();
        }
        assert.deepEqual(arrived, chunks.flat());
      },
    ),
    { numRuns: 50 },
  );
});

test("console: typing is done when the ring holds all of it, or the console is closed", async () => {
  const guest = fixture();
  const states: string[] = [];
  void guest.backend.type(new Uint8Array(1000)).then(() => states.push("first"));
  void guest.backend.type(new Uint8Array(1000)).then(() => states.push("second"));
  await Promise.resolve();
  assert.deepEqual(states, ["first"]);
  read(guest, 1024);
  guest.backend.service();
  await Promise.resolve();
  assert.deepEqual(states, ["first", "second"]);
  const last = guest.backend.type(new Uint8Array(5000));
  guest.backend[Symbol.dispose]();
  await last;
});

test("console: a sink that is full leaves the guest's output in the ring, however often the guest rings, until it takes more", () => {
  const guest = fixture();
  guest.accept = false;
  print(guest, [1, 2]);
  guest.backend.service();
  print(guest, [3]);
  for (let events = 0; events < 3; events++) guest.backend.service();
  assert.deepEqual(guest.printed, [1, 2]);
  void guest.backend.type(Uint8Array.of(9));
  assert.deepEqual(read(guest, 1), [9], "input goes on");
  guest.backend.resume();
  assert.deepEqual(guest.printed, [1, 2, 3]);
});

test("console: indices that make no sense move nothing, and nothing outside the rings is read or written", () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), (a, b, c, d) => {
      const guest = fixture();
      guest.page.fill(0xee, 3092);
      [at.in_cons, at.in_prod, at.out_cons, at.out_prod].forEach((index, i) =>
        guest.view.setUint32(index, [a, b, c, d][i] ?? 0, true),
      );
      guest.backend.service();
      void guest.backend.type(new Uint8Array(100));
      const filled = (d - c) >>> 0;
      assert.equal(guest.printed.length, filled <= XENCONS_RING.out ? filled : 0);
      assert.ok(guest.page.subarray(3092).every((byte) => byte === 0xee));
      assert.equal(guest.view.getUint32(at.out_prod, true), d);
      assert.equal(guest.view.getUint32(at.in_cons, true), a);
    }),
  );
});

test("console: the guest is interrupted when something moved, and only then", () => {
  const guest = fixture();
  guest.backend.service();
  assert.equal(guest.notified, 0);
  print(guest, [1]);
  guest.backend.service();
  assert.equal(guest.notified, 1);
});
