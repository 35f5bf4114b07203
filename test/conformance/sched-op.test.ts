/** Guests that give their time away, wait, and end. */
import assert from "node:assert/strict";
import { Errno } from "../../src/abi/errno.ts";
import { EVTCHNOP, evtchn_bind_virq } from "../../src/abi/event_channel.ts";
import * as abi from "../../src/abi/sched.ts";
import { HVM_PARAM } from "../../src/abi/hvm/params.ts";
import { domainId } from "../../src/abi/types.ts";
import { DOMID, HYPERVISOR, VIRQ } from "../../src/abi/xen.ts";
import { raiseVirq } from "../../src/hypervisor/event-table.ts";
import type { Argument, Guest } from "./guest.ts";
import { hypercallSource } from "./kernel.ts";
import { Memory } from "./layout.ts";
import { observes } from "./observes.ts";
import { mapSharedInfo, setParam, shared } from "./shared-info.ts";
import { setTimer } from "./timer.ts";

const { SCHEDOP, SHUTDOWN } = abi;
const NUMBER = HYPERVISOR.sched_op;
const MILLISECOND = 1_000_000;
const SECOND = 1_000_000_000;

function bindVirq(guest: Guest, virq: number): number {
  return guest.op(HYPERVISOR.event_channel_op, EVTCHNOP.bind_virq, evtchn_bind_virq, { virq, vcpu: 0 }).out.port;
}
function poll(guest: Guest, ports: readonly number[], timeout: Argument = 0): number {
  const op = { ports: BigInt(guest.placeNumbers(4, ports)), nr_ports: ports.length, timeout: BigInt(timeout) };
  return guest.op(NUMBER, SCHEDOP.poll, abi.sched_poll, op).result;
}
function watchdog(guest: Guest, id: number, timeout: number): number {
  return guest.op(NUMBER, SCHEDOP.watchdog, abi.sched_watchdog, { id, timeout }).result;
}

observes("sched_op.yield", "the guest goes on, with what has come meanwhile", (guest) => {
  mapSharedInfo(guest);
  const port = bindVirq(guest, VIRQ.DEBUG);
  raiseVirq(guest.domain, VIRQ.DEBUG);
  assert.equal(guest.call(NUMBER, SCHEDOP.yield, 0), 0);
  assert.ok(shared(guest).isPending(port));
  assert.equal(guest.call(NUMBER, SCHEDOP.yield, -1), 0, "it has no argument");
});

observes("sched_op.block", "time goes by until an event comes", (guest) => {
  mapSharedInfo(guest);
  setParam(guest, HVM_PARAM.CALLBACK_IRQ, (2n << 56n) | 0xf3n);
  const port = bindVirq(guest, VIRQ.TIMER);
  const deadline = guest.time() + 5 * MILLISECOND;
  setTimer(guest, deadline);
  assert.equal(guest.call(NUMBER, SCHEDOP.block, 0), 0);
  assert.ok(guest.time() >= deadline);
  assert.ok(shared(guest).isPending(port));
  const before = guest.time();
  assert.equal(guest.call(NUMBER, SCHEDOP.block, 0), 0);
  assert.ok(guest.time() < before + MILLISECOND, "an event that waits already ends it at once");
});

observes("sched_op.shutdown", "the domain ends for the reason that is given", (guest) => {
  const end = (reason: number): number => guest.callToEnd(NUMBER, SCHEDOP.shutdown, guest.placeNumbers(4, [reason]));
  assert.equal(end(SHUTDOWN.suspend), SHUTDOWN.suspend);
  guest.resume();
  assert.equal(guest.result, 0, "a suspended domain goes on behind the call");
  for (const reason of [SHUTDOWN.poweroff, SHUTDOWN.reboot, SHUTDOWN.crash, SHUTDOWN.soft_reset]) {
    assert.equal(end(reason), reason);
    guest.resume();
  }
  assert.equal(end(0xffffffff), SHUTDOWN.crash);
});

observes("sched_op.poll", "until one of the ports is pending, masked or not", (guest) => {
  mapSharedInfo(guest);
  const port = bindVirq(guest, VIRQ.TIMER);
  const other = bindVirq(guest, VIRQ.DEBUG);
  shared(guest).mask(port);
  const deadline = guest.time() + 5 * MILLISECOND;
  setTimer(guest, deadline);
  assert.equal(poll(guest, [other, port]), 0);
  assert.ok(guest.time() >= deadline);
  assert.ok(shared(guest).isPending(port));
  assert.equal(shared(guest).upcall(0), 0);
  const before = guest.time();
  assert.equal(poll(guest, [port]), 0);
  assert.ok(guest.time() < before + MILLISECOND, "a port that is pending already ends it at once");
});

