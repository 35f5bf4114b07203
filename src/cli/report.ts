/** How this program speaks to people: on stderr, since stdout is the guest's. */

import { styleText } from "node:util";
import { exitStatus, XenError } from "../bits/errors.ts";

/** The exit statuses that are not a guest command's own. conventions: docker's, env's and timeout's. */
export const ExitStatus = {
  usage: 2,
  timeout: 124,
  failure: 125,
  /** The guest panicked: as a program that aborts, 128 + SIGABRT. */
  crash: 134,
  tripleFault: 135,
  /** --engine-check has found a difference. */
  tiersDiffer: 136,
} as const;

/** Takes a command's own exit status, for what is no failure of this program. */
export type Finish = (status: number) => void;

/** One line with what is wrong. */
export function complain(message: string): void {
  process.stderr.write(`${styleText("red", "xenolith:", { stream: process.stderr })} ${message}\n`);
}

/** One line that is no complaint. */
export function say(message: string): void {
  process.stderr.write(`xenolith: ${message}\n`);
}

/** Says what went wrong. @returns the exit status for it. Stacks are for those who ask by XENOLITH_DEBUG. */
export function report(error: unknown): number {
  if (error instanceof XenError) {
    complain(error.message);
    if (process.env["XENOLITH_DEBUG"] && error.cause instanceof Error) process.stderr.write(`${error.cause.stack}\n`);
    return exitStatus(error.code);
  }
  const message = error instanceof Error ? error.message : String(error);
  complain(`internal error: ${message}. This is a fault of Xenolith; XENOLITH_DEBUG=1 shows where.`);
  if (process.env["XENOLITH_DEBUG"] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return ExitStatus.failure;
}

/** One line on a terminal's stderr that changes while the user waits; nothing where stderr is no terminal. */
export class ProgressLine implements Disposable {
  readonly #started = performance.now();
  readonly #enabled: boolean;
  readonly #timer: NodeJS.Timeout | undefined;
  #text = "";
  #shown = false;

  constructor(enabled: boolean = process.stderr.isTTY) {
    this.#enabled = enabled;
    if (enabled) this.#timer = setInterval(() => this.#draw(), 100).unref();
  }

  /** Seconds since the line was begun. */
  get seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  /** What goes on now. */
  set(text: string): void {
    this.#text = text;
    this.#draw();
  }

  /** Takes the line away. */
  clear(): void {
    clearInterval(this.#timer);
    if (this.#shown) process.stderr.write("\r\x1b[K");
    this.#shown = false;
    this.#text = "";
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #draw(): void {
    if (!this.#enabled || this.#text === "") return;
    const columns = process.stderr.columns || 80;
    const line = `${this.#text}  ${this.seconds.toFixed(1)} s`.slice(0, columns - 1);
    process.stderr.write(`\r${line}\x1b[K`);
    this.#shown = true;
  }
}
