/** What hypercalls refuse, each with all else in order, and what of their effects is easily lost. */
import assert from "node:assert/strict";
import test from "node:test";

import { Errno } from "../abi/errno.ts";
import * as abi from "../abi/event_channel.ts";
import { gnttab_setup_table, gnttab_swap_grant_ref, GNTST, GNTTABOP } from "../abi/grant_table.ts";
import { xen_hvm_param, HVMOP } from "../abi/hvm/hvm_op.ts";
import { xen_add_to_physmap, XENMAPSPACE, XENMEM } from "../abi/memory.ts";
import { sched_shutdown, SCHEDOP, SHUTDOWN } from "../abi/sched.ts";
import { domainId, eventPort, grantRef } from "../abi/types.ts";
import { vcpu_set_periodic_timer, VCPUOP } from "../abi/vcpu.ts";
import { DOMID, HYPERVISOR, shared_info, vcpu_info, VIRQ } from "../abi/xen.ts";
import { vcpuInfoAddress } from "./event-channels.ts";
import { allocatePort, closePort, virqPort } from "./event-table.ts";
import { pinGrant, seedGrant } from "./grant-table.ts";
import { Machine } from "./harness.ts";
import { DOMAIN } from "./heap.ts";
import { Timers } from "./timers.ts";

const { EVTCHNOP, EVTCHNSTAT } = abi;
const EVTCHN = HYPERVISOR.event_channel_op;
const SHARED = 0x20000;

function machineWithSharedInfo(options = {}): Machine {
  const machine = new Machine(options);
  const map = { domid: DOMID.SELF, space: XENMAPSPACE.shared_info, gpfn: BigInt(SHARED >> 12) };
  assert.equal(machine.op(HYPERVISOR.memory_op, XENMEM.add_to_physmap, xen_add_to_physmap, map).result, 0);
  return machine;
}

function ipi(machine: Machine): number {
  return machine.op(EVTCHN, EVTCHNOP.bind_ipi, abi.evtchn_bind_ipi, { vcpu: 0 }).out.port;
}
function send(machine: Machine, port: number): void {
  const { result } = machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(port) });
  assert.equal(result, 0);
}

test("refusals: an argument that cannot be read is -EFAULT, and nothing is done", () => {
  const machine = new Machine();
  const bad = 1n << 40n;
  assert.equal(machine.call(EVTCHN, EVTCHNOP.bind_ipi, bad), -Errno.EFAULT);
  assert.equal(machine.call(HYPERVISOR.sched_op, SCHEDOP.shutdown, bad), -Errno.EFAULT);
  assert.equal(machine.call(HYPERVISOR.hvm_op, HVMOP.get_param, bad), -Errno.EFAULT);
  assert.equal(machine.call(HYPERVISOR.memory_op, XENMEM.add_to_physmap, bad), -Errno.EFAULT);
  // A structure of which the last byte is missing.
  assert.equal(machine.call(HYPERVISOR.hvm_op, HVMOP.get_param, bad - BigInt(xen_hvm_param.sizeof - 1)), -Errno.EFAULT);
  assert.equal(ipi(machine), 1, "no port had been taken");
});

test("refusals: port 0 is none", () => {
  const machine = machineWithSharedInfo();
  const port = eventPort(0);
  const { result } = machine.op(EVTCHN, EVTCHNOP.status, abi.evtchn_status, { dom: DOMID.SELF, port });
  assert.equal(result, -Errno.EINVAL);
  assert.equal(machine.op(EVTCHN, EVTCHNOP.unmask, abi.evtchn_unmask, { port }).result, -Errno.EINVAL);
});