observes("sched_op.poll", "until the time has come", (guest) => {
  mapSharedInfo(guest);
  const port = bindVirq(guest, VIRQ.DEBUG);
  for (const ports of [[port], []]) {
    const deadline = guest.time() + 20 * MILLISECOND;
    assert.equal(poll(guest, ports, deadline), 0);
    const now = guest.time();
    assert.ok(now >= deadline && now < deadline + MILLISECOND, `${now} ${deadline}`);
  }
  const before = guest.time();
  for (const past of [1n, 1n << 63n, (1n << 64n) - 1n]) assert.equal(poll(guest, [port], past), 0);
  assert.ok(guest.time() < before + MILLISECOND, "a time that has passed, or that is negative, ends it at once");
  assert.ok(!shared(guest).isPending(port));
});

observes("sched_op.poll", "of at most 128 ports, which exist", (guest) => {
  const port = bindVirq(guest, VIRQ.DEBUG);
  const list = Array.from({ length: 129 }, () => port);
  assert.equal(poll(guest, list), -Errno.EINVAL);
  assert.equal(poll(guest, list.slice(1), 1), 0);
  for (const hostile of [0, 1024, 0x80000000, 0xffffffff]) {
    assert.equal(poll(guest, [hostile]), -Errno.EINVAL, `${hostile}`);
  }
  const unreadable = guest.place(abi.sched_poll, { ports: BigInt(Memory.hole), nr_ports: 1 });
  assert.equal(guest.call(NUMBER, SCHEDOP.poll, unreadable), -Errno.EFAULT);
  const huge = guest.place(abi.sched_poll, { ports: BigInt(Memory.data), nr_ports: 0xffffffff });
  assert.equal(guest.call(NUMBER, SCHEDOP.poll, huge), -Errno.EINVAL);
});
observes("sched_op.remote_shutdown", "no domain is a guest's to end, not even itself", (guest, machine) => {
  const other = machine.guest({ bits: guest.bits });
  const end = (domain: number): number => {
    const op = { domain_id: domainId(domain), reason: SHUTDOWN.crash };
    return guest.op(NUMBER, SCHEDOP.remote_shutdown, abi.sched_remote_shutdown, op).result;
  };
  assert.equal(end(other.domain.id), -Errno.EPERM);
  assert.equal(end(guest.domain.id), -Errno.EPERM);
  assert.equal(end(0), -Errno.EPERM);
  assert.equal(end(DOMID.SELF), -Errno.ESRCH);
  assert.equal(end(77), -Errno.ESRCH);
  assert.equal(other.call(NUMBER, SCHEDOP.yield), 0, "it goes on");
});

observes(
  "sched_op.shutdown_code",
  "the first reason that was left counts",
  (guest) => {
    assert.equal(guest.runToEnd("leave_code"), SHUTDOWN.watchdog);
    guest.resume();
    const at = guest.placeNumbers(4, [SHUTDOWN.reboot]);
    assert.equal(guest.callToEnd(NUMBER, SCHEDOP.shutdown, at), SHUTDOWN.reboot, "a domain that goes on left none");
  },
  {
    routines: (bits) => `
leave_code:
${hypercallSource(bits, NUMBER, SCHEDOP.shutdown_code, "code_watchdog")}
${hypercallSource(bits, NUMBER, SCHEDOP.shutdown_code, "code_reboot")}
${hypercallSource(bits, NUMBER, SCHEDOP.shutdown, "code_poweroff")}
  ret
code_watchdog: .long ${SHUTDOWN.watchdog}
code_reboot: .long ${SHUTDOWN.reboot}
code_poweroff: .long ${SHUTDOWN.poweroff}
`,
  },
);

observes("sched_op.watchdog", "a domain that does not poke it ends", (guest) => {
  const id = watchdog(guest, 0, 2);
  assert.ok(id > 0);
  const started = guest.time();
  poll(guest, [], started + SECOND);
  assert.equal(watchdog(guest, id, 3), 0, "poked in time");
  poll(guest, [], started + 3 * SECOND);
  assert.ok(guest.time() >= started + 3 * SECOND);
  assert.equal(guest.runToEnd("halt"), SHUTDOWN.watchdog);
});

observes("sched_op.watchdog", "there are two, and one that was taken back does not bite", (guest) => {
  assert.deepEqual([watchdog(guest, 0, 5), watchdog(guest, 0, 5)], [1, 2]);
  assert.equal(watchdog(guest, 0, 5), -Errno.ENOSPC);
  assert.equal(watchdog(guest, 3, 5), -Errno.EINVAL);
  assert.equal(watchdog(guest, 0xffffffff, 5), -Errno.EINVAL);
  assert.deepEqual([watchdog(guest, 1, 0), watchdog(guest, 2, 0)], [0, 0]);
  assert.equal(watchdog(guest, 1, 5), -Errno.EINVAL, "it is not in use");
  const until = guest.time() + 20 * SECOND;
  assert.equal(poll(guest, [], until), 0);
  assert.ok(guest.time() >= until);
});
