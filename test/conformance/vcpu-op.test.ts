/** Guests that ask for time, timers and areas of their vCPUs. */
import assert from "node:assert/strict";
import { Errno } from "../../src/abi/errno.ts";
import { EVTCHNOP, evtchn_bind_virq } from "../../src/abi/event_channel.ts";
import { HVM_PARAM } from "../../src/abi/hvm/params.ts";
import { SCHEDOP, SHUTDOWN, sched_poll } from "../../src/abi/sched.ts";
import * as abi from "../../src/abi/vcpu.ts";
import { HYPERVISOR, VIRQ } from "../../src/abi/xen.ts";
import type { Guest } from "./guest.ts";
import { observes } from "./observes.ts";
import { SecondProcessor } from "./second-processor.ts";
import { mapSharedInfo, setParam, shared } from "./shared-info.ts";
import { setTimer } from "./timer.ts";

const { RUNSTATE, VCPUOP } = abi;
const NUMBER = HYPERVISOR.vcpu_op;
const MILLISECOND = 1_000_000;
const HOSTILE_VCPUS = [2, 127, 128, 0x7fffffff, 0x80000000, 0xffffffff];
const twoVcpus = { vcpus: 2 } as const;

function bindTimer(guest: Guest): number {
  const op = { virq: VIRQ.TIMER, vcpu: 0 };
  return guest.op(HYPERVISOR.event_channel_op, EVTCHNOP.bind_virq, evtchn_bind_virq, op).out.port;
}
/** Sleeps until a time. */
function sleepUntil(guest: Guest, time: number): void {
  assert.equal(guest.op(HYPERVISOR.sched_op, SCHEDOP.poll, sched_poll, { timeout: BigInt(time) }).result, 0);
}
function runstate(guest: Guest, vcpu = 0): abi.vcpu_runstate_info {
  const at = guest.place(abi.vcpu_runstate_info, {});
  assert.equal(guest.call(NUMBER, VCPUOP.get_runstate_info, vcpu, at), 0);
  return guest.read(abi.vcpu_runstate_info, at);
}
const milliseconds = (time: bigint | undefined): number => Math.round(Number(time) / MILLISECOND);

observes(
  "vcpu_op.is_up",
  "a vCPU that has not been started is down",
  (guest) => {
    assert.deepEqual(
      [0, 1].map((vcpu) => guest.call(NUMBER, VCPUOP.is_up, vcpu)),
      [1, 0],
    );
    for (const vcpu of HOSTILE_VCPUS) assert.equal(guest.call(NUMBER, VCPUOP.is_up, vcpu), -Errno.ENOENT);
    assert.equal(guest.call(NUMBER, 999, 77), -Errno.ENOENT);
    assert.equal(guest.call(NUMBER, 999, 0), -Errno.ENOSYS);
  },
  twoVcpus,
);

observes(
  "vcpu_op.down",
  "with the last vCPU the domain powers off",
  (guest) => {
    assert.equal(guest.call(NUMBER, VCPUOP.down, 1), 0, "it is down already");
    for (const vcpu of HOSTILE_VCPUS) assert.equal(guest.call(NUMBER, VCPUOP.down, vcpu), -Errno.ENOENT);
    assert.equal(guest.callToEnd(NUMBER, VCPUOP.down, 0), SHUTDOWN.poweroff);
  },
  twoVcpus,
);

observes(
  "vcpu_op.get_runstate_info",
  "how much time was spent running, and how much asleep",
  (guest) => {
    const before = runstate(guest);
    assert.equal(before.state, RUNSTATE.running);
    sleepUntil(guest, guest.time() + 30 * MILLISECOND);
    const after = runstate(guest);
    const spent = after.time.map((time, i) => milliseconds(time - (before.time[i] ?? 0n)));
    assert.equal(spent[RUNSTATE.blocked], 30);
    assert.ok(after.state_entry_time > before.state_entry_time);
    assert.equal(runstate(guest, 1).state, RUNSTATE.offline);
    for (const vcpu of HOSTILE_VCPUS) assert.equal(guest.call(NUMBER, VCPUOP.get_runstate_info, vcpu), -Errno.ENOENT);
  },
  twoVcpus,
);

