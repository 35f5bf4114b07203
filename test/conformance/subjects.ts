/** Every operation that takes a pointer to a structure: for tests of pointers, and for random ones. */
import { Errno } from "../../src/abi/errno.ts";
import * as events from "../../src/abi/event_channel.ts";
import * as grants from "../../src/abi/grant_table.ts";
import * as hvm from "../../src/abi/hvm/hvm_op.ts";
import { HVM_PARAM } from "../../src/abi/hvm/params.ts";
import * as memory from "../../src/abi/memory.ts";
import * as sched from "../../src/abi/sched.ts";
import type { DualStruct } from "../../src/abi/types.ts";
import { domainId, eventPort, grantRef } from "../../src/abi/types.ts";
import * as vcpu from "../../src/abi/vcpu.ts";
import * as version from "../../src/abi/version.ts";
import { DOMID, HYPERVISOR } from "../../src/abi/xen.ts";
import type { Member } from "../../src/bits/integers.ts";
import type { Struct } from "../../src/bits/struct.ts";
import type { Argument, Guest } from "./guest.ts";

/** An operation with a structure. */
export interface Subject {
  readonly name: string;
  readonly number: number;
  /** The arguments, around the pointer. */
  readonly before: readonly Argument[];
  readonly after: readonly Argument[];
  readonly size: (guest: Guest) => number;
  /** A structure with which the operation succeeds, or ends with an error that comes after the structure was read. */
  readonly bytes: (guest: Guest) => Uint8Array;
  /** A structure with each of its numbers picked by the name of its member. */
  readonly fill: (guest: Guest, pick: (member: string) => bigint) => Uint8Array;
  /** Whether the operation writes into it, with the contents that `bytes` gives. */
  readonly writes: boolean;
  /** What a structure that faults ends with. */
  readonly fault: number;
}

interface Kind {
  readonly before?: readonly Argument[];
  readonly after?: readonly Argument[];
  readonly writes?: boolean;
  readonly fault?: number;
}

function subject<T>(
  name: string,
  number: number,
  command: number,
  type: Struct<T> | DualStruct<T>,
  value: Partial<T> = {},
  kind: Kind = {},
): Subject {
  const { before = [], after = [], writes = false, fault = -Errno.EFAULT } = kind;
  const bytes = (guest: Guest): Uint8Array => {
    const codec = guest.layout(type);
    return codec.encode({ ...codec.zero(), ...value });
  };
  const fill = (guest: Guest, pick: (member: string) => bigint): Uint8Array => {
    const codec = guest.layout(type);
    const filled = new Uint8Array(codec.sizeof);
    fillMember(codec, "", new DataView(filled.buffer), 0, pick);
    return filled;
  };
  const size = (guest: Guest): number => guest.layout(type).sizeof;
  return { name, number, before: [command, ...before], after, size, bytes, fill, writes, fault };
}

function isStruct(member: Member<unknown>): member is Struct<Record<string, unknown>> {
  return "members" in member;
}

/** Arrays and bytes are filled as numbers are, with zeros behind the first one. */
function fillMember(
  member: Member<unknown>,
  name: string,
  view: DataView,
  at: number,
  pick: (member: string) => bigint,
): void {
  if (isStruct(member)) {
    const offsets = new Map(Object.entries(member.offsets));
    for (const [key, inner] of Object.entries(member.members)) {
      fillMember(inner, key, view, at + (offsets.get(key) ?? 0), pick);
    }
    return;
  }
  const value = pick(name);
  for (let i = 0; i < Math.min(member.sizeof, 8); i++) {
    view.setUint8(at + i, Number((value >> BigInt(i * 8)) & 0xffn));
  }
}

const { EVTCHNOP } = events;
const { GNTTABOP } = grants;
const { XENMEM } = memory;
const { VCPUOP } = vcpu;
const { SELF } = DOMID;
const SELFISH = { dom: SELF };
const EVENT = HYPERVISOR.event_channel_op;
const GRANT = HYPERVISOR.grant_table_op;
const MEMORY = HYPERVISOR.memory_op;
const VCPU = HYPERVISOR.vcpu_op;
const own: Kind = { before: [0] };
const one: Kind = { after: [1] };

