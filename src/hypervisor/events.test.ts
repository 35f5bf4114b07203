import assert from "node:assert/strict";
import test from "node:test";

import { Errno } from "../abi/errno.ts";
import * as abi from "../abi/event_channel.ts";
import { xen_add_to_physmap, XENMAPSPACE, XENMEM } from "../abi/memory.ts";
import { domainId, eventPort } from "../abi/types.ts";
import { DOMID, HYPERVISOR, shared_info, VIRQ } from "../abi/xen.ts";
import { bindInterdomain, closePort, findBinding, send, takeRaised } from "./event-table.ts";
import { upcallPending } from "./event-channels.ts";
import { Machine } from "./harness.ts";
import { DOMAIN, VCPU } from "./heap.ts";

const { EVTCHNOP, EVTCHNSTAT } = abi;
const EVTCHN = HYPERVISOR.event_channel_op;
const SHARED = 0x20000;
const CONTROL = 0x30;
const ARRAY = 0x31;

function bit(machine: Machine, at: number, port: number): boolean {
  return ((machine.word(SHARED + at + (port >> 5) * 4) >>> (port & 31)) & 1) === 1;
}

/** A machine whose shared_info is mapped at SHARED. */
function machineWithSharedInfo(options = {}): Machine {
  const machine = new Machine(options);
  const map = { domid: DOMID.SELF, space: XENMAPSPACE.shared_info, gpfn: BigInt(SHARED >> 12) };
  assert.equal(machine.op(HYPERVISOR.memory_op, XENMEM.add_to_physmap, xen_add_to_physmap, map).result, 0);
  return machine;
}

/** An unbound port of the guest that domain 0 has bound. */
function joined(machine: Machine): { port: number; remote: number } {
  const op = { dom: DOMID.SELF, remote_dom: domainId(0) };
  const { result, out } = machine.op(EVTCHN, EVTCHNOP.alloc_unbound, abi.evtchn_alloc_unbound, op);
  assert.equal(result, 0);
  const remote = bindInterdomain(machine.control, machine.domain, out.port);
  assert.ok(remote > 0);
  takeRaised(machine.control, () => undefined);
  return { port: out.port, remote };
}

function ipi(machine: Machine): number {
  const { result, out } = machine.op(EVTCHN, EVTCHNOP.bind_ipi, abi.evtchn_bind_ipi, { vcpu: 0 });
  assert.equal(result, 0);
  return out.port;
}

test("events: an event from domain 0 sets pending, selector and upcall flag, once it is delivered", () => {
  const machine = machineWithSharedInfo();
  const { port, remote } = joined(machine);
  assert.equal(send(machine.control, remote), 0);
  assert.ok(machine.attention.wanted, "the vCPU is asked to look");
  assert.equal(upcallPending(machine.domain, 0), false);
  machine.cpu.deliverRaised();
  assert.ok(bit(machine, shared_info.offsets.evtchn_pending, port));
  assert.equal(machine.word(SHARED + 8), 1, "the selector has the bit of word 0");
  assert.ok(upcallPending(machine.domain, 0));
  assert.deepEqual(machine.cpu.pendingVector(), { vector: 0xf3, lapic: false });
});

test("events: a masked port becomes pending but does not interrupt until it is unmasked", () => {
  const machine = machineWithSharedInfo();
  const port = ipi(machine);
  machine.setWord(SHARED + shared_info.offsets.evtchn_mask, 1 << port);
  assert.equal(machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(port) }).result, 0);
  assert.ok(bit(machine, shared_info.offsets.evtchn_pending, port));
  assert.equal(upcallPending(machine.domain, 0), false);
  assert.equal(machine.op(EVTCHN, EVTCHNOP.unmask, abi.evtchn_unmask, { port: eventPort(port) }).result, 0);
  assert.ok(upcallPending(machine.domain, 0));
  assert.equal(bit(machine, shared_info.offsets.evtchn_mask, port), false);
});

test("events: the guest's send reaches domain 0 and rings its doorbell", () => {
  const machine = machineWithSharedInfo();
  const { port, remote } = joined(machine);
  const before = machine.hypervisor.heap.doorbell();
  assert.equal(machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(port) }).result, 0);
  assert.notEqual(machine.hypervisor.heap.doorbell(), before);
  const raised: number[] = [];
  takeRaised(machine.control, (got) => raised.push(got));
  assert.deepEqual(raised, [remote]);
});

