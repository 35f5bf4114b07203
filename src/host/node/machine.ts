/** This process as the toolstack's machine. */

import type { Machine } from "../../toolstack/machine.ts";
import { hostWorld, now } from "./clock.ts";
import { decompressors } from "./decompressors.ts";
import { startPcpu } from "./workers.ts";

/** What a user may choose of a machine. */
export interface NodeMachineOptions {
  /** A folder in which translations of guest code are kept for the next boot, made if need be. By default none are. */
  readonly translations?: string | undefined;
}

/** @param log takes lines that are of interest to those who look for a fault. */
export function nodeMachine(
  log: (line: string) => void = () => {},
  { translations }: NodeMachineOptions = {},
): Machine {
  const origin = now();
  return {
    world: hostWorld(origin),
    decompressors,
    startPcpu: (assignment, listener) => startPcpu(assignment, origin, listener, translations),
    defer: (work) => void setImmediate(work),
    every(milliseconds, work) {
      const timer = setInterval(work, milliseconds).unref();
      return { [Symbol.dispose]: () => clearInterval(timer) };
    },
    // Without V8's --expose-gc there is no such function.
    collectGarbage: () => globalThis.gc?.(),
    log,
  };
}
