/** A domain that a command runs: made of a source, connected to the user, and said how it ended. */

import { join } from "node:path";
import { XenError } from "../../bits/errors.ts";
import { cacheDirectory } from "../../host/node/images.ts";
import { nodeMachine } from "../../host/node/machine.ts";
import { windowSize } from "../../host/node/terminal.ts";
import type { Guest, GuestStatistics } from "../../toolstack/guest.ts";
import { Host } from "../../toolstack/host.ts";
import { runSession } from "../../toolstack/session.ts";
import type { SessionMode, SessionResult } from "../../toolstack/session.ts";
import { consoleStreams } from "../console.ts";
import type { Capture } from "../console.ts";
import { complain, ExitStatus, say } from "../report.ts";
import type { ProgressLine } from "../report.ts";
import type { Interruption } from "../signals.ts";
import type { RunOptions, Source } from "./run-source.ts";

/** A domain that is connected to the user. */
export interface Subject {
  /** For people. */
  readonly title: string;
  /** See {@link Source.marker}. */
  readonly marker: string;
  readonly create: (host: Host) => Promise<Guest>;
  /** The folder in which translations of its code are kept. */
  readonly translations?: string | undefined;
}

/** What a user can choose of a domain that exists. */
export type SubjectOptions = Omit<RunOptions, "memory" | "translationCache">;

/** Makes a domain of a source and connects it to the user until it ends. @returns the exit status. */
export function runSource(
  source: Source,
  mode: SessionMode,
  options: RunOptions,
  interrupt: Interruption,
  line: ProgressLine,
): Promise<number> {
  const { title, marker } = source;
  const create = (host: Host): Promise<Guest> =>
    host.create({
      name: options.name ?? source.name,
      kernel: source.kernel,
      kernelName: source.kernelName,
      initrd: source.initrd,
      commandLine: source.commandLine,
      memoryBytes: options.memory,
      vcpus: 1,
      engineCheck: options.engineCheck,
    });
  const translations = options.translationCache ? translationDirectory() : undefined;
  return runSubject({ title, marker, create, translations }, mode, options, interrupt, line);
}

/** @returns undefined where translations are not to be kept, or there is no place for them. */
function translationDirectory(): string | undefined {
  const refused = process.env["XENOLITH_NO_TRANSLATION_CACHE"];
  if (refused !== undefined && refused !== "") return undefined;
  try {
    return join(cacheDirectory(), "translations");
  } catch (error) {
    if (error instanceof XenError) return undefined;
    throw error;
  }
}

/** Connects a domain to the user until it ends, and destroys what else was made with it. @returns the exit status. */
export async function runSubject(
  subject: Subject,
  mode: SessionMode,
  options: SubjectOptions,
  interrupt: Interruption,
  line: ProgressLine,
): Promise<number> {
  line.set(`starting ${subject.title}`);
  await using host = await Host.open(nodeMachine(undefined, { translations: subject.translations }));
  const guest = await subject.create(host);
  return await attend(guest, mode, subject, options, interrupt, line);
}

/** Connects a running guest to the user until it ends. @returns the exit status. */
async function attend(
  guest: Guest,
  mode: SessionMode,
  subject: Subject,
  options: SubjectOptions,
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

  const streams = consoleStreams({
    mode,
    verbose: options.verbose ?? false,
    capture,
    onLeave: end,
    onResize: ({ rows, columns }) => guest.resize(rows, columns),
    onReady() {
      readySeconds = guest.statistics().seconds;
      line.clear();
      if (process.stderr.isTTY && !json && mode === "shell" && process.stdin.isTTY) {
        say(`${subject.title} is up after ${readySeconds.toFixed(1)} s. Ctrl-] powers it off.`);
      }
    },
    onFirstOutput: () => line.clear(),
  });
  // Not before keys are the guest's: who sees this may rely on it.
  line.set(`booting ${subject.title}`);
  // It may have changed since init's first size was written down.
  const window = windowSize(process.stdout);
  if (window !== undefined) guest.resize(window.rows, window.columns);
  let result: SessionResult;
  try {
    result = await runSession(guest, mode, subject.marker, streams);
  } finally {
    clearTimeout(timer);
    streams[Symbol.dispose]();
    line.clear();
  }

  const left = streams.left || interrupt.status !== undefined;
  const status = timedOut ? ExitStatus.timeout : (interrupt.status ?? statusOf(result, left));
  if (timedOut) complain(`"${guest.name}" was ended after ${options.timeout} s (--timeout)`);
  else if (!left) explain(guest, result);
  const { seconds: total, instructions, translated, translation, transitions, check, exits } = guest.statistics();
  if (capture !== undefined) {
    const text = (chunks: readonly Uint8Array[]): string => Buffer.concat(chunks).toString("utf8");
    const document = {
      name: guest.name,
      status,
      ending: endingOf(result, timedOut),
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
    if (translation.regions > 0) {
      const share = ((100 * translated) / instructions).toFixed(1);
      say(
        `translated: ${share} % of the instructions, in ${translation.regions} regions of ${translation.instructions} instructions` +
          ` (${(translation.bytes / 1e6).toFixed(1)} MB), ${translation.known} of them known before; ${translation.dropped} given up; ${translation.entries} entries from the interpreter, ${transitions} transitions to JavaScript`,
      );
    }
    if (options.engineCheck !== undefined) say(checksOf(check));
    const counts = Object.entries(exits).filter(([, count]) => count > 0);
    if (counts.length > 0) say(`exits: ${counts.map(([kind, count]) => `${kind} ${count}`).join(", ")}`);
  }
  return status;
}

/** What --engine-check has compared. */
function checksOf({ regions, entries, instructions, ...unchecked }: GuestStatistics["check"]): string {
  const why = {
    empty: "left at once",
    shared: "touched a ring",
    refused: "wrote an MSR",
    unsteady: "did not differ again",
  };
  const skipped = Object.entries(why).map(([name, text]) => `${unchecked[name as keyof typeof unchecked]} ${text}`);
  return (
    `checked: ${regions} regions, ${entries} entries, ${(instructions / 1e6).toFixed(1)} million instructions;` +
    ` entries not compared: ${skipped.join(", ")}`
  );
}

/** One word for how a run ended: `exit` when the command or shell did, otherwise what became of the domain. */
function endingOf({ ending, status }: SessionResult, timedOut: boolean): string {
  if (timedOut) return "timeout";
  if (ending.kind === "destroyed") return status === undefined ? "destroyed" : "exit";
  return ending.kind === "shutdown" ? ending.reason : ending.kind;
}

function statusOf({ ending, status }: SessionResult, left: boolean): number {
  switch (ending.kind) {
    case "triple-fault":
      return ExitStatus.tripleFault;
    case "tiers-differ":
      return ExitStatus.tiersDiffer;
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
  if (ending.kind === "tiers-differ") return `was ended by --engine-check: ${ending.report}`;
  if (ending.kind === "failed") return `cannot go on: ${ending.error.message}`;
  if (ending.kind === "destroyed") return undefined;
  if (ending.reason === "crash") return "has crashed";
  return ending.reason === "watchdog" ? "was ended by its watchdog" : undefined;
}
