import assert from "node:assert/strict";
import test from "node:test";

import { Errno } from "../abi/errno.ts";
import * as abi from "../abi/grant_table.ts";
import {
  xen_add_to_physmap,
  xen_memory_reservation,
  xen_remove_from_physmap,
  XENMAPSPACE,
  XENMEM,
} from "../abi/memory.ts";
import { domainId, grantRef } from "../abi/types.ts";
import type { DomainId, GrantRef } from "../abi/types.ts";
import { DOMID, HYPERVISOR } from "../abi/xen.ts";
import type { Struct } from "../bits/struct.ts";
import { P2mType } from "../engine/engine.ts";
import type { DomainMemory } from "../engine/engine.ts";
import { destroyDomain, mapGrant } from "./control.ts";
import { attachDomain, Hypervisor } from "./domain.ts";
import { pinsOf } from "./grant-table.ts";
import { Machine } from "./harness.ts";
import { DOMAIN, Heap, MAX_MAPPINGS } from "./heap.ts";
import { VirtualCpu } from "./virtual-cpu.ts";

const { GNTCOPY, GNTMAP, GNTST, GNTTABOP, GTF } = abi;
const { SELF } = DOMID;
const TABLE = 0x40000;
/** Where a mapper puts what it maps: far from its RAM. */
const WINDOW = 0x1000_0000;
const ONES = 0xffffffffn;

/** A granter with its table at TABLE, and a mapper beside it. */
function pair(): { granter: Machine; mapper: Machine } {
  const granter = new Machine();
  const value = { domid: SELF, space: XENMAPSPACE.grant_table, gpfn: BigInt(TABLE / 4096) };
  assert.equal(granter.op(HYPERVISOR.memory_op, XENMEM.add_to_physmap, xen_add_to_physmap, value).result, 0);
  return { granter, mapper: new Machine({}, granter) };
}

/** What a guest does to grant a frame. */
function grant(from: Machine, ref: number, to: DomainId, frame: number, flags: number = GTF.permit_access): GrantRef {
  from.memory.write(TABLE + ref * 8, abi.grant_entry_v1.encode({ flags, domid: to, frame }));
  return grantRef(ref);
}

function flagsOf(machine: Machine, ref: number): number {
  return machine.word(TABLE + ref * 8) & 0xffff;
}

function one<T>(machine: Machine, command: number, type: Struct<T>, value: Partial<T>): T {
  machine.memory.write(0x8000, type.encode({ ...type.zero(), ...value }));
  assert.equal(machine.call(HYPERVISOR.grant_table_op, command, 0x8000, 1), 0);
  const bytes = new Uint8Array(type.sizeof);
  machine.memory.read(0x8000, bytes);
  return type.read(bytes);
}

function map(machine: Machine, dom: DomainId, ref: number, at = WINDOW, more = 0): abi.gnttab_map_grant_ref {
  const value = { host_addr: BigInt(at), flags: GNTMAP.host_map | more, ref: grantRef(ref), dom };
  return one(machine, GNTTABOP.map_grant_ref, abi.gnttab_map_grant_ref, value);
}

function unmap(machine: Machine, handle: number, at = WINDOW): number {
  const value = { host_addr: BigInt(at), handle };
  return one(machine, GNTTABOP.unmap_grant_ref, abi.gnttab_unmap_grant_ref, value).status;
}

function read(machine: Machine, at: number, size: 1 | 2 | 4 | 8 = 4): bigint {
  return machine.cpu.platform.mmioRead(at, size);
}

