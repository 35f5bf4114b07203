/** What `xenolith run` does: gets a kernel, makes a domain of it, connects it to the user, and says how it ended. */

import { XenError } from "../../bits/errors.ts";
import { nodeMachine } from "../../host/node/machine.ts";
import type { Guest } from "../../toolstack/guest.ts";
import { Host } from "../../toolstack/host.ts";
import { runSession } from "../../toolstack/session.ts";
import type { SessionMode, SessionResult } from "../../toolstack/session.ts";
import { consoleStreams } from "../console.ts";
import type { Capture } from "../console.ts";
import { complain, ExitStatus, ProgressLine, say } from "../report.ts";
import { interruptible } from "../signals.ts";
import type { Interruption } from "../signals.ts";
import { runHello } from "./hello.ts";
import { fromFiles, fromImage } from "./run-source.ts";
import type { RunOptions, Source } from "./run-source.ts";

/** @returns the exit status. */
export async function runDomain(
  image: string | undefined,
  options: RunOptions,
  command: readonly string[] | undefined,
): Promise<number> {
  checkOptions(image, options, command);
  using interrupt = interruptible();
  using line = new ProgressLine(process.stderr.isTTY && options.format !== "json");
  const mode = modeOf(options, command);
  let source: Source;
  try {
    source =
      options.kernel === undefined
        ? await fromImage(image ?? "debian", mode, command ?? [], options, line, interrupt.signal)
        : await fromFiles({ ...options, kernel: options.kernel });
  } catch (error) {
    if (interrupt.status !== undefined) return interrupt.status;
    const unreachable = error instanceof XenError && error.code === "mirror-unreachable";
    // Whoever asked for something in particular is told that it cannot be had.
    if (!unreachable || image !== undefined || options.format === "json" || command !== undefined) throw error;
    line.clear();
    say(`${error.message}; running the built-in tour instead.`);
    return runHello(options.stats);
  }
  if (interrupt.status !== undefined) return interrupt.status;

  return runSource(source, mode, options, interrupt, line);
}

/** Makes a domain of a source and connects it to the user until it ends. @returns the exit status. */
export async function runSource(
  source: Source,
  mode: SessionMode,
  options: RunOptions,
  interrupt: Interruption,
  line: ProgressLine,
): Promise<number> {
  line.set(`starting ${source.title}`);
  await using host = await Host.open(nodeMachine());
  const guest = await host.create({
    name: options.name ?? source.name,
    kernel: source.kernel,
    kernelName: source.kernelName,
    initrd: source.initrd,
    commandLine: source.commandLine,
    memoryBytes: options.memory,
    vcpus: 1,
  });
  return await attend(guest, mode, source, options, interrupt, line);
}

function checkOptions(image: string | undefined, options: RunOptions, command: readonly string[] | undefined): void {
  const refuse = (message: string): never => {
    throw new XenError("invalid-argument", message);
  };
  if (options.kernel !== undefined && image !== undefined) refuse(`give either an image ("${image}") or --kernel`);
  if (options.kernel !== undefined && command !== undefined) refuse("--kernel: a command after -- needs an image");
  if (options.kernel === undefined && options.initrd !== undefined) refuse("--initrd: needs --kernel");
  if (command?.length === 0) refuse("a command must follow --");
  if (options.format === "json" && process.stdin.isTTY && command === undefined && options.kernel === undefined) {
    refuse("--format json: needs a command after --, or input from a pipe");
  }
}

function modeOf(options: RunOptions, command: readonly string[] | undefined): SessionMode {
  if (options.kernel !== undefined) return "raw";
  if (command === undefined) return "shell";
  return process.stdin.isTTY && process.stdout.isTTY && options.format !== "json" ? "terminal" : "command";
}

