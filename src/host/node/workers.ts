/** pCPUs as worker threads. */

import { Worker } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";
import type { PcpuListener, PcpuThread } from "../../toolstack/machine.ts";
import { translatorLine } from "./translator.ts";
import type { MemoryReply, PcpuAssignment, PcpuMessage } from "../../toolstack/pcpu.ts";

/** What a worker is started with. */
export interface WorkerData {
  readonly assignment: PcpuAssignment;
  /** The hypervisor's time 0: see {@link ./clock.ts | now}. */
  readonly origin: bigint;
  /** A word that changes, and is notified, when a reply was posted: the thread waits without an event loop. */
  readonly replies: Int32Array<SharedArrayBuffer>;
  /** The line to the translator. */
  readonly translator: MessagePort;
  /** It keeps translations on disk. */
  readonly cached: boolean;
}

/**
 * Starts a worker for the assignment.
 * @param translations the folder that translations are kept in, if they are.
 */
export function startPcpu(
  assignment: PcpuAssignment,
  origin: bigint,
  listener: PcpuListener,
  translations: string | undefined,
): PcpuThread {
  const replies = new Int32Array(new SharedArrayBuffer(4));
  const { kernel } = assignment;
  const cache = translations === undefined || kernel === undefined ? undefined : { directory: translations, kernel };
  const translator = translatorLine(cache);
  const workerData: WorkerData = { assignment, origin, replies, translator, cached: cache !== undefined };
  // The file's own extension: `.ts` as it is written, `.js` in a build.
  const file = new URL(`./pcpu-worker${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);
  const name = `d${assignment.domain}v${assignment.vcpu}`;
  const worker = new Worker(file, { workerData, name, transferList: [translator] });
  let failure: Error | undefined;
  worker.on("message", (message: PcpuMessage) => listener.message(message));
  worker.on("error", (error) => void (failure = error instanceof Error ? error : new Error(String(error))));
  worker.on("exit", () => listener.ended(failure));
  return {
    reply(reply: MemoryReply) {
      worker.postMessage(reply);
      Atomics.add(replies, 0, 1);
      Atomics.notify(replies, 0);
    },
    async terminate() {
      await worker.terminate();
    },
  };
}
