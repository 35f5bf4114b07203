/**
 * HYPERVISOR_grant_table_op(cmd, uop, count). xen/include/public/grant_table.h; xen/common/grant_table.c.
 *
 * A mapped grant is a foreign page in the mapper's p2m, also where mapper and granter are the same domain: see
 * ../foreign.ts. Domain 0 has no memory, so that nothing can be mapped or copied from it.
 */

import { Errno } from "../../abi/errno.ts";
import {
  GNTCOPY,
  GNTMAP,
  GNTST,
  GNTTAB,
  gnttab_copy,
  gnttab_get_status_frames,
  gnttab_get_version,
  gnttab_map_grant_ref,
  gnttab_query_size,
  gnttab_set_version,
  gnttab_setup_table,
  gnttab_swap_grant_ref,
  gnttab_unmap_grant_ref,
  GNTTABOP,
} from "../../abi/grant_table.ts";
import type { gnttab_copy_ptr } from "../../abi/grant_table.ts";
import { domainId } from "../../abi/types.ts";
import type { DomainId, DualStruct } from "../../abi/types.ts";
import { XEN_PAGE_SIZE } from "../../abi/xen.ts";
import { u32AsBigint, u64 } from "../../bits/integers.ts";
import type { Member } from "../../bits/integers.ts";
import type { Struct } from "../../bits/struct.ts";
import type { Domain } from "../domain.ts";
import { grantVersion, growGrantTable, pinGrant, setGrantVersion, swapGrants, unpinGrant } from "../grant-table.ts";
import type { Access, PinnedGrant } from "../grant-table.ts";
import { DOMAIN } from "../heap.ts";
import { absent, flushAll, hypercall, layout, operation, refused, subcommand } from "../hypercall.ts";
import type { Caller, HypercallResult, Operation } from "../hypercall.ts";
import { addMapping, takeMapping } from "../mappings.ts";
import { frameBytes, isPlaceable, removePage } from "../p2m.ts";

/** Operations of a list that are done before it is interrupted. */
const AT_ONCE = 64;

/** What a domain lets others do with its pages, and what it does with theirs. */
export const grant_table_op = hypercall("grant_table_op", GNTTABOP, {
  map_grant_ref: list(gnttab_map_grant_ref, map),
  unmap_grant_ref: list(gnttab_unmap_grant_ref, unmap),
  setup_table: single(gnttab_setup_table, setupTable),
  dump_table: absent("a debugging aid that Xen no longer has"),
  transfer: absent("pages do not move between domains' memories"),
  copy: list(gnttab_copy, copy),
  query_size: single(gnttab_query_size, querySize),
  unmap_and_replace: absent("for PV guests"),
  set_version: operation(setVersion),
  get_status_frames: single(gnttab_get_status_frames, getStatusFrames),
  get_version: subcommand(gnttab_get_version, getVersion),
  swap_grant_ref: list(gnttab_swap_grant_ref, (caller, op) => {
    op.status = swapGrants(caller.domain, op.ref_a, op.ref_b);
  }),
  cache_flush: refused(Errno.EOPNOTSUPP, "memory is coherent"),
});

/** An array of operations, each with a status of its own. -EINVAL: more than 2^31. -EFAULT. */
function list<T>(type: Struct<T> | DualStruct<T>, handle: (caller: Caller, op: T) => void): Operation {
  return operation((caller, address) => {
    const codec = layout(caller, type);
    const count = Number(BigInt.asUintN(32, caller.args[2] ?? 0n));
    if (count > 0x7fffffff) return -Errno.EINVAL;
    const until = Math.min(count, AT_ONCE);
    for (let i = 0; i < until; i++) {
      const at = address + BigInt(i * codec.sizeof);
      const bytes = caller.copyIn(at, codec.sizeof);
      if (bytes === undefined) return -Errno.EFAULT;
      const op = codec.read(bytes);
      handle(caller, op);
      codec.write(bytes, 0, op);
      if (!caller.copyOut(at, bytes)) return -Errno.EFAULT;
    }
    if (until === count) return 0;
    caller.args[1] = address + BigInt(until * codec.sizeof);
    caller.args[2] = BigInt(count - until);
    return "continue";
  });
}

/** An operation of which Xen takes one at a time. -EINVAL: another count. */
function single<T>(type: Struct<T> | DualStruct<T>, handle: (caller: Caller, op: T) => HypercallResult): Operation {
  const command = subcommand(type, handle);
  return operation((caller, address) => {
    if (BigInt.asUintN(32, caller.args[2] ?? 0n) !== 1n || command.kind !== "implemented") return -Errno.EINVAL;
    return command.run(caller, address);
  });
}

