import assert from "node:assert/strict";
import test from "node:test";

import { Errno } from "../abi/errno.ts";
import { evtchn_bind_virq, EVTCHNOP } from "../abi/event_channel.ts";
import { HVM_PARAM } from "../abi/hvm/params.ts";
import { sched_poll, sched_shutdown, SCHEDOP, SHUTDOWN } from "../abi/sched.ts";
import { RUNSTATE, vcpu_set_singleshot_timer, VCPUOP } from "../abi/vcpu.ts";
import { HYPERVISOR, vcpu_info, vcpu_time_info, VIRQ } from "../abi/xen.ts";
import { Exit } from "../engine/engine.ts";
import { destroyDomain } from "./control.ts";
import { vcpuInfoAddress } from "./event-channels.ts";
import { Machine } from "./harness.ts";
import type { Step } from "./harness.ts";
import { DOMAIN, VCPU } from "./heap.ts";
import { Request } from "./interrupts.ts";
import { runstateOf } from "./shared-areas.ts";
import { runVcpu } from "./vcpu-loop.ts";
import type { RunOutcome } from "./vcpu-loop.ts";

const run = (machine: Machine): RunOutcome => runVcpu(machine.cpu, machine.vcpu, machine.attention);

/** HLT with interrupts off. */
const powerOff: Step = (vcpu) => {
  vcpu.interruptFlag = false;
  return Exit.halt;
};

/** HLT with interrupts on. */
const idle: Step = (vcpu) => {
  vcpu.interruptFlag = true;
  return Exit.halt;
};

function timerPort(machine: Machine): number {
  const bind = { virq: VIRQ.TIMER, vcpu: 0 };
  return machine.op(HYPERVISOR.event_channel_op, EVTCHNOP.bind_virq, evtchn_bind_virq, bind).out.port;
}

function clearUpcall(machine: Machine): void {
  machine.memory.bytes[vcpuInfoAddress(machine.domain, 0) ?? 0] = 0;
}

test("loop: HLT without the interrupt flag on the last vCPU powers the domain off", () => {
  const machine = new Machine();
  machine.vcpu.steps.push(powerOff);
  assert.deepEqual(run(machine), { kind: "shutdown", reason: SHUTDOWN.poweroff, crash: undefined });
});

test("loop: SCHEDOP_shutdown ends the domain with its reason; an unknown one is a crash", () => {
  for (const [reason, expected] of [
    [SHUTDOWN.reboot, SHUTDOWN.reboot],
    [77, SHUTDOWN.crash],
  ] as const) {
    const machine = new Machine();
    machine.vcpu.steps.push((vcpu) => {
      machine.memory.write(0x8000, sched_shutdown.encode({ reason }));
      vcpu.setGpr(0, BigInt(HYPERVISOR.sched_op));
      vcpu.setGpr(7, BigInt(SCHEDOP.shutdown));
      vcpu.setGpr(6, 0x8000n);
      return Exit.hypercall;
    });
    assert.equal(run(machine).reason, expected);
    assert.equal(machine.vcpu.gpr(0), 0n);
  }
});

test("loop: a code latched earlier is the reason of a later shutdown", () => {
  const machine = new Machine();
  const latch = { reason: SHUTDOWN.crash };
  assert.equal(machine.op(HYPERVISOR.sched_op, SCHEDOP.shutdown_code, sched_shutdown, latch).result, 0);
  machine.vcpu.steps.push(powerOff);
  assert.equal(run(machine).reason, SHUTDOWN.crash);
});

test("loop: a triple fault ends the domain for the reason its parameter holds, with registers", () => {
  const machine = new Machine();
  machine.domain.setParam(HVM_PARAM.TRIPLE_FAULT_REASON, BigInt(SHUTDOWN.crash));
  machine.vcpu.rip = 0xdeadn;
  machine.vcpu.steps.push(() => Exit.tripleFault);
  const outcome = run(machine);
  assert.equal(outcome.reason, SHUTDOWN.crash);
  assert.equal(outcome.crash?.what, "triple fault");
  assert.match(outcome.crash?.message ?? "", /rip 0xdead/);
});

