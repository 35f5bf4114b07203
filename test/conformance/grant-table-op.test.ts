/** Guests that copy through grants, and look after their grant tables. */
import assert from "node:assert/strict";
import { Errno } from "../../src/abi/errno.ts";
import * as abi from "../../src/abi/grant_table.ts";
import { XENMAPSPACE } from "../../src/abi/memory.ts";
import { domainId, grantRef } from "../../src/abi/types.ts";
import { DOMID, HYPERVISOR } from "../../src/abi/xen.ts";
import { mapGrant } from "../../src/hypervisor/control.ts";
import { FIRST_REF, flagsOf, grant, GRANTED, grantV2, mapTable, TABLE } from "./grants.ts";
import type { Guest } from "./guest.ts";
import { Memory, Window } from "./layout.ts";
import { observes } from "./observes.ts";
import { addToPhysmap } from "./shared-info.ts";

const { GNTCOPY, GNTST, GNTTABOP, GTF } = abi;
const NUMBER = HYPERVISOR.grant_table_op;
const HERE = Memory.freeFrame + 0x20;

interface Side {
  readonly dom?: number;
  readonly gfn?: number;
  readonly ref?: number;
  readonly offset?: number;
}
const pointer = ({ dom = DOMID.SELF, gfn, ref, offset = 0 }: Side) => ({
  u: BigInt(ref ?? gfn ?? 0),
  domid: domainId(dom),
  offset,
});
function copy(guest: Guest, source: Side, dest: Side, len = 4): number {
  const flags = (source.ref === undefined ? 0 : GNTCOPY.source_gref) | (dest.ref === undefined ? 0 : GNTCOPY.dest_gref);
  const op = { source: pointer(source), dest: pointer(dest), len, flags, status: 77 };
  const { result, out } = guest.op(NUMBER, GNTTABOP.copy, abi.gnttab_copy, op, 1);
  assert.equal(result, 0);
  return out.status;
}
function setVersion(guest: Guest, version: number) {
  return guest.op(NUMBER, GNTTABOP.set_version, abi.gnttab_set_version, { version });
}

observes("grant_table_op.copy", "between pages of two domains, both ways", (guest, machine) => {
  const other = machine.guest({ bits: guest.bits === 32 ? 64 : 32 });
  const dom = other.domain.id;
  mapTable(other);
  grant(other, FIRST_REF, guest.domain.id, GRANTED);
  other.setU32(GRANTED * 4096 + 0x100, 0x11112222);
  assert.equal(copy(guest, { dom, ref: FIRST_REF, offset: 0x100 }, { gfn: HERE, offset: 0x200 }), GNTST.okay);
  assert.equal(guest.load(HERE * 4096 + 0x200), 0x11112222);
  guest.setU32(HERE * 4096, 0x33334444);
  assert.equal(copy(guest, { gfn: HERE }, { dom, ref: FIRST_REF, offset: 4092 }), GNTST.okay);
  assert.equal(other.load(GRANTED * 4096 + 4092), 0x33334444);
  assert.equal(copy(guest, { gfn: HERE }, { dom, ref: FIRST_REF }, 4096), GNTST.okay, "all of a page");
  assert.equal(flagsOf(other, FIRST_REF), GTF.permit_access, "no mark is left");
});

observes("grant_table_op.copy", "onto code, which is executed as it is then", (guest) => {
  // The page has code that leaves 1 in EAX; what is copied onto it leaves 2.
  const at = HERE * 4096;
  const code = (value: number): Uint8Array => Uint8Array.of(0xb8, value, 0, 0, 0, 0xc3);
  guest.write(at, code(1));
  guest.write(at + 4096, code(2));
  const run = (): number => {
    guest.mail("address", at);
    return guest.callBy("hypercall_page", 0);
  };
  assert.equal(run(), 1);
  assert.equal(copy(guest, { gfn: HERE + 1 }, { gfn: HERE }, 6), GNTST.okay);
  assert.equal(run(), 2);
});

