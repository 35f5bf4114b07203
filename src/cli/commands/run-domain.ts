/** What `xenolith run` does: gets a kernel, and runs a domain that is made of it. */

import { XenError } from "../../bits/errors.ts";
import type { SessionMode } from "../../toolstack/session.ts";
import { ProgressLine, say } from "../report.ts";
import { interruptible } from "../signals.ts";
import { runHello } from "./hello.ts";
import { runSource } from "./run-guest.ts";
import { fromFiles, fromImage } from "./run-source.ts";
import type { RunOptions, Source } from "./run-source.ts";

/** @returns the exit status. */
export async function runDomain(
  image: string | undefined,
  options: RunOptions,
  command: readonly string[] | undefined,
): Promise<number> {
  checkOptions(image, options, command);
  if (image === "hello" && command === undefined) return runHello(options);
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
    return runHello(options);
  }
  if (interrupt.status !== undefined) return interrupt.status;

  return await runSource(source, mode, options, interrupt, line);
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