observes("vcpu_op.get_runstate_info", "all the time since the domain began is accounted for", (guest) => {
  sleepUntil(guest, guest.time() + 10 * MILLISECOND);
  for (let i = 0; i < 3; i++) {
    const { time } = runstate(guest);
    const total = time.reduce((sum, part) => sum + part, 0n);
    assert.equal(milliseconds(total), Math.round(guest.time() / MILLISECOND));
    guest.mail("value", 100_000);
    guest.run("spin");
  }
});

observes("vcpu_op.set_periodic_timer", "an event in each period", (guest) => {
  mapSharedInfo(guest);
  setParam(guest, HVM_PARAM.CALLBACK_IRQ, (2n << 56n) | 0xf3n);
  const port = bindTimer(guest);
  const at = guest.place(abi.vcpu_set_periodic_timer, { period_ns: BigInt(10 * MILLISECOND) });
  const started = guest.time();
  assert.equal(guest.call(NUMBER, VCPUOP.set_periodic_timer, 0, at), 0);
  for (let tick = 1; tick <= 3; tick++) {
    assert.equal(guest.call(HYPERVISOR.sched_op, SCHEDOP.block), 0);
    assert.ok(shared(guest).isPending(port));
    shared(guest).clear(port);
    assert.equal(Math.floor((guest.time() - started) / (10 * MILLISECOND)), tick);
  }
});

observes("vcpu_op.set_periodic_timer", "not more often than each millisecond", (guest) => {
  const set = (period_ns: bigint): number => {
    const at = guest.place(abi.vcpu_set_periodic_timer, { period_ns });
    return guest.call(NUMBER, VCPUOP.set_periodic_timer, 0, at);
  };
  for (const period of [0n, 1n, 999_999n, 1n << 62n, 1n << 63n, (1n << 64n) - 1n]) {
    assert.equal(set(period), -Errno.EINVAL, `${period}`);
  }
  for (const period of [1_000_000n, (1n << 62n) - 1n]) assert.equal(set(period), 0, `${period}`);
});

observes("vcpu_op.stop_periodic_timer", "no event any more", (guest) => {
  mapSharedInfo(guest);
  const port = bindTimer(guest);
  const at = guest.place(abi.vcpu_set_periodic_timer, { period_ns: BigInt(10 * MILLISECOND) });
  assert.equal(guest.call(NUMBER, VCPUOP.set_periodic_timer, 0, at), 0);
  assert.equal(guest.call(NUMBER, VCPUOP.stop_periodic_timer, 0), 0);
  sleepUntil(guest, guest.time() + 100 * MILLISECOND);
  assert.ok(!shared(guest).isPending(port));
});

observes("vcpu_op.set_singleshot_timer", "one event, at its time", (guest) => {
  mapSharedInfo(guest);
  setParam(guest, HVM_PARAM.CALLBACK_IRQ, (2n << 56n) | 0xf3n);
  guest.mail("upcallFlag", shared(guest).upcallAt(0));
  const port = bindTimer(guest);
  const deadline = guest.time() + 7 * MILLISECOND;
  setTimer(guest, deadline);
  guest.run("halt");
  assert.equal(guest.interrupts(0xf3), 1);
  const now = guest.time();
  assert.ok(now >= deadline && now < deadline + MILLISECOND);
  shared(guest).clear(port);
  sleepUntil(guest, now + 100 * MILLISECOND);
  assert.ok(!shared(guest).isPending(port));
});

