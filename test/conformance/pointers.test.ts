/**
 * The pointer of each operation that has one: to where nothing is, across the end of what there is, to what may only be
 * read, across pages that lie elsewhere, beyond 4 GiB. Structures are found in memory as the guest's page tables say.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Errno } from "../../src/abi/errno.ts";
import type { Argument } from "./guest.ts";
import { HIGH, Memory, Window } from "./layout.ts";
import { Machine } from "./machine.ts";
import { subjects } from "./subjects.ts";

for (const bits of [32, 64] as const) {
  for (const { name, number, before, after, size, bytes, writes, fault } of subjects) {
    test(`pointers: ${name} faults where it should, and only there (${bits}-bit)`, () => {
      using machine = new Machine();
      const guest = machine.guest({ bits });
      const length = size(guest);
      const call = (at: Argument): number => guest.call(number, ...before, at, ...after);
      const put = (linear: number): void => {
        // Behind the window the two pages are in the other order.
        const physical = (at: number): number => Memory.windowFrames + ((at - Window.first) ^ 0x1000);
        bytes(guest).forEach((byte, i) => guest.write(physical(linear + i), Uint8Array.of(byte)));
      };

      const nowhere: Argument[] = [Window.absent, Window.hole, Window.absent - length + 1, 0x50000000, 0xfffffffe];
      if (bits === 64) nowhere.push(1n << 63n, (1n << 64n) - 1n, 0x8000_0000_0000n, HIGH + 0x4000_0000_0000n);
      put(Window.second + 4096 - length);
      for (const at of nowhere) assert.equal(call(at), fault, `0x${at.toString(16)}`);

      // What succeeds does so across pages, too, and by addresses that are wider.
      const plain = guest.allocate(length + 16);
      guest.write(plain, bytes(guest));
      const result = call(plain);
      assert.notEqual(result, fault === 0 ? -Errno.EFAULT : fault);
      for (const linear of [Window.second - Math.ceil(length / 2), Window.second - 1, Window.absent - length]) {
        put(linear);
        const there = call(linear);
        assert.ok(there === result || there > 0, `0x${linear.toString(16)}: ${there}, not ${result}`);
      }
      if (bits === 64) {
        guest.write(plain, bytes(guest));
        const there = call(HIGH + BigInt(plain));
        assert.ok(there === result || there > 0, `${there}, not ${result}`);
      }
      assert.equal(guest.u64(plain + Math.ceil(length / 8) * 8), 0n, "nothing is written behind it");

      const readOnly = Memory.windowFrames + 0x2000;
      guest.write(readOnly, bytes(guest));
      assert.equal(call(Window.readOnly), writes ? -Errno.EFAULT : result, "to what may only be read");
      assert.deepEqual(guest.bytes(readOnly, length), bytes(guest), "which stays as it is");
    });
  }
}
