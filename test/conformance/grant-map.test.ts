/** Guests that map pages which others granted to them: what one writes the other reads. */
import assert from "node:assert/strict";
import { Errno } from "../../src/abi/errno.ts";
import * as abi from "../../src/abi/grant_table.ts";
import { XENMAPSPACE, XENMEM, xen_memory_reservation } from "../../src/abi/memory.ts";
import { domainId, grantRef } from "../../src/abi/types.ts";
import { DOMID, HYPERVISOR } from "../../src/abi/xen.ts";
import { FIRST_REF, flagsOf, grant, GRANTED, grantV2, mapTable, TABLE } from "./grants.ts";
import type { Guest } from "./guest.ts";
import type { Machine } from "./machine.ts";
import { observes } from "./observes.ts";
import { addToPhysmap } from "./shared-info.ts";

const { GNTMAP, GNTST, GNTTABOP, GTF } = abi;
const NUMBER = HYPERVISOR.grant_table_op;
const NOWHERE = 0xffffffff;
/** Where the mapper puts what it maps. */
const PLACE = 0x920;
const HOSTILE_REFS = [512, 0x7fff, 0x7fffffff, 0x80000000, 0xffffffff];

function map(guest: Guest, dom: number, ref: number, options: Partial<abi.gnttab_map_grant_ref> = {}) {
  const op = {
    host_addr: BigInt(PLACE * 4096),
    flags: GNTMAP.host_map,
    ref: grantRef(ref),
    dom: domainId(dom),
    status: 77,
    ...options,
  };
  return guest.op(NUMBER, GNTTABOP.map_grant_ref, abi.gnttab_map_grant_ref, op, 1);
}
function unmap(guest: Guest, handle: number, gfn = PLACE) {
  const op = { host_addr: BigInt(gfn * 4096), handle, status: 77 };
  return guest.op(NUMBER, GNTTABOP.unmap_grant_ref, abi.gnttab_unmap_grant_ref, op, 1);
}
/** Another guest, of the other width, that has granted a page to this one. */
function granter(guest: Guest, machine: Machine): Guest {
  const other = machine.guest({ bits: guest.bits === 32 ? 64 : 32 });
  mapTable(other);
  other.setU32(GRANTED * 4096, 0x11112222);
  grant(other, FIRST_REF, guest.domain.id, GRANTED);
  return other;
}

observes("grant_table_op.map_grant_ref", "the page of another domain is in one's own memory", (guest, machine) => {
  const other = granter(guest, machine);
  const { result, out } = map(guest, other.domain.id, FIRST_REF);
  assert.deepEqual([result, out.status], [0, GNTST.okay]);
  assert.equal(guest.load(PLACE * 4096), 0x11112222);
  guest.store(PLACE * 4096 + 4092, 0x33334444);
  assert.equal(other.load(GRANTED * 4096 + 4092), 0x33334444);
  other.store(GRANTED * 4096, 0x55556666);
  assert.equal(guest.load(PLACE * 4096), 0x55556666);
  assert.equal(flagsOf(other, FIRST_REF), GTF.permit_access | GTF.reading | GTF.writing);
});

observes(
  "grant_table_op.map_grant_ref",
  "for reading only, if that is what was granted or asked for",
  (guest, machine) => {
    const other = granter(guest, machine);
    grant(other, FIRST_REF + 1, guest.domain.id, GRANTED, GTF.permit_access | GTF.readonly);
    assert.equal(map(guest, other.domain.id, FIRST_REF + 1).out.status, GNTST.general_error);
    assert.equal(flagsOf(other, FIRST_REF + 1), GTF.permit_access | GTF.readonly);
    const flags = GNTMAP.host_map | GNTMAP.readonly;
    for (const ref of [FIRST_REF, FIRST_REF + 1]) {
      const { out } = map(guest, other.domain.id, ref, { flags });
      assert.equal(out.status, GNTST.okay);
      assert.equal(guest.load(PLACE * 4096), 0x11112222);
      guest.store(PLACE * 4096, 0x77778888);
      assert.equal(other.load(GRANTED * 4096), 0x11112222, "what is written there is dropped");
      assert.equal(flagsOf(other, ref) & (GTF.reading | GTF.writing), GTF.reading);
      assert.equal(unmap(guest, out.handle).out.status, GNTST.okay);
    }
  },
);