test("events: the selector has a bit for each 64 ports of 64-bit code, and for each 32 of 32-bit code", () => {
  for (const [codeSize, wordBits] of [[64, 64], [32, 32]] as const) {
    const machine = machineWithSharedInfo();
    if (codeSize === 32) {
      machine.vcpu.codeSize = 32;
      machine.cpu.latchLayout();
    }
    let port = 0;
    while (port < 100) port = ipi(machine);
    send(machine, port);
    const info = codeSize === 32 ? vcpu_info.compat : vcpu_info;
    assert.equal(machine.word(SHARED + info.offsets.evtchn_pending_sel), 1 << Math.floor(port / wordBits));
    const { evtchn_pending } = (codeSize === 32 ? shared_info.compat : shared_info).offsets;
    assert.equal(machine.word(SHARED + evtchn_pending + 12), 1 << (port - 96));
  }
}); // prettier-ignore

test("events: a port that the guest binds is raised at once, since its other end may have sent before", () => {
  const machine = machineWithSharedInfo();
  const offered = allocatePort(machine.control, { state: EVTCHNSTAT.unbound, remote: machine.domain.id });
  const op = { remote_dom: domainId(0), remote_port: eventPort(offered) };
  const { result, out } = machine.op(EVTCHN, EVTCHNOP.bind_interdomain, abi.evtchn_bind_interdomain, op);
  assert.equal(result, 0);
  machine.cpu.deliverRaised();
  assert.equal(machine.word(SHARED + shared_info.offsets.evtchn_pending), 1 << out.local_port);
});

test("events: an interrupt of a vCPU's own stays with it, one of the domain's can move, and ends with its port", () => {
  const machine = new Machine({ vcpus: 2 });
  const bind = (virq: number): number => {
    const { result, out } = machine.op(EVTCHN, EVTCHNOP.bind_virq, abi.evtchn_bind_virq, { virq, vcpu: 0 });
    assert.equal(result, 0);
    return out.port;
  };
  const move = (port: number): number =>
    machine.op(EVTCHN, EVTCHNOP.bind_vcpu, abi.evtchn_bind_vcpu, { port: eventPort(port), vcpu: 1 }).result;
  const timer = bind(VIRQ.TIMER);
  assert.equal(move(timer), -Errno.EINVAL);
  assert.equal(move(bind(VIRQ.ARGO)), 0);
  assert.equal(move(ipi(machine)), -Errno.EINVAL);
  assert.equal(virqPort(machine.domain, VIRQ.TIMER, 0), timer);
  assert.equal(closePort(machine.domain, timer), 0);
  assert.equal(virqPort(machine.domain, VIRQ.TIMER, 0), 0);
  assert.equal(bind(VIRQ.TIMER), timer);
});

test("fifo: an event that waits already stays where it is, with its links and flags", () => {
  const [CONTROL, ARRAY] = [0x30, 0x31];
  const [pending, linked] = [1 << 31, 1 << 29];
  const machine = machineWithSharedInfo();
  const [a, b] = [ipi(machine), ipi(machine)];
  const init = { control_gfn: BigInt(CONTROL), offset: 0, vcpu: 0 };
  assert.equal(machine.op(EVTCHN, EVTCHNOP.init_control, abi.evtchn_init_control, init).result, 0);
  const expand = { array_gfn: BigInt(ARRAY) };
  assert.equal(machine.op(EVTCHN, EVTCHNOP.expand_array, abi.evtchn_expand_array, expand).result, 0);
  const word = (port: number): number => machine.word(ARRAY * 4096 + port * 4);
  for (const port of [a, b]) send(machine, port);
  const queued = [(pending | linked | b) >>> 0, (pending | linked) >>> 0];
  assert.deepEqual([word(a), word(b)], queued);
  for (const port of [a, b]) send(machine, port);
  assert.deepEqual([word(a), word(b)], queued);
  // The guest has handled the first, but not taken it off the queue.
  machine.setWord(ARRAY * 4096 + a * 4, word(a) & ~pending);
  send(machine, a);
  assert.deepEqual([word(a), word(b)], queued);
});

