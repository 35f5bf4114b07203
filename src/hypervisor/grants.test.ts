import assert from "node:assert/strict";
import test from "node:test";

import { Errno } from "../abi/errno.ts";
import * as abi from "../abi/grant_table.ts";
import { xen_add_to_physmap, XENMAPSPACE, XENMEM } from "../abi/memory.ts";
import { domainId, grantRef } from "../abi/types.ts";
import type { DomainId, GrantRef } from "../abi/types.ts";
import { DOMID, HYPERVISOR } from "../abi/xen.ts";
import type { Struct } from "../bits/struct.ts";
import { mapGrant } from "./control.ts";
import type { MappedGrant } from "./control.ts";
import { pinGrant, pinsOf, seedGrant } from "./grant-table.ts";
import { Machine } from "./harness.ts";

const { GNTCOPY, GNTMAP, GNTST, GNTTABOP, GTF } = abi;
const GRANT = HYPERVISOR.grant_table_op;
const { SELF } = DOMID;
const TABLE = 0x40000;
const DOM0 = domainId(0);

/** A machine with two frames of grant entries at TABLE. */
function machineWithTable(): Machine {
  const machine = new Machine();
  for (const idx of [1n, 0n]) {
    const value = { domid: SELF, space: XENMAPSPACE.grant_table, idx, gpfn: BigInt(TABLE / 4096) + idx };
    assert.equal(machine.op(HYPERVISOR.memory_op, XENMEM.add_to_physmap, xen_add_to_physmap, value).result, 0);
  }
  return machine;
}

/** What a guest does to grant a frame. */
function grant(
  machine: Machine,
  ref: number,
  to: DomainId,
  frame: number,
  flags: number = GTF.permit_access,
): GrantRef {
  machine.memory.write(TABLE + ref * 8, abi.grant_entry_v1.encode({ flags, domid: to, frame }));
  return grantRef(ref);
}

function flagsOf(machine: Machine, ref: number): number {
  return machine.word(TABLE + ref * 8) & 0xffff;
}

/** One operation. @returns it as the hypervisor left it. */
function one<T>(machine: Machine, command: number, type: Struct<T>, value: Partial<T>): T & { result: number } {
  machine.memory.write(0x8000, type.encode({ ...type.zero(), ...value }));
  const result = machine.call(GRANT, command, 0x8000, 1);
  const bytes = new Uint8Array(type.sizeof);
  machine.memory.read(0x8000, bytes);
  return { ...type.read(bytes), result };
}

function mapped(result: MappedGrant | abi.GNTST): MappedGrant {
  assert.ok(typeof result !== "number", "mapped");
  return result;
}

test("grants: a back end sees the guest's live page, and the guest sees that it is in use", () => {
  const machine = machineWithTable();
  const ref = grant(machine, 9, DOM0, 0x50);
  const page = mapped(mapGrant(machine.domain, ref, "write"));
  page.bytes[5] = 99;
  assert.equal(machine.memory.frame(0x50)?.[5], 99);
  assert.equal(flagsOf(machine, 9), GTF.permit_access | GTF.reading | GTF.writing);
  const reader = mapped(mapGrant(machine.domain, ref, "read"));
  page[Symbol.dispose]();
  page[Symbol.dispose]();
  assert.equal(flagsOf(machine, 9), GTF.permit_access | GTF.reading, "a reader is left");
  assert.equal(pinsOf(machine.domain, 9), 1);
  reader[Symbol.dispose]();
  assert.equal(flagsOf(machine, 9), GTF.permit_access);
  assert.ok(machine.memory.written.includes(0x50), "code in the page is forgotten");
});

test("grants: what the entry does not allow is refused and leaves no mark", () => {
  const machine = machineWithTable();
  const status = (ref: number, access: "read" | "write"): unknown => mapGrant(machine.domain, ref, access);
  grant(machine, 8, DOM0, 0x50, GTF.permit_access | GTF.readonly);
  grant(machine, 9, domainId(7), 0x50);
  grant(machine, 10, DOM0, 0x50, GTF.invalid);
  grant(machine, 11, DOM0, 0xfffffff0);
  grant(machine, 12, DOM0, 0xfee00);
  grant(machine, 13, DOM0, 0x50, GTF.accept_transfer);
  assert.equal(status(8, "write"), GNTST.general_error);
  assert.equal(status(9, "read"), GNTST.general_error);
  assert.equal(status(10, "read"), GNTST.general_error);
  assert.equal(status(11, "read"), GNTST.bad_page);
  assert.equal(status(12, "read"), GNTST.bad_page);
  assert.equal(status(13, "read"), GNTST.general_error);
  assert.equal(status(1024, "read"), GNTST.bad_gntref);
  assert.equal(status(0xffffffff, "read"), GNTST.bad_gntref);
  for (const ref of [8, 9, 10, 11, 12, 13]) {
    assert.equal(flagsOf(machine, ref) & (GTF.reading | GTF.writing) & ~GTF.accept_transfer, 0, `ref ${ref}`);
    assert.equal(pinsOf(machine.domain, ref), 0);
  }
});

