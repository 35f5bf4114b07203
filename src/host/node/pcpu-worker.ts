/** What runs in a pCPU's worker thread. */

import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { assert } from "../../bits/errors.ts";
import type { MemoryReply } from "../../toolstack/pcpu.ts";
import type { ControlLine } from "../../toolstack/run-pcpu.ts";
import { runPcpu } from "../../toolstack/run-pcpu.ts";
import { translatorService } from "./translator.ts";
import { hostWorld } from "./clock.ts";
import type { WorkerData } from "./workers.ts";

const port = parentPort;
assert(port !== null, "pcpu-worker.ts runs in a worker thread");
const { assignment, origin, replies, translator, cached } = workerData as WorkerData;
const control: ControlLine = {
  post: (message) => port.postMessage(message),
  receive() {
    for (;;) {
      const seen = Atomics.load(replies, 0);
      const received: { readonly message: MemoryReply } | undefined = receiveMessageOnPort(port);
      if (received !== undefined) return received.message;
      Atomics.wait(replies, 0, seen);
    }
  },
};
/** This thread's processor time, looked at now and then: a look takes as long as a hypercall. */
function processorSeconds(): number {
  calls += 1;
  if (calls % 16 === 0) {
    const { user, system } = process.threadCpuUsage();
    seconds = (user + system) / 1e6;
  }
  return seconds;
}
let calls = 0;
let seconds = 0;

runPcpu(assignment, hostWorld(origin), control, translatorService(translator, cached), processorSeconds);
