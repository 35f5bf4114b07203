/** `xenolith run`: one domain, from a kernel or an image, until it ends. */

import { Command, Option } from "commander";
import { checkSampling, memorySize, seconds } from "../arguments.ts";
import type { Finish } from "../report.ts";
import type { RunOptions } from "./run-source.ts";

export function runCommand(finish: Finish, command: readonly string[] | undefined): Command {
  return new Command("run")
    .description("run a domain until it ends: an image's shell, a command in it, or any PVH kernel")
    .usage("[options] [IMAGE] [-- COMMAND [ARGUMENT...]]")
    .argument(
      "[image]",
      "debian (the default), debian:11, debian:12, debian:13, debian:sid; /amd64 for the full kernel",
    )
    .option("--kernel <file>", "boot this kernel instead of an image: a bzImage or an ELF file with a PVH entry")
    .option("--initrd <file>", "its initial RAM disk")
    .option("--append <text>", "the kernel's command line, in place of the default")
    .addOption(memoryOption())
    .option("-n, --name <name>", "the domain's name")
    .option("--timeout <seconds>", "end the domain after this time, with exit status 124", seconds)
    .addOption(
      new Option("--format <format>", "json: the result as one JSON document")
        .choices(["text", "json"])
        .default("text"),
    )
    .option("--stats", "print statistics to stderr at the end")
    .addOption(
      new Option(
        "--engine-check [which]",
        "compare translated code with the interpreter: all entries of it, or the first N",
      )
        .preset("50")
        .argParser(checkSampling),
    )
    .option(
      "--no-translation-cache",
      "neither use nor keep translations of guest code on disk (also: XENOLITH_NO_TRANSLATION_CACHE=1)",
    )
    .option("--mirror <url>", "the Debian mirror to use if the image must be pulled (also: XENOLITH_MIRROR)")
    .option("-v, --verbose", "show the guest's boot messages")
    .addHelpText("after", HELP)
    .action(async (image: string | undefined, options: RunOptions) => {
      // Loaded only now: help and usage errors need none of the hypervisor.
      const { runDomain } = await import("./run-domain.ts");
      finish(await runDomain(image, options, command));
    });
}

const HELP = `
On a terminal, Ctrl-C and all other keys go to the guest, and Ctrl-] powers it off. From a pipe, the lines are typed when
the shell is ready, and the end of input ends it. With a COMMAND, stdin, stdout and stderr are the command's.

Exit status: the guest command's or shell's own; 124 after --timeout; 125 when Xenolith fails; 2 for bad usage;
134 when the guest crashes or panics; 135 for a triple fault; 136 for a difference that --engine-check finds.`;

/** `-m`, which other commands have too. */
export function memoryOption(): Option {
  return new Option("-m, --memory <size>", "the domain's memory").default(512 << 20, "512M").argParser(memorySize);
}
