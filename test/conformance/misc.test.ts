/** Guests that use the hypercalls without a family: multicall, set_timer_op, console_io; and the ways to make a hypercall. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Errno } from "../../src/abi/errno.ts";
import { EVTCHNOP, evtchn_bind_virq } from "../../src/abi/event_channel.ts";
import { SCHEDOP, sched_poll } from "../../src/abi/sched.ts";
import { XENVER } from "../../src/abi/version.ts";
import { CONSOLEIO, HYPERVISOR, multicall_entry, VIRQ } from "../../src/abi/xen.ts";
import { XEN_VERSION } from "../../src/hypervisor/version.ts";
import type { Argument, Guest } from "./guest.ts";
import { Memory, Window } from "./layout.ts";
import { Machine } from "./machine.ts";
import { observes } from "./observes.ts";
import { mapSharedInfo, shared } from "./shared-info.ts";

const MILLISECOND = 1_000_000;
const VERSION = (XEN_VERSION.major << 16) | XEN_VERSION.minor;
const version = [HYPERVISOR.xen_version, XENVER.version] as const;

function bindTimer(guest: Guest): number {
  const op = { virq: VIRQ.TIMER, vcpu: 0 };
  return guest.op(HYPERVISOR.event_channel_op, EVTCHNOP.bind_virq, evtchn_bind_virq, op).out.port;
}
function sleepUntil(guest: Guest, time: number): void {
  assert.equal(guest.op(HYPERVISOR.sched_op, SCHEDOP.poll, sched_poll, { timeout: BigInt(time) }).result, 0);
}
function setTimer(guest: Guest, time: bigint): void {
  const halves = guest.bits === 64 ? [time] : [time & 0xffffffffn, time >> 32n];
  assert.equal(guest.call(HYPERVISOR.set_timer_op, ...halves), 0);
}

/** Places calls behind each other. @returns the list's address, and how to read the results. */
function calls(guest: Guest, list: readonly (readonly Argument[])[]) {
  const { sizeof } = guest.layout(multicall_entry);
  const at = guest.allocate(sizeof * list.length);
  list.forEach(([op = 0, ...args], i) => {
    const padded = Array.from({ length: 6 }, (_, k) => BigInt(args[k] ?? 0));
    guest.place(multicall_entry, { op: BigInt(op), result: 77n, args: padded }, at + i * sizeof);
  });
  const results = (): number[] => list.map((_, i) => Number(guest.read(multicall_entry, at + i * sizeof).result));
  return { at, results };
}

observes("multicall", "each call is made, and has its result", (guest) => {
  const text = guest.allocate(16);
  const list = calls(guest, [version, [999], [HYPERVISOR.xen_version, XENVER.extraversion, text], version]);
  assert.equal(guest.call(HYPERVISOR.multicall, list.at, 3), 0);
  assert.deepEqual(list.results(), [VERSION, -Errno.ENOSYS, 0, 77], "the fourth was not asked for");
  assert.equal(guest.text(text, 16), XEN_VERSION.extra);
  assert.equal(guest.call(HYPERVISOR.multicall, list.at, 0), 0);
});

observes("multicall", "long lists are done in pieces, to their end", (guest) => {
  const list = calls(
    guest,
    Array.from({ length: 300 }, () => version),
  );
  assert.equal(guest.call(HYPERVISOR.multicall, list.at, 300), 0);
  assert.deepEqual(new Set(list.results()), new Set([VERSION]));
});

observes("multicall", "a call that sleeps sleeps, and the others follow", (guest) => {
  const poll = guest.place(sched_poll, { timeout: BigInt(guest.time() + 20 * MILLISECOND) });
  const before = guest.time();
  const list = calls(guest, [[HYPERVISOR.sched_op, SCHEDOP.poll, poll], [HYPERVISOR.sched_op, SCHEDOP.yield], version]);
  assert.equal(guest.call(HYPERVISOR.multicall, list.at, 3), 0);
  assert.deepEqual(list.results(), [0, 0, VERSION]);
  assert.ok(guest.time() >= before + 19 * MILLISECOND);
});

observes("multicall", "not within each other, and only where memory is", (guest) => {
  const inner = calls(guest, [version]);
  const list = calls(guest, [[HYPERVISOR.multicall, inner.at, 1], version]);
  assert.equal(guest.call(HYPERVISOR.multicall, list.at, 2), 0);
  assert.deepEqual(list.results(), [-Errno.EINVAL, VERSION]);
  assert.deepEqual(inner.results(), [77]);
  for (const at of [Window.absent, Window.hole, 0xfffffff0]) {
    assert.equal(guest.call(HYPERVISOR.multicall, at, 1), -Errno.EFAULT);
  }
  assert.equal(guest.call(HYPERVISOR.multicall, Window.readOnly, 1), -Errno.EFAULT);
  // Of a list that runs on past the end of memory, what is there is done.
  const { sizeof } = guest.layout(multicall_entry);
  const last = Memory.windowFrames + 0x1000 - sizeof;
  guest.place(multicall_entry, { op: 17n, args: [0n, 0n, 0n, 0n, 0n, 0n] }, last);
  const at = Window.absent - sizeof;
  for (const count of [2, 0xffffffff, -1n]) {
    assert.equal(guest.call(HYPERVISOR.multicall, at, count), -Errno.EFAULT, `${count}`);
    assert.equal(Number(guest.read(multicall_entry, last).result), VERSION);
  }
});

