/** `xenolith hello`: a tour of the hypervisor by two guests that come with it. */

import { Command } from "commander";
import type { Guest } from "../../toolstack/guest.ts";
import type { Host } from "../../toolstack/host.ts";
import { ProgressLine } from "../report.ts";
import type { Finish } from "../report.ts";
import { interruptible } from "../signals.ts";
import type { SubjectOptions } from "./run-guest.ts";

export function helloCommand(finish: Finish): Command {
  return new Command("hello")
    .description("run two built-in guests: a tour of the hypervisor that needs no download")
    .option("--stats", "print statistics to stderr at the end")
    .action(async ({ stats }: { stats?: true }) =>
      finish(await runHello({ format: "text", ...(stats ? { stats } : {}) })),
    );
}

/** @returns the exit status. */
export async function runHello(options: SubjectOptions): Promise<number> {
  // Loaded only now: help and usage errors need none of the hypervisor.
  const { startTour } = await import("../../toolstack/hello/tour.ts");
  const { runSubject } = await import("./run-guest.ts");
  using interrupt = interruptible();
  using line = new ProgressLine();
  const create = async (host: Host): Promise<Guest> => {
    const { hello, world } = await startTour(host);
    // Nobody reads what the second one says.
    await world.console.readable.cancel();
    return hello;
  };
  const subject = { title: "the built-in guests", marker: "", create };
  return await runSubject(subject, "lines", options, interrupt, line);
}