observes("grant_table_op.copy", "not past a page, nor what is not granted", (guest, machine) => {
  const other = machine.guest({ bits: guest.bits });
  const dom = other.domain.id;
  mapTable(other);
  grant(other, FIRST_REF, guest.domain.id, GRANTED);
  grant(other, FIRST_REF + 1, guest.domain.id, GRANTED, GTF.permit_access | GTF.readonly);
  grant(other, FIRST_REF + 2, 0, GRANTED);
  const own = { gfn: HERE };
  other.setU32(GRANTED * 4096, 0x11112222);
  for (const [offset, len] of [
    [4093, 4],
    [4096, 1],
    [65535, 1],
    [0, 4097],
    [1, 65535],
  ] as const) {
    assert.equal(copy(guest, { dom, ref: FIRST_REF, offset }, own, len), GNTST.bad_copy_arg, `${offset} ${len}`);
    assert.equal(copy(guest, own, { dom, ref: FIRST_REF, offset }, len), GNTST.bad_copy_arg, `${offset} ${len}`);
  }
  assert.equal(copy(guest, own, { dom, ref: FIRST_REF + 1 }), GNTST.general_error, "for reading only");
  assert.equal(copy(guest, { dom, ref: FIRST_REF + 1 }, own), GNTST.okay);
  assert.equal(copy(guest, { dom, ref: FIRST_REF + 2 }, own), GNTST.general_error, "granted to another");
  assert.equal(copy(guest, { dom, ref: 512 }, own), GNTST.bad_gntref);
  assert.equal(copy(guest, { dom, ref: 0xffffffff }, own), GNTST.bad_gntref);
  assert.equal(copy(guest, { dom, gfn: GRANTED }, own), GNTST.permission_denied, "another's page without a grant");
  assert.equal(copy(guest, own, { dom, gfn: GRANTED }), GNTST.permission_denied);
  assert.equal(copy(guest, { dom: 77, ref: 1 }, own), GNTST.bad_domain);
  for (const gfn of [Memory.hole / 4096, 0xfee00, 0x100000, 0xffffffff]) {
    assert.equal(copy(guest, { gfn }, own), GNTST.bad_page, `${gfn}`);
    assert.equal(copy(guest, own, { gfn }), GNTST.bad_page, `${gfn}`);
  }
  assert.equal(other.load(GRANTED * 4096), 0x11112222);
  assert.equal(flagsOf(other, FIRST_REF), GTF.permit_access);
  assert.equal(copy(guest, { dom, ref: FIRST_REF }, own, 0), GNTST.okay, "nothing is a length, too");
});

observes("grant_table_op.copy", "of part of a page, what was granted of it", (guest, machine) => {
  const other = machine.guest({ bits: guest.bits });
  const dom = other.domain.id;
  mapTable(other);
  assert.equal(setVersion(other, 2).result, 0);
  const part = { flags: GTF.permit_access | GTF.sub_page, domid: guest.domain.id, frame: BigInt(GRANTED) };
  grantV2(other, FIRST_REF, { ...part, page_off: 16, length: 32 });
  grantV2(other, FIRST_REF + 1, { ...part, page_off: 65535, length: 65535 });
  other.setU32(GRANTED * 4096 + 16, 0x11112222);
  assert.equal(copy(guest, { dom, ref: FIRST_REF, offset: 16 }, { gfn: HERE }, 32), GNTST.okay);
  assert.equal(guest.load(HERE * 4096), 0x11112222);
  for (const [offset, len] of [
    [15, 1],
    [16, 33],
    [48, 1],
  ] as const) {
    assert.equal(copy(guest, { dom, ref: FIRST_REF, offset }, { gfn: HERE }, len), GNTST.general_error);
  }
  assert.equal(copy(guest, { dom, ref: FIRST_REF + 1 }, { gfn: HERE }, 1), GNTST.general_error);
});

