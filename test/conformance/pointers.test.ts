/**
 * The pointer of each operation that has one: to where nothing is, across the end of what there is, to what may only be
 * read, across pages that lie elsewhere, beyond 4 GiB. Structures are found in memory as the guest's page tables say.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
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
import type { Struct } from "../../src/bits/struct.ts";
import type { Argument, Guest } from "./guest.ts";
import { HIGH, Memory, Window } from "./layout.ts";
import { Machine } from "./machine.ts";

/** An operation with a structure. */
interface Subject {
  readonly name: string;
  readonly number: number;
  /** The arguments, around the pointer. */
  readonly before: readonly Argument[];
  readonly after: readonly Argument[];
  readonly size: (guest: Guest) => number;
  /** A structure with which the operation succeeds, or ends with an error that comes after the structure was read. */
  readonly bytes: (guest: Guest) => Uint8Array;
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
  const size = (guest: Guest): number => guest.layout(type).sizeof;
  return { name, number, before: [command, ...before], after, size, bytes, writes, fault };
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

const subjects: readonly Subject[] = [
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

for (const bits of [32, 64] as const) {
  for (const { name, number, before, after, size, bytes, writes, fault } of subjects) {
    test(`pointers: ${name} faults where it should, and only there (${bits}-bit)`, () => {
      using machine = new Machine();
      const guest = machine.guest({ bits });
      const length = size(guest);
      const call = (at: Argument): number => guest.call(number, ...before, at, ...after);
      const put = (linear: number): void => {
        // Behind the window the two pages are in the other order.
        const physical = (at: number): number => Memory.windowFrames + ((at - Window.first) ^ 0x1000);
        bytes(guest).forEach((byte, i) => guest.write(physical(linear + i), Uint8Array.of(byte)));
      };

      const nowhere: Argument[] = [Window.absent, Window.hole, Window.absent - length + 1, 0x50000000, 0xfffffffe];
      if (bits === 64) nowhere.push(1n << 63n, (1n << 64n) - 1n, 0x8000_0000_0000n, HIGH + 0x4000_0000_0000n);
      put(Window.second + 4096 - length);
      for (const at of nowhere) assert.equal(call(at), fault, `0x${at.toString(16)}`);

      // What succeeds does so across pages, too, and by addresses that are wider.
      const plain = guest.allocate(length + 16);
      guest.write(plain, bytes(guest));
      const result = call(plain);
      assert.notEqual(result, fault === 0 ? -Errno.EFAULT : fault);
      for (const linear of [Window.second - Math.ceil(length / 2), Window.second - 1, Window.absent - length]) {
        put(linear);
        const there = call(linear);
        assert.ok(there === result || there > 0, `0x${linear.toString(16)}: ${there}, not ${result}`);
      }
      if (bits === 64) {
        guest.write(plain, bytes(guest));
        const there = call(HIGH + BigInt(plain));
        assert.ok(there === result || there > 0, `${there}, not ${result}`);
      }
      assert.equal(guest.u64(plain + Math.ceil(length / 8) * 8), 0n, "nothing is written behind it");

      const readOnly = Memory.windowFrames + 0x2000;
      guest.write(readOnly, bytes(guest));
      assert.equal(call(Window.readOnly), writes ? -Errno.EFAULT : result, "to what may only be read");
      assert.deepEqual(guest.bytes(readOnly, length), bytes(guest), "which stays as it is");
    });
  }
}