/** All of them. */
export const subjects: readonly Subject[] = [
  subject("alloc_unbound", EVENT, EVTCHNOP.alloc_unbound, events.evtchn_alloc_unbound, SELFISH, { writes: true }),
  subject("bind_interdomain", EVENT, EVTCHNOP.bind_interdomain, events.evtchn_bind_interdomain),
  subject("bind_virq", EVENT, EVTCHNOP.bind_virq, events.evtchn_bind_virq, { virq: 99 }),
  subject("bind_ipi", EVENT, EVTCHNOP.bind_ipi, events.evtchn_bind_ipi, {}, { writes: true }),
  subject("bind_vcpu", EVENT, EVTCHNOP.bind_vcpu, events.evtchn_bind_vcpu),
  subject("close", EVENT, EVTCHNOP.close, events.evtchn_close, { port: eventPort(900) }),
  subject("send", EVENT, EVTCHNOP.send, events.evtchn_send),
  subject("status", EVENT, EVTCHNOP.status, events.evtchn_status, { ...SELFISH, port: eventPort(1) }, { writes: true }),
  subject("unmask", EVENT, EVTCHNOP.unmask, events.evtchn_unmask, { port: eventPort(1) }),
  subject("reset", EVENT, EVTCHNOP.reset, events.evtchn_reset, SELFISH),
  subject("init_control", EVENT, EVTCHNOP.init_control, events.evtchn_init_control, { vcpu: 9 }),
  subject("expand_array", EVENT, EVTCHNOP.expand_array, events.evtchn_expand_array),
  subject("set_priority", EVENT, EVTCHNOP.set_priority, events.evtchn_set_priority),
  subject("map_grant_ref", GRANT, GNTTABOP.map_grant_ref, grants.gnttab_map_grant_ref, {}, { ...one, writes: true }),
  subject("unmap", GRANT, GNTTABOP.unmap_grant_ref, grants.gnttab_unmap_grant_ref, {}, { ...one, writes: true }),
  subject(
    "setup_table",
    GRANT,
    GNTTABOP.setup_table,
    grants.gnttab_setup_table,
    { ...SELFISH, status: 7 },
    {
      ...one,
      writes: true,
    },
  ),
  subject("copy", GRANT, GNTTABOP.copy, grants.gnttab_copy, {}, { ...one, writes: true }),
  subject("query_size", GRANT, GNTTABOP.query_size, grants.gnttab_query_size, SELFISH, { ...one, writes: true }),
  subject("set_version", GRANT, GNTTABOP.set_version, grants.gnttab_set_version, { version: 9 }, { writes: true }),
  subject("get_status_frames", GRANT, GNTTABOP.get_status_frames, grants.gnttab_get_status_frames, SELFISH, one),
  subject("get_version", GRANT, GNTTABOP.get_version, grants.gnttab_get_version, SELFISH, { writes: true }),
  subject(
    "swap_grant_ref",
    GRANT,
    GNTTABOP.swap_grant_ref,
    grants.gnttab_swap_grant_ref,
    { ref_a: grantRef(99999) },
    {
      ...one,
      writes: true,
    },
  ),
  subject(
    "get_param",
    HYPERVISOR.hvm_op,
    hvm.HVMOP.get_param,
    hvm.xen_hvm_param,
    {
      domid: SELF,
      index: HVM_PARAM.STORE_PFN,
    },
    { writes: true },
  ),
  subject("set_param", HYPERVISOR.hvm_op, hvm.HVMOP.set_param, hvm.xen_hvm_param, { domid: SELF, index: 99 }),
  subject("get_time", HYPERVISOR.hvm_op, hvm.HVMOP.get_time, hvm.xen_hvm_get_time, {}, { writes: true }),
  subject(
    "get_mem_type",
    HYPERVISOR.hvm_op,
    hvm.HVMOP.get_mem_type,
    hvm.xen_hvm_get_mem_type,
    {
      domid: SELF,
      pfn: 1n << 50n,
    },
    { writes: true },
  ),
  subject(
    "set_evtchn_upcall_vector",
    HYPERVISOR.hvm_op,
    hvm.HVMOP.set_evtchn_upcall_vector,
    hvm.xen_hvm_evtchn_upcall_vector,
  ),
  ...(["increase_reservation", "decrease_reservation", "populate_physmap"] as const).map((name) =>
    subject(name, MEMORY, XENMEM[name], memory.xen_memory_reservation, { domid: domainId(77) }, { fault: 0 }),
  ),
  ...(["current_reservation", "maximum_reservation", "maximum_gpfn"] as const).map((name) =>
    subject(name, MEMORY, XENMEM[name], memory.xen_memory_domain, { domid: SELF }),
  ),
  subject("add_to_physmap", MEMORY, XENMEM.add_to_physmap, memory.xen_add_to_physmap, { domid: domainId(77) }),
  subject("batch", MEMORY, XENMEM.add_to_physmap_batch, memory.xen_add_to_physmap_batch, { domid: domainId(77) }),
  subject("remove_from_physmap", MEMORY, XENMEM.remove_from_physmap, memory.xen_remove_from_physmap),
  subject("memory_map", MEMORY, XENMEM.memory_map, memory.xen_memory_map),
  subject("poll", HYPERVISOR.sched_op, sched.SCHEDOP.poll, sched.sched_poll, { nr_ports: 999 }),
  subject("remote_shutdown", HYPERVISOR.sched_op, sched.SCHEDOP.remote_shutdown, sched.sched_remote_shutdown),
  subject("watchdog", HYPERVISOR.sched_op, sched.SCHEDOP.watchdog, sched.sched_watchdog, { id: 9 }),
  subject(
    "get_runstate_info",
    VCPU,
    VCPUOP.get_runstate_info,
    vcpu.vcpu_runstate_info,
    {},
    {
      ...own,
      writes: true,
    },
  ),
  subject("set_periodic_timer", VCPU, VCPUOP.set_periodic_timer, vcpu.vcpu_set_periodic_timer, {}, own),
  subject("set_singleshot_timer", VCPU, VCPUOP.set_singleshot_timer, vcpu.vcpu_set_singleshot_timer, {}, own),
  subject("register_vcpu_info", VCPU, VCPUOP.register_vcpu_info, vcpu.vcpu_register_vcpu_info, { offset: 9999 }, own),
  ...(
    [
      "register_runstate_memory_area",
      "register_vcpu_time_memory_area",
      "register_runstate_phys_area",
      "register_vcpu_time_phys_area",
    ] as const
  ).map((name) => subject(name, VCPU, VCPUOP[name], vcpu.vcpu_register_runstate_memory_area, {}, own)),
  subject(
    "get_features",
    HYPERVISOR.xen_version,
    version.XENVER.get_features,
    version.xen_feature_info,
    {},
    {
      writes: true,
    },
  ),
  subject(
    "compile_info",
    HYPERVISOR.xen_version,
    version.XENVER.compile_info,
    version.xen_compile_info,
    {},
    {
      writes: true,
    },
  ),
];
