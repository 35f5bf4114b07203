/** HYPERVISOR_memory_op(cmd, arg). xen/include/public/memory.h; xen/common/memory.c. */

import { Errno } from "../../abi/errno.ts";
import {
  e820entry,
  MEMOP_EXTENT_SHIFT,
  xen_add_to_physmap,
  xen_add_to_physmap_batch,
  xen_memory_domain,
  xen_memory_map,
  xen_memory_reservation,
  xen_remove_from_physmap,
  XENMAPIDX_grant_table_status,
  XENMAPSPACE,
  XENMEM,
} from "../../abi/memory.ts";
import { i32, u32AsBigint, u64 } from "../../bits/integers.ts";
import { P2mType } from "../../engine/engine.ts";
import type { Domain } from "../domain.ts";
import { grantVersion, growGrantTable } from "../grant-table.ts";
import { DOMAIN } from "../heap.ts";
import { absent, flushAll, hypercall, layout, operation, refused, subcommand } from "../hypercall.ts";
import type { Caller, HypercallResult, Operation } from "../hypercall.ts";
import { isPlaceable, place, placeHypervisorFrame, populatePage, removePage } from "../p2m.ts";

/** Extents done before a long call is interrupted, so that the domain can be paused in the middle. */
const EXTENTS_AT_ONCE = 1024;
/** Largest extent a guest may ask for. Xen: CONFIG_DOMU_MAX_ORDER */
const MAX_ORDER = 9;

const toolstack = "for the toolstack, which does not call by hypercall here";
const paging = "memory is neither paged out nor shared between domains";

/** What is behind a domain's guest frames. */
export const memory_op = hypercall(
  "memory_op",
  XENMEM,
  {
    increase_reservation: operation((caller, at) => reservation(caller, at, "increase")),
    decrease_reservation: operation((caller, at) => reservation(caller, at, "decrease")),
    populate_physmap: operation((caller, at) => reservation(caller, at, "populate")),
    exchange: refused(Errno.EOPNOTSUPP, "machine frames mean nothing to a translated guest"),
    maximum_ram_page: whole(operation((caller) => caller.domain.memory.endFrame - 1)),
    current_reservation: ofDomain((domain) => domain.get(DOMAIN.totalPages)),
    maximum_reservation: ofDomain((domain) => domain.get(DOMAIN.maxPages)),
    maximum_gpfn: ofDomain((domain) => domain.get(DOMAIN.maxGfn)),
    machphys_mfn_list: absent("for PV guests"),
    machphys_compat_mfn_list: absent("for PV guests"),
    machphys_mapping: absent("for PV guests"),
    add_to_physmap: subcommand(xen_add_to_physmap, addToPhysmap),
    add_to_physmap_batch: operation(addToPhysmapBatch),
    remove_from_physmap: whole(subcommand(xen_remove_from_physmap, removeFromPhysmap)),
    memory_map: subcommand(xen_memory_map, memoryMap),
    machine_memory_map: refused(Errno.EPERM, toolstack),
    set_memory_map: refused(Errno.EPERM, toolstack),
    set_pod_target: refused(Errno.EPERM, toolstack),
    get_pod_target: refused(Errno.EPERM, toolstack),
    get_sharing_freed_pages: absent(paging),
    get_sharing_shared_pages: absent(paging),
    paging_op: absent(paging),
    access_op: absent("no monitor listens"),
    sharing_op: absent(paging),
    claim_pages: refused(Errno.EPERM, toolstack),
    get_vnumainfo: refused(Errno.EOPNOTSUPP, "a domain has one NUMA node"),
    reserved_device_memory_map: absent("no devices are passed through"),
    acquire_resource: refused(Errno.EPERM, toolstack),
  },
  { mask: (1 << MEMOP_EXTENT_SHIFT) - 1 },
);

/** How much of a long call is done: the upper bits of its command. */
function startOf(caller: Caller): number {
  return Number(BigInt.asUintN(32, caller.args[0] ?? 0n) >> BigInt(MEMOP_EXTENT_SHIFT));
}

/** Interrupts a long call: the guest will make it again, with how much of it is done. */
function proceedFrom(caller: Caller, done: number): "continue" {
  const command = BigInt.asUintN(MEMOP_EXTENT_SHIFT, caller.args[0] ?? 0n);
  caller.args[0] = command | (BigInt(done) << BigInt(MEMOP_EXTENT_SHIFT));
  return "continue";
}

/** An operation that is never interrupted. -EINVAL for one that is said to have been. */
function whole(wanted: Operation): Operation {
  if (wanted.kind !== "implemented") return wanted;
  return operation((caller, argument) => (startOf(caller) === 0 ? wanted.run(caller, argument) : -Errno.EINVAL));
}

/** A question about a domain. -ESRCH, -EPERM. */
function ofDomain(answer: (domain: Domain) => number): Operation {
  const question = subcommand(xen_memory_domain, (caller: Caller, op: xen_memory_domain) => {
    const domain = caller.findDomain(op.domid);
    if (domain === undefined) return -Errno.ESRCH;
    return caller.mayControl(domain) ? answer(domain) : -Errno.EPERM;
  });
  return whole(question);
}

