import assert from "node:assert/strict";
import { test } from "node:test";

import { nodeMachine } from "../host/node/machine.ts";
import { startTour } from "../toolstack/hello/tour.ts";
import { Host } from "../toolstack/host.ts";
import type { PcpuAssignment } from "../toolstack/pcpu.ts";

test("tour: each domain has a memory and a thread of its own, and one whose peer is destroyed says so by itself", async () => {
  const assignments: PcpuAssignment[] = [];
  const machine = nodeMachine();
  await using host = await Host.open({
    ...machine,
    startPcpu(assignment, listener) {
      assignments.push(assignment);
      return machine.startPcpu(assignment, listener);
    },
  });
  const { hello, world } = await startTour(host);
  assert.deepEqual([...host.guests.keys()], [hello.id, world.id]);
  const [first, second] = assignments;
  assert.ok(first && second && assignments.length === 2);
  assert.notEqual(first.memory.buffer, second.memory.buffer);

  await world.console.readable.cancel();
  const reader = hello.console.readable.getReader();
  let shown = "";
  const until = async (text: string): Promise<void> => {
    while (!shown.includes(text)) {
      const { done, value } = await reader.read();
      assert.ok(!done, `"${text}" did not come after: ${shown}`);
      shown += new TextDecoder().decode(value);
    }
  };
  await until("hello> ");
  const writer = hello.console.writable.getWriter();
  const type = (text: string): Promise<void> => writer.write(new TextEncoder().encode(text));
  await type("ti");
  await until("hello> ti");
  shown = "";
  await world.destroy();
  await until(`domain ${world.id} is gone.`);
  await until("hello> ti");
  // Half a second is how long it sleeps at most: it says so once.
  await new Promise((resolve) => setTimeout(resolve, 700));
  await type("me\r");
  await until(" UTC.");
  assert.equal((shown.split("time\r")[0] ?? "").split("hello> ").length, 2, shown);
  await type("quit\r");
  await until("Powering off.");
  assert.deepEqual(await hello.ended, { kind: "shutdown", reason: "poweroff" });
});
