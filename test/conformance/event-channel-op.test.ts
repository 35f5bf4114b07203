/** Guests that use event channels by the 2-level ABI: what is allocated, bound, sent and closed shows in shared_info. */
import assert from "node:assert/strict";
import { Errno } from "../../src/abi/errno.ts";
import * as abi from "../../src/abi/event_channel.ts";
import { HVM_PARAM } from "../../src/abi/hvm/params.ts";
import { domainId, eventPort } from "../../src/abi/types.ts";
import { DOMID, HYPERVISOR, VIRQ } from "../../src/abi/xen.ts";
import { allocatePort, bindInterdomain, findBinding, raiseVirq, takeRaised } from "../../src/hypervisor/event-table.ts";
import type { Guest } from "./guest.ts";
import { observes } from "./observes.ts";
import { mapSharedInfo, setParam, shared } from "./shared-info.ts";

const { EVTCHNOP, EVTCHNSTAT } = abi;
const NUMBER = HYPERVISOR.event_channel_op;
const HOSTILE_PORTS = [0, 1024, 4096, 131072, 0x7fffffff, 0x80000000, 0xffffffff];

function allocate(guest: Guest, remote_dom = DOMID.SELF, dom = DOMID.SELF) {
  return guest.op(NUMBER, EVTCHNOP.alloc_unbound, abi.evtchn_alloc_unbound, { dom, remote_dom });
}
function status(guest: Guest, port: number, dom = DOMID.SELF) {
  return guest.op(NUMBER, EVTCHNOP.status, abi.evtchn_status, { dom, port: eventPort(port) });
}
function sendTo(guest: Guest, port: number): number {
  return guest.op(NUMBER, EVTCHNOP.send, abi.evtchn_send, { port: eventPort(port) }).result;
}
function bindIpi(guest: Guest, vcpu = 0) {
  return guest.op(NUMBER, EVTCHNOP.bind_ipi, abi.evtchn_bind_ipi, { vcpu });
}
function bindVirq(guest: Guest, virq: number, vcpu = 0) {
  return guest.op(NUMBER, EVTCHNOP.bind_virq, abi.evtchn_bind_virq, { virq, vcpu });
}
function bindRemote(guest: Guest, remote_dom: number, remote_port: number) {
  const op = { remote_dom: domainId(remote_dom), remote_port: eventPort(remote_port) };
  return guest.op(NUMBER, EVTCHNOP.bind_interdomain, abi.evtchn_bind_interdomain, op);
}
function unmask(guest: Guest, port: number): number {
  return guest.op(NUMBER, EVTCHNOP.unmask, abi.evtchn_unmask, { port: eventPort(port) }).result;
}

observes("event_channel_op.alloc_unbound", "the port waits for the domain that may bind it", (guest, machine) => {
  const { result, out } = allocate(guest, domainId(0));
  assert.equal(result, 0);
  const { out: now } = status(guest, out.port);
  assert.deepEqual([now.status, now.u_dom], [EVTCHNSTAT.unbound, 0]);
  assert.ok(bindInterdomain(machine.control, guest.domain, out.port) > 0);
  assert.equal(status(guest, out.port).out.status, EVTCHNSTAT.interdomain);
  assert.notEqual(allocate(guest).out.port, out.port);
});

observes(
  "event_channel_op.alloc_unbound",
  "only in one's own domain, and only as many as there may be",
  (guest) => {
    assert.equal(allocate(guest, DOMID.SELF, domainId(0)).result, -Errno.EPERM);
    assert.equal(allocate(guest, DOMID.SELF, domainId(77)).result, -Errno.ESRCH);
    assert.equal(allocate(guest, DOMID.SELF, DOMID.IO).result, -Errno.ESRCH);
    assert.equal(allocate(guest, domainId(77)).result, 0);
    for (let port = 2; port <= 20; port++) assert.equal(allocate(guest).out.port, port);
    assert.equal(allocate(guest).result, -Errno.ENOSPC);
  },
  { config: { ports: 20 } },
);