/**
 * Does a list of extents, from the one that the command's upper bits name. @returns how many are done: all of them
 * together, also in calls before; fewer than asked for where one could not be done. Xen: do_memory_op()
 */
function reservation(caller: Caller, address: bigint, kind: "increase" | "decrease" | "populate"): HypercallResult {
  const codec = layout(caller, xen_memory_reservation);
  const bytes = caller.copyIn(address, codec.sizeof);
  const start = startOf(caller);
  if (bytes === undefined) return start;
  const op = codec.read(bytes);
  const domain = caller.findDomain(op.domid);
  // What has been done is what a bad argument ends with: Xen returns `start_extent` for all of these.
  if (domain === undefined || domain !== caller.domain || op.extent_order > MAX_ORDER) return start;
  if (op.nr_extents > 0xffffffffn >> BigInt(MEMOP_EXTENT_SHIFT)) return start;
  const extents = Number(op.nr_extents);
  // A translated guest gets memory by guest frame number, with populate_physmap.
  if (kind === "increase" || start >= extents) return start;

  const size = caller.compat ? 4 : 8;
  const member = caller.compat ? u32AsBigint : u64;
  let done = start;
  const until = Math.min(extents, start + EXTENTS_AT_ONCE);
  for (; done < until; done++) {
    const entry = caller.copyIn(op.extent_start + BigInt(done * size), size);
    if (entry === undefined) break;
    const gfn = member.get(new DataView(entry.buffer), 0);
    if (!extent(domain, gfn, 1 << op.extent_order, kind)) break;
  }
  if (kind === "decrease" || done > start) flushAll(caller);
  return done < until || done === extents ? done : proceedFrom(caller, done);
}

function extent(domain: Domain, gfn: bigint, pages: number, kind: "decrease" | "populate"): boolean {
  if (gfn + BigInt(pages) > BigInt(domain.memory.p2mFrames)) return false;
  const first = Number(gfn);
  for (let page = first; page < first + pages; page++) {
    if (kind === "decrease" ? !removePage(domain, page) : !isPlaceable(domain, page) || !populatePage(domain, page)) {
      return false;
    }
  }
  return true;
}

/** -ENOSYS: foreign pages come in batches. -ESRCH, -EPERM: for one's own domain only; then as {@link addPage}. */
function addToPhysmap(caller: Caller, op: xen_add_to_physmap): HypercallResult {
  if (op.space === XENMAPSPACE.gmfn_foreign) return -Errno.ENOSYS;
  const domain = caller.findDomain(op.domid);
  if (domain === undefined) return -Errno.ESRCH;
  if (domain !== caller.domain) return -Errno.EPERM;
  if (op.space === XENMAPSPACE.gmfn_range) return addRange(caller, op);
  const result = addPage(domain, op.space, op.idx, op.gpfn);
  if (result === 0) flushAll(caller);
  return result;
}

/** -EILSEQ, -EOVERFLOW; then as {@link addPage}. What has moved before a page that cannot has moved. */
function addRange(caller: Caller, { idx, gpfn, size }: xen_add_to_physmap): HypercallResult {
  const start = startOf(caller);
  const length = BigInt(size);
  if (start > size) return -Errno.EILSEQ;
  if (BigInt.asUintN(64, idx + length) < idx || BigInt.asUintN(64, gpfn + length) < gpfn) return -Errno.EOVERFLOW;
  // Where a range moves up onto itself its end moves first.
  const backwards = gpfn > idx && gpfn < idx + length;
  const until = Math.min(size, start + EXTENTS_AT_ONCE);
  let result = 0;
  for (let done = start; done < until && result === 0; done++) {
    const page = BigInt(backwards ? size - 1 - done : done);
    result = addPage(caller.domain, XENMAPSPACE.gmfn, idx + page, gpfn + page);
  }
  flushAll(caller);
  return result !== 0 || until === size ? result : proceedFrom(caller, until);
}

/**
 * Puts a page of a space at a guest frame. -EINVAL: no such page or place. -EACCES: what is to move is no RAM.
 * Xen: xenmem_add_to_physmap_one()
 */
function addPage(domain: Domain, space: number, index: bigint, gpfn: bigint): number {
  if (gpfn >= BigInt(domain.memory.p2mFrames) || !isPlaceable(domain, Number(gpfn))) return -Errno.EINVAL;
  const gfn = Number(gpfn);
  switch (space) {
    case XENMAPSPACE.shared_info:
      if (index !== 0n) return -Errno.EINVAL;
      placeHypervisorFrame(domain, domain.get(DOMAIN.sharedInfoFrame), DOMAIN.sharedInfoGfn, gfn);
      return 0;
    case XENMAPSPACE.grant_table:
      return addGrantFrame(domain, index, gfn);
    case XENMAPSPACE.gmfn: {
      const { memory } = domain;
      const frame = index < BigInt(memory.p2mFrames) ? memory.findFrame(Number(index)) : undefined;
      if (frame === undefined || memory.p2mType(Number(index)) !== P2mType.ram) return -Errno.EACCES;
      if (Number(index) === gfn) return 0;
      memory.setP2m(Number(index), 0);
      removePage(domain, gfn);
      place(domain, gfn, frame);
      return 0;
    }
    case XENMAPSPACE.gmfn_foreign:
      return -Errno.EPERM;
    default:
      return -Errno.ENOSYS;
  }
}

