/** Guests that give memory back, ask for more, and ask how much there is. */
import assert from "node:assert/strict";
import { Errno } from "../../src/abi/errno.ts";
import * as abi from "../../src/abi/memory.ts";
import { domainId } from "../../src/abi/types.ts";
import { DOMID, HYPERVISOR } from "../../src/abi/xen.ts";
import type { Argument, Guest } from "./guest.ts";
import { Memory, Window } from "./layout.ts";
import { observes } from "./observes.ts";

const { E820, XENMEM } = abi;
const NUMBER = HYPERVISOR.memory_op;
const FREE = Memory.freeFrame;
const NOWHERE = 0xffffffff;
const HOSTILE_FRAMES = [Memory.hole / 4096, 0xfee00, 0x100000, 0xffffffff];
const EXTENT_SHIFT = abi.MEMOP_EXTENT_SHIFT;

interface Reservation {
  readonly order?: number;
  readonly domid?: number;
  readonly count?: Argument;
  readonly start?: number;
}
function reserve(guest: Guest, command: number, gfns: readonly Argument[], options: Reservation = {}): number {
  const { order = 0, domid = DOMID.SELF, count = gfns.length, start = 0 } = options;
  const at = guest.place(abi.xen_memory_reservation, {
    extent_start: BigInt(guest.placeLongs(gfns)),
    nr_extents: BigInt(count),
    extent_order: order,
    domid: domainId(domid),
  });
  return guest.call(NUMBER, command | (start << EXTENT_SHIFT), at);
}
const decrease = (guest: Guest, gfns: readonly Argument[], options?: Reservation): number =>
  reserve(guest, XENMEM.decrease_reservation, gfns, options);
const populate = (guest: Guest, gfns: readonly Argument[], options?: Reservation): number =>
  reserve(guest, XENMEM.populate_physmap, gfns, options);

function ask(guest: Guest, command: number, domid: number = DOMID.SELF): number {
  return guest.op(NUMBER, command, abi.xen_memory_domain, { domid: domainId(domid) }).result;
}
const pages = (guest: Guest): number => ask(guest, XENMEM.current_reservation);
const frames = (count: number, first: number = FREE): number[] => Array.from({ length: count }, (_, i) => first + i);

observes("memory_op.decrease_reservation", "the pages are gone, what was in them too", (guest) => {
  const before = pages(guest);
  guest.store(FREE * 4096, 0x12345678);
  assert.equal(guest.load(FREE * 4096), 0x12345678);
  assert.equal(decrease(guest, [FREE, FREE + 1]), 2);
  assert.equal(guest.load(FREE * 4096), NOWHERE, "not even in what the processor remembers");
  assert.equal(pages(guest), before - 2);
  guest.store(FREE * 4096, 1);
  assert.equal(guest.load(FREE * 4096), NOWHERE);
});

observes("memory_op.decrease_reservation", "large extents, and long lists to their end", (guest) => {
  const before = pages(guest);
  assert.equal(decrease(guest, [0x400, 0x600], { order: 9 }), 2);
  assert.equal(pages(guest), before - 1024);
  assert.equal(guest.load(0x5ff * 4096), NOWHERE);
  assert.equal(guest.load(0x7ff * 4096), NOWHERE);
  // A list of 2000: more than are done at once. The first of them were given back before.
  assert.equal(populate(guest, frames(1024, 0x400)), 1024);
  assert.equal(populate(guest, [...frames(1024, 0x400), ...frames(976, 0x400)]), 2000);
  assert.equal(pages(guest), before);
});

observes("memory_op.decrease_reservation", "as many as can be: the count says how many", (guest) => {
  const before = pages(guest);
  for (const [i, bad] of HOSTILE_FRAMES.entries()) {
    assert.equal(decrease(guest, [FREE + i, bad, FREE + 16]), 1, `${bad}`);
  }
  assert.equal(pages(guest), before - HOSTILE_FRAMES.length);
  assert.equal(decrease(guest, [FREE + 8], { order: 10 }), 0, "larger than a guest may ask for");
  assert.equal(decrease(guest, [FREE + 8], { domid: 0 }), 0);
  assert.equal(decrease(guest, [FREE + 8], { domid: 77 }), 0);
  assert.equal(decrease(guest, [FREE + 8], { count: 1 << 26 }), 0, "more than a continuation can count");
  assert.equal(decrease(guest, [FREE + 8], { start: 5 }), 5, "it has been done already");
  assert.equal(pages(guest), before - HOSTILE_FRAMES.length);
});
observes("memory_op.populate_physmap", "there are pages, empty ones", (guest) => {
  const before = pages(guest);
  guest.setU32(FREE * 4096, 0x5a5a5a5a);
  assert.equal(decrease(guest, frames(4)), 4);
  assert.equal(guest.load(0x900000), NOWHERE);
  assert.equal(populate(guest, [0x900, FREE]), 2);
  assert.deepEqual([guest.load(0x900000), guest.load(FREE * 4096)], [0, 0]);
  guest.store(0x900000, 7);
  assert.equal(guest.load(0x900000), 7);
  assert.equal(pages(guest), before - 2);
  assert.equal(populate(guest, [FREE]), 1, "in place of one that is there");
  assert.equal(pages(guest), before - 2);
});

