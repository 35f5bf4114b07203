import assert from "node:assert/strict";
import test from "node:test";

import { Errno } from "../abi/errno.ts";
import {
  e820entry,
  xen_add_to_physmap,
  xen_add_to_physmap_batch,
  xen_memory_domain,
  xen_memory_map,
  xen_memory_reservation,
  xen_remove_from_physmap,
  XENMAPIDX_grant_table_status,
  XENMAPSPACE,
  XENMEM,
} from "../abi/memory.ts";
import { domainId } from "../abi/types.ts";
import { DOMID, HYPERVISOR } from "../abi/xen.ts";
import { P2mType } from "../engine/engine.ts";
import { Machine } from "./harness.ts";
import { DOMAIN } from "./heap.ts";
import { allocateFrame, ramRanges, SPECIAL_PAGE } from "./p2m.ts";

const MEMORY = HYPERVISOR.memory_op;
const { SELF } = DOMID;

/** A list of frame numbers at 0x9000, and the call about it. */
function reserve(
  machine: Machine,
  command: number,
  gfns: readonly number[],
  value: Partial<xen_memory_reservation> = {},
) {
  gfns.forEach((gfn, i) => {
    machine.setWord(0x9000 + i * 8, gfn);
    machine.setWord(0x9004 + i * 8, 0);
  });
  const op = { extent_start: 0x9000n, nr_extents: BigInt(gfns.length), domid: SELF, ...value };
  return machine.op(MEMORY, command, xen_memory_reservation, op).result;
}

function current(machine: Machine): number {
  return machine.op(MEMORY, XENMEM.current_reservation, xen_memory_domain, { domid: SELF }).result;
}

const map = (machine: Machine, value: Partial<xen_add_to_physmap>): number =>
  machine.op(MEMORY, XENMEM.add_to_physmap, xen_add_to_physmap, { domid: SELF, ...value }).result;

test("memory: RAM lies below the hole and goes on at 4 GiB", () => {
  assert.deepEqual(ramRanges(2 ** 32), [
    { address: 0, size: 0xfc000000, type: 1 },
    { address: 2 ** 32, size: 0x04000000, type: 1 },
  ]);
  assert.equal(ramRanges(2 ** 20).length, 1);
});

test("memory: ballooning out gives frames back, and in takes cleared ones", () => {
  const machine = new Machine();
  const before = current(machine);
  machine.setWord(0x50000, 0x12345678);
  assert.equal(reserve(machine, XENMEM.decrease_reservation, [0x50, 0x51]), 2);
  assert.equal(current(machine), before - 2);
  assert.equal(machine.memory.p2mType(0x50), P2mType.mmio);
  assert.ok(machine.vcpu.flushes > 0, "the guest's translations of the frames are dropped");
  assert.equal(reserve(machine, XENMEM.populate_physmap, [0x51, 0x50]), 2);
  assert.equal(current(machine), before);
  assert.equal(machine.word(0x50000), 0);
  assert.equal(machine.word(0x51000), 0);
  assert.notEqual(machine.memory.findFrame(0x50), machine.memory.findFrame(0x51));
});

test("memory: a list ends at the first extent that cannot be done", () => {
  const machine = new Machine();
  assert.equal(reserve(machine, XENMEM.decrease_reservation, [0x50, 0xf0000, 0x51]), 1);
  assert.equal(
    reserve(machine, XENMEM.populate_physmap, [0x50, 0xfee00]),
    1,
    "the local APIC's page is not for memory",
  );
  assert.equal(reserve(machine, XENMEM.populate_physmap, [0x7fffffff]), 0);
  assert.equal(reserve(machine, XENMEM.decrease_reservation, [0x50], { extent_start: 1n << 50n }), 0);
});

test("memory: a domain cannot have more than its maximum, however it asks", () => {
  const machine = new Machine();
  const gfns = Array.from({ length: 512 }, (_, i) => 0x1000 + i);
  machine.domain.set(DOMAIN.maxPages, current(machine) + 10);
  assert.equal(reserve(machine, XENMEM.populate_physmap, gfns), 10);
  machine.domain.set(DOMAIN.maxPages, 1 << 20);
  const got = reserve(machine, XENMEM.populate_physmap, gfns);
  assert.ok(got < 512, "the memory itself is finite");
  assert.equal(reserve(machine, XENMEM.populate_physmap, [0x2000], { nr_extents: 1n << 62n }), 0);
  assert.equal(reserve(machine, XENMEM.populate_physmap, [0x2000], { extent_order: 30 }), 0);
});