test("events: 32-bit code has its own bitmaps", () => {
  const machine = machineWithSharedInfo();
  machine.vcpu.codeSize = 32;
  machine.cpu.latchLayout();
  const port = ipi(machine);
  machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(port) });
  assert.ok(bit(machine, shared_info.compat.offsets.evtchn_pending, port));
  assert.equal(machine.word(SHARED + 4), 1, "evtchn_pending_sel is the second word");
});

test("events: closing one end leaves the other unbound for the same domain, and the port free", () => {
  const machine = machineWithSharedInfo();
  const { port, remote } = joined(machine);
  assert.equal(machine.op(EVTCHN, EVTCHNOP.close, abi.evtchn_close, { port: eventPort(port) }).result, 0);
  assert.deepEqual(findBinding(machine.control, remote), { state: EVTCHNSTAT.unbound, remote: machine.domain.id });
  assert.equal(findBinding(machine.domain, port), undefined);
  assert.equal(send(machine.control, remote), 0, "an event to nobody is lost");
  assert.equal(closePort(machine.control, remote), 0);
});

test("events: a port raised before it was closed is not delivered to its next life", () => {
  const machine = machineWithSharedInfo();
  const { port, remote } = joined(machine);
  send(machine.control, remote);
  machine.op(EVTCHN, EVTCHNOP.close, abi.evtchn_close, { port: eventPort(port) });
  assert.equal(ipi(machine), port);
  machine.cpu.deliverRaised();
  assert.equal(bit(machine, shared_info.offsets.evtchn_pending, port), false);
});

test("events: status tells what each kind of port is bound to", () => {
  const machine = machineWithSharedInfo();
  const { port, remote } = joined(machine);
  const status = (asked: number): abi.evtchn_status =>
    machine.op(EVTCHN, EVTCHNOP.status, abi.evtchn_status, { dom: DOMID.SELF, port: eventPort(asked) }).out;
  const interdomain = status(port);
  assert.equal(interdomain.status, EVTCHNSTAT.interdomain);
  assert.deepEqual([interdomain.u_dom, interdomain.u_port], [0, remote]);
  const virq = machine.op(EVTCHN, EVTCHNOP.bind_virq, abi.evtchn_bind_virq, { virq: VIRQ.DEBUG, vcpu: 0 }).out.port;
  assert.equal(status(virq).status, EVTCHNSTAT.virq);
  assert.equal(machine.word(0x8000 + abi.evtchn_status_number.offsets.u_number), VIRQ.DEBUG);
  assert.equal(status(ipi(machine)).status, EVTCHNSTAT.ipi);
  assert.equal(status(900).status, EVTCHNSTAT.closed);
});

test("events: hostile arguments are answered with Xen's errors", () => {
  const machine = machineWithSharedInfo();
  const cases: readonly (readonly [expected: number, actual: number])[] = [
    [-Errno.EINVAL, machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(0) }).result],
    [-Errno.EINVAL, machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(0xffffffff) }).result],
    [-Errno.EINVAL, machine.op(EVTCHN, EVTCHNOP.close, abi.evtchn_close, { port: eventPort(1 << 20) }).result],
    [-Errno.EINVAL, machine.op(EVTCHN, EVTCHNOP.unmask, abi.evtchn_unmask, { port: eventPort(0x7fffffff) }).result],
    [-Errno.ENOENT, machine.op(EVTCHN, EVTCHNOP.bind_ipi, abi.evtchn_bind_ipi, { vcpu: 1 }).result],
    [-Errno.ENOENT, machine.op(EVTCHN, EVTCHNOP.bind_virq, abi.evtchn_bind_virq, { virq: 0, vcpu: 77 }).result],
    [-Errno.EINVAL, machine.op(EVTCHN, EVTCHNOP.bind_virq, abi.evtchn_bind_virq, { virq: 24 }).result],
    [-Errno.EINVAL, machine.op(EVTCHN, EVTCHNOP.bind_pirq, abi.evtchn_bind_pirq, {}).result],
    [-Errno.ESRCH, machine.op(EVTCHN, EVTCHNOP.alloc_unbound, abi.evtchn_alloc_unbound, { dom: domainId(99) }).result],
    [-Errno.EPERM, machine.op(EVTCHN, EVTCHNOP.alloc_unbound, abi.evtchn_alloc_unbound, { dom: domainId(0) }).result],
    [
      -Errno.ESRCH,
      machine.op(EVTCHN, EVTCHNOP.bind_interdomain, abi.evtchn_bind_interdomain, { remote_dom: domainId(9) }).result,
    ],
    [
      -Errno.EINVAL,
      machine.op(EVTCHN, EVTCHNOP.bind_interdomain, abi.evtchn_bind_interdomain, { remote_port: eventPort(5) }).result,
    ],
    [-Errno.EPERM, machine.op(EVTCHN, EVTCHNOP.reset, abi.evtchn_reset, { dom: domainId(0) }).result],
    [-Errno.ENOSYS, machine.call(EVTCHN, 4711, 0)],
    [-Errno.EFAULT, machine.call(EVTCHN, EVTCHNOP.send, 1n << 60n)],
    [-Errno.EFAULT, machine.call(EVTCHN, EVTCHNOP.status, 0xfe000000)],
    [-Errno.EOPNOTSUPP, machine.op(EVTCHN, EVTCHNOP.expand_array, abi.evtchn_expand_array, { array_gfn: 1n }).result],
  ];
  cases.forEach(([expected, actual], i) => assert.equal(actual, expected, `case ${i}`));
});

