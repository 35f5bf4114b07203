import assert from "node:assert/strict";
import test from "node:test";

import { cpuid } from "./cpuid-policy.ts";
import type { CpuidResult } from "./cpuid-policy.ts";
import { Machine } from "./harness.ts";
import { VCPU } from "./heap.ts";
import { fillHypercallPage } from "./hypercall-page.ts";
import { Lapic } from "./lapic.ts";
import type { Delivery, Destination } from "./lapic.ts";
import { pvhContext } from "./startup.ts";
import { Timers } from "./timers.ts";

const policy = { domain: 5, vcpus: 2, physicalBits: 39 };
const leaf = (number: number, subleaf = 0, vcpu = 1): CpuidResult =>
  cpuid(policy, vcpu, number, subleaf, { osxsave: false, apic: true });

test("cpuid: Xen is where guests look for it, with the callback vector and no upcall vector", () => {
  const [max, ebx, ecx, edx] = leaf(0x40000000);
  const signature = new Uint8Array(Uint32Array.of(ebx, ecx, edx).buffer);
  assert.equal(String.fromCharCode(...signature), "XenVMMXenVMM");
  assert.equal(max, 0x40000005);
  assert.equal(leaf(0x40000001)[0], 0x00040014);
  assert.deepEqual(leaf(0x40000002), [1, 0x40000000, 0, 0]);
  assert.deepEqual(leaf(0x40000003, 1), [0, 0, 0x80000000, 1]);
  assert.deepEqual(leaf(0x40000004), [0x1c, 1, 5, 0]);
});

test("cpuid: an Intel processor of the second x86-64 level, and nothing that is not done", () => {
  const [, ebx, ecx, edx] = leaf(0);
  assert.equal(String.fromCharCode(...new Uint8Array(Uint32Array.of(ebx, edx, ecx).buffer)), "GenuineIntel");
  const [, , features] = leaf(1);
  const has = (bit: number): boolean => ((features >>> bit) & 1) === 1;
  for (const bit of [0, 1, 9, 13, 19, 20, 23, 25, 31]) assert.ok(has(bit), `leaf 1 ECX bit ${bit}`);
  // MONITOR, FMA, AVX, F16C, RDRAND.
  for (const bit of [3, 12, 28, 29, 30]) assert.ok(!has(bit), `leaf 1 ECX bit ${bit}`);
  assert.ok(!has(27));
  assert.equal((cpuid(policy, 0, 1, 0, { osxsave: true, apic: true })[2] >>> 27) & 1, 1);
  assert.equal((cpuid(policy, 0, 1, 0, { osxsave: false, apic: false })[3] >>> 9) & 1, 0);
  assert.deepEqual(leaf(0xd), [3, 576, 576, 0]);
  assert.equal(leaf(0x16)[0], 1000);
  assert.equal(leaf(0x80000008)[0], 39 | (48 << 8));
});

test("cpuid: each vCPU is a core with an even APIC id, and leaves past the last are zero", () => {
  assert.equal(leaf(1)[1] >>> 24, 2);
  assert.equal(leaf(0xb, 1)[3], 2);
  assert.deepEqual(leaf(0x17), [0, 0, 0, 0]);
  assert.deepEqual(leaf(0x8000001f), [0, 0, 0, 0]);
  assert.deepEqual(leaf(0x40000100), [0, 0, 0, 0]);
});

test("cpuid: every answer is four 32-bit words", () => {
  for (const base of [0, 0x40000000, 0x80000000]) {
    for (let i = 0; i < 32; i++) {
      for (let subleaf = 0; subleaf < 6; subleaf++) {
        for (const word of leaf(base + i, subleaf)) assert.ok(word === word >>> 0 || word === (word | 0));
      }
    }
  }
});

interface Sent {
  readonly to: Destination;
  readonly delivery: Delivery;
}

function lapicAt(clock: { now: number }): { lapic: Lapic; sent: Sent[] } {
  const sent: Sent[] = [];
  const lapic: Lapic = new Lapic(0, {
    now: () => clock.now,
    timestamp: () => clock.now,
    send: (to, delivery) => sent.push({ to, delivery }),
    addressChanged: () => undefined,
    enabled: () => undefined,
  });
  lapic.write(0xf0, 4, 0x1ff);
  return { lapic, sent };
}

