/** What the toolstack needs of the machine that it runs on. host/node implements it; a browser can. */

import type { Decompressors } from "../boot/compression.ts";
import type { World } from "../hypervisor/inputs.ts";
import type { MemoryReply, PcpuAssignment, PcpuMessage } from "./pcpu.ts";

/** A thread that runs vCPUs. */
export interface PcpuThread {
  /** Answers the thread, which waits. */
  reply(reply: MemoryReply): void;
  /** Stops the thread wherever it is. */
  terminate(): Promise<void>;
}

/** What becomes of a thread. */
export interface PcpuListener {
  message(message: PcpuMessage): void;
  /** The thread is over: because of {@link PcpuThread.terminate}, by itself, or with an error. */
  ended(error: Error | undefined): void;
}

export interface Machine {
  readonly world: World;
  readonly decompressors: Decompressors;
  /** Starts a thread for the assignment. */
  startPcpu(assignment: PcpuAssignment, listener: PcpuListener): PcpuThread;
  /** Runs something after other work that waits. */
  defer(work: () => void): void;
  /** Runs something again and again, until the result is disposed of; keeps no program alive. */
  every(milliseconds: number, work: () => void): Disposable;
  /** Gives back what is not needed any more, such as the files that a domain was built of. */
  collectGarbage(): void;
  /** Takes a line of the log. */
  log(line: string): void;
}