/** Connects a running guest to the user until it ends. @returns the exit status. */
async function attend(
  guest: Guest,
  mode: SessionMode,
  source: Source,
  options: RunOptions,
  interrupt: Interruption,
  line: ProgressLine,
): Promise<number> {
  const json = options.format === "json";
  const capture: Capture | undefined = json ? { output: [], errorOutput: [] } : undefined;
  let timedOut = false;
  let readySeconds: number | undefined;
  const end = (): void => void guest.destroy();
  interrupt.signal.addEventListener("abort", end);
  if (interrupt.signal.aborted) end();
  const timer =
    options.timeout === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          end();
        }, options.timeout * 1000);

  line.set(`booting ${source.title}`);
  const streams = consoleStreams({
    mode,
    verbose: options.verbose ?? false,
    capture,
    onLeave: end,
    onReady() {
      readySeconds = line.seconds;
      line.clear();
      if (process.stderr.isTTY && !json && mode === "shell" && process.stdin.isTTY) {
        say(`${source.title} is up after ${readySeconds.toFixed(1)} s. Ctrl-] powers it off.`);
      }
    },
    onFirstOutput: () => line.clear(),
  });
  let result: SessionResult;
  try {
    result = await runSession(guest, mode, source.marker, streams);
  } finally {
    clearTimeout(timer);
    streams[Symbol.dispose]();
    line.clear();
  }

  const left = streams.left || interrupt.status !== undefined;
  const status = timedOut ? ExitStatus.timeout : (interrupt.status ?? statusOf(result, left));
  if (timedOut) complain(`"${guest.name}" was ended after ${options.timeout} s (--timeout)`);
  else if (!left) explain(guest, result);
  const { seconds: total, instructions, exits } = guest.statistics();
  if (capture !== undefined) {
    const text = (chunks: readonly Uint8Array[]): string => Buffer.concat(chunks).toString("utf8");
    const document = {
      name: guest.name,
      status,
      ending: result.ending.kind === "shutdown" ? result.ending.reason : result.ending.kind,
      stdout: text(capture.output),
      stderr: text(capture.errorOutput),
      readySeconds,
      seconds: total,
      instructions,
    };
    process.stdout.write(`${JSON.stringify(document)}\n`);
  }
  if (options.stats) {
    const millions = instructions / 1e6;
    const ready = readySeconds === undefined ? "" : `ready after ${readySeconds.toFixed(2)} s, `;
    say(
      `${ready}ended after ${total.toFixed(2)} s; ${millions.toFixed(1)} million instructions, ${(millions / total).toFixed(1)} MIPS`,
    );
    const counts = Object.entries(exits).filter(([, count]) => count > 0);
    if (counts.length > 0) say(`exits: ${counts.map(([kind, count]) => `${kind} ${count}`).join(", ")}`);
  }
  return status;
}

function statusOf({ ending, status }: SessionResult, left: boolean): number {
  switch (ending.kind) {
    case "triple-fault":
      return ExitStatus.tripleFault;
    case "failed":
      return ExitStatus.failure;
    case "destroyed":
      return status ?? (left ? 0 : ExitStatus.failure);
    case "shutdown":
      return ending.reason === "crash" || ending.reason === "watchdog" ? ExitStatus.crash : (status ?? 0);
  }
}

/** Says why a guest ended that did not mean to. */
function explain(guest: Guest, { ending, lastLines }: SessionResult): void {
  const because = reasonOf(ending);
  if (because === undefined) return;
  complain(`"${guest.name}" ${because}`);
  const registers = guest.registers();
  if (registers !== undefined) process.stderr.write(`${registers.trimEnd()}\n`);
  if (lastLines.length > 0)
    process.stderr.write(`Its console's last lines:\n${lastLines.map((each) => `  ${each}\n`).join("")}`);
}

function reasonOf(ending: SessionResult["ending"]): string | undefined {
  if (ending.kind === "triple-fault") return "was ended by a triple fault";
  if (ending.kind === "failed") return `cannot go on: ${ending.error.message}`;
  if (ending.kind === "destroyed") return undefined;
  if (ending.reason === "crash") return "has crashed";
  return ending.reason === "watchdog" ? "was ended by its watchdog" : undefined;
}