test("lapic: starts as Xen leaves it", () => {
  const lapic = new Lapic(1, {
    now: () => 0,
    timestamp: () => 0,
    send: () => undefined,
    addressChanged: () => undefined,
    enabled: () => undefined,
  });
  assert.equal(lapic.read(0x20, 4), 2 << 24);
  assert.equal(lapic.read(0x30, 4), 0x00050014);
  assert.equal(lapic.read(0xf0, 4), 0xff);
  assert.equal(lapic.read(0xe0, 4), 0xffffffff);
  assert.equal(lapic.read(0x320, 4), 0x10000);
  assert.equal(lapic.base, 0xfee00800n);
  lapic.raise(0x40);
  assert.equal(lapic.pending(), undefined, "disabled in software");
});

test("lapic: the highest vector comes first, and lower ones wait for its end", () => {
  const { lapic } = lapicAt({ now: 0 });
  lapic.raise(0x41);
  lapic.raise(0x92);
  assert.equal(lapic.pending(), 0x92);
  lapic.acknowledge(0x92);
  assert.equal(lapic.read(0xa0, 4), 0x90);
  assert.equal(lapic.pending(), undefined);
  lapic.raise(0x99);
  assert.equal(lapic.pending(), undefined, "the same class does not nest");
  lapic.write(0xb0, 4, 0);
  assert.equal(lapic.pending(), 0x99);
  lapic.acknowledge(0x99);
  lapic.write(0xb0, 4, 0);
  lapic.write(0x80, 4, 0x40);
  assert.equal(lapic.pending(), undefined, "the task priority holds it back");
  lapic.write(0x80, 4, 0x30);
  assert.equal(lapic.pending(), 0x41);
});

test("lapic: the timer counts 100 MHz divided, once or again and again", () => {
  const clock = { now: 1000 };
  const { lapic } = lapicAt(clock);
  lapic.write(0x3e0, 4, 0b0011); // divided by 16
  lapic.write(0x320, 4, 0x50);
  lapic.write(0x380, 4, 100);
  assert.equal(lapic.deadline, 1000 + 100 * 160);
  clock.now += 50 * 160;
  assert.equal(lapic.read(0x390, 4), 50);
  lapic.tick(clock.now);
  assert.equal(lapic.pending(), undefined);
  clock.now += 50 * 160;
  lapic.tick(clock.now);
  assert.equal(lapic.pending(), 0x50);
  assert.equal(lapic.deadline, Infinity);
  lapic.acknowledge(0x50);
  lapic.write(0xb0, 4, 0);

  lapic.write(0x320, 4, 0x50 | (1 << 17));
  lapic.write(0x380, 4, 100);
  clock.now += 3.5 * 16000;
  lapic.tick(clock.now);
  assert.equal(lapic.pending(), 0x50);
  assert.equal(lapic.deadline, clock.now + 8000, "missed periods are one interrupt");
});

test("lapic: a new divisor changes the speed of a count that runs, and never stops the clock", () => {
  const clock = { now: 0 };
  const { lapic } = lapicAt(clock);
  lapic.write(0x3e0, 4, 0b1011); // divided by 1
  lapic.write(0x320, 4, 0x50 | (1 << 17));
  lapic.write(0x380, 4, 100);
  clock.now = 500;
  lapic.write(0x3e0, 4, 0b0000); // divided by 2
  assert.equal(lapic.read(0x390, 4), 50);
  assert.equal(lapic.deadline, 500 + 50 * 20);
  clock.now = 1500;
  lapic.write(0x3e0, 4, 0b1011);
  lapic.tick(clock.now);
  assert.equal(lapic.deadline, 2500);
});

test("lapic: the TSC deadline fires at its time and is zero after", () => {
  const clock = { now: 1000 };
  const { lapic } = lapicAt(clock);
  lapic.tscDeadline = 5000n;
  assert.equal(lapic.tscDeadline, 0n, "not in this mode");
  lapic.write(0x320, 4, 0x60 | (2 << 17));
  lapic.tscDeadline = 5000n;
  assert.equal(lapic.deadline, 5000);
  clock.now = 5000;
  lapic.tick(clock.now);
  assert.equal(lapic.pending(), 0x60);
  assert.equal(lapic.tscDeadline, 0n);
});