test("grants: a grant in use keeps its frame when the guest rewrites the entry", () => {
  const machine = machineWithTable();
  const first = mapped(mapGrant(machine.domain, grant(machine, 9, DOM0, 0x50), "read"));
  grant(machine, 9, DOM0, 0x51);
  const second = mapped(mapGrant(machine.domain, 9, "read"));
  assert.equal(second.bytes.byteOffset, first.bytes.byteOffset);
});

test("grants: a grant in use by one domain is not another's, whatever the entry says now", () => {
  const machine = machineWithTable();
  grant(machine, 9, domainId(7), 0x50);
  assert.equal(typeof pinGrant(machine.domain, domainId(7), 9, "read"), "object");
  grant(machine, 9, DOM0, 0x50);
  assert.equal(mapGrant(machine.domain, 9, "read"), GNTST.general_error);
});

test("grants: the toolstack's own entries are there before the guest looks", () => {
  const machine = new Machine();
  assert.ok(seedGrant(machine.domain, abi.GNTTAB.RESERVED_XENSTORE, DOM0, 0xfeffc));
  mapped(mapGrant(machine.domain, abi.GNTTAB.RESERVED_XENSTORE, "write"));
});

test("grants: version 2 keeps marks in status words, and carries the reserved entries over", () => {
  const machine = machineWithTable();
  grant(machine, 1, DOM0, 0x60);
  const store = mapped(mapGrant(machine.domain, 1, "write"));
  const user = mapped(mapGrant(machine.domain, grant(machine, 20, DOM0, 0x50), "read"));
  assert.equal(one(machine, GNTTABOP.set_version, abi.gnttab_set_version, { version: 2 }).result, -Errno.EBUSY);
  user[Symbol.dispose]();
  assert.equal(one(machine, GNTTABOP.set_version, abi.gnttab_set_version, { version: 3 }).result, -Errno.EINVAL);
  assert.equal(one(machine, GNTTABOP.set_version, abi.gnttab_set_version, { version: 2 }).result, 0);
  assert.equal(one(machine, GNTTABOP.get_version, abi.gnttab_get_version, { dom: SELF }).version, 2);

  const reserved = new Uint8Array(16);
  machine.memory.read(TABLE + 16, reserved);
  assert.equal(abi.grant_entry_v2.read(reserved).frame, 0x60n);
  store[Symbol.dispose]();

  const entry = { flags: GTF.permit_access, domid: DOM0, page_off: 0, length: 0, frame: 0x51n };
  machine.memory.write(TABLE + 20 * 16, abi.grant_entry_v2.encode(entry));
  const page = mapped(mapGrant(machine.domain, 20, "write"));
  const frames = { nr_frames: 1, dom: SELF, frame_list: 0x9000n };
  const value = { domid: SELF, space: XENMAPSPACE.grant_table, idx: 0x80000000n, gpfn: 0x70n };
  assert.equal(machine.op(HYPERVISOR.memory_op, XENMEM.add_to_physmap, xen_add_to_physmap, value).result, 0);
  const listed = one(machine, GNTTABOP.get_status_frames, abi.gnttab_get_status_frames, frames);
  assert.deepEqual([listed.status, machine.word(0x9000)], [GNTST.okay, 0x70]);
  assert.equal(machine.word(0x70000 + 20 * 2) & 0xffff, GTF.reading | GTF.writing);
  page[Symbol.dispose]();
  assert.equal(machine.word(0x70000 + 20 * 2) & 0xffff, 0);

  const part = { flags: GTF.permit_access | GTF.sub_page, domid: DOM0, page_off: 4000, length: 60000, frame: 0x51n };
  machine.memory.write(TABLE + 21 * 16, abi.grant_entry_v2.encode(part));
  assert.equal(mapped(mapGrant(machine.domain, 21, "read")).bytes.length, 96, "a part ends with its page");
});

test("grants: a guest can map its own grant, and unmap it once", () => {
  const machine = machineWithTable();
  const ref = grant(machine, 9, machine.domain.id, 0x50);
  machine.setWord(0x50000, 77);
  const map = { host_addr: 0x60000n, flags: GNTMAP.host_map, ref, dom: SELF };
  const done = one(machine, GNTTABOP.map_grant_ref, abi.gnttab_map_grant_ref, map);
  assert.deepEqual([done.result, done.status], [0, GNTST.okay]);
  assert.equal(machine.cpu.platform.mmioRead(0x60000, 4), 77n);
  const undo = { host_addr: 0x60000n, handle: done.handle };
  const unmap = (value: Partial<abi.gnttab_unmap_grant_ref>): number =>
    one(machine, GNTTABOP.unmap_grant_ref, abi.gnttab_unmap_grant_ref, value).status;
  assert.equal(unmap({ ...undo, host_addr: 0x61000n }), GNTST.bad_virt_addr);
  assert.equal(unmap(undo), GNTST.okay);
  assert.equal(unmap(undo), GNTST.bad_handle);
  assert.equal(pinsOf(machine.domain, 9), 0);
});