observes("event_channel_op.bind_interdomain", "events reach the other side, the first at once", (guest, machine) => {
  mapSharedInfo(guest);
  const offered = allocatePort(machine.control, { state: EVTCHNSTAT.unbound, remote: guest.domain.id });
  const { result, out } = bindRemote(guest, 0, offered);
  assert.equal(result, 0);
  assert.ok(shared(guest).isPending(out.local_port), "what was sent before is not lost");
  const raised: number[] = [];
  takeRaised(machine.control, (port) => raised.push(port));
  assert.equal(sendTo(guest, out.local_port), 0);
  takeRaised(machine.control, (port) => raised.push(port));
  assert.deepEqual(raised, [offered]);
});

observes("event_channel_op.bind_interdomain", "two ports of one domain", (guest) => {
  mapSharedInfo(guest);
  const far = allocate(guest).out.port;
  const near = bindRemote(guest, DOMID.SELF, far).out.local_port;
  assert.equal(sendTo(guest, near), 0);
  assert.ok(shared(guest).isPending(far));
});

observes("event_channel_op.bind_interdomain", "only a port that is offered to the caller", (guest, machine) => {
  const forOthers = allocatePort(machine.control, { state: EVTCHNSTAT.unbound, remote: domainId(99) });
  assert.equal(bindRemote(guest, 0, forOthers).result, -Errno.EINVAL);
  assert.equal(bindRemote(guest, 77, 1).result, -Errno.ESRCH);
  assert.equal(bindRemote(guest, DOMID.INVALID, 1).result, -Errno.ESRCH);
  for (const port of HOSTILE_PORTS) assert.equal(bindRemote(guest, 0, port).result, -Errno.EINVAL, `${port}`);
  const own = allocate(guest).out.port;
  assert.equal(bindRemote(guest, DOMID.SELF, own).result, 0);
  assert.equal(bindRemote(guest, DOMID.SELF, own).result, -Errno.EINVAL, "it is taken now");
});

observes("event_channel_op.bind_virq", "the virtual interrupt comes on the port", (guest) => {
  mapSharedInfo(guest);
  const { result, out } = bindVirq(guest, VIRQ.DEBUG);
  assert.equal(result, 0);
  assert.ok(!shared(guest).isPending(out.port));
  raiseVirq(guest.domain, VIRQ.DEBUG);
  guest.time();
  assert.ok(shared(guest).isPending(out.port));
});

observes(
  "event_channel_op.bind_virq",
  "once for each, global ones on vCPU 0",
  (guest) => {
    assert.equal(bindVirq(guest, VIRQ.TIMER).result, 0);
    assert.equal(bindVirq(guest, VIRQ.TIMER).result, -Errno.EEXIST);
    assert.equal(bindVirq(guest, VIRQ.TIMER, 1).result, 0);
    assert.equal(bindVirq(guest, VIRQ.ARGO, 1).result, -Errno.EINVAL);
    assert.equal(bindVirq(guest, VIRQ.ARGO, 99).result, -Errno.EINVAL);
    assert.equal(bindVirq(guest, VIRQ.DEBUG, 2).result, -Errno.ENOENT);
    assert.equal(bindVirq(guest, VIRQ.DEBUG, 0xffffffff).result, -Errno.ENOENT);
    for (const virq of [24, 0x7fffffff, 0xffffffff]) assert.equal(bindVirq(guest, virq).result, -Errno.EINVAL);
  },
  { vcpus: 2 },
);

observes("event_channel_op.bind_ipi", "the domain interrupts itself", (guest) => {
  mapSharedInfo(guest);
  const { result, out } = bindIpi(guest);
  assert.equal(result, 0);
  assert.equal(status(guest, out.port).out.status, EVTCHNSTAT.ipi);
  assert.equal(sendTo(guest, out.port), 0);
  assert.ok(shared(guest).isPending(out.port));
  assert.equal(bindIpi(guest, 1).result, -Errno.ENOENT);
  assert.equal(bindIpi(guest, 0xffffffff).result, -Errno.ENOENT);
});