test("lapic: interrupt commands become what they say", () => {
  const { lapic, sent } = lapicAt({ now: 0 });
  lapic.write(0x310, 4, 2 << 24);
  lapic.write(0x300, 4, 0xfd);
  lapic.write(0x300, 4, 0xc500);
  lapic.write(0x300, 4, 0x8500);
  lapic.write(0x300, 4, 0x69a);
  lapic.write(0x300, 4, 0xc0000 | 0x40);
  lapic.write(0x300, 4, 0x05);
  assert.deepEqual(sent, [
    { to: { kind: "physical", id: 2 }, delivery: { kind: "fixed", vector: 0xfd } },
    { to: { kind: "physical", id: 2 }, delivery: { kind: "init" } },
    { to: { kind: "physical", id: 2 }, delivery: { kind: "startup", page: 0x9a } },
    { to: { kind: "others" }, delivery: { kind: "fixed", vector: 0x40 } },
  ]);
  lapic.write(0x280, 4, 0);
  assert.equal(lapic.read(0x280, 4), 1 << 5, "vector 5 cannot be sent");
});

test("lapic: x2APIC is entered from xAPIC and left by being switched off", () => {
  const { lapic } = lapicAt({ now: 0 });
  assert.equal(lapic.readMsr(0x802), undefined);
  assert.equal(lapic.setBase(0xfee00400n), false);
  assert.equal(lapic.setBase(0xfed00800n), false);
  assert.ok(lapic.setBase(0xfee00c00n));
  assert.equal(lapic.base, 0xfee00d00n, "BSP is read-only");
  assert.equal(lapic.readMsr(0x802), 0n);
  assert.equal(lapic.claims(0xfee00000), false);
  assert.equal(lapic.writeMsr(0x80b, 1n), false);
  assert.equal(lapic.writeMsr(0x802, 1n), false);
  assert.equal(lapic.readMsr(0x80b), undefined);
  assert.equal(lapic.setBase(0xfee00800n), false);
  assert.ok(lapic.setBase(0xfee00000n));
  assert.equal(lapic.read(0xf0, 4), 0xff, "switching it off resets it");
  assert.equal(lapic.setBase(0xfee00c00n), false);
  assert.ok(lapic.setBase(0xfee00800n));
});

test("interrupts: a vector for another vCPU waits in the heap for its worker", () => {
  const machine = new Machine({ vcpus: 3 });
  machine.cpu.lapic.write(0x310, 4, 4 << 24);
  machine.cpu.lapic.write(0x300, 4, 0xfd);
  assert.equal(machine.domain.vcpuGet(2, VCPU.interrupts + 7), 1 << 29);
  assert.equal(machine.domain.vcpuGet(1, VCPU.interrupts + 7), 0);
  machine.cpu.lapic.write(0xf0, 4, 0x1ff);
  machine.cpu.lapic.write(0x300, 4, 0x40000 | 0x33);
  assert.equal(machine.cpu.lapic.pending(), 0x33);
});

test("msr: what Linux looks at is there, and the rest raises #GP", () => {
  const { platform } = new Machine().cpu;
  assert.equal(platform.rdmsr(0x1b), 0xfee00900n);
  assert.equal(platform.rdmsr(0x277), 0x0007040600070406n);
  assert.equal(platform.rdmsr(0x2ff), 0x806n);
  assert.equal(platform.rdmsr(0xfe), 0x508n);
  assert.equal((platform.rdmsr(0x10a) ?? 0n) & 1n, 1n);
  assert.equal(platform.rdmsr(0xc0010015), undefined);
  assert.equal(platform.rdmsr(0x802), undefined);
  assert.equal(platform.wrmsr(0x277, 0x0007010600070106n), true);
  assert.equal(platform.rdmsr(0x277), 0x0007010600070106n);
  assert.equal(platform.wrmsr(0x277, 2n), false);
  assert.equal(platform.wrmsr(0x2ff, 0x1000n), false);
  assert.equal(platform.wrmsr(0x201, 1n << 39n), false);
  assert.equal(platform.wrmsr(0x201, 0x7f80000800n), true);
  assert.equal(platform.wrmsr(0x48, 1n), true);
  assert.equal(platform.wrmsr(0x48, 4n), false);
  assert.equal(platform.wrmsr(0x10a, 0n), false);
});