observes("grant_table_op.map_grant_ref", "only what was granted to the caller", (guest, machine) => {
  const other = granter(guest, machine);
  const { id } = other.domain;
  grant(other, 10, 0, GRANTED);
  grant(other, 11, guest.domain.id, GRANTED, GTF.invalid);
  grant(other, 12, guest.domain.id, GRANTED, GTF.accept_transfer);
  grant(other, 13, guest.domain.id, 0xffff0);
  grant(other, 14, guest.domain.id, 0xffffffff);
  const status = (ref: number, dom: number = id): number => map(guest, dom, ref).out.status;
  for (const ref of [10, 11, 12]) assert.equal(status(ref), GNTST.general_error, `${ref}`);
  for (const ref of [13, 14]) assert.equal(status(ref), GNTST.bad_page, `${ref}`);
  for (const ref of HOSTILE_REFS) assert.equal(status(ref), GNTST.bad_gntref, `${ref}`);
  assert.equal(status(FIRST_REF, 77), GNTST.bad_domain);
  assert.equal(status(FIRST_REF, DOMID.IO), GNTST.bad_domain);
  assert.ok(status(FIRST_REF, 0) < 0, "domain 0 has no memory");
  assert.equal(guest.load(PLACE * 4096), NOWHERE);
  assert.equal(flagsOf(other, 13), GTF.permit_access, "no mark is left");
});

observes("grant_table_op.map_grant_ref", "to places and in ways that there are", (guest, machine) => {
  const { id } = granter(guest, machine).domain;
  for (const host_addr of [0xfee00000n, 1n << 32n, 1n << 51n, (1n << 64n) - 4096n]) {
    assert.equal(map(guest, id, FIRST_REF, { host_addr }).out.status, GNTST.bad_virt_addr, `${host_addr}`);
  }
  assert.equal(map(guest, id, FIRST_REF, { flags: 0 }).out.status, GNTST.bad_gntref);
  for (const flags of [GNTMAP.device_map, GNTMAP.application_map, GNTMAP.contains_pte]) {
    const { status } = map(guest, id, FIRST_REF, { flags: flags | GNTMAP.host_map }).out;
    assert.equal(status, GNTST.general_error, `${flags}`);
  }
  assert.equal(map(guest, id, FIRST_REF).out.status, GNTST.okay);
  assert.equal(map(guest, id, FIRST_REF).out.status, GNTST.bad_virt_addr, "where one is mapped already");
});

observes(
  "grant_table_op.map_grant_ref",
  "a page that its owner gives back stays until it is unmapped",
  (guest, machine) => {
    const other = granter(guest, machine);
    const { out } = map(guest, other.domain.id, FIRST_REF);
    const list = { extent_start: BigInt(other.placeLongs([GRANTED])), nr_extents: 1n, domid: DOMID.SELF };
    const reserve = (command: number): number =>
      other.op(HYPERVISOR.memory_op, command, xen_memory_reservation, list).result;
    assert.equal(reserve(XENMEM.decrease_reservation), 1);
    assert.equal(reserve(XENMEM.populate_physmap), 1);
    other.store(GRANTED * 4096, 0x5ec2e7);
    assert.equal(guest.load(PLACE * 4096), 0x11112222, "nothing else is ever there");
    guest.store(PLACE * 4096, 0x666);
    assert.equal(other.load(GRANTED * 4096), 0x5ec2e7);
    assert.equal(unmap(guest, out.handle).out.status, GNTST.okay);
  },
);

observes("grant_table_op.map_grant_ref", "a domain's own grant", (guest) => {
  mapTable(guest);
  grant(guest, FIRST_REF, guest.domain.id, GRANTED);
  const { out } = map(guest, DOMID.SELF, FIRST_REF);
  assert.equal(out.status, GNTST.okay);
  guest.store(PLACE * 4096 + 8, 0x1234);
  assert.equal(guest.load(GRANTED * 4096 + 8), 0x1234);
  assert.equal(unmap(guest, out.handle).out.status, GNTST.okay);
  assert.equal(guest.load(GRANTED * 4096 + 8), 0x1234);
});