test("foreign: a mapped page is the granter's own, at every width, until it is unmapped", () => {
  const { granter, mapper } = pair();
  const { mmioWrite } = mapper.cpu.platform;
  grant(granter, 9, mapper.domain.id, 0x50);
  granter.setWord(0x50010, 0x44332211);
  const { status, handle } = map(mapper, granter.domain.id, 9);
  assert.equal(status, GNTST.okay);
  assert.equal(mapper.memory.p2mType(WINDOW / 4096), P2mType.foreign);
  assert.equal(flagsOf(granter, 9), GTF.permit_access | GTF.reading | GTF.writing);
  assert.deepEqual(
    [read(mapper, WINDOW + 0x10), read(mapper, WINDOW + 0x11, 2), read(mapper, WINDOW + 0x13, 1)],
    [0x44332211n, 0x3322n, 0x44n],
  );
  mmioWrite(WINDOW + 0x20, 8, 0x8877665544332211n);
  mmioWrite(WINDOW + 0x23, 4, 0xddccbbaan);
  assert.equal(read(mapper, WINDOW + 0x20, 8), 0x88ddccbbaa332211n);
  assert.equal(granter.word(0x50024), 0x88ddccbb);
  mmioWrite(WINDOW + 0xffe, 2, 0xbeefn);
  assert.equal(granter.word(0x50ffc), 0xbeef0000);
  assert.ok(granter.memory.written.includes(0x50), "code that the granter had there is forgotten");

  assert.equal(unmap(mapper, handle, WINDOW + 0x1000), GNTST.bad_virt_addr);
  assert.equal(unmap(mapper, handle), GNTST.okay);
  assert.equal(unmap(mapper, handle), GNTST.bad_handle);
  assert.equal(read(mapper, WINDOW + 0x10), ONES);
  assert.equal(flagsOf(granter, 9), GTF.permit_access);
  assert.equal(pinsOf(granter.domain, 9), 0);
});

test("foreign: a page mapped for reading is not written", () => {
  const { granter, mapper } = pair();
  grant(granter, 9, mapper.domain.id, 0x50, GTF.permit_access | GTF.readonly);
  granter.setWord(0x50000, 5);
  assert.equal(map(mapper, granter.domain.id, 9).status, GNTST.general_error);
  assert.equal(map(mapper, granter.domain.id, 9, WINDOW, GNTMAP.readonly).status, GNTST.okay);
  assert.equal(flagsOf(granter, 9) & GTF.writing, 0);
  mapper.cpu.platform.mmioWrite(WINDOW, 4, 6n);
  assert.equal(read(mapper, WINDOW), 5n);
  const type = abi.gnttab_query_size;
  assert.equal(mapper.call(HYPERVISOR.grant_table_op, GNTTABOP.query_size, WINDOW, 1), -Errno.EFAULT, `${type.sizeof}`);
});

test("foreign: what is not granted to this domain cannot be mapped, nor a place that is taken", () => {
  const { granter, mapper } = pair();
  const { id } = granter.domain;
  grant(granter, 9, domainId(77), 0x50);
  grant(granter, 10, mapper.domain.id, 0x51);
  grant(granter, 11, mapper.domain.id, 0xffff0000);
  assert.equal(map(mapper, id, 9).status, GNTST.general_error);
  assert.equal(map(mapper, id, 11).status, GNTST.bad_page);
  assert.equal(map(mapper, id, 0x7fffffff).status, GNTST.bad_gntref);
  assert.equal(map(mapper, id, 0xffffffff).status, GNTST.bad_gntref);
  assert.equal(map(mapper, domainId(0), 9).status, GNTST.general_error, "domain 0 has no memory");
  assert.equal(map(mapper, id, 10).status, GNTST.okay);
  assert.equal(map(mapper, id, 10).status, GNTST.bad_virt_addr, "a mapped grant is there");
  const gpfn = BigInt(WINDOW / 4096);
  const place = { domid: SELF, space: XENMAPSPACE.shared_info, gpfn };
  const { memory_op } = HYPERVISOR;
  assert.equal(mapper.op(memory_op, XENMEM.add_to_physmap, xen_add_to_physmap, place).result, -Errno.EINVAL);
  const remove = { domid: SELF, gpfn };
  const removed = mapper.op(memory_op, XENMEM.remove_from_physmap, xen_remove_from_physmap, remove);
  assert.equal(removed.result, -Errno.ENOENT);
  mapper.memory.write(0x9000, Uint8Array.of(0, 0, 1, 0, 0, 0, 0, 0));
  const extents = { domid: SELF, nr_extents: 1n, extent_start: 0x9000n };
  for (const command of [XENMEM.populate_physmap, XENMEM.decrease_reservation]) {
    assert.equal(mapper.op(memory_op, command, xen_memory_reservation, extents).result, 0);
  }
  assert.equal(pinsOf(granter.domain, 10), 1);
  assert.equal(pinsOf(granter.domain, 9), 0);
});