test("msr: TSC_ADJUST moves the counter, and the guest's time stays what it was", () => {
  const machine = new Machine();
  const { platform } = machine.cpu;
  machine.now += 500;
  assert.equal(platform.timestamp(), 500);
  assert.equal(platform.wrmsr(0x3b, 1000n), true);
  assert.equal(platform.timestamp(), 1500);
  assert.equal(platform.rdmsr(0x3b), 1000n);
  assert.equal(platform.wrmsr(0x3b, (1n << 64n) - 600n), true);
  assert.ok(Number.isSafeInteger(platform.timestamp()) && platform.timestamp() >= 0);
});

test("msr: the hypercall page is written to RAM, and nowhere else", () => {
  const machine = new Machine();
  assert.equal(machine.cpu.platform.wrmsr(0x40000000, 0x50000n), true);
  const page = machine.memory.frame(0x50) ?? new Uint8Array();
  assert.deepEqual([...page.subarray(17 * 32, 17 * 32 + 9)], [0xb8, 17, 0, 0, 0, 0x0f, 0x01, 0xc1, 0xc3]);
  assert.deepEqual([...page.subarray(23 * 32, 23 * 32 + 2)], [0x0f, 0x0b]);
  assert.ok(machine.memory.written.includes(0x50));
  assert.equal(machine.cpu.platform.wrmsr(0x40000000, 0x50001n), false);
  assert.equal(machine.cpu.platform.wrmsr(0x40000000, 0xfee00000n), false);
  assert.equal(machine.cpu.platform.wrmsr(0x40000000, 1n << 60n), false);
  assert.equal(machine.cpu.platform.rdmsr(0x40000000), 0n);
  const full = new Uint8Array(4096);
  fillHypercallPage(full);
  assert.ok(full.every((_, i) => i % 32 !== 0 || full[i] === 0xb8 || i === 23 * 32));
});

test("platform: there are no devices but the local APIC and the debug console", () => {
  const machine = new Machine();
  const { platform } = machine.cpu;
  assert.equal(platform.portIn(0x61, 1), 0xff);
  assert.equal(platform.portIn(0xcf8, 4), 0xffffffff);
  assert.equal(platform.portIn(0xe9, 1), 0xe9);
  platform.portOut(0xe9, 1, 0x41);
  platform.portOut(0x80, 1, 0x42);
  assert.equal(machine.console, "A");
  assert.equal(platform.mmioRead(0xfee00030, 4), 0x50014n);
  assert.equal(platform.mmioRead(0xfed00000, 8), 0xffffffffffffffffn);
  platform.mmioWrite(0xfee00080, 4, 0x20n);
  assert.equal(platform.mmioRead(0xfee00080, 4), 0x20n);
});

test("startup: a PVH domain begins in flat protected mode with its start_info in EBX", () => {
  const context = pvhContext(0x1000850, 0x5000);
  assert.equal(context.gpr[3], 0x5000n);
  assert.equal(context.rip, 0x1000850n);
  assert.equal(context.cr0, 0x11n);
  assert.deepEqual(context.segments.cs, { selector: 0, base: 0n, limit: 0xffffffff, attributes: 0xc9b });
  assert.equal(context.segments.tr.limit, 0x67);
});

test("timers: missed periods count once, and a watchdog ends the domain", () => {
  const timers = new Timers();
  timers.startPeriodic(0, 10);
  assert.equal(timers.take(35).ticks, 1);
  assert.equal(timers.next(), 40);
  timers.stopPeriodic();
  const id = timers.addWatchdog(100);
  assert.equal(id, 1);
  assert.equal(timers.addWatchdog(200), 2);
  assert.equal(timers.addWatchdog(300), undefined);
  assert.equal(timers.setWatchdog(3, 5), false);
  assert.equal(timers.take(99).watchdog, undefined);
  assert.equal(timers.take(100).watchdog, 4);
});
