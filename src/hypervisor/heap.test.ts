import assert from "node:assert/strict";
import test from "node:test";
import { Worker } from "node:worker_threads";

import { EVTCHNSTAT } from "../abi/event_channel.ts";
import { SHUTDOWN } from "../abi/sched.ts";
import { domainId } from "../abi/types.ts";
import { XenError } from "../bits/errors.ts";
import { attachDomain, createControlDomain, createDomain, Hypervisor } from "./domain.ts";
import { destroyDomain } from "./control.ts";
import { allocatePort, bindInterdomain, closePort, findBinding, raise, send, takeRaised } from "./event-table.ts";
import { fakeMemory, Machine } from "./harness.ts";
import { createHeap, DomainState, Heap } from "./heap.ts";

const config = { vcpus: 1, ram: 0, memoryMap: [], handle: [] };

/** Runs a module's text in a worker, with the hypervisor heap as `heap` and the layer's modules loaded. */
function inWorker(heap: Heap, body: string): Promise<void> {
  const source = `
    import("node:worker_threads").then(async ({ workerData }) => {
      const load = (name) => import(new URL(name, workerData.base).href);
      const { Heap } = await load("./heap.ts");
      const { Hypervisor, attachDomain } = await load("./domain.ts");
      const events = await load("./event-table.ts");
      const hypervisor = new Hypervisor(new Heap(workerData.heap), () => 0);
      const domain = attachDomain(hypervisor, 1);
      ${body}
    });`;
  const worker = new Worker(source, { eval: true, workerData: { heap: heap.buffer, base: import.meta.url } });
  return new Promise((resolve, reject) => {
    worker.once("error", reject);
    worker.once("exit", () => resolve());
  });
}

test("heap: domains get ids that rise, and their place is cleared for the next", () => {
  const hypervisor = new Hypervisor(createHeap(2), () => 0);
  createControlDomain(hypervisor);
  const first = createDomain(hypervisor, config, fakeMemory(16));
  const second = createDomain(hypervisor, config, fakeMemory(16));
  assert.deepEqual([first.id, second.id], [1, 2]);
  assert.throws(
    () => createDomain(hypervisor, config, fakeMemory(16)),
    (error) => error instanceof XenError && error.code === "not-enough-memory",
  );
  const port = allocatePort(first, { state: EVTCHNSTAT.unbound, remote: domainId(0) });
  destroyDomain(hypervisor, first);
  const third = createDomain(hypervisor, config, fakeMemory(16));
  assert.ok(third.id > second.id, "ids are not given out again");
  assert.equal(third.slot, first.slot);
  assert.equal(findBinding(third, port), undefined);
  assert.equal(first.exists, false);
  assert.equal(attachDomain(hypervisor, domainId(1)), undefined);
});

test("heap: limits out of range are the operator's mistake", () => {
  const hypervisor = new Hypervisor(createHeap(2), () => 0);
  for (const wrong of [{ vcpus: 0 }, { vcpus: 129 }, { ports: 1 << 20 }, { grantFrames: 65 }, { vcpus: 1.5 }]) {
    assert.throws(
      () => createDomain(hypervisor, { ...config, ...wrong }, fakeMemory(16)),
      (error) => error instanceof XenError && error.code === "invalid-argument",
    );
  }
});

test("domain: a shutdown happens once, and not before the domain runs", () => {
  const hypervisor = new Hypervisor(createHeap(2), () => 5);
  const domain = createDomain(hypervisor, config, fakeMemory(16));
  assert.equal(domain.state, DomainState.building);
  assert.equal(domain.shutdown(SHUTDOWN.crash), false);
  domain.unpause();
  assert.equal(domain.epoch, 5);
  assert.equal(domain.shutdown(SHUTDOWN.suspend), true);
  assert.equal(domain.shutdown(SHUTDOWN.crash), false);
  assert.equal(domain.shutdownReason, SHUTDOWN.suspend);
  domain.resume();
  assert.equal(domain.state, DomainState.running);
  assert.equal(domain.shutdownReason, undefined);
});