observes(
  "event_channel_op.bind_vcpu",
  "another vCPU is told of the port's events",
  (guest) => {
    mapSharedInfo(guest);
    const { port } = allocate(guest).out;
    const local = bindRemote(guest, DOMID.SELF, port).out.local_port;
    shared(guest).clear(local);
    const bind = (to: number, vcpu: number): number =>
      guest.op(NUMBER, EVTCHNOP.bind_vcpu, abi.evtchn_bind_vcpu, { port: eventPort(to), vcpu }).result;
    assert.equal(bind(port, 1), 0);
    assert.equal(status(guest, port).out.vcpu, 1);
    assert.equal(sendTo(guest, local), 0);
    assert.ok(shared(guest).isPending(port));
    assert.deepEqual(
      [0, 1].map((vcpu) => shared(guest).upcall(vcpu)),
      [0, 1],
    );
    assert.equal(bind(port, 2), -Errno.ENOENT);
    assert.equal(bind(port, 0xffffffff), -Errno.ENOENT);
    for (const hostile of HOSTILE_PORTS) assert.equal(bind(hostile, 0), -Errno.EINVAL, `${hostile}`);
    assert.equal(bind(bindIpi(guest).out.port, 1), -Errno.EINVAL, "an IPI stays where it is");
    assert.equal(bind(bindVirq(guest, VIRQ.TIMER).out.port, 1), -Errno.EINVAL, "and so does a vCPU's own interrupt");
    assert.equal(bind(bindVirq(guest, VIRQ.ARGO).out.port, 1), 0);
  },
  { vcpus: 2 },
);

observes("event_channel_op.close", "the port is free, and its peer waits again", (guest, machine) => {
  mapSharedInfo(guest);
  const offered = allocatePort(machine.control, { state: EVTCHNSTAT.unbound, remote: guest.domain.id });
  const port = bindRemote(guest, 0, offered).out.local_port;
  const close = (which: number): number =>
    guest.op(NUMBER, EVTCHNOP.close, abi.evtchn_close, { port: eventPort(which) }).result;
  assert.equal(close(port), 0);
  assert.equal(status(guest, port).out.status, EVTCHNSTAT.closed);
  assert.deepEqual(findBinding(machine.control, offered), { state: EVTCHNSTAT.unbound, remote: guest.domain.id });
  assert.equal(sendTo(guest, port), -Errno.EINVAL);
  assert.equal(close(port), -Errno.EINVAL);
  for (const hostile of HOSTILE_PORTS) assert.equal(close(hostile), -Errno.EINVAL, `${hostile}`);
  assert.equal(bindVirq(guest, VIRQ.DEBUG).out.port, port);
  assert.ok(!shared(guest).isPending(port), "nothing of its former life is left");
  assert.equal(close(port), 0);
  assert.equal(bindVirq(guest, VIRQ.DEBUG).result, 0, "the virtual interrupt can be bound again");
});

observes("event_channel_op.send", "the guest is interrupted, unless it masked the port", (guest) => {
  mapSharedInfo(guest);
  setParam(guest, HVM_PARAM.CALLBACK_IRQ, (2n << 56n) | 0xf3n);
  guest.mail("upcallFlag", shared(guest).upcallAt(0));
  const { port } = bindIpi(guest).out;
  assert.equal(sendTo(guest, port), 0);
  guest.run("open");
  assert.equal(guest.interrupts(0xf3), 1);
  assert.equal(sendTo(guest, port), 0);
  guest.run("open");
  assert.equal(guest.interrupts(0xf3), 1, "it is still pending: no news");
  shared(guest).clear(port);
  shared(guest).mask(port);
  assert.equal(sendTo(guest, port), 0);
  guest.run("open");
  assert.equal(guest.interrupts(0xf3), 1);
  assert.ok(shared(guest).isPending(port));
});