test("events: one port for each virtual interrupt of a vCPU", () => {
  const machine = machineWithSharedInfo();
  const bind = (): number =>
    machine.op(EVTCHN, EVTCHNOP.bind_virq, abi.evtchn_bind_virq, { virq: VIRQ.TIMER, vcpu: 0 }).result;
  assert.equal(bind(), 0);
  assert.equal(bind(), -Errno.EEXIST);
});

test("events: a domain runs out of ports at its limit", () => {
  const machine = machineWithSharedInfo({ ports: 15 });
  for (let i = 0; i < 15; i++) ipi(machine);
  assert.equal(machine.op(EVTCHN, EVTCHNOP.bind_ipi, abi.evtchn_bind_ipi, { vcpu: 0 }).result, -Errno.ENOSPC);
});

/** Switches to the FIFO ABI as Linux does: control block first, then a page of event words. */
function fifo(machine: Machine): void {
  const init = { control_gfn: BigInt(CONTROL), offset: 0, vcpu: 0 };
  const { result, out } = machine.op(EVTCHN, EVTCHNOP.init_control, abi.evtchn_init_control, init);
  assert.equal(result, 0);
  assert.equal(out.link_bits, 17);
  const expand = machine.op(EVTCHN, EVTCHNOP.expand_array, abi.evtchn_expand_array, { array_gfn: BigInt(ARRAY) });
  assert.equal(expand.result, 0);
}

/** What a guest does with a queue: follows the links from the head, clearing LINKED and PENDING. */
function consume(machine: Machine, priority: number): number[] {
  const control = CONTROL * 4096;
  const ports: number[] = [];
  let port = machine.word(control + 8 + priority * 4);
  machine.setWord(control + 8 + priority * 4, 0);
  machine.setWord(control, machine.word(control) & ~(1 << priority));
  while (port !== 0) {
    const at = ARRAY * 4096 + port * 4;
    const word = machine.word(at);
    machine.setWord(at, (word & ~((1 << 29) | 0x1ffff | (1 << 31))) >>> 0);
    ports.push(port);
    port = word & 0x1ffff;
  }
  return ports;
}

test("fifo: events are queued in order, and the queue is announced once", () => {
  const machine = machineWithSharedInfo();
  const ports = [ipi(machine), ipi(machine), ipi(machine)];
  fifo(machine);
  for (const port of ports) machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(port) });
  assert.equal(machine.word(CONTROL * 4096), 1 << 7, "the default priority is ready");
  assert.ok(upcallPending(machine.domain, 0));
  assert.deepEqual(consume(machine, 7), ports);
  // The queue is empty, although its last event was the tail: the next one goes to the head.
  machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(ports[1] ?? 0) });
  assert.deepEqual(consume(machine, 7), [ports[1]]);
});

test("fifo: a port goes to the queue of its priority", () => {
  const machine = machineWithSharedInfo();
  const port = ipi(machine);
  fifo(machine);
  const set = (priority: number): number =>
    machine.op(EVTCHN, EVTCHNOP.set_priority, abi.evtchn_set_priority, { port: eventPort(port), priority }).result;
  machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(port) });
  assert.deepEqual(consume(machine, 7), [port]);
  assert.equal(set(0), 0);
  assert.equal(set(16), -Errno.EINVAL);
  machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(port) });
  assert.equal(machine.word(CONTROL * 4096), 1);
  assert.deepEqual(consume(machine, 0), [port]);
});

test("fifo: what was pending before the event words existed is delivered when they do", () => {
  const machine = machineWithSharedInfo();
  const port = ipi(machine);
  machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(port) });
  fifo(machine);
  assert.deepEqual(consume(machine, 7), [port]);
});