test("foreign: a granter that revokes an entry sees that it is in use; the mapper keeps what it has", () => {
  const { granter, mapper } = pair();
  grant(granter, 9, mapper.domain.id, 0x50);
  granter.setWord(0x50000, 1);
  granter.setWord(0x51000, 2);
  const { handle } = map(mapper, granter.domain.id, 9);
  assert.equal(flagsOf(granter, 9) & (GTF.reading | GTF.writing), GTF.reading | GTF.writing);
  grant(granter, 9, granter.domain.id, 0x51, GTF.permit_access | GTF.reading | GTF.writing);
  assert.equal(read(mapper, WINDOW), 1n);
  assert.equal(map(mapper, granter.domain.id, 9, WINDOW + 0x1000).status, GNTST.okay, "Xen: a pin serves its domain");
  assert.equal(read(mapper, WINDOW + 0x1000), 1n, "it is the page that is pinned");
  assert.equal(unmap(mapper, handle + 1, WINDOW + 0x1000), GNTST.okay);
  assert.equal(unmap(mapper, handle), GNTST.okay);
  assert.equal(flagsOf(granter, 9), GTF.permit_access);
  assert.equal(map(mapper, granter.domain.id, 9).status, GNTST.general_error);
});

test("foreign: a page that the granter gives back is not another's before it is unmapped", () => {
  const { granter, mapper } = pair();
  const frame = granter.memory.findFrame(0x50);
  const free = granter.domain.get(DOMAIN.freeFrame);
  assert.ok(frame !== undefined && frame !== free);
  grant(granter, 9, mapper.domain.id, 0x50);
  grant(granter, 10, mapper.domain.id, 0x50);
  granter.setWord(0x50000, 1);
  const first = map(mapper, granter.domain.id, 9).handle;
  const second = map(mapper, granter.domain.id, 10, WINDOW + 0x1000).handle;
  granter.memory.write(0x9000, Uint8Array.of(0x50, 0, 0, 0, 0, 0, 0, 0));
  const extents = { domid: SELF, nr_extents: 1n, extent_start: 0x9000n };
  const reservation = (command: number): number =>
    granter.op(HYPERVISOR.memory_op, command, xen_memory_reservation, extents).result;
  assert.equal(reservation(XENMEM.decrease_reservation), 1);
  assert.equal(granter.domain.get(DOMAIN.freeFrame), free);
  assert.equal(read(mapper, WINDOW), 1n);
  assert.equal(unmap(mapper, first), GNTST.okay);
  assert.equal(granter.domain.get(DOMAIN.freeFrame), free, "the other grant of it is still mapped");
  assert.equal(unmap(mapper, second, WINDOW + 0x1000), GNTST.okay);
  assert.equal(granter.domain.get(DOMAIN.freeFrame), frame);
  assert.equal(reservation(XENMEM.populate_physmap), 1);
  assert.equal(granter.word(0x50000), 0);
});

