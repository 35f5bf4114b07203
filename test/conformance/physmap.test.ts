/** Guests that move pages about in their memory, and put the hypervisor's pages there. */
import assert from "node:assert/strict";
import { Errno } from "../../src/abi/errno.ts";
import * as abi from "../../src/abi/memory.ts";
import { domainId } from "../../src/abi/types.ts";
import { DOMID, HYPERVISOR, shared_info } from "../../src/abi/xen.ts";
import type { Argument, Guest } from "./guest.ts";
import { Memory, Window } from "./layout.ts";
import { observes } from "./observes.ts";
import { addToPhysmap } from "./shared-info.ts";

const { XENMAPSPACE, XENMEM } = abi;
const NUMBER = HYPERVISOR.memory_op;
const FREE = Memory.freeFrame;
const NOWHERE = 0xffffffff;
/** A frame that leads nowhere until something is put there. */
const EMPTY = 0x900;
const HOSTILE_PLACES = [0xfee00, 0x100000, 0xffffffff];

function addRange(guest: Guest, index: Argument, gfn: Argument, size: number): number {
  const value = { domid: DOMID.SELF, space: XENMAPSPACE.gmfn_range, size, idx: BigInt(index), gpfn: BigInt(gfn) };
  return guest.op(NUMBER, XENMEM.add_to_physmap, abi.xen_add_to_physmap, value).result;
}
/** @returns the result, and the result for each. */
function addBatch(
  guest: Guest,
  space: number,
  list: readonly (readonly [index: Argument, gfn: Argument])[],
  size = list.length,
) {
  const errs = guest.placeNumbers(
    4,
    list.map(() => 77),
  );
  const value = {
    domid: DOMID.SELF,
    space,
    size,
    idxs: BigInt(guest.placeLongs(list.map(([index]) => index))),
    gpfns: BigInt(guest.placeLongs(list.map(([, gfn]) => gfn))),
    errs: BigInt(errs),
  };
  const { result } = guest.op(NUMBER, XENMEM.add_to_physmap_batch, abi.xen_add_to_physmap_batch, value);
  return { result, errs: list.map((_, i) => guest.u32(errs + i * 4) | 0) };
}
function remove(guest: Guest, gpfn: Argument, domid: number = DOMID.SELF): number {
  const value = { domid: domainId(domid), gpfn: BigInt(gpfn) };
  return guest.op(NUMBER, XENMEM.remove_from_physmap, abi.xen_remove_from_physmap, value).result;
}
/** Marks pages with their own numbers. */
function mark(guest: Guest, first: number, count: number): void {
  for (let gfn = first; gfn < first + count; gfn++) guest.setU32(gfn * 4096, gfn);
}
const marks = (guest: Guest, first: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => guest.load((first + i) * 4096));
const numbers = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i);

observes("memory_op.add_to_physmap", "shared_info is where the guest wants it, in place of what was there", (guest) => {
  guest.store(FREE * 4096, 0x5a5a5a5a);
  assert.equal(addToPhysmap(guest, XENMAPSPACE.shared_info, 0, FREE), 0);
  const seconds = (gfn: number): number => guest.load(gfn * 4096 + shared_info.offsets.wc_sec);
  assert.equal(seconds(FREE), 1_700_000_000, "the wall clock, at system time 0");
  assert.equal(addToPhysmap(guest, XENMAPSPACE.shared_info, 0, EMPTY), 0);
  assert.equal(seconds(EMPTY), 1_700_000_000);
  assert.equal(seconds(FREE), NOWHERE, "and no longer where it was");
  for (const index of [1, 0x7fffffff, 0xffffffff]) {
    assert.equal(addToPhysmap(guest, XENMAPSPACE.shared_info, index, FREE), -Errno.EINVAL);
  }
  for (const gfn of HOSTILE_PLACES) assert.equal(addToPhysmap(guest, XENMAPSPACE.shared_info, 0, gfn), -Errno.EINVAL);
  assert.equal(seconds(EMPTY), 1_700_000_000);
});

observes("memory_op.add_to_physmap", "the grant table grows to the frame that is asked for", (guest) => {
  assert.equal(addToPhysmap(guest, XENMAPSPACE.grant_table, 3, EMPTY), 0);
  guest.store(EMPTY * 4096 + 8, 0x11223344);
  assert.equal(addToPhysmap(guest, XENMAPSPACE.grant_table, 3, EMPTY + 1), 0);
  assert.deepEqual([guest.load(EMPTY * 4096 + 8), guest.load((EMPTY + 1) * 4096 + 8)], [NOWHERE, 0x11223344]);
  assert.equal(addToPhysmap(guest, XENMAPSPACE.grant_table, 63, EMPTY), 0);
  for (const index of [64, 0x7fffffff, 0x80000000, 0xffffffff]) {
    assert.equal(addToPhysmap(guest, XENMAPSPACE.grant_table, index, EMPTY), -Errno.EINVAL, `${index}`);
  }
  if (guest.bits === 64) assert.equal(addToPhysmap(guest, XENMAPSPACE.grant_table, 1n << 40n, EMPTY), -Errno.EINVAL);
});

