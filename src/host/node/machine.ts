/** This process as the toolstack's machine. */

import type { Machine } from "../../toolstack/machine.ts";
import { hostWorld, now } from "./clock.ts";
import { decompressors } from "./decompressors.ts";
import { startPcpu } from "./workers.ts";

/** @param log takes lines that are of interest to those who look for a fault. */
export function nodeMachine(log: (line: string) => void = () => {}): Machine {
  const origin = now();
  return {
    world: hostWorld(origin),
    decompressors,
    startPcpu: (assignment, listener) => startPcpu(assignment, origin, listener),
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
