/** The host's end of a guest's console: commands go in line by line, and marked lines come out with the time they came at. */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { GuestFiles, Peer } from "../peers/peer.ts";

/** What one command did in a guest. Seconds. */
export interface Execution {
  readonly status: number;
  readonly output: string;
  /** By the host's clock, between the two marks. */
  readonly seconds: number;
  /** By the guest's CLOCK_MONOTONIC. */
  readonly guestSeconds: number;
  /** What the peer's counters gained meanwhile, where it has any. */
  readonly counters: Readonly<Record<string, number>>;
}

/** A guest that has booted and waits for commands. */
export interface BenchGuest extends AsyncDisposable {
  /** Seconds from the start of the peer's process until the guest's driver was there. */
  readonly bootSeconds: number;
  /** Counters at that moment. */
  readonly bootCounters: Readonly<Record<string, number>>;
  readonly processId: number;
  /** @throws Error when the guest ends or says nothing for `timeoutSeconds`. */
  run(command: string, timeoutSeconds: number): Promise<Execution>;
}

/** The last of a console's output that an error shows. */
const LAST_CHARACTERS = 600;
/** The first of what its process complained of. */
const ERROR_CHARACTERS = 3000;
const BOOT_TIMEOUT_SECONDS = 300;

interface Line {
  readonly text: string;
  /** Milliseconds, as performance.now() has them. */
  readonly at: number;
}

/** Starts a guest and waits until its driver says that it is ready. @throws Error when it does not. */
export async function bootGuest(peer: Peer, files: GuestFiles): Promise<BenchGuest> {
  const { program, args } = peer.launch(files);
  const start = performance.now();
  const child = spawn(program, [...args], {
    stdio: peer.statistics === "messages" ? ["pipe", "pipe", "pipe", "ipc"] : ["pipe", "pipe", "pipe"],
  });
  const lines = consoleLines(child, peer.name);
  const end = (): void => void child.kill("SIGKILL");
  process.once("exit", end);
  child.once("exit", () => process.off("exit", end));
  const dispose = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    child.once("exit", () => resolve());
    end();
    await promise;
  };
  const counters = (): Promise<Record<string, number>> =>
    peer.statistics === "messages" ? statistics(child) : Promise.resolve({});
  try {
    const { at } = await lines.until("@ready", BOOT_TIMEOUT_SECONDS);
    const bootCounters = await counters();
    return {
      bootSeconds: (at - start) / 1000,
      bootCounters,
      processId: child.pid ?? 0,
      async run(command, timeoutSeconds) {
        const before = await counters();
        child.stdin?.write(`${command}\n`);
        const begin = await lines.until("@begin", timeoutSeconds);
        const end = await lines.until("@end ", timeoutSeconds);
        const after = await counters();
        const [, status, nanoseconds] = end.text.split(" ");
        return {
          status: Number(status),
          output: end.before.join("\n"),
          seconds: (end.at - begin.at) / 1000,
          guestSeconds: Number(nanoseconds) / 1e9,
          counters: difference(after, before),
        };
      },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (cause) {
    await dispose();
    throw cause;
  }
}

interface ConsoleLines {
  /** The next line that begins so, and the lines before it. */
  until(mark: string, timeoutSeconds: number): Promise<Line & { readonly before: string[] }>;
}

function consoleLines(child: ChildProcess, name: string): ConsoleLines {
  const lines: Line[] = [];
  let rest = "";
  let last = "";
  let errors = "";
  let ended: string | undefined;
  let changed = Promise.withResolvers<void>();
  const change = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  child.stdout?.setEncoding("latin1").on("data", (text: string) => {
    const at = performance.now();
    last = (last + text).slice(-LAST_CHARACTERS);
    const pieces = (rest + text).split("\n");
    rest = pieces.pop() ?? "";
    for (const piece of pieces) lines.push({ text: piece.replaceAll("\r", ""), at });
    change();
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (errors = (errors + text).slice(0, ERROR_CHARACTERS)));
  child.on("error", (error) => ((ended = error.message), change()));
  child.on("exit", (status, signal) => ((ended = `it exited (${status ?? signal})`), change()));
  child.stdin?.on("error", () => {});
  return {
    async until(mark, timeoutSeconds) {
      const timeout = AbortSignal.timeout(timeoutSeconds * 1000);
      timeout.addEventListener("abort", () => change());
      for (;;) {
        const index = lines.findIndex(({ text }) => text.startsWith(mark));
        if (index >= 0) {
          const taken = lines.splice(0, index + 1);
          return { ...taken[index]!, before: taken.slice(0, index).map(({ text }) => text) };
        }
        const why = ended ?? (timeout.aborted ? `no ${mark} within ${timeoutSeconds} s` : undefined);
        if (why !== undefined) throw new Error(`${name}: ${why}; its console ended with:\n${last}\n${errors}`);
        await changed.promise;
      }
    },
  };
}

async function statistics(child: ChildProcess): Promise<Record<string, number>> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  child.once("message", resolve);
  child.send("statistics", (error) => error && reject(error));
  const exited = (): void => reject(new Error("the peer's process has ended"));
  child.once("exit", exited);
  const message = await promise.finally(() => child.off("exit", exited));
  return flatten(message);
}

/** Numbers inside nested objects, by their path. */
export function flatten(value: unknown, prefix = ""): Record<string, number> {
  if (typeof value === "number") return { [prefix]: value };
  if (typeof value !== "object" || value === null) return {};
  const entries = Object.entries(value).map(([key, inner]) => flatten(inner, prefix === "" ? key : `${prefix}.${key}`));
  return Object.assign({}, ...entries) as Record<string, number>;
}

function difference(
  after: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>>,
): Record<string, number> {
  return Object.fromEntries(Object.entries(after).map(([key, value]) => [key, value - (before[key] ?? 0)]));
}