observes("grant_table_op.setup_table", "the table grows, and the list says where its frames are", (guest) => {
  mapTable(guest);
  const setup = (nr_frames: number, list: number, dom: number = DOMID.SELF, count = 1) => {
    const op = { dom: domainId(dom), nr_frames, frame_list: BigInt(list), status: 77 };
    return guest.op(NUMBER, GNTTABOP.setup_table, abi.gnttab_setup_table, op, count);
  };
  const nowhere = (1n << BigInt(guest.bits)) - 1n;
  const list = guest.placeLongs([0, 0, 0, 5]);
  const { result, out } = setup(3, list);
  assert.deepEqual([result, out.status], [0, GNTST.okay]);
  const frames = [0, 1, 2, 3].map((i) => {
    return guest.bits === 64 ? guest.u64(list + i * 8) : BigInt(guest.u32(list + i * 4));
  });
  assert.deepEqual(frames, [BigInt(TABLE), nowhere, nowhere, 5n]);
  const size = guest.op(NUMBER, GNTTABOP.query_size, abi.gnttab_query_size, { dom: DOMID.SELF }, 1).out;
  assert.equal(size.nr_frames, 3);
  for (const count of [65, 0x7fffffff, 0xffffffff]) {
    assert.equal(setup(count, list).out.status, GNTST.general_error, `${count}`);
  }
  assert.equal(setup(1, list, 0).out.status, GNTST.permission_denied);
  assert.equal(setup(1, list, 77).out.status, GNTST.bad_domain);
  assert.equal(setup(3, Window.readOnly).out.status, GNTST.bad_virt_addr);
  for (const count of [0, 2, 0xffffffff]) assert.equal(setup(1, list, DOMID.SELF, count).result, -Errno.EINVAL);
});

observes("grant_table_op.query_size", "how many frames the table has and may have", (guest) => {
  const query = (dom: number, count = 1) =>
    guest.op(NUMBER, GNTTABOP.query_size, abi.gnttab_query_size, { dom: domainId(dom), status: 77 }, count);
  const before = query(DOMID.SELF).out;
  assert.deepEqual([before.status, before.max_nr_frames], [GNTST.okay, 64]);
  assert.equal(addToPhysmap(guest, XENMAPSPACE.grant_table, 4, TABLE), 0);
  assert.equal(query(guest.domain.id).out.nr_frames, 5);
  assert.equal(query(0).out.status, GNTST.permission_denied);
  assert.equal(query(77).out.status, GNTST.bad_domain);
  for (const count of [0, 2, 0xffffffff]) assert.equal(query(DOMID.SELF, count).result, -Errno.EINVAL);
});

observes("grant_table_op.set_version", "entries have the other layout, the toolstack's are kept", (guest, machine) => {
  mapTable(guest);
  grant(guest, 1, 0, GRANTED);
  grant(guest, FIRST_REF, 0, GRANTED);
  const { result, out } = setVersion(guest, 2);
  assert.deepEqual([result, out.version], [0, 2]);
  const kept = guest.read(abi.grant_entry_v2, TABLE * 4096 + 16);
  assert.deepEqual([kept.flags, kept.domid, kept.frame], [GTF.permit_access, 0, BigInt(GRANTED)]);
  assert.equal(guest.read(abi.grant_entry_v2, TABLE * 4096 + FIRST_REF * 16).flags, 0);
  grantV2(guest, 20, { flags: GTF.permit_access, domid: domainId(0), frame: BigInt(GRANTED) });
  guest.setU32(GRANTED * 4096, 0x11112222);
  const mapped = mapGrant(guest.domain, 20, "read");
  assert.ok(typeof mapped === "object");
  assert.equal(mapped.bytes[0], 0x22, "domain 0 finds what the entry names");
  const busy = setVersion(guest, 1);
  assert.deepEqual([busy.result, busy.out.version], [-Errno.EBUSY, 2], "not while one is in use");
  mapped[Symbol.dispose]();
  assert.equal(setVersion(guest, 1).result, 0);
  assert.equal(guest.read(abi.grant_entry_v1, TABLE * 4096 + 8).frame, GRANTED);
  for (const version of [0, 3, 0xffffffff]) {
    const bad = setVersion(guest, version);
    assert.deepEqual([bad.result, bad.out.version], [-Errno.EINVAL, 1], "it says which one it is");
  }
  assert.equal(machine.control.id, 0);
});