test("grants: entries in use are not exchanged, and other domains' tables are not shown", () => {
  const machine = new Machine();
  assert.ok(seedGrant(machine.domain, 8, domainId(0), 0x10));
  assert.ok(seedGrant(machine.domain, 9, domainId(0), 0x11));
  const swap = (): number => {
    const value = { ref_a: grantRef(8), ref_b: grantRef(9) };
    machine.memory.write(0x8000, gnttab_swap_grant_ref.encode({ ...gnttab_swap_grant_ref.zero(), ...value }));
    assert.equal(machine.call(HYPERVISOR.grant_table_op, GNTTABOP.swap_grant_ref, 0x8000, 1), 0);
    const bytes = new Uint8Array(gnttab_swap_grant_ref.sizeof);
    machine.memory.read(0x8000, bytes);
    return gnttab_swap_grant_ref.read(bytes).status;
  };
  assert.equal(swap(), GNTST.okay);
  assert.notEqual(typeof pinGrant(machine.domain, domainId(0), 8, "read"), "number");
  assert.equal(swap(), GNTST.eagain);

  const table = { dom: domainId(0), nr_frames: 0 };
  machine.memory.write(0x8000, gnttab_setup_table.encode({ ...gnttab_setup_table.zero(), ...table }));
  assert.equal(machine.call(HYPERVISOR.grant_table_op, GNTTABOP.setup_table, 0x8000, 1), 0);
  const bytes = new Uint8Array(gnttab_setup_table.sizeof);
  machine.memory.read(0x8000, bytes);
  assert.equal(gnttab_setup_table.read(bytes).status, GNTST.permission_denied);
});

test("timers: a vCPU sets its own alone", () => {
  const machine = new Machine({ vcpus: 2 });
  const set = (vcpu: number): number => {
    const at = 0x8000;
    machine.memory.write(at, vcpu_set_periodic_timer.encode({ period_ns: 1_000_000n }));
    return machine.call(HYPERVISOR.vcpu_op, VCPUOP.set_periodic_timer, vcpu, at);
  };
  assert.equal(set(1), -Errno.EINVAL);
  assert.equal(machine.cpu.timers.next(), Infinity);
  assert.equal(set(0), 0);
  assert.notEqual(machine.cpu.timers.next(), Infinity);
  assert.equal(machine.call(HYPERVISOR.vcpu_op, VCPUOP.stop_periodic_timer, 1, 0), -Errno.EINVAL);
  assert.equal(machine.call(HYPERVISOR.vcpu_op, VCPUOP.stop_singleshot_timer, 1, 0), -Errno.EINVAL);
});

test("timers: what is due now is due, and a watchdog that was taken down cannot be poked", () => {
  const timers = new Timers();
  timers.singleshot = 100;
  assert.equal(timers.take(99).ticks, 0);
  assert.equal(timers.take(100).ticks, 1);
  assert.equal(timers.take(100).ticks, 0);
  timers.poll = 100;
  assert.equal(timers.take(100).poll, true);
  assert.equal(timers.addWatchdog(100), 1);
  assert.equal(timers.setWatchdog(1, Infinity), true);
  assert.equal(timers.setWatchdog(1, 200), false);
  assert.equal(timers.next(), Infinity);
});

test("sched_op: nobody sleeps over an event that is there", () => {
  const machine = machineWithSharedInfo();
  assert.equal(machine.call(HYPERVISOR.sched_op, SCHEDOP.block), 0);
  assert.equal(machine.cpu.blocked, true);
  machine.cpu.blocked = false;
  machine.memory.bytes[vcpuInfoAddress(machine.domain, 0) ?? 0] = 1;
  assert.equal(machine.call(HYPERVISOR.sched_op, SCHEDOP.block), 0);
  assert.equal(machine.cpu.blocked, false);
});

test("sched_op: of several latched reasons the first counts", () => {
  const machine = new Machine();
  const latch = (reason: number): number =>
    machine.op(HYPERVISOR.sched_op, SCHEDOP.shutdown_code, sched_shutdown, { reason }).result;
  assert.equal(latch(SHUTDOWN.reboot), 0);
  assert.equal(latch(SHUTDOWN.crash), 0);
  assert.equal(machine.domain.get(DOMAIN.shutdownCode), SHUTDOWN.reboot + 1);
});