observes(
  "vcpu_op.set_singleshot_timer",
  "a time that has passed is an event at once, or an error for those who want one",
  (guest) => {
    mapSharedInfo(guest);
    const port = bindTimer(guest);
    const set = (timeout_abs_ns: bigint, flags = 0, vcpu = 0): number => {
      const at = guest.place(abi.vcpu_set_singleshot_timer, { timeout_abs_ns, flags });
      return guest.call(NUMBER, VCPUOP.set_singleshot_timer, vcpu, at);
    };
    assert.equal(set(1n, abi.VCPU_SSHOTTMR_future), -Errno.ETIME);
    assert.ok(!shared(guest).isPending(port));
    for (const past of [0n, 1n, 1n << 63n, (1n << 64n) - 1n]) {
      assert.equal(set(past), 0);
      assert.ok(shared(guest).isPending(port), `${past}`);
      shared(guest).clear(port);
    }
    assert.equal(set(1n, 0, 1), -Errno.EINVAL, "of another vCPU");
    assert.equal(guest.call(NUMBER, VCPUOP.set_singleshot_timer, 1, 0xfff00000), -Errno.EINVAL);
  },
  twoVcpus,
);

observes(
  "vcpu_op.stop_singleshot_timer",
  "the event does not come",
  (guest) => {
    mapSharedInfo(guest);
    const port = bindTimer(guest);
    setTimer(guest, guest.time() + 5 * MILLISECOND);
    assert.equal(guest.call(NUMBER, VCPUOP.stop_singleshot_timer, 1), -Errno.EINVAL);
    assert.equal(guest.call(NUMBER, VCPUOP.stop_singleshot_timer, 0), 0);
    sleepUntil(guest, guest.time() + 50 * MILLISECOND);
    assert.ok(!shared(guest).isPending(port));
  },
  twoVcpus,
);

observes(
  "vcpu_op.send_nmi",
  "the vCPU takes a non-maskable interrupt",
  (guest) => {
    assert.equal(guest.interrupts(2), 0);
    assert.equal(guest.call(NUMBER, VCPUOP.send_nmi, 0, 0), 0);
    guest.time();
    assert.equal(guest.interrupts(2), 1, "interrupts are off, which does not hold it up");
    assert.equal(guest.call(NUMBER, VCPUOP.send_nmi, 0, 4), -Errno.EINVAL, "it has no argument");
    for (const vcpu of HOSTILE_VCPUS) assert.equal(guest.call(NUMBER, VCPUOP.send_nmi, vcpu, 0), -Errno.ENOENT);
    assert.equal(guest.call(NUMBER, VCPUOP.send_nmi, 1, 0), 0, "one that is down does not mind");
    guest.time();
    assert.equal(guest.interrupts(2), 1);
  },
  twoVcpus,
);

observes(
  "vcpu_op.up",
  "a vCPU that went down goes on where it was",
  (guest) => {
    const second = new SecondProcessor(guest);
    const isUp = (): number => guest.call(NUMBER, VCPUOP.is_up, 1);
    assert.equal(guest.call(NUMBER, VCPUOP.up, 1), -Errno.EINVAL, "it has not been started yet");
    second.run();
    assert.equal(second.count, 0);
    second.start();
    assert.deepEqual([second.count, isUp()], [1, 0], "it ran, and took itself down");
    second.run();
    assert.equal(second.count, 1);
    for (const count of [2, 3]) {
      assert.equal(guest.call(NUMBER, VCPUOP.up, 1), 0);
      assert.equal(isUp(), 1);
      assert.equal(guest.call(NUMBER, VCPUOP.up, 1), 0, "it is up already");
      second.run();
      assert.deepEqual([second.count, isUp()], [count, 0]);
    }
    assert.equal(guest.call(NUMBER, VCPUOP.up, 0), 0);
    for (const vcpu of HOSTILE_VCPUS) assert.equal(guest.call(NUMBER, VCPUOP.up, vcpu), -Errno.ENOENT);
  },
  twoVcpus,
);

observes(
  "vcpu_op.down",
  "the domain goes on as long as one is up",
  (guest) => {
    const second = new SecondProcessor(guest);
    second.start();
    assert.equal(guest.call(NUMBER, VCPUOP.up, 1), 0);
    assert.equal(guest.call(NUMBER, VCPUOP.down, 1), 0);
    second.run();
    assert.equal(second.count, 1, "it was stopped before it ran");
    assert.equal(guest.call(NUMBER, VCPUOP.is_up, 1), 0);
    assert.equal(guest.callToEnd(NUMBER, VCPUOP.down, 0), SHUTDOWN.poweroff);
  },
  twoVcpus,
);