/** The domain of an operation, or the status that it ends with. */
function reachable(caller: Caller, id: DomainId): Domain | GNTST {
  const domain = caller.findDomain(id);
  if (domain === undefined) return GNTST.bad_domain;
  return domain.hasMemory ? domain : GNTST.general_error;
}

/** Xen: map_grant_ref() */
function map(caller: Caller, op: gnttab_map_grant_ref): void {
  op.status = mapStatus(caller, op);
}

function mapStatus(caller: Caller, op: gnttab_map_grant_ref): GNTST {
  if ((op.flags & (GNTMAP.host_map | GNTMAP.device_map)) === 0) return GNTST.bad_gntref;
  if ((op.flags & (GNTMAP.device_map | GNTMAP.application_map | GNTMAP.contains_pte)) !== 0) return GNTST.general_error;
  const granter = reachable(caller, op.dom);
  if (typeof granter === "number") return granter;
  const { domain } = caller;
  const gfn = op.host_addr >> 12n;
  if (gfn >= BigInt(domain.memory.p2mFrames) || !isPlaceable(domain, Number(gfn))) return GNTST.bad_virt_addr;
  const access: Access = (op.flags & GNTMAP.readonly) === 0 ? "write" : "read";
  const grant = pinGrant(granter, domain.id, op.ref, access);
  if (typeof grant === "number") return grant;
  const give = (status: GNTST): GNTST => {
    unpinGrant(granter, grant);
    return status;
  };
  if (grant.length !== XEN_PAGE_SIZE) return give(GNTST.general_error);
  removePage(domain, Number(gfn));
  const handle = addMapping(domain, {
    granter: granter.id,
    granterSerial: granter.serial,
    ref: op.ref,
    access,
    gfn: Number(gfn),
    frame: grant.frame,
    granterGfn: grant.gfn,
  });
  flushAll(caller);
  if (handle === "taken") return give(GNTST.bad_virt_addr);
  if (handle === "full") return give(GNTST.no_device_space);
  op.handle = handle;
  op.dev_bus_addr = op.host_addr;
  return GNTST.okay;
}

/** Xen: unmap_common() */
function unmap(caller: Caller, op: gnttab_unmap_grant_ref): void {
  const mapping = takeMapping(caller.domain, op.handle, op.host_addr >> 12n);
  if (mapping === "bad handle") op.status = GNTST.bad_handle;
  else if (mapping === "elsewhere") op.status = GNTST.bad_virt_addr;
  else {
    flushAll(caller);
    const granter = caller.findDomain(mapping.granter);
    if (granter?.serial === mapping.granterSerial) unpinGrant(granter, mapping);
    op.status = GNTST.okay;
  }
}

/** Frame numbers for a guest to know its table by; all ones for one that it has not placed. */
function writeFrames(caller: Caller, address: bigint, member: Member<bigint>, gfnAt: number, count: number): GNTST {
  for (let i = 0; i < count; i++) {
    const bytes = new Uint8Array(member.sizeof);
    const gfn = caller.domain.get(gfnAt + i);
    member.set(new DataView(bytes.buffer), 0, gfn === 0 ? ~0n : BigInt(gfn - 1));
    if (!caller.copyOut(address + BigInt(i * member.sizeof), bytes)) return GNTST.bad_virt_addr;
  }
  return GNTST.okay;
}

/** Xen: gnttab_setup_table() */
function setupTable(caller: Caller, op: gnttab_setup_table): HypercallResult {
  const domain = caller.findDomain(op.dom);
  const frameNumber = caller.compat ? u32AsBigint : u64;
  if (domain === undefined) op.status = GNTST.bad_domain;
  else if (domain !== caller.domain) op.status = GNTST.permission_denied;
  else if (!growGrantTable(domain, op.nr_frames)) op.status = GNTST.general_error;
  else op.status = writeFrames(caller, op.frame_list, frameNumber, DOMAIN.grantGfn, op.nr_frames);
  return 0;
}

/** Xen: gnttab_get_status_frames(). Its list is of uint64_t in 32-bit code, too. */
function getStatusFrames(caller: Caller, op: gnttab_get_status_frames): HypercallResult {
  const domain = caller.findDomain(op.dom);
  if (domain === undefined) op.status = GNTST.bad_domain;
  else if (domain !== caller.domain) op.status = GNTST.permission_denied;
  else if (op.nr_frames > (grantVersion(domain) === 2 ? domain.get(DOMAIN.statusFrames) : 0)) {
    op.status = GNTST.general_error;
  } else op.status = writeFrames(caller, op.frame_list, u64, DOMAIN.statusGfn, op.nr_frames);
  return 0;
}