observes("memory_op.add_to_physmap", "a page moves to another frame", (guest) => {
  mark(guest, FREE, 2);
  assert.equal(guest.load(FREE * 4096), FREE);
  assert.equal(addToPhysmap(guest, XENMAPSPACE.gmfn, FREE, EMPTY), 0);
  assert.deepEqual([guest.load(EMPTY * 4096), guest.load(FREE * 4096)], [FREE, NOWHERE]);
  assert.equal(addToPhysmap(guest, XENMAPSPACE.gmfn, EMPTY, FREE + 1), 0);
  assert.equal(guest.load((FREE + 1) * 4096), FREE);
  assert.equal(addToPhysmap(guest, XENMAPSPACE.gmfn, FREE + 1, FREE + 1), 0, "to where it is");
  assert.equal(guest.load((FREE + 1) * 4096), FREE);
  for (const index of [EMPTY, 0xfee00, 0x100000, 0xffffffff]) {
    assert.equal(addToPhysmap(guest, XENMAPSPACE.gmfn, index, FREE + 1), -Errno.EACCES, `${index}`);
  }
  assert.equal(guest.load((FREE + 1) * 4096), FREE, "nothing is lost by it");
});

observes("memory_op.add_to_physmap", "a range of pages moves, also onto itself", (guest) => {
  mark(guest, FREE, 8);
  marks(guest, FREE, 8);
  assert.equal(addRange(guest, FREE, EMPTY, 4), 0);
  assert.deepEqual(marks(guest, EMPTY, 4), numbers(FREE, 4));
  assert.equal(addRange(guest, EMPTY, EMPTY + 2, 4), 0, "upwards");
  assert.deepEqual(marks(guest, EMPTY, 6), [NOWHERE, NOWHERE, ...numbers(FREE, 4)]);
  assert.equal(addRange(guest, EMPTY + 2, EMPTY + 1, 4), 0, "downwards");
  assert.deepEqual(marks(guest, EMPTY, 6), [NOWHERE, ...numbers(FREE, 4), NOWHERE]);
  assert.equal(addRange(guest, EMPTY + 1, EMPTY, 0), 0);
});

observes("memory_op.add_to_physmap", "a range that breaks off has moved as far as it came", (guest) => {
  mark(guest, FREE, 2);
  assert.deepEqual(marks(guest, FREE, 2), numbers(FREE, 2));
  // Behind the second page there is nothing.
  assert.equal(remove(guest, FREE + 2), 0);
  assert.equal(addRange(guest, FREE, EMPTY, 4), -Errno.EACCES);
  assert.deepEqual(marks(guest, FREE, 2), [NOWHERE, NOWHERE], "not even the processor remembers");
  assert.deepEqual(marks(guest, EMPTY, 2), numbers(FREE, 2));
  const last = (1n << BigInt(guest.bits)) - 2n;
  assert.equal(addRange(guest, last, EMPTY, 4), guest.bits === 64 ? -Errno.EOVERFLOW : -Errno.EACCES);
  assert.equal(addRange(guest, EMPTY, last, 4), guest.bits === 64 ? -Errno.EOVERFLOW : -Errno.EINVAL);
});

observes("memory_op.add_to_physmap", "only in one's own domain, from spaces that there are", (guest) => {
  const add = (domid: number, space: number): number => {
    const value = { domid: domainId(domid), space, idx: 0n, gpfn: BigInt(EMPTY) };
    return guest.op(NUMBER, XENMEM.add_to_physmap, abi.xen_add_to_physmap, value).result;
  };
  assert.equal(add(0, XENMAPSPACE.shared_info), -Errno.EPERM);
  assert.equal(add(77, XENMAPSPACE.shared_info), -Errno.ESRCH);
  assert.equal(add(DOMID.SELF, XENMAPSPACE.gmfn_foreign), -Errno.ENOSYS);
  for (const space of [6, 0x7fffffff, 0xffffffff]) assert.ok(add(DOMID.SELF, space) < 0, `${space}`);
  assert.equal(guest.load(EMPTY * 4096), NOWHERE);
  assert.equal(add(guest.domain.id, XENMAPSPACE.shared_info), 0);
});