observes("grant_table_op.set_version", "not back to one that cannot say what the toolstack's entries do", (guest) => {
  mapTable(guest);
  assert.equal(setVersion(guest, 2).result, 0);
  grantV2(guest, 1, { flags: GTF.permit_access, domid: domainId(0), frame: 1n << 32n });
  assert.equal(setVersion(guest, 1).result, -Errno.ERANGE);
  grantV2(guest, 1, { flags: GTF.transitive, domid: domainId(0) });
  assert.equal(setVersion(guest, 1).result, -Errno.ERANGE);
  grantV2(guest, 1, { flags: GTF.permit_access, domid: domainId(0), frame: BigInt(GRANTED) });
  assert.equal(setVersion(guest, 1).result, 0);
});

observes("grant_table_op.get_version", "1, and then what was set", (guest) => {
  const version = (dom: number) =>
    guest.op(NUMBER, GNTTABOP.get_version, abi.gnttab_get_version, { dom: domainId(dom) });
  assert.equal(version(DOMID.SELF).out.version, 1);
  setVersion(guest, 2);
  assert.equal(version(guest.domain.id).out.version, 2);
  assert.equal(version(0).result, -Errno.EPERM);
  assert.equal(version(77).result, -Errno.ESRCH);
});

observes("grant_table_op.get_status_frames", "where version 2 has its marks, in 64 bits in either mode", (guest) => {
  mapTable(guest);
  const ask = (nr_frames: number, list: number, dom: number = DOMID.SELF) => {
    const op = { nr_frames, dom: domainId(dom), frame_list: BigInt(list), status: 77 };
    return guest.op(NUMBER, GNTTABOP.get_status_frames, abi.gnttab_get_status_frames, op, 1);
  };
  const list = guest.placeNumbers(8, [5, 5]);
  assert.equal(ask(1, list).out.status, GNTST.general_error, "version 1 has none");
  assert.equal(setVersion(guest, 2).result, 0);
  assert.equal(ask(1, list).out.status, GNTST.okay);
  assert.deepEqual([guest.u64(list), guest.u64(list + 8)], [(1n << 64n) - 1n, 5n]);
  assert.equal(addToPhysmap(guest, XENMAPSPACE.grant_table, 0x80000000, TABLE + 1), 0);
  assert.equal(ask(1, list).out.status, GNTST.okay);
  assert.equal(guest.u64(list), BigInt(TABLE + 1));
  for (const count of [9, 0x7fffffff, 0xffffffff]) {
    assert.equal(ask(count, list).out.status, GNTST.general_error, `${count}`);
  }
  assert.equal(ask(1, Window.readOnly).out.status, GNTST.bad_virt_addr);
  assert.equal(ask(1, list, 0).out.status, GNTST.permission_denied);
  assert.equal(ask(1, list, 77).out.status, GNTST.bad_domain);
});

observes("grant_table_op.swap_grant_ref", "two entries change places, unless one is in use", (guest) => {
  mapTable(guest);
  grant(guest, 9, 0, GRANTED);
  grant(guest, 10, 5, GRANTED + 1);
  const swap = (a: number, b: number): number => {
    const op = { ref_a: grantRef(a), ref_b: grantRef(b), status: 77 };
    return guest.op(NUMBER, GNTTABOP.swap_grant_ref, abi.gnttab_swap_grant_ref, op, 1).out.status;
  };
  assert.equal(swap(9, 10), GNTST.okay);
  const entry = (ref: number) => guest.read(abi.grant_entry_v1, TABLE * 4096 + ref * 8);
  assert.deepEqual([entry(9).domid, entry(9).frame, entry(10).domid], [5, GRANTED + 1, 0]);
  using mapped = mapGrant(guest.domain, 10, "read") as Disposable;
  assert.ok(Symbol.dispose in mapped);
  assert.equal(swap(9, 10), GNTST.eagain);
  assert.equal(swap(10, 10), GNTST.okay, "with itself it always can");
  for (const ref of [512, 0x80000000, 0xffffffff]) {
    assert.equal(swap(9, ref), GNTST.bad_gntref, `${ref}`);
    assert.equal(swap(ref, 9), GNTST.bad_gntref, `${ref}`);
  }
});
