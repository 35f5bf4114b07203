/** `xenolith hello`: a tour of the hypervisor by a guest that comes with it. */

import { Command } from "commander";
import { ProgressLine } from "../report.ts";
import type { Finish } from "../report.ts";
import { interruptible } from "../signals.ts";

/** The built-in guest has no use for more. */
const MEMORY = 16 << 20;

export function helloCommand(finish: Finish): Command {
  return new Command("hello")
    .description("run the built-in guest: a tour of the hypervisor that needs no download")
    .option("--stats", "print statistics to stderr at the end")
    .action(async ({ stats }: { stats?: true }) => finish(await runHello(stats)));
}

/** @returns the exit status. */
export async function runHello(stats?: true): Promise<number> {
  // Loaded only now: help and usage errors need none of the hypervisor.
  const { helloKernel } = await import("../../toolstack/hello/program.ts");
  const { runSource } = await import("./run-guest.ts");
  using interrupt = interruptible();
  using line = new ProgressLine();
  const source = {
    title: "the built-in guest",
    name: "hello",
    kernel: helloKernel(),
    kernelName: "hello",
    initrd: undefined,
    commandLine: "",
    marker: "",
  };
  const options = { memory: MEMORY, format: "text", ...(stats ? { stats } : {}) } as const;
  return await runSource(source, "lines", options, interrupt, line);
}