test("foreign: when the granter dies its page stays as it was, and its successor is left alone", () => {
  const { granter, mapper } = pair();
  grant(granter, 9, mapper.domain.id, 0x50);
  grant(granter, 10, mapper.domain.id, 0x51);
  granter.setWord(0x50000, 1);
  const seen = map(mapper, granter.domain.id, 9).handle;
  const unseen = map(mapper, granter.domain.id, 10, WINDOW + 0x1000).handle;
  assert.equal(read(mapper, WINDOW), 1n);
  mapper.attention.take();
  destroyDomain(granter.hypervisor, granter.domain);
  assert.ok(mapper.attention.wanted, "the mapper is asked to let go of the memory");
  mapper.cpu.foreign.settle();
  granter.setWord(0x50000, 2);
  assert.equal(read(mapper, WINDOW), 1n, "nothing holds on to the memory itself");
  mapper.cpu.platform.mmioWrite(WINDOW, 4, 3n);
  assert.equal(read(mapper, WINDOW), 1n);
  assert.equal(read(mapper, WINDOW + 0x1000), ONES, "what was never looked at is lost");
  assert.equal(map(mapper, granter.domain.id, 9, WINDOW + 0x2000).status, GNTST.bad_domain);

  const next = new Machine({}, granter);
  assert.equal(next.domain.slot, granter.domain.slot);
  const value = { domid: SELF, space: XENMAPSPACE.grant_table, gpfn: BigInt(TABLE / 4096) };
  assert.equal(next.op(HYPERVISOR.memory_op, XENMEM.add_to_physmap, xen_add_to_physmap, value).result, 0);
  grant(next, 9, mapper.domain.id, 0x50);
  assert.equal(map(mapper, next.domain.id, 9, WINDOW + 0x2000).status, GNTST.okay);
  assert.equal(unmap(mapper, seen), GNTST.okay);
  assert.equal(unmap(mapper, unseen, WINDOW + 0x1000), GNTST.okay);
  assert.equal(pinsOf(next.domain, 9), 1);
  assert.equal(read(mapper, WINDOW), ONES);
});

test("foreign: when the mapper dies its uses end, and others' stay", () => {
  const { granter, mapper } = pair();
  grant(granter, 9, mapper.domain.id, 0x50);
  grant(granter, 10, domainId(0), 0x51);
  const kept = mapGrant(granter.domain, 10, "write");
  assert.equal(typeof kept, "object");
  map(mapper, granter.domain.id, 9);
  map(mapper, granter.domain.id, 9, WINDOW + 0x1000, GNTMAP.readonly);
  assert.equal(granter.domain.get(DOMAIN.grantsInUse), 2);
  destroyDomain(granter.hypervisor, mapper.domain);
  assert.equal(flagsOf(granter, 9), GTF.permit_access);
  assert.deepEqual([pinsOf(granter.domain, 9), pinsOf(granter.domain, 10)], [0, 1]);
  assert.equal(granter.domain.get(DOMAIN.grantsInUse), 1);
});

test("foreign: copies go between domains, where the grant allows it", () => {
  const { granter, mapper } = pair();
  const { id } = granter.domain;
  const readable = grant(granter, 9, mapper.domain.id, 0x50, GTF.permit_access | GTF.readonly);
  const writable = grant(granter, 10, mapper.domain.id, 0x51);
  granter.setWord(0x50008, 0x12345678);
  const copy = (value: Partial<abi.gnttab_copy>): number =>
    one(mapper, GNTTABOP.copy, abi.gnttab_copy, { len: 4, ...value }).status;
  const own = { u: 0x61n, domid: SELF, offset: 16 };
  const from = { u: BigInt(readable), domid: id, offset: 8 };
  const to = { u: BigInt(writable), domid: id, offset: 4092 };
  assert.equal(copy({ source: from, dest: own, flags: GNTCOPY.source_gref }), GNTST.okay);
  assert.equal(mapper.word(0x61010), 0x12345678);
  assert.equal(copy({ source: own, dest: to, flags: GNTCOPY.dest_gref }), GNTST.okay);
  assert.equal(granter.word(0x51ffc), 0x12345678);
  assert.equal(copy({ source: from, dest: to, flags: GNTCOPY.source_gref | GNTCOPY.dest_gref }), GNTST.okay);
  assert.equal(copy({ source: own, dest: from, flags: GNTCOPY.dest_gref }), GNTST.general_error);
  assert.equal(copy({ source: own, dest: { ...to, offset: 4093 }, flags: GNTCOPY.dest_gref }), GNTST.bad_copy_arg);
  assert.equal(copy({ source: own, dest: { u: 0x51n, domid: id, offset: 0 }, flags: 0 }), GNTST.permission_denied);
  assert.deepEqual([pinsOf(granter.domain, 9), pinsOf(granter.domain, 10)], [0, 0]);
});