test("grants: hostile map arguments end in a status", () => {
  const machine = machineWithTable();
  const ref = grant(machine, 9, machine.domain.id, 0x50);
  const good = { host_addr: 0x60000n, flags: GNTMAP.host_map, ref, dom: SELF };
  const map = (value: Partial<abi.gnttab_map_grant_ref>): number =>
    one(machine, GNTTABOP.map_grant_ref, abi.gnttab_map_grant_ref, { ...good, ...value }).status;
  assert.equal(map({ flags: 0 }), GNTST.bad_gntref);
  assert.equal(map({ flags: GNTMAP.host_map | GNTMAP.contains_pte }), GNTST.general_error);
  assert.equal(map({ host_addr: 1n << 60n }), GNTST.bad_virt_addr);
  assert.equal(map({ host_addr: 0xfee00000n }), GNTST.bad_virt_addr);
  assert.equal(map({ dom: domainId(99) }), GNTST.bad_domain);
  assert.equal(map({ dom: DOM0 }), GNTST.general_error, "domain 0 has no memory to map");
  assert.equal(map({ ref: grantRef(0xffffffff) }), GNTST.bad_gntref);
});

test("grants: copies go between a grant and a frame, within their bounds", () => {
  const machine = machineWithTable();
  const ref = grant(machine, 9, machine.domain.id, 0x50, GTF.permit_access | GTF.readonly);
  machine.setWord(0x50010, 0xabcdef);
  const good = {
    source: { u: BigInt(ref), domid: SELF, offset: 16 },
    dest: { u: 0x61n, domid: SELF, offset: 4 },
    len: 4,
    flags: GNTCOPY.source_gref,
  };
  const copy = (value: Partial<abi.gnttab_copy>): number =>
    one(machine, GNTTABOP.copy, abi.gnttab_copy, { ...good, ...value }).status;
  assert.equal(copy({}), GNTST.okay);
  assert.equal(machine.word(0x61004), 0xabcdef);
  assert.equal(flagsOf(machine, 9), GTF.permit_access | GTF.readonly);
  assert.equal(copy({ len: 4090 }), GNTST.bad_copy_arg);
  assert.equal(copy({ dest: { u: 0x61n, domid: SELF, offset: 65535 } }), GNTST.bad_copy_arg);
  assert.equal(copy({ dest: { u: 1n << 60n, domid: SELF, offset: 0 } }), GNTST.bad_page);
  const swapped = { source: good.dest, dest: good.source, flags: GNTCOPY.dest_gref };
  assert.equal(copy(swapped), GNTST.general_error, "the grant is read-only");
  assert.equal(copy({ source: { u: 0n, domid: DOM0, offset: 0 }, flags: 0 }), GNTST.general_error);
  assert.equal(pinsOf(machine.domain, 9), 0);
});

test("grants: a long list is interrupted and finished, and a bad one ends at its first missing byte", () => {
  const machine = machineWithTable();
  const swap = abi.gnttab_swap_grant_ref;
  for (let i = 0; i < 100; i++) {
    const op = { ref_a: grantRef(20), ref_b: grantRef(21), status: 1 };
    machine.memory.write(0x9000 + i * swap.sizeof, swap.encode(op));
  }
  grant(machine, 20, DOM0, 0x50);
  grant(machine, 21, DOM0, 0x51);
  assert.equal(machine.call(GRANT, GNTTABOP.swap_grant_ref, 0x9000, 100), 0);
  const last = new Uint8Array(swap.sizeof);
  machine.memory.read(0x9000 + 99 * swap.sizeof, last);
  assert.equal(swap.read(last).status, GNTST.okay);
  assert.equal(machine.word(TABLE + 20 * 8 + 4), 0x50, "an even number of exchanges");
  assert.equal(machine.call(GRANT, GNTTABOP.swap_grant_ref, 0xffff8, 2), -Errno.EFAULT);
  assert.equal(machine.call(GRANT, GNTTABOP.map_grant_ref, 0x9000, 0xffffffff), -Errno.EINVAL);
});

test("grants: sizes and frames of the table are told, for one's own only", () => {
  const machine = machineWithTable();
  const size = one(machine, GNTTABOP.query_size, abi.gnttab_query_size, { dom: SELF });
  assert.deepEqual([size.status, size.nr_frames, size.max_nr_frames], [GNTST.okay, 2, 64]);
  const asked = (dom: DomainId): number => one(machine, GNTTABOP.query_size, abi.gnttab_query_size, { dom }).status;
  assert.equal(asked(domainId(44)), GNTST.bad_domain);
  assert.equal(asked(DOM0), GNTST.permission_denied);
  const setup = (nr_frames: number): number =>
    one(machine, GNTTABOP.setup_table, abi.gnttab_setup_table, { dom: SELF, nr_frames, frame_list: 0x9000n }).status;
  assert.equal(setup(2), GNTST.okay);
  assert.deepEqual([machine.word(0x9000), machine.word(0x9008)], [TABLE / 4096, TABLE / 4096 + 1]);
  assert.equal(setup(65), GNTST.general_error);
  assert.equal(machine.call(GRANT, GNTTABOP.query_size, 0x8000, 2), -Errno.EINVAL);
  assert.equal(machine.call(GRANT, GNTTABOP.transfer, 0x8000, 1), -Errno.ENOSYS);
});