observes("set_timer_op", "an event when the time has come", (guest) => {
  mapSharedInfo(guest);
  const port = bindTimer(guest);
  // Beyond 4 seconds, so that the upper half counts.
  sleepUntil(guest, 5000 * MILLISECOND);
  const deadline = guest.time() + 10 * MILLISECOND;
  setTimer(guest, BigInt(deadline));
  sleepUntil(guest, deadline - MILLISECOND);
  assert.ok(!shared(guest).isPending(port));
  sleepUntil(guest, deadline + MILLISECOND);
  assert.ok(shared(guest).isPending(port));
});

observes("set_timer_op", "zero takes it back; a time that has passed is now; one too far off is soon", (guest) => {
  mapSharedInfo(guest);
  const port = bindTimer(guest);
  setTimer(guest, BigInt(guest.time() + 10 * MILLISECOND));
  setTimer(guest, 0n);
  sleepUntil(guest, guest.time() + 50 * MILLISECOND);
  assert.ok(!shared(guest).isPending(port));
  setTimer(guest, 1n);
  assert.ok(shared(guest).isPending(port));
  for (const time of [1n << 63n, (1n << 64n) - 1n, 1n << 62n]) {
    shared(guest).clear(port);
    setTimer(guest, time);
    sleepUntil(guest, guest.time() + 90 * MILLISECOND);
    assert.ok(!shared(guest).isPending(port), `${time}`);
    sleepUntil(guest, guest.time() + 20 * MILLISECOND);
    assert.ok(shared(guest).isPending(port), `${time}`);
  }
});

observes("console_io.write", "what is written is on the console", (guest) => {
  const line = "hello, world\n";
  const at = guest.allocate(0x4000);
  const bytes = Uint8Array.from({ length: 0x3001 }, (_, i) => line.charCodeAt(i % line.length));
  guest.write(at, bytes);
  assert.equal(guest.call(HYPERVISOR.console_io, CONSOLEIO.write, line.length, at), 0);
  assert.equal(guest.console, line);
  assert.equal(guest.call(HYPERVISOR.console_io, CONSOLEIO.write, bytes.length, at), 0, "in pieces");
  assert.equal(guest.console, line + String.fromCharCode(...bytes));
  assert.equal(guest.call(HYPERVISOR.console_io, CONSOLEIO.write, 0, Window.absent), 0);
});

observes("console_io.write", "only what can be read", (guest) => {
  for (const at of [Window.absent, Window.absent - 4, Window.hole]) {
    assert.equal(guest.call(HYPERVISOR.console_io, CONSOLEIO.write, 8, at), -Errno.EFAULT);
  }
  for (const count of [0x7fffffff, 0x80000000, 0xffffffff]) {
    assert.equal(guest.call(HYPERVISOR.console_io, CONSOLEIO.write, count, Window.first), -Errno.EFAULT);
  }
  assert.ok(guest.console.length <= 3 * 8192, "two pages for each");
  assert.equal(guest.call(HYPERVISOR.console_io, 2, 8, Memory.data), -Errno.ENOSYS);
  assert.equal(guest.call(HYPERVISOR.console_io, 0xffffffff, 8, Memory.data), -Errno.ENOSYS);
});

for (const bits of [32, 64] as const) {
  test(`hypercalls: by VMCALL, VMMCALL and hypercall page, from the kernel alone (${bits}-bit)`, () => {
    using machine = new Machine();
    const guest = machine.guest({ bits });
    assert.equal(guest.call(...version), VERSION);
    assert.equal(guest.callBy("hypercall_amd", ...version), VERSION);
    assert.equal(guest.callBy("hypercall_user", ...version), -Errno.EPERM);
    const page = Memory.freeFrame * 4096;
    guest.mail("address", 0x40000000);
    guest.mail("value", page);
    guest.run("write_msr");
    guest.mail("address", page + HYPERVISOR.xen_version * 32);
    assert.equal(guest.callBy("hypercall_page", ...version), VERSION);
    assert.equal(guest.u8(page + HYPERVISOR.iret * 32), 0x0f, "iret's stub is UD2");
  });

  test(`hypercalls: a page for stubs that cannot be is #GP (${bits}-bit)`, () => {
    using machine = new Machine();
    const guest = machine.guest({ bits });
    for (const value of [Memory.freeFrame * 4096 + 1, Memory.hole, 0xfee00000, 1n << 40n, (1n << 64n) - 4096n]) {
      guest.mail("address", 0x40000000);
      guest.mail("value", value);
      assert.throws(() => guest.run("write_msr"), /exception 13/);
    }
    assert.equal(guest.call(...version), VERSION);
  });

  test(`hypercalls: numbers that are none are -ENOSYS (${bits}-bit)`, () => {
    using machine = new Machine();
    const guest = machine.guest({ bits });
    for (const number of [0, 1, 38, 63, 64, 127, 128, 0x7fffffff, 0x80000000, 0xffffffff]) {
      assert.equal(guest.call(number, 0, Memory.data, 1), -Errno.ENOSYS, `${number}`);
    }
  });

  test(`console: bytes for port 0xe9 come out (${bits}-bit)`, () => {
    using machine = new Machine();
    const guest = machine.guest({ bits });
    for (const byte of "hi") {
      guest.mail("address", 0xe9);
      guest.mail("value", byte.charCodeAt(0));
      guest.run("port_out");
    }
    assert.equal(guest.console, "hi");
  });

  test(`shutdown: HLT without interrupts powers off (${bits}-bit)`, () => {
    using machine = new Machine();
    assert.equal(machine.guest({ bits }).runToEnd("halt_for_ever"), 0);
  });
}
