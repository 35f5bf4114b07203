/** Being told to stop: by Ctrl-C outside of a guest's console, by `kill`, by a terminal that is closed. */

import { constants } from "node:os";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** What a signal interrupts. */
export interface Interruption extends Disposable {
  readonly signal: AbortSignal;
  /** 128 + the signal's number, once there was one. */
  readonly status: number | undefined;
}

/** Turns the first signal into an abort. A second one of a person who is out of patience ends the program at once. */
export function interruptible(): Interruption {
  const controller = new AbortController();
  let status: number | undefined;
  let when = 0;
  const handle = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    // The terminal and the launcher may both pass on one Ctrl-C.
    if (status !== undefined && now - when > 300) process.exit(status);
    status ??= 128 + constants.signals[signal];
    when = now;
    controller.abort();
  };
  for (const signal of SIGNALS) process.on(signal, handle);
  return {
    signal: controller.signal,
    get status() {
      return status;
    },
    [Symbol.dispose]() {
      for (const signal of SIGNALS) process.off(signal, handle);
    },
  };
}