test("memory: a long list is interrupted and goes on where it was", () => {
  const machine = new Machine({ ram: 2 ** 20 });
  const gfns = Array.from({ length: 1024 + 100 }, () => 0x60);
  const before = machine.vcpu.flushes;
  assert.equal(reserve(machine, XENMEM.populate_physmap, gfns, { extent_start: 0x9000n }), 1124);
  assert.equal(machine.vcpu.flushes - before, 2, "done in two calls");
});

test("memory: a free list that the guest forged leads to no frame outside of its memory", () => {
  const machine = new Machine();
  const frame = machine.memory.findFrame(0x50) ?? 0;
  reserve(machine, XENMEM.decrease_reservation, [0x50]);
  new DataView(machine.memory.bytes.buffer).setUint32(frame * 4096, 0x7ffffff0, true);
  assert.equal(allocateFrame(machine.domain), frame);
  const next = allocateFrame(machine.domain) ?? 0;
  assert.ok(next >= machine.memory.firstFrame && next < machine.memory.endFrame);
});

test("memory: shared_info moves to where the guest wants it, and away from where it was", () => {
  const machine = new Machine();
  const frame = machine.domain.get(DOMAIN.sharedInfoFrame);
  const before = current(machine);
  assert.equal(map(machine, { space: XENMAPSPACE.shared_info, gpfn: 0x20n }), 0);
  assert.equal(machine.memory.findFrame(0x20), frame);
  assert.equal(current(machine), before - 1, "the page that was there is given back");
  assert.equal(map(machine, { space: XENMAPSPACE.shared_info, gpfn: 0x21n }), 0);
  assert.equal(machine.memory.findFrame(0x20), undefined);
  assert.equal(machine.memory.findFrame(0x21), frame);
  const pages = current(machine);
  assert.equal(reserve(machine, XENMEM.decrease_reservation, [0x21]), 1);
  assert.equal(current(machine), pages, "the frame is the hypervisor's, not the guest's");
  for (let taken = allocateFrame(machine.domain); taken !== undefined; taken = allocateFrame(machine.domain)) {
    assert.notEqual(taken, frame);
  }
  assert.equal(map(machine, { space: XENMAPSPACE.shared_info, gpfn: 0x22n }), 0);
  assert.equal(machine.memory.findFrame(0x22), frame, "unmapping it did not free it");
});

test("memory: the grant table grows as its frames are placed, highest first, up to its limit", () => {
  const machine = new Machine();
  assert.equal(map(machine, { space: XENMAPSPACE.grant_table, idx: 3n, gpfn: 0x8000n }), 0);
  assert.equal(machine.domain.get(DOMAIN.grantFrames), 4);
  assert.equal(map(machine, { space: XENMAPSPACE.grant_table, idx: 0n, gpfn: 0x8001n }), 0);
  assert.equal(machine.memory.findFrame(0x8001), machine.domain.get(DOMAIN.grantFrame));
  assert.equal(map(machine, { space: XENMAPSPACE.grant_table, idx: 64n, gpfn: 0x8002n }), -Errno.EINVAL);
  assert.equal(
    map(machine, { space: XENMAPSPACE.grant_table, idx: ~0n & 0xffffffffffffffffn, gpfn: 1n }),
    -Errno.EINVAL,
  );
  const status = BigInt(XENMAPIDX_grant_table_status);
  assert.equal(map(machine, { space: XENMAPSPACE.grant_table, idx: status, gpfn: 0x8003n }), -Errno.EINVAL);
});

test("memory: a page can be moved, and hostile places and spaces are refused", () => {
  const machine = new Machine();
  machine.setWord(0x50000, 42);
  assert.equal(map(machine, { space: XENMAPSPACE.gmfn, idx: 0x50n, gpfn: 0x9000n }), 0);
  assert.equal(machine.word(0x9000000), 42);
  assert.equal(machine.memory.findFrame(0x50), undefined);
  assert.equal(map(machine, { space: XENMAPSPACE.gmfn, idx: 0xe0000n, gpfn: 0x51n }), -Errno.EACCES);
  assert.equal(map(machine, { space: XENMAPSPACE.shared_info, gpfn: 1n << 60n }), -Errno.EINVAL);
  assert.equal(map(machine, { space: XENMAPSPACE.shared_info, idx: 1n, gpfn: 0x51n }), -Errno.EINVAL);
  assert.equal(map(machine, { space: XENMAPSPACE.gmfn_foreign, gpfn: 0x51n }), -Errno.ENOSYS);
  assert.equal(map(machine, { space: 77, gpfn: 0x51n }), -Errno.ENOSYS);
  assert.equal(map(machine, { domid: domainId(0), gpfn: 0x51n }), -Errno.EPERM);
  assert.equal(map(machine, { domid: domainId(1234), gpfn: 0x51n }), -Errno.ESRCH);
  assert.equal(machine.call(MEMORY, XENMEM.add_to_physmap, 1n << 45n), -Errno.EFAULT);
});