observes("memory_op.add_to_physmap_batch", "each page has its own result", (guest) => {
  mark(guest, FREE, 3);
  marks(guest, FREE, 3);
  const { result, errs } = addBatch(guest, XENMAPSPACE.gmfn, [
    [FREE, EMPTY],
    [EMPTY + 8, EMPTY + 9],
    [FREE + 1, EMPTY + 1],
    [FREE + 2, 0x100000],
  ]);
  assert.deepEqual([result, ...errs], [0, 0, -Errno.EACCES, 0, -Errno.EINVAL]);
  assert.deepEqual(marks(guest, EMPTY, 2), numbers(FREE, 2));
  assert.deepEqual(marks(guest, FREE, 3), [NOWHERE, NOWHERE, FREE + 2]);
  assert.equal(addBatch(guest, XENMAPSPACE.gmfn, []).result, 0);
});

observes("memory_op.add_to_physmap_batch", "long lists are done in pieces, to their end", (guest) => {
  const count = 1500;
  const list = Array.from({ length: count }, (_, i) => [FREE + (i % 2), FREE + ((i + 1) % 2)] as const);
  guest.setU32(FREE * 4096, 4711);
  const { result, errs } = addBatch(guest, XENMAPSPACE.gmfn, list);
  assert.equal(result, 0);
  assert.deepEqual(new Set(errs), new Set([0]), "each of them was done once");
  assert.equal(guest.load(FREE * 4096), 4711, "an even number of moves");
});

observes("memory_op.add_to_physmap_batch", "one that breaks off has moved as far as it came", (guest) => {
  mark(guest, FREE, 1);
  marks(guest, FREE, 1);
  const width = guest.bits / 8;
  const last = Memory.windowFrames + 0x1000 - width;
  guest.write(last, guest.layout(abi.xen_memory_domain).encode({ domid: domainId(0) }));
  guest.placeNumbers(width === 4 ? 4 : 8, [FREE], last);
  const value = {
    domid: DOMID.SELF,
    space: XENMAPSPACE.gmfn,
    size: 2,
    idxs: BigInt(Window.absent - width),
    gpfns: BigInt(guest.placeLongs([EMPTY, EMPTY + 1])),
    errs: BigInt(guest.placeNumbers(4, [77, 77])),
  };
  const { result } = guest.op(NUMBER, XENMEM.add_to_physmap_batch, abi.xen_add_to_physmap_batch, value);
  assert.equal(result, -Errno.EFAULT);
  assert.deepEqual([guest.load(EMPTY * 4096), guest.load(FREE * 4096)], [FREE, NOWHERE]);
});

observes("memory_op.add_to_physmap_batch", "not for ranges, nor for others", (guest) => {
  assert.equal(addBatch(guest, XENMAPSPACE.gmfn_range, [[FREE, EMPTY]]).result, -Errno.EOPNOTSUPP);
  const add = (domid: number): number => {
    const value = { domid: domainId(domid), space: XENMAPSPACE.shared_info, size: 1 };
    return guest.op(NUMBER, XENMEM.add_to_physmap_batch, abi.xen_add_to_physmap_batch, value).result;
  };
  assert.equal(add(0), -Errno.EPERM);
  assert.equal(add(77), -Errno.ESRCH);
});

observes("memory_op.remove_from_physmap", "the frame leads nowhere", (guest) => {
  mark(guest, FREE, 1);
  assert.equal(guest.load(FREE * 4096), FREE);
  assert.equal(remove(guest, FREE), 0);
  assert.equal(guest.load(FREE * 4096), NOWHERE);
  assert.equal(remove(guest, FREE), -Errno.ENOENT);
  for (const gfn of [EMPTY, ...HOSTILE_PLACES]) assert.equal(remove(guest, gfn), -Errno.ENOENT, `${gfn}`);
  if (guest.bits === 64) assert.equal(remove(guest, 1n << 52n), -Errno.ENOENT);
  assert.equal(remove(guest, FREE + 1, 0), -Errno.EPERM);
  assert.equal(remove(guest, FREE + 1, 77), -Errno.ESRCH);
  assert.equal(addToPhysmap(guest, XENMAPSPACE.shared_info, 0, FREE), 0);
  assert.equal(remove(guest, FREE), 0, "shared_info, too");
  assert.equal(guest.load(FREE * 4096), NOWHERE);
  assert.equal(addToPhysmap(guest, XENMAPSPACE.shared_info, 0, FREE), 0, "which is not lost");
});