observes(
  "memory_op.populate_physmap",
  "no more than the domain may have, and only where there can be some",
  (guest) => {
    const most = ask(guest, XENMEM.maximum_reservation) - pages(guest);
    const done = populate(guest, frames(most + 8, 0x900));
    assert.ok(done > 0 && done <= most, `${done} of ${most}`);
    assert.ok(pages(guest) <= ask(guest, XENMEM.maximum_reservation));
    assert.equal(decrease(guest, frames(8)), 8);
    for (const bad of [0xfee00, 0x100000, 0xffffffff]) assert.equal(populate(guest, [bad]), 0, `${bad}`);
    assert.equal(populate(guest, [FREE], { order: 10 }), 0);
    assert.equal(populate(guest, [FREE], { domid: 0 }), 0);
    if (guest.bits === 64) assert.equal(populate(guest, [1n << 52n]), 0);
    assert.equal(guest.load(FREE * 4096), NOWHERE);
    const list = Window.absent - guest.bits / 8;
    guest.placeNumbers(guest.bits === 32 ? 4 : 8, [FREE], Memory.windowFrames + 0x1000 - guest.bits / 8);
    const value = { extent_start: BigInt(list), nr_extents: 3n, domid: DOMID.SELF };
    const at = guest.place(abi.xen_memory_reservation, value);
    assert.equal(guest.call(NUMBER, XENMEM.populate_physmap, at), 1, "the list ends where memory does");
  },
);

observes("memory_op.increase_reservation", "a guest that is translated gets none without saying where", (guest) => {
  const before = pages(guest);
  assert.equal(reserve(guest, XENMEM.increase_reservation, [0, 0]), 0);
  assert.equal(pages(guest), before);
});

observes("memory_op.maximum_ram_page", "a frame number beyond all of the domain's memory", (guest) => {
  const last = guest.call(NUMBER, XENMEM.maximum_ram_page, 0);
  assert.ok(last >= Memory.ram / 4096);
  assert.equal(guest.call(NUMBER, XENMEM.maximum_ram_page | (1 << EXTENT_SHIFT), 0), -Errno.EINVAL);
});

observes("memory_op.current_reservation", "how many pages the domain has", (guest) => {
  const before = pages(guest);
  assert.ok(before >= Memory.ram / 4096);
  decrease(guest, frames(3));
  assert.equal(pages(guest), before - 3);
});
observes("memory_op.maximum_reservation", "how many it may have", (guest) => {
  assert.ok(ask(guest, XENMEM.maximum_reservation) >= pages(guest));
});
observes("memory_op.maximum_gpfn", "the highest frame that ever led to memory", (guest) => {
  const before = ask(guest, XENMEM.maximum_gpfn);
  assert.equal(before, 0xfefff, "the console's page");
  assert.equal(decrease(guest, [FREE]), 1);
  assert.equal(populate(guest, [0xffff0]), 1);
  assert.equal(ask(guest, XENMEM.maximum_gpfn), 0xffff0);
});
for (const operation of ["current_reservation", "maximum_reservation", "maximum_gpfn"] as const) {
  observes(`memory_op.${operation}`, "of one's own domain alone", (guest) => {
    assert.equal(ask(guest, XENMEM[operation], guest.domain.id), ask(guest, XENMEM[operation]));
    assert.equal(ask(guest, XENMEM[operation], 0), -Errno.EPERM);
    assert.equal(ask(guest, XENMEM[operation], 77), -Errno.ESRCH);
    assert.equal(ask(guest, XENMEM[operation], DOMID.XEN), -Errno.ESRCH);
    const at = guest.place(abi.xen_memory_domain, { domid: DOMID.SELF });
    assert.equal(guest.call(NUMBER, XENMEM[operation] | (1 << EXTENT_SHIFT), at), -Errno.EINVAL);
  });
}

observes("memory_op.memory_map", "where the domain builder put RAM, and what it reserved", (guest) => {
  const buffer = guest.allocate(abi.e820entry.sizeof * 16);
  const map = (nr_entries: number, to: Argument = buffer) =>
    guest.op(NUMBER, XENMEM.memory_map, abi.xen_memory_map, { nr_entries, buffer: BigInt(to) });
  const { out, result } = map(16);
  assert.equal(result, 0);
  const entries = Array.from({ length: out.nr_entries }, (_, i) => {
    return guest.read(abi.e820entry, buffer + i * abi.e820entry.sizeof);
  });
  const ram = entries.filter(({ type }) => type === E820.RAM);
  assert.deepEqual(
    ram.map(({ addr_low, size_low }) => [addr_low, size_low]),
    [[0, Memory.ram]],
  );
  assert.ok(entries.length >= 3);
  assert.equal(map(1).out.nr_entries, 1);
  assert.equal(map(0).out.nr_entries, 0);
  assert.equal(map(0xffffffff).out.nr_entries, entries.length);
  for (const bad of [Window.absent, Window.readOnly, Window.absent - 30])
    assert.equal(map(16, bad).result, -Errno.EFAULT);
});