test("domain: a kick from a thread without the attention word is forwarded by the control thread", () => {
  const machine = new Machine();
  const elsewhere = new Hypervisor(new Heap(machine.hypervisor.heap.buffer), () => 0);
  const view = attachDomain(elsewhere, machine.domain.id);
  assert.ok(view !== undefined);
  const before = machine.hypervisor.heap.doorbell();
  view.kick(0);
  assert.equal(machine.attention.wanted, false);
  assert.notEqual(machine.hypervisor.heap.doorbell(), before);
  machine.domain.forwardKicks();
  assert.equal(machine.attention.wanted, true);
});

test("heap: a lock that a killed thread held is opened when its domain is destroyed", () => {
  const machine = new Machine();
  const { heap } = machine.hypervisor;
  heap.holder = heap.holderOf(machine.domain.slot);
  heap.withPorts(() => {
    heap.breakLocks(machine.domain.slot);
    heap.holder = 1;
    // The lock is free again although its holder never let go of it.
    heap.withPorts(() => undefined);
  });
});

test("heap: threads that bind and close at the same time never get the same port", async () => {
  const hypervisor = new Hypervisor(createHeap(2), () => 0);
  createControlDomain(hypervisor);
  const domain = createDomain(hypervisor, config, fakeMemory(16));
  const rounds = 3000;
  const clash = `
    for (let i = 0; i < ${rounds}; i++) {
      const port = events.allocatePort(domain, { state: 1, remote: 7 });
      if (port < 1 || events.findBinding(domain, port)?.remote !== 7) throw new Error("lost port " + port);
      if (events.closePort(domain, port) !== 0) throw new Error("stolen port " + port);
    }`;
  const other = inWorker(hypervisor.heap, clash);
  let running = true;
  void other.finally(() => (running = false)).catch(() => undefined);
  while (running) {
    for (let i = 0; i < 200; i++) {
      const port = allocatePort(domain, { state: EVTCHNSTAT.unbound, remote: domainId(8) });
      assert.deepEqual(findBinding(domain, port), { state: EVTCHNSTAT.unbound, remote: 8 });
      assert.equal(closePort(domain, port), 0);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await other;
});

test("heap: an event from another thread rings the doorbell, and none is lost", async () => {
  const hypervisor = new Hypervisor(createHeap(2), () => 0);
  const control = createControlDomain(hypervisor);
  const domain = createDomain(hypervisor, config, fakeMemory(16));
  const guestPort = allocatePort(domain, { state: EVTCHNSTAT.unbound, remote: domainId(0) });
  const port = bindInterdomain(control, domain, guestPort);
  takeRaised(control, () => undefined);
  // The worker sends, and waits until domain 0 has answered, a hundred times.
  const sender = inWorker(
    hypervisor.heap,
    `
    for (let i = 0; i < 100; i++) {
      events.send(domain, ${guestPort});
      for (let got = false; !got; ) events.takeRaised(domain, () => (got = true));
    }`,
  );
  let heard = 0;
  while (heard < 100) {
    const seen = hypervisor.heap.doorbell();
    takeRaised(control, (raised) => {
      assert.equal(raised, port);
      heard++;
      send(control, port);
    });
    if (heard < 100) await hypervisor.heap.waitForDoorbell(seen);
  }
  await sender;
  assert.equal(heard, 100);
});

test("events: raising a port twice is one event", () => {
  const machine = new Machine();
  raise(machine.domain, 5);
  raise(machine.domain, 5);
  raise(machine.domain, 900);
  const ports: number[] = [];
  takeRaised(machine.domain, (port) => ports.push(port));
  takeRaised(machine.domain, (port) => ports.push(port));
  assert.deepEqual(ports, [5, 900]);
});