/** Frames of entries, growing the table as needed, and of version 2's status words. */
function addGrantFrame(domain: Domain, index: bigint, gfn: number): number {
  const status = (index & BigInt(XENMAPIDX_grant_table_status)) !== 0n;
  const number = index & ~BigInt(XENMAPIDX_grant_table_status);
  if (number >= BigInt(domain.get(DOMAIN.maxGrantFrames))) return -Errno.EINVAL;
  const i = Number(number);
  if (status) {
    if (grantVersion(domain) !== 2 || i >= domain.get(DOMAIN.statusFrames)) return -Errno.EINVAL;
    placeHypervisorFrame(domain, domain.get(DOMAIN.statusFrame + i), DOMAIN.statusGfn + i, gfn);
    return 0;
  }
  if (i >= domain.get(DOMAIN.grantFrames) && !growGrantTable(domain, i + 1)) return -Errno.EINVAL;
  placeHypervisorFrame(domain, domain.get(DOMAIN.grantFrame + i), DOMAIN.grantGfn + i, gfn);
  return 0;
}

/** As add_to_physmap for each of a list, with a result for each. -EOPNOTSUPP: ranges. -EILSEQ, -EFAULT. */
function addToPhysmapBatch(caller: Caller, address: bigint): HypercallResult {
  const codec = layout(caller, xen_add_to_physmap_batch);
  const bytes = caller.copyIn(address, codec.sizeof);
  if (bytes === undefined) return -Errno.EFAULT;
  const op = codec.read(bytes);
  if (op.space === XENMAPSPACE.gmfn_range) return -Errno.EOPNOTSUPP;
  const domain = caller.findDomain(op.domid);
  if (domain === undefined) return -Errno.ESRCH;
  if (domain !== caller.domain) return -Errno.EPERM;
  const start = startOf(caller);
  if (start > op.size || (start === op.size && start > 0)) return -Errno.EILSEQ;
  const until = Math.min(op.size, start + EXTENTS_AT_ONCE);
  let result = 0;
  for (let i = start; i < until && result === 0; i++) result = addBatched(caller, op, i);
  flushAll(caller);
  return result !== 0 || until === op.size ? result : proceedFrom(caller, until);
}

/** One page of a batch. -EFAULT; what comes of the page itself goes into the list. */
function addBatched(caller: Caller, op: xen_add_to_physmap_batch, i: number): number {
  const size = caller.compat ? 4 : 8;
  const member = caller.compat ? u32AsBigint : u64;
  const index = caller.copyIn(op.idxs + BigInt(i * size), size);
  const gpfn = caller.copyIn(op.gpfns + BigInt(i * size), size);
  if (index === undefined || gpfn === undefined) return -Errno.EFAULT;
  const from = member.get(new DataView(index.buffer), 0);
  const error = new Uint8Array(4);
  i32.set(
    new DataView(error.buffer),
    0,
    addPage(caller.domain, op.space, from, member.get(new DataView(gpfn.buffer), 0)),
  );
  return caller.copyOut(op.errs + BigInt(i * 4), error) ? 0 : -Errno.EFAULT;
}

/** -ESRCH, -EPERM, -ENOENT: nothing is there. */
function removeFromPhysmap(caller: Caller, op: xen_remove_from_physmap): HypercallResult {
  const domain = caller.findDomain(op.domid);
  if (domain === undefined) return -Errno.ESRCH;
  if (domain !== caller.domain) return -Errno.EPERM;
  if (op.gpfn >= BigInt(domain.memory.p2mFrames) || !removePage(domain, Number(op.gpfn))) return -Errno.ENOENT;
  flushAll(caller);
  return 0;
}

/** Copies as many entries of the toolstack's map as there is room for, and says how many. -EFAULT. */
function memoryMap(caller: Caller, op: xen_memory_map): HypercallResult {
  const ranges = caller.cpu.config.memoryMap.slice(0, op.nr_entries);
  for (const [i, { address, size, type }] of ranges.entries()) {
    const entry = e820entry.encode({
      addr_low: address % 2 ** 32,
      addr_high: Math.floor(address / 2 ** 32),
      size_low: size % 2 ** 32,
      size_high: Math.floor(size / 2 ** 32),
      type,
    });
    if (!caller.copyOut(op.buffer + BigInt(i * e820entry.sizeof), entry)) return -Errno.EFAULT;
  }
  op.nr_entries = ranges.length;
  return 0;
}