observes("grant_table_op.unmap_grant_ref", "the page is gone, and its owner can see that", (guest, machine) => {
  const other = granter(guest, machine);
  const { handle } = map(guest, other.domain.id, FIRST_REF).out;
  const second = map(guest, other.domain.id, FIRST_REF, { host_addr: BigInt((PLACE + 1) * 4096) }).out.handle;
  assert.notEqual(handle, second);
  assert.equal(guest.load(PLACE * 4096), 0x11112222);
  assert.equal(unmap(guest, handle, PLACE + 1).out.status, GNTST.bad_virt_addr);
  assert.equal(unmap(guest, handle).out.status, GNTST.okay);
  assert.equal(guest.load(PLACE * 4096), NOWHERE);
  assert.equal(flagsOf(other, FIRST_REF), GTF.permit_access | GTF.reading | GTF.writing, "it is mapped once more");
  assert.equal(unmap(guest, handle).out.status, GNTST.bad_handle);
  assert.equal(unmap(guest, second, PLACE + 1).out.status, GNTST.okay);
  assert.equal(flagsOf(other, FIRST_REF), GTF.permit_access);
  for (const hostile of [8191, 8192, 0x7fffffff, 0xffffffff]) {
    assert.equal(unmap(guest, hostile).out.status, GNTST.bad_handle, `${hostile}`);
  }
});

observes("grant_table_op.map_grant_ref", "lists are done to their end, or to where memory ends", (guest, machine) => {
  const other = granter(guest, machine);
  const { sizeof } = guest.layout(abi.gnttab_map_grant_ref);
  const count = 150;
  const at = guest.allocate(sizeof * count);
  for (let i = 0; i < count; i++) {
    const host_addr = BigInt((PLACE + i) * 4096);
    const op = { host_addr, flags: GNTMAP.host_map, ref: grantRef(FIRST_REF), dom: other.domain.id, status: 77 };
    guest.place(abi.gnttab_map_grant_ref, op, at + i * sizeof);
  }
  assert.equal(guest.call(NUMBER, GNTTABOP.map_grant_ref, at, count), 0);
  assert.equal(guest.load((PLACE + count - 1) * 4096), 0x11112222);
  const handles = Array.from({ length: count }, (_, i) => {
    return guest.read(abi.gnttab_map_grant_ref, at + i * sizeof).handle;
  });
  assert.equal(new Set(handles).size, count);
  assert.equal(guest.call(NUMBER, GNTTABOP.map_grant_ref, at, 0), 0);
  for (const huge of [0x80000000, 0xffffffff]) {
    assert.equal(guest.call(NUMBER, GNTTABOP.map_grant_ref, at, huge), -Errno.EINVAL);
  }
  assert.equal(guest.call(NUMBER, GNTTABOP.map_grant_ref, 0x40002000, 0x7fffffff), -Errno.EFAULT);
});

observes("grant_table_op.map_grant_ref", "entries of version 2 keep their marks apart", (guest, machine) => {
  const other = granter(guest, machine);
  const version = other.op(NUMBER, GNTTABOP.set_version, abi.gnttab_set_version, { version: 2 });
  assert.equal(version.result, 0);
  grantV2(other, FIRST_REF, { flags: GTF.permit_access, domid: guest.domain.id, frame: BigInt(GRANTED) });
  grantV2(other, FIRST_REF + 1, { flags: GTF.permit_access, domid: guest.domain.id, frame: 1n << 40n });
  assert.equal(addToPhysmap(other, XENMAPSPACE.grant_table, 0x80000000, TABLE + 1), 0);
  const marks = (): number => other.u32((TABLE + 1) * 4096 + FIRST_REF * 2) & 0xffff;
  const { out } = map(guest, other.domain.id, FIRST_REF);
  assert.equal(out.status, GNTST.okay);
  assert.equal(guest.load(PLACE * 4096), 0x11112222);
  assert.deepEqual([flagsOf2(other), marks()], [GTF.permit_access, GTF.reading | GTF.writing]);
  assert.equal(unmap(guest, out.handle).out.status, GNTST.okay);
  assert.equal(marks(), 0);
  assert.equal(map(guest, other.domain.id, FIRST_REF + 1).out.status, GNTST.bad_page);
  const part = { flags: GTF.permit_access | GTF.sub_page, domid: guest.domain.id, page_off: 16, length: 32 };
  grantV2(other, FIRST_REF + 2, { ...part, frame: BigInt(GRANTED) });
  assert.equal(map(guest, other.domain.id, FIRST_REF + 2).out.status, GNTST.general_error, "part of a page");
  function flagsOf2(owner: Guest): number {
    return owner.u32(TABLE * 4096 + FIRST_REF * 16) & 0xffff;
  }
});