test("memory: a batch answers for each of its pages", () => {
  const machine = new Machine();
  [0x50, 0xe0000].forEach((gfn, i) => machine.setWord(0x9000 + i * 8, gfn));
  [0x8000, 0x8001].forEach((gfn, i) => machine.setWord(0xa000 + i * 8, gfn));
  const op = { domid: SELF, space: XENMAPSPACE.gmfn, size: 2, idxs: 0x9000n, gpfns: 0xa000n, errs: 0xb000n };
  assert.equal(machine.op(MEMORY, XENMEM.add_to_physmap_batch, xen_add_to_physmap_batch, op).result, 0);
  assert.deepEqual([machine.word(0xb000) | 0, machine.word(0xb004) | 0], [0, -Errno.EACCES]);
});

test("memory: removing a page twice is an error", () => {
  const machine = new Machine();
  const remove = (gpfn: bigint): number =>
    machine.op(MEMORY, XENMEM.remove_from_physmap, xen_remove_from_physmap, { domid: SELF, gpfn }).result;
  assert.equal(remove(0x50n), 0);
  assert.equal(remove(0x50n), -Errno.ENOENT);
  assert.equal(remove(1n << 50n), -Errno.ENOENT);
});

test("memory: the map that the toolstack made is copied as far as there is room", () => {
  const memoryMap = [
    { address: 0, size: 0x100000, type: 1 },
    { address: 0xfc000000, size: 0x1000, type: 4 },
    { address: 2 ** 32, size: 2 ** 33, type: 1 },
  ];
  const machine = new Machine({ memoryMap });
  const ask = (nr_entries: number) =>
    machine.op(MEMORY, XENMEM.memory_map, xen_memory_map, { nr_entries, buffer: 0x9000n });
  assert.equal(ask(128).out.nr_entries, 3);
  const bytes = new Uint8Array(60);
  machine.memory.read(0x9000, bytes);
  const last = e820entry.read(bytes, 40);
  assert.deepEqual([last.addr_low, last.addr_high, last.size_high, last.type], [0, 1, 2, 1]);
  assert.equal(ask(1).out.nr_entries, 1);
  assert.equal(
    machine.op(MEMORY, XENMEM.memory_map, xen_memory_map, { nr_entries: 1, buffer: 1n << 48n }).result,
    -Errno.EFAULT,
  );
});

test("memory: 32-bit code passes its own layouts", () => {
  const machine = new Machine();
  machine.vcpu.codeSize = 32;
  machine.setWord(0x9000, 0x50);
  const op = { extent_start: 0x9000n, nr_extents: 1n, domid: SELF };
  assert.equal(machine.op(MEMORY, XENMEM.decrease_reservation, xen_memory_reservation.compat, op).result, 1);
  assert.equal(machine.memory.findFrame(0x50), undefined);
});

test("memory: questions about sizes, and what is not for guests", () => {
  const machine = new Machine();
  const ask = (command: number, domid: number): number =>
    machine.op(MEMORY, command, xen_memory_domain, { domid: domainId(domid) }).result;
  assert.equal(ask(XENMEM.maximum_gpfn, SELF), SPECIAL_PAGE.console);
  assert.equal(ask(XENMEM.maximum_reservation, SELF), 256 + 512);
  assert.equal(ask(XENMEM.current_reservation, 0), -Errno.EPERM);
  assert.equal(ask(XENMEM.current_reservation, 500), -Errno.ESRCH);
  assert.equal(machine.call(MEMORY, XENMEM.set_memory_map, 0x8000), -Errno.EPERM);
  assert.equal(machine.call(MEMORY, XENMEM.machphys_mapping, 0x8000), -Errno.ENOSYS);
  assert.equal(machine.call(MEMORY, 63, 0x8000), -Errno.ENOSYS);
});