test("loop: a guest that sleeps is woken at its timer, by the callback vector", () => {
  const machine = new Machine();
  timerPort(machine);
  const timeout_abs_ns = 5_000_000n;
  const args = vcpu_set_singleshot_timer.encode({ timeout_abs_ns, flags: 0 });
  machine.memory.write(0x8000, args);
  assert.equal(machine.call(HYPERVISOR.vcpu_op, VCPUOP.set_singleshot_timer, 0, 0x8000), 0);
  let woken = 0;
  machine.vcpu.steps.push(idle, () => {
    woken = machine.now - 1_000_000;
    clearUpcall(machine);
    return Exit.budget;
  });
  machine.vcpu.steps.push(powerOff);
  run(machine);
  assert.deepEqual(machine.vcpu.injected, [0xf3]);
  assert.ok(woken >= 5_000_000 && woken < 5_100_000, `woken at ${woken}`);
  const { time } = runstateOf(machine.domain, 0, machine.now - 1_000_000);
  assert.ok((time[RUNSTATE.blocked] ?? 0n) >= 4_900_000n, "the sleep is accounted for");
});

test("loop: a deadline that has passed raises the timer event at once", () => {
  const machine = new Machine();
  timerPort(machine);
  machine.now += 10_000_000;
  machine.memory.write(0x8000, vcpu_set_singleshot_timer.encode({ timeout_abs_ns: 5n, flags: 0 }));
  assert.equal(machine.call(HYPERVISOR.vcpu_op, VCPUOP.set_singleshot_timer, 0, 0x8000), 0);
  machine.memory.write(0x8000, vcpu_set_singleshot_timer.encode({ timeout_abs_ns: 5n, flags: 1 }));
  assert.equal(machine.call(HYPERVISOR.vcpu_op, VCPUOP.set_singleshot_timer, 0, 0x8000), -Errno.ETIME);
  machine.vcpu.steps.push(powerOff);
  run(machine);
  assert.deepEqual(machine.vcpu.injected, [0xf3]);
});

test("loop: an interrupt that the guest cannot take yet waits for its window", () => {
  const machine = new Machine();
  timerPort(machine);
  machine.cpu.timers.singleshot = 0;
  machine.vcpu.interruptFlag = false;
  machine.vcpu.steps.push((vcpu) => {
    assert.equal(vcpu.interruptPending, true);
    assert.deepEqual(vcpu.injected, []);
    vcpu.interruptFlag = true;
    return Exit.interruptWindow;
  }, powerOff);
  run(machine);
  assert.deepEqual(machine.vcpu.injected, [0xf3]);
});

test("loop: a vector of the local APIC is delivered once, and is in service until its end", () => {
  const machine = new Machine();
  machine.cpu.lapic.write(0xf0, 4, 0x1ff);
  machine.cpu.lapic.raise(0x41);
  machine.cpu.lapic.raise(0x42);
  machine.vcpu.steps.push((vcpu) => {
    assert.deepEqual(vcpu.injected, [0x42]);
    vcpu.interruptFlag = true;
    return Exit.budget;
  });
  machine.vcpu.steps.push((vcpu) => {
    assert.deepEqual(vcpu.injected, [0x42], "the lower one of the same class waits");
    machine.cpu.lapic.write(0xb0, 4, 0);
    return Exit.budget;
  });
  machine.vcpu.steps.push(powerOff);
  run(machine);
  assert.deepEqual(machine.vcpu.injected, [0x42, 0x41]);
});

test("loop: SCHEDOP_poll sleeps until its time, and returns 0", () => {
  const machine = new Machine();
  const port = timerPort(machine);
  machine.setWord(0x9000, port);
  machine.memory.write(0x8000, sched_poll.encode({ ports: 0x9000n, nr_ports: 1, timeout: 3_000_000n }));
  let woken = 0;
  machine.vcpu.steps.push(
    (vcpu) => {
      vcpu.setGpr(0, BigInt(HYPERVISOR.sched_op));
      vcpu.setGpr(7, BigInt(SCHEDOP.poll));
      vcpu.setGpr(6, 0x8000n);
      return Exit.hypercall;
    },
    (vcpu) => {
      woken = machine.now - 1_000_000;
      assert.equal(vcpu.gpr(0), 0n);
      return Exit.budget;
    },
    powerOff,
  );
  run(machine);
  assert.ok(woken >= 3_000_000 && woken < 3_100_000, `woken at ${woken}`);
});

test("sched_op: a poll of too many ports, of none of the domain's, or of memory that is not there is refused", () => {
  const machine = new Machine();
  const poll = (value: Partial<sched_poll>): number =>
    machine.op(HYPERVISOR.sched_op, SCHEDOP.poll, sched_poll, value).result;
  machine.setWord(0x9000, 0x7fffffff);
  assert.equal(poll({ nr_ports: 129, ports: 0x9000n }), -Errno.EINVAL);
  assert.equal(poll({ nr_ports: 1, ports: 0x9000n }), -Errno.EINVAL);
  assert.equal(poll({ nr_ports: 1, ports: 1n << 50n }), -Errno.EFAULT);
  assert.equal(poll({ nr_ports: 0xffffffff, ports: 0n }), -Errno.EINVAL);
});

