/** The user's terminal while a guest has it: raw, and put right on every way out. */

import type { ReadStream, WriteStream } from "node:tty";

/** Ctrl-]: leaves the guest's console, as in telnet and `xl console`. */
export const DETACH = 0x1d;

/** A window's size in characters. */
export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** What a session does with a terminal. */
export interface TerminalListener {
  /** Takes what was typed. */
  input(bytes: Uint8Array): void;
  /** Ctrl-] was typed; what came before it in the same read has been passed on, what comes after is dropped. */
  detach(): void;
  /** The window has another size. */
  resize(size: WindowSize): void;
}

/** Ends raw mode. Safe to call twice. */
export type RawMode = Disposable;

/** The window's size, or undefined where the stream is no terminal or does not know it. */
export function windowSize(stream: NodeJS.WriteStream): WindowSize | undefined {
  const { rows, columns, isTTY } = stream as Partial<WriteStream>;
  return isTTY && rows && columns ? { rows, columns } : undefined;
}

/**
 * Puts a terminal into raw mode until the result is disposed of, the process exits, or it is stopped by a signal that
 * nobody handles. Raw mode survives being suspended and continued from outside.
 */
export function rawTerminal(stdin: ReadStream, stdout: NodeJS.WriteStream, listener: TerminalListener): RawMode {
  let on = true;
  const restore = (): void => {
    if (!on) return;
    on = false;
    stdin.setRawMode(false);
  };
  const continued = (): void => {
    if (on) stdin.setRawMode(false).setRawMode(true);
  };
  const input = (chunk: Buffer): void => {
    const end = chunk.indexOf(DETACH);
    const typed = end < 0 ? chunk : chunk.subarray(0, end);
    if (typed.length > 0) listener.input(Uint8Array.from(typed));
    if (end >= 0) listener.detach();
  };
  const resized = (): void => {
    const size = windowSize(stdout);
    if (size !== undefined) listener.resize(size);
  };

  stdin.setRawMode(true);
  stdin.on("data", input);
  stdin.resume();
  stdout.on("resize", resized);
  process.on("exit", restore);
  process.on("uncaughtExceptionMonitor", restore);
  process.on("SIGCONT", continued);
  return {
    [Symbol.dispose]() {
      restore();
      stdin.off("data", input);
      stdin.pause();
      stdout.off("resize", resized);
      process.off("exit", restore);
      process.off("uncaughtExceptionMonitor", restore);
      process.off("SIGCONT", continued);
    },
  };
}