observes("event_channel_op.send", "a port without another side swallows it, others are refused", (guest) => {
  mapSharedInfo(guest);
  const { port } = allocate(guest).out;
  assert.equal(sendTo(guest, port), 0);
  assert.ok(!shared(guest).isPending(port));
  assert.equal(sendTo(guest, bindVirq(guest, VIRQ.TIMER).out.port), -Errno.EINVAL);
  for (const hostile of HOSTILE_PORTS) assert.equal(sendTo(guest, hostile), -Errno.EINVAL, `${hostile}`);
});

observes("event_channel_op.send", "from one guest to another", (guest, machine) => {
  const other = machine.guest({ bits: guest.bits === 32 ? 64 : 32 });
  mapSharedInfo(other);
  const offered = allocate(other, guest.domain.id).out.port;
  const { out } = bindRemote(guest, other.domain.id, offered);
  assert.equal(sendTo(guest, out.local_port), 0);
  other.time();
  assert.ok(shared(other).isPending(offered));
});

observes("event_channel_op.status", "what each kind of port is", (guest) => {
  const far = allocate(guest).out.port;
  const near = bindRemote(guest, DOMID.SELF, far).out.local_port;
  const { out } = status(guest, near);
  assert.deepEqual([out.status, out.u_dom, out.u_port], [EVTCHNSTAT.interdomain, guest.domain.id, far]);
  const { port } = bindVirq(guest, VIRQ.DEBUG).out;
  const at = guest.place(abi.evtchn_status_number, { dom: DOMID.SELF, port });
  assert.equal(guest.call(NUMBER, EVTCHNOP.status, at), 0);
  const virq = guest.read(abi.evtchn_status_number, at);
  assert.deepEqual([virq.status, virq.u_number], [EVTCHNSTAT.virq, VIRQ.DEBUG]);
  assert.equal(status(guest, 700).out.status, EVTCHNSTAT.closed);
  assert.equal(status(guest, port, guest.domain.id).result, 0, "by its own number, too");
  assert.equal(status(guest, 1, domainId(0)).result, -Errno.EPERM);
  assert.equal(status(guest, 1, domainId(77)).result, -Errno.ESRCH);
  for (const hostile of HOSTILE_PORTS) assert.equal(status(guest, hostile).result, -Errno.EINVAL, `${hostile}`);
});

observes("event_channel_op.unmask", "what waited behind the mask is delivered", (guest) => {
  mapSharedInfo(guest);
  const { port } = bindIpi(guest).out;
  shared(guest).mask(port);
  assert.equal(sendTo(guest, port), 0);
  assert.equal(shared(guest).upcall(0), 0);
  assert.equal(unmask(guest, port), 0);
  assert.ok(!shared(guest).isMasked(port));
  assert.equal(shared(guest).upcall(0), 1);
  assert.ok(shared(guest).isSelected(0, port));
  for (const hostile of HOSTILE_PORTS) assert.equal(unmask(guest, hostile), -Errno.EINVAL, `${hostile}`);
});

observes("event_channel_op.reset", "every port is closed", (guest, machine) => {
  const offered = allocatePort(machine.control, { state: EVTCHNSTAT.unbound, remote: guest.domain.id });
  const ports = [allocate(guest).out.port, bindRemote(guest, 0, offered).out.local_port, bindIpi(guest).out.port];
  const reset = (dom: number): number =>
    guest.op(NUMBER, EVTCHNOP.reset, abi.evtchn_reset, { dom: domainId(dom) }).result;
  assert.equal(reset(0), -Errno.EPERM);
  assert.equal(reset(77), -Errno.ESRCH);
  assert.equal(reset(DOMID.SELF), 0);
  for (const port of ports) assert.equal(status(guest, port).out.status, EVTCHNSTAT.closed);
  assert.equal(findBinding(machine.control, offered)?.state, EVTCHNSTAT.unbound);
});
