/** pCPUs as worker threads. */

import { Worker } from "node:worker_threads";
import type { PcpuListener, PcpuThread } from "../../toolstack/machine.ts";
import type { PcpuAssignment, PcpuMessage } from "../../toolstack/pcpu.ts";

/** What a worker is started with. */
export interface WorkerData {
  readonly assignment: PcpuAssignment;
  /** The hypervisor's time 0: see {@link ./clock.ts | now}. */
  readonly origin: bigint;
}

/** Starts a worker for the assignment. */
export function startPcpu(assignment: PcpuAssignment, origin: bigint, listener: PcpuListener): PcpuThread {
  const workerData: WorkerData = { assignment, origin };
  // The file's own extension: `.ts` as it is written, `.js` in a build.
  const file = new URL(`./pcpu-worker${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);
  const name = `d${assignment.domain}v${assignment.vcpu}`;
  const worker = new Worker(file, { workerData, name });
  let failure: Error | undefined;
  worker.on("message", (message: PcpuMessage) => listener.message(message));
  worker.on("error", (error) => void (failure = error instanceof Error ? error : new Error(String(error))));
  worker.on("exit", () => listener.ended(failure));
  return {
    async terminate() {
      await worker.terminate();
    },
  };
}