test("fifo: a masked event is not queued; unmasking queues it", () => {
  const machine = machineWithSharedInfo();
  const port = ipi(machine);
  fifo(machine);
  machine.setWord(ARRAY * 4096 + port * 4, 1 << 30);
  machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(port) });
  assert.equal(machine.word(CONTROL * 4096), 0);
  machine.op(EVTCHN, EVTCHNOP.unmask, abi.evtchn_unmask, { port: eventPort(port) });
  assert.deepEqual(consume(machine, 7), [port]);
});

test("fifo: a control block across the end of its page, misaligned, not in RAM, or given twice is refused", () => {
  const machine = machineWithSharedInfo();
  const init = (value: Partial<abi.evtchn_init_control>): number =>
    machine.op(EVTCHN, EVTCHNOP.init_control, abi.evtchn_init_control, { control_gfn: BigInt(CONTROL), ...value })
      .result;
  assert.equal(init({ offset: 4096 - 64 }), -Errno.EINVAL);
  assert.equal(init({ offset: 4 }), -Errno.EINVAL);
  assert.equal(init({ control_gfn: 1n << 63n }), -Errno.EINVAL);
  assert.equal(init({ control_gfn: 0xf0000n }), -Errno.EINVAL);
  assert.equal(init({ vcpu: 1 }), -Errno.ENOENT);
  assert.equal(init({}), 0);
  assert.equal(init({}), -Errno.EINVAL);
});

test("fifo: a guest that scribbles over its event words harms only itself", () => {
  const machine = machineWithSharedInfo();
  const ports = [ipi(machine), ipi(machine)];
  fifo(machine);
  for (let round = 0; round < 64; round++) {
    for (const port of ports) {
      machine.setWord(ARRAY * 4096 + port * 4, Math.imul(round + port, 0x9e3779b1) >>> 0);
      assert.equal(machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(port) }).result, 0);
    }
  }
});

test("events: a guest that has not looked at a word yet is not interrupted for another port of it", () => {
  const machine = machineWithSharedInfo();
  const [first, second] = [ipi(machine), ipi(machine)];
  machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(first) });
  machine.setWord(SHARED, 0);
  machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(second) });
  assert.ok(bit(machine, shared_info.offsets.evtchn_pending, second));
  assert.equal(upcallPending(machine.domain, 0), false);
});

test("events: only the domain that a port was offered to can bind it", () => {
  const machine = machineWithSharedInfo();
  const op = { dom: DOMID.SELF, remote_dom: domainId(7) };
  const { port } = machine.op(EVTCHN, EVTCHNOP.alloc_unbound, abi.evtchn_alloc_unbound, op).out;
  assert.equal(bindInterdomain(machine.control, machine.domain, port), -Errno.EINVAL);
});

test("events: a vCPU that polls is woken, on whichever vCPU's worker the event arrives", () => {
  const machine = machineWithSharedInfo({ vcpus: 2 });
  const { remote } = joined(machine);
  machine.domain.vcpuSet(1, VCPU.polling, 1);
  machine.cpu.deliverRaised();
  machine.domain.set(DOMAIN.kicked, 0);
  send(machine.control, remote);
  machine.cpu.deliverRaised();
  assert.equal(machine.domain.get(DOMAIN.kicked), 1);
});

test("fifo: unmasking a port on which nothing waits queues nothing", () => {
  const machine = machineWithSharedInfo();
  const port = ipi(machine);
  fifo(machine);
  machine.setWord(ARRAY * 4096 + port * 4, 1 << 30);
  machine.op(EVTCHN, EVTCHNOP.unmask, abi.evtchn_unmask, { port: eventPort(port) });
  assert.equal(machine.word(ARRAY * 4096 + port * 4), 0);
  assert.equal(machine.word(CONTROL * 4096), 0);
});

test("fifo: a port that moved to another queue takes nobody of its old one along", () => {
  const machine = machineWithSharedInfo();
  const [mover, stayer] = [ipi(machine), ipi(machine)];
  fifo(machine);
  machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(mover) });
  assert.deepEqual(consume(machine, 7), [mover]);
  const priority = { port: eventPort(mover), priority: 2 };
  machine.op(EVTCHN, EVTCHNOP.set_priority, abi.evtchn_set_priority, priority);
  machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(mover) });
  machine.op(EVTCHN, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(stayer) });
  assert.deepEqual(consume(machine, 2), [mover]);
  assert.deepEqual(consume(machine, 7), [stayer]);
});
