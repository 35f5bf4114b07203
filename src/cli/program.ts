/** The commands, and what every one of them has in common: help, errors, exit statuses. */

import { Command, CommanderError } from "commander";
import { readFileSync } from "node:fs";
import { helloCommand } from "./commands/hello.ts";
import { imageCommand } from "./commands/image.ts";
import { runCommand } from "./commands/run.ts";
import { complain, ExitStatus, report } from "./report.ts";
import type { Finish } from "./report.ts";

/** @returns the exit status. */
export async function run(argv: readonly string[]): Promise<number> {
  let status = 0;
  const finish: Finish = (value) => void (status = value);
  // What follows "--" is the guest's and must not be taken for an image or an option.
  const separator = argv.indexOf("--");
  const own = separator < 0 ? argv : argv.slice(0, separator);
  const guests = separator < 0 ? undefined : argv.slice(separator + 1);

  const program = new Command("xenolith")
    .description("Runs unmodified operating systems as Xen domains, anywhere that Node.js runs.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help for a command")
    .helpCommand("help [command]", "print help for a command")
    .showSuggestionAfterError()
    .addCommand(runCommand(finish, guests))
    .addCommand(imageCommand())
    .addCommand(helloCommand(finish));
  for (const command of everyCommand(program)) {
    command.exitOverride().configureOutput({
      outputError: (text) => complain(text.trim().replace(/^error: /, "")),
    });
  }
  if (own.length === 0) {
    process.stderr.write(program.helpInformation());
    return ExitStatus.usage;
  }
  try {
    if (guests !== undefined && own[0] !== "run") {
      complain(`only "run" takes a command after --`);
      return ExitStatus.usage;
    }
    await program.parseAsync(own, { from: "user" });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : ExitStatus.usage;
    return report(error);
  }
}

function* everyCommand(command: Command): Generator<Command> {
  yield command;
  for (const each of command.commands) yield* everyCommand(each);
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return version;
}
