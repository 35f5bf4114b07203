/** What runs in a pCPU's worker thread. */

import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../../bits/errors.ts";
import type { PcpuMessage } from "../../toolstack/pcpu.ts";
import { runPcpu } from "../../toolstack/run-pcpu.ts";
import { hostWorld } from "./clock.ts";
import type { WorkerData } from "./workers.ts";

const port = parentPort;
assert(port !== null, "pcpu-worker.ts runs in a worker thread");
const { assignment, origin } = workerData as WorkerData;
runPcpu(assignment, hostWorld(origin), (message: PcpuMessage) => port.postMessage(message));