/** Xen: gnttab_query_size() */
function querySize(caller: Caller, op: gnttab_query_size): HypercallResult {
  const domain = caller.findDomain(op.dom);
  if (domain === undefined) op.status = GNTST.bad_domain;
  else if (!caller.mayControl(domain)) op.status = GNTST.permission_denied;
  else {
    op.nr_frames = domain.get(DOMAIN.grantFrames);
    op.max_nr_frames = domain.get(DOMAIN.maxGrantFrames);
    op.status = GNTST.okay;
  }
  return 0;
}

/**
 * However it ends it says which version there is. -EINVAL: no such one. -EBUSY: entries are in use. -ERANGE: version 1
 * cannot say what the toolstack's entries do. -ENOMEM.
 */
function setVersion(caller: Caller, address: bigint): HypercallResult {
  const { domain } = caller;
  const bytes = caller.copyIn(address, gnttab_set_version.sizeof);
  if (bytes === undefined) return -Errno.EFAULT;
  const { version } = gnttab_set_version.read(bytes);
  let result = -Errno.EINVAL;
  if (version === 1 || version === 2) {
    result = VERSION_ERRORS[setGrantVersion(domain, version, GNTTAB.NR_RESERVED_ENTRIES)];
  }
  const out = gnttab_set_version.encode({ version: grantVersion(domain) });
  return caller.copyOut(address, out) ? result : -Errno.EFAULT;
}

const VERSION_ERRORS = {
  done: 0,
  "in use": -Errno.EBUSY,
  "no memory": -Errno.ENOMEM,
  unrepresentable: -Errno.ERANGE,
} as const;

/** -ESRCH, -EPERM. */
function getVersion(caller: Caller, op: gnttab_get_version): HypercallResult {
  const domain = caller.findDomain(op.dom);
  if (domain === undefined) return -Errno.ESRCH;
  if (!caller.mayControl(domain)) return -Errno.EPERM;
  op.version = grantVersion(domain);
  return 0;
}

interface CopySide {
  readonly bytes: Uint8Array;
  readonly gfn: number;
  readonly domain: Domain;
  readonly release: () => void;
}

/** One side of a copy: part of a granted page, or of the caller's own. */
function side(
  caller: Caller,
  pointer: gnttab_copy_ptr,
  isGrant: boolean,
  length: number,
  access: Access,
): CopySide | GNTST {
  const domain = reachable(caller, domainId(pointer.domid));
  if (typeof domain === "number") return domain;
  if (pointer.offset + length > XEN_PAGE_SIZE) return GNTST.bad_copy_arg;
  if (!isGrant) {
    if (domain !== caller.domain) return GNTST.permission_denied;
    const gfn = pointer.u < BigInt(domain.memory.p2mFrames) ? Number(pointer.u) : -1;
    const page = gfn < 0 ? undefined : domain.memory.frame(gfn);
    if (page === undefined) return GNTST.bad_page;
    return { bytes: page.subarray(pointer.offset, pointer.offset + length), gfn, domain, release: () => undefined };
  }
  const grant: PinnedGrant | GNTST = pinGrant(domain, caller.domain.id, Number(BigInt.asUintN(32, pointer.u)), access);
  if (typeof grant === "number") return grant;
  if (pointer.offset < grant.offset || pointer.offset + length > grant.offset + grant.length) {
    unpinGrant(domain, grant);
    return GNTST.general_error;
  }
  const bytes = frameBytes(domain, grant.frame).subarray(pointer.offset, pointer.offset + length);
  return { bytes, gfn: grant.gfn, domain, release: () => unpinGrant(domain, grant) };
}

/** Xen: gnttab_copy_one() */
function copy(caller: Caller, op: gnttab_copy): void {
  const from = side(caller, op.source, (op.flags & GNTCOPY.source_gref) !== 0, op.len, "read");
  if (typeof from === "number") {
    op.status = from;
    return;
  }
  const to = side(caller, op.dest, (op.flags & GNTCOPY.dest_gref) !== 0, op.len, "write");
  if (typeof to === "number") op.status = to;
  else {
    to.bytes.set(from.bytes);
    to.domain.memory.externallyWritten(to.gfn);
    to.release();
    op.status = GNTST.okay;
  }
  from.release();
}
