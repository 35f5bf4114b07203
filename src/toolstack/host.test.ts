import assert from "node:assert/strict";
import { test } from "node:test";

import { GNTTAB } from "../abi/grant_table.ts";
import { xencons_interface } from "../abi/io/console.ts";
import { SHUTDOWN } from "../abi/sched.ts";
import { domainId } from "../abi/types.ts";
import { XenError } from "../bits/errors.ts";
import { openDomainMemory } from "../engine/domain-memory.ts";
import { attachDomain, Hypervisor } from "../hypervisor/domain.ts";
import type { Domain } from "../hypervisor/domain.ts";
import { send } from "../hypervisor/event-table.ts";
import { pinsOf } from "../hypervisor/grant-table.ts";
import { Heap } from "../hypervisor/heap.ts";
import { CONSOLE_WINDOW, consoleCost } from "./console-gate.ts";
import type { DomainConfig } from "./domain-config.ts";
import { pvhElf } from "./hello/elf.ts";
import { Host } from "./host.ts";
import type { Machine, PcpuListener } from "./machine.ts";
import type { MemoryReply, PcpuAssignment } from "./pcpu.ts";

interface Thread {
  readonly assignment: PcpuAssignment;
  readonly listener: PcpuListener;
  readonly replies: MemoryReply[];
  terminated: boolean;
}

/** A machine whose threads do nothing: the test plays the guest. */
function testMachine(): { machine: Machine; threads: Thread[] } {
  const threads: Thread[] = [];
  const machine: Machine = {
    world: {
      monotonic: () => performance.now() * 1e6,
      wallclock: () => 1_700_000_000_000_000_000n,
      entropy: (into) => void into.fill(7),
    },
    decompressors: { gzip: (bytes) => bytes, zstd: (bytes) => bytes },
    startPcpu(assignment, listener) {
      const thread: Thread = { assignment, listener, replies: [], terminated: false };
      threads.push(thread);
      return {
        reply: (reply) => void thread.replies.push(reply),
        terminate() {
          thread.terminated = true;
          listener.ended(undefined);
          return Promise.resolve();
        },
      };
    },
    collectGarbage: () => undefined,
    defer: (work) => void setImmediate(work),
    every: () => ({ [Symbol.dispose]: () => {} }),
    log: () => {},
  };
  return { machine, threads };
}

const config: DomainConfig = {
  name: "test",
  kernel: pvhElf(Uint8Array.of(0xf4), 0x100000, 0x100000),
  kernelName: "test.elf",
  commandLine: "a b",
  memoryBytes: 16 << 20,
  vcpus: 1,
};

/** The domain as its own thread sees it. */
function inside({ assignment }: Thread): Domain {
  const hypervisor = new Hypervisor(new Heap(assignment.heap), () => 0);
  const domain = attachDomain(hypervisor, assignment.domain, openDomainMemory(assignment.memory));
  assert.ok(domain);
  return domain;
}

test("host: a domain is built, introduced and unpaused, and leaves nothing behind", async () => {
  const { machine, threads } = testMachine();
  const host = await Host.open(machine);
  const guest = await host.create(config);
  const home = `/local/domain/${guest.id}`;
  const [thread] = threads;
  assert.ok(thread);
  assert.equal(host.store.read(`${home}/name`), "test");
  assert.equal(host.store.read(`${home}/memory/target`), "16384");
  assert.equal(host.store.read(`${home}/console/type`), "xenconsoled");
  assert.deepEqual(host.store.permissions(`${home}/control/shutdown`), [{ domain: guest.id, rights: "n" }]);
  assert.equal(thread.assignment.context?.rip, 0x100000n);
  assert.equal(inside(thread).paused, false);
  assert.equal(openDomainMemory(thread.assignment.memory).frame(0x100)?.[0], 0xf4);

  await guest.destroy();
  assert.deepEqual(await guest.ended, { kind: "destroyed" });
  assert.ok(thread.terminated);
  assert.equal(host.store.find(home), undefined);
  assert.deepEqual(host.store.list("/vm"), []);
  assert.equal(host.guests.size, 0);
  await host[Symbol.asyncDispose]();
});

test("host: what a guest prints before it shuts down is read to the end, and the reason is told", async () => {
  const { machine, threads } = testMachine();
  const host = await Host.open(machine);
  const guest = await host.create(config);
  const [thread] = threads;
  assert.ok(thread);
  const domain = inside(thread);
  const at = xencons_interface.offsets;
  const page = domain.memory.frame(0xfefff);
  assert.ok(page);
  page.set([0x68, 0x69], at.out);
  page[at.out_prod] = 2;
  domain.shutdown(SHUTDOWN.crash);
  const exit = { kind: "stopped", why: "shutdown", registers: "rip 0" } as const;
  setTimeout(() => {
    thread.listener.message(exit);
    thread.listener.ended(undefined);
  }, 5);
  let text = "";
  for await (const bytes of guest.console.readable) text += String.fromCharCode(...bytes);
  assert.equal(text, "hi");
  assert.deepEqual(await guest.ended, { kind: "shutdown", reason: "crash" });
  assert.equal(guest.registers(), "rip 0");
  await host[Symbol.asyncDispose]();
});