test("foreign: a thread asks for a domain's memory when it needs it, once", () => {
  const { granter, mapper } = pair();
  grant(granter, 9, mapper.domain.id, 0x50);
  granter.setWord(0x50000, 1);
  const asked: number[] = [];
  const worker = (give: boolean): VirtualCpu => {
    const findMemory = (id: DomainId): DomainMemory | undefined => {
      asked.push(id);
      return give ? granter.memory : undefined;
    };
    const hypervisor = new Hypervisor(new Heap(granter.hypervisor.heap.buffer), () => 0, findMemory);
    const domain = attachDomain(hypervisor, mapper.domain.id, mapper.memory);
    assert.ok(domain);
    const cpu = new VirtualCpu(domain, 0, mapper.config, mapper.cpu.host);
    cpu.attach(mapper.vcpu, mapper.attention);
    return cpu;
  };
  const refused = Object.assign(Object.create(mapper) as Machine, { cpu: worker(false) });
  assert.equal(map(refused, granter.domain.id, 9).status, GNTST.general_error);
  assert.equal(map(refused, granter.domain.id, 9).status, GNTST.general_error);
  assert.equal(map(refused, domainId(5), 9).status, GNTST.bad_domain);
  assert.deepEqual(asked.splice(0), [granter.domain.id]);

  const served = Object.assign(Object.create(mapper) as Machine, { cpu: worker(true) });
  assert.equal(map(served, granter.domain.id, 9).status, GNTST.okay);
  assert.equal(map(served, granter.domain.id, 9, WINDOW + 0x1000).status, GNTST.okay);
  assert.equal(read(served, WINDOW), 1n);
  assert.deepEqual(asked.splice(0), [granter.domain.id]);
  // Another vCPU of the mapper's has the same mappings, and can end them.
  const other = Object.assign(Object.create(mapper) as Machine, { cpu: worker(true) });
  assert.equal(read(other, WINDOW), 1n);
  assert.equal(unmap(other, 0), GNTST.okay);
  assert.equal(read(served, WINDOW), ONES);
  assert.deepEqual(asked, [granter.domain.id]);
});

test("foreign: a hypercall's argument may lie in a mapped page", () => {
  const { granter, mapper } = pair();
  grant(granter, 9, mapper.domain.id, 0x50);
  map(mapper, granter.domain.id, 9);
  const type = abi.gnttab_query_size;
  granter.memory.write(0x50100, type.encode({ ...type.zero(), dom: SELF }));
  assert.equal(mapper.call(HYPERVISOR.grant_table_op, GNTTABOP.query_size, WINDOW + 0x100, 1), 0);
  const bytes = new Uint8Array(type.sizeof);
  granter.memory.read(0x50100, bytes);
  assert.equal(type.read(bytes).max_nr_frames, 64);
});

test("foreign: handles run out with a status, and nothing stays pinned for it", () => {
  const { granter, mapper } = pair();
  grant(granter, 9, mapper.domain.id, 0x50);
  for (let i = 0; i < MAX_MAPPINGS; i++) {
    assert.equal(map(mapper, granter.domain.id, 9, WINDOW + i * 4096).status, GNTST.okay);
  }
  assert.equal(map(mapper, granter.domain.id, 9, WINDOW - 4096).status, GNTST.no_device_space);
  assert.equal(pinsOf(granter.domain, 9), MAX_MAPPINGS);
  assert.equal(unmap(mapper, 100, WINDOW + 100 * 4096), GNTST.okay);
  assert.equal(map(mapper, granter.domain.id, 9, WINDOW - 4096).handle, 100);
});