test("loop: the domain's time and clock are there before its first instruction", () => {
  const machine = new Machine();
  machine.vcpu.steps.push(powerOff);
  run(machine);
  const info = vcpuInfoAddress(machine.domain, 0) ?? 0;
  const time = vcpu_time_info.read(machine.memory.bytes, info + vcpu_info.offsets.time);
  assert.deepEqual(
    [time.version, time.tsc_to_system_mul, time.tsc_shift, time.flags, time.tsc_timestamp, time.system_time],
    [2, 0x80000000, 1, 1, 0n, 0n],
  );
  const shared = machine.domain.get(DOMAIN.sharedInfoFrame) * 4096;
  const view = new DataView(machine.memory.bytes.buffer);
  assert.equal(view.getUint32(shared + 3076, true), 1_700_000_000);
  assert.equal(view.getUint32(shared + 3072, true) % 2, 0);
});

test("loop: pausing stops the guest, and a destroyed domain's loop returns", () => {
  const machine = new Machine();
  machine.vcpu.steps.push(() => {
    machine.domain.pause();
    return Exit.budget;
  });
  let waits = 0;
  machine.attention.wait = () => {
    if (++waits === 3) machine.domain.stop();
  };
  assert.equal(run(machine).kind, "destroyed");
  assert.equal(machine.vcpu.steps.length, 0);
  destroyDomain(machine.hypervisor, machine.domain);
  assert.equal(machine.hypervisor.find(machine.domain.id), undefined);
});

test("loop: INIT and a start-up interrupt restart a processor in real mode at the page of the vector", () => {
  const machine = new Machine({ vcpus: 2 });
  // The other processor counts as running, so that this one may go down.
  machine.domain.vcpuSet(1, VCPU.online, 1);
  machine.domain.set(DOMAIN.onlineVcpus, 2);
  const at = machine.hypervisor.heap.vcpu(machine.domain.slot, 0) + VCPU.requests;
  machine.domain.vcpuSet(0, VCPU.startVector, 0x9a);
  Atomics.store(machine.hypervisor.heap.words, at, Request.init | Request.startup);
  machine.attention.request();
  machine.vcpu.steps.push((vcpu) => {
    const { segments, rip, cr0 } = vcpu.context();
    assert.deepEqual([segments.cs.selector, segments.cs.base, rip, cr0 & 1n], [0x9a00, 0x9a000n, 0n, 0n]);
    machine.domain.shutdown(SHUTDOWN.poweroff);
    return Exit.budget;
  });
  assert.equal(run(machine).reason, SHUTDOWN.poweroff);
});

test("loop: every input is stamped with the instruction count", () => {
  const machine = new Machine();
  machine.vcpu.steps.push(() => Exit.budget, powerOff);
  run(machine);
  const stamps = machine.inputs.map(({ at }) => at);
  assert.ok(stamps.length > 2 && stamps.some((at) => at > 0));
  assert.deepEqual(
    stamps,
    stamps.toSorted((a, b) => a - b),
  );
});

test("loop: a timer event reaches a port that polls although it is masked", () => {
  const machine = new Machine();
  const port = timerPort(machine);
  machine.setWord(0x9000, port);
  const mask = machine.domain.get(DOMAIN.sharedInfoFrame) * 4096 + 2560;
  machine.memory.bytes[mask + (port >> 3)] = 1 << (port & 7);
  machine.cpu.timers.singleshot = 2_000_000;
  machine.memory.write(0x8000, sched_poll.encode({ ports: 0x9000n, nr_ports: 1, timeout: 0n }));
  let woken = 0;
  machine.vcpu.steps.push(
    (vcpu) => {
      vcpu.setGpr(0, BigInt(HYPERVISOR.sched_op));
      vcpu.setGpr(7, BigInt(SCHEDOP.poll));
      vcpu.setGpr(6, 0x8000n);
      return Exit.hypercall;
    },
    (vcpu) => {
      woken = machine.now - 1_000_000;
      return powerOff(vcpu);
    },
  );
  run(machine);
  assert.ok(woken >= 2_000_000 && woken < 2_100_000, `woken at ${woken}`);
  assert.deepEqual(machine.vcpu.injected, []);
});