test("host: an event on the console's channel brings output out and input in", async () => {
  const { machine, threads } = testMachine();
  await using host = await Host.open(machine);
  const guest = await host.create(config);
  const [thread] = threads;
  assert.ok(thread);
  const domain = inside(thread);
  const page = domain.memory.frame(0xfefff);
  assert.ok(page);
  const at = xencons_interface.offsets;
  const reader = guest.console.readable.getReader();
  page[at.out] = 0x2a;
  page[at.out_prod] = 1;
  send(domain, Number(domain.param(18)));
  assert.deepEqual((await reader.read()).value, Uint8Array.of(0x2a));
  await guest.console.writable.getWriter().write(Uint8Array.of(1, 2, 3));
  assert.deepEqual([...page.subarray(at.in, at.in + 3), page[at.in_prod]], [1, 2, 3, 3]);
});

test("host: what a reader does not take stays in the ring, and with the thread", async () => {
  const { machine, threads } = testMachine();
  await using host = await Host.open(machine);
  const guest = await host.create(config);
  const [thread] = threads;
  assert.ok(thread);
  const domain = inside(thread);
  const page = domain.memory.frame(0xfefff);
  assert.ok(page);
  const at = xencons_interface.offsets;
  const ring = new Uint32Array(page.buffer, page.byteOffset, page.byteLength / 4);
  const events = async (): Promise<void> => {
    for (let i = 0; i < 200; i++) {
      // As much as fits, again and again.
      ring[at.out_prod / 4] = (ring[at.out_cons / 4] ?? 0) + 2048;
      send(domain, Number(domain.param(18)));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await events();
  const taken = ring[at.out_cons / 4] ?? 0;
  assert.equal(taken, CONSOLE_WINDOW);
  thread.listener.message({ kind: "console", bytes: Uint8Array.of(1) });
  const released = new Int32Array(thread.assignment.consoleGate);
  assert.equal(released[0], 0);
  const reader = guest.console.readable.getReader();
  let length = 0;
  while (length <= CONSOLE_WINDOW) length += (await reader.read()).value?.length ?? 0;
  assert.equal(released[0], consoleCost(1));
  assert.ok((ring[at.out_cons / 4] ?? 0) > taken);
  await reader.cancel();
  await events();
  assert.equal(ring[at.out_cons / 4], ring[at.out_prod / 4]);
});

test("host: console and xenstore are reached by the grants that the toolstack made", async () => {
  const { machine, threads } = testMachine();
  await using host = await Host.open(machine);
  await host.create(config);
  const [thread] = threads;
  assert.ok(thread);
  const domain = inside(thread);
  assert.equal(pinsOf(domain, GNTTAB.RESERVED_CONSOLE), 1);
  assert.equal(pinsOf(domain, GNTTAB.RESERVED_XENSTORE), 1);
});

test("host: a thread that needs another domain's memory is given it, while that exists", async () => {
  const { machine, threads } = testMachine();
  await using host = await Host.open(machine);
  await host.create(config);
  const second = await host.create({ ...config, name: "other" });
  const [thread, other] = threads;
  assert.ok(thread && other);
  thread.listener.message({ kind: "memory-wanted", domain: second.id });
  thread.listener.message({ kind: "memory-wanted", domain: domainId(0) });
  await second.destroy();
  thread.listener.message({ kind: "memory-wanted", domain: second.id });
  assert.deepEqual(
    thread.replies.map(({ memory }) => memory),
    [other.assignment.memory, undefined, undefined],
  );
});

test("host: a thread that dies takes its domain along, and others stay", async () => {
  const { machine, threads } = testMachine();
  await using host = await Host.open(machine);
  const first = await host.create(config);
  const second = await host.create({ ...config, name: "other" });
  threads[0]?.listener.ended(new RangeError("out of wasm"));
  const ending = await first.ended;
  assert.equal(ending.kind === "failed" && ending.error.message, "out of wasm");
  assert.deepEqual([...host.guests.keys()], [second.id]);
  assert.equal(host.store.read(`/local/domain/${second.id}/name`), "other");
});

test("host: a triple fault is told from a reboot", async () => {
  const { machine, threads } = testMachine();
  await using host = await Host.open(machine);
  const guest = await host.create(config);
  const [thread] = threads;
  assert.ok(thread);
  inside(thread).shutdown(SHUTDOWN.reboot);
  thread.listener.message({ kind: "stopped", why: "triple-fault", registers: "" });
  thread.listener.ended(undefined);
  assert.deepEqual(await guest.ended, { kind: "triple-fault" });
});

test("host: what the comparison of the tiers was asked for and finds is told", async () => {
  const { machine, threads } = testMachine();
  await using host = await Host.open(machine);
  const engineCheck = { first: 3, every: 7 };
  const guest = await host.create({ ...config, engineCheck });
  const [thread] = threads;
  assert.ok(thread);
  assert.deepEqual(thread.assignment.check, engineCheck);
  thread.listener.message({ kind: "stopped", why: "tiers-differ", registers: "", report: "rax" });
  inside(thread).shutdown(SHUTDOWN.crash);
  thread.listener.ended(undefined);
  assert.deepEqual(await guest.ended, { kind: "tiers-differ", report: "rax" });
});

test("host: what cannot be built leaves no domain", async () => {
  const { machine } = testMachine();
  await using host = await Host.open(machine);
  const refused = async (change: Partial<DomainConfig>, code: string): Promise<void> => {
    await assert.rejects(
      async () => host.create({ ...config, ...change }),
      (error) => error instanceof XenError && error.code === code,
    );
  };
  await refused({ kernel: new Uint8Array(5000) }, "not-a-kernel");
  await refused({ memoryBytes: 1 << 20 }, "not-enough-memory");
  await refused({ memoryBytes: 2 ** 33 }, "invalid-argument");
  await refused({ commandLine: "x".repeat(3000) }, "invalid-argument");
  assert.equal(host.guests.size, 0);
  const guest = await host.create(config);
  assert.equal(guest.id, 1);
});
