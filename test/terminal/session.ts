/** A program on a terminal of its own, for tests: what it shows, what is typed, and how it leaves the terminal. */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The clone that is tested. */
export const clone = fileURLToPath(new URL("../..", import.meta.url));
/** The program `xenolith` as it is started in a clone. */
export const xenolith: readonly string[] = [process.execPath, join(clone, "bin", "xenolith.js")];

// util-linux's script(1) makes a terminal; others of that name take other options.
const haveScript = process.platform === "linux" && spawnSync("script", ["--version"]).status === 0;

/** Why no terminal can be had here, or false where it can: a test's `skip`. */
export const noTerminal: string | false = haveScript ? false : "needs script(1) of util-linux";

/** How a program is run. */
export interface TerminalOptions {
  readonly environment?: NodeJS.ProcessEnv;
  /** Where it runs: the clone, unless said otherwise. */
  readonly directory?: string;
}

/** What the shell around a program noted. */
export interface Outcome {
  /** `stty -a` before the program, and after it. */
  readonly before: string;
  readonly after: string;
  readonly status: string;
}

/** A program that runs on a terminal. Disposing of it takes the terminal away. */
export interface TerminalSession extends AsyncDisposable {
  /** Everything the terminal has shown. */
  readonly screen: string;
  readonly ended: Promise<void>;
  /** Waits until the terminal shows a text after what was waited for before. */
  shows(text: string): Promise<void>;
  type(text: string): void;
  resize(rows: number, columns: number): void;
  /** Sends a signal to the program alone, not to those it started. */
  kill(signal: NodeJS.Signals): void;
  /** When the program has ended. */
  outcome(): Outcome;
}

/** The first time, a machine that does other work too may need so long to show anything. */
const PATIENCE_MILLISECONDS = 90_000;

/** Runs a command on a terminal of its own, in a shell that notes the terminal's settings around it. */
export function onTerminal(command: readonly string[], options: TerminalOptions = {}): TerminalSession {
  const scratch = mkdtempSync(join(tmpdir(), "xenolith-terminal-"));
  const file = (part: string): string => join(scratch, part);
  const noted = (part: string): string => readFileSync(file(part), "utf8").trim();
  // The program leads the terminal's foreground, as in a user's shell; a key that ends it must not end its shell.
  const shell = `set -m
trap : INT
cd ${quote(options.directory ?? clone)}
tty >${quote(file("tty"))}
stty -a >${quote(file("before"))}
sh -c 'echo $$ >"$0" && exec "$@"' ${[file("pid"), ...command].map(quote).join(" ")}
echo $? >${quote(file("status"))}
stty -a >${quote(file("after"))}
`;
  writeFileSync(file("shell"), shell);
  const child = spawn("script", ["-qec", `bash ${quote(file("shell"))}`, "/dev/null"], {
    env: { ...process.env, SHELL: "/bin/sh", TERM: "xterm", ...options.environment },
  });
  let screen = "";
  let seen = 0;
  let look = (): void => {};
  child.stdout.on("data", (chunk: Buffer) => {
    screen += chunk.toString("latin1");
    look();
  });
  // What is typed after the end is lost.
  child.stdin.on("error", () => {});
  let over = false;
  const ended = new Promise<void>((resolve) =>
    child.on("close", () => {
      over = true;
      look();
      resolve();
    }),
  );
  return {
    get screen() {
      return screen;
    },
    ended,
    async shows(text) {
      const end = Date.now() + PATIENCE_MILLISECONDS;
      for (let at = -1; ;) {
        at = screen.indexOf(text, seen);
        if (at >= 0) {
          seen = at + text.length;
          return;
        }
        assert.ok(Date.now() < end && !over, `waited for "${text}" in ${JSON.stringify(screen.slice(-2000))}`);
        await new Promise<void>((resolve) => {
          look = resolve;
          setTimeout(resolve, 1000);
        });
      }
    },
    type: (text) => void child.stdin.write(text),
    resize(rows, columns) {
      const done = spawnSync("stty", ["-F", noted("tty"), "rows", String(rows), "cols", String(columns)]);
      assert.equal(done.status, 0, String(done.stderr));
    },
    kill: (signal) => void process.kill(Number(noted("pid")), signal),
    outcome: () => ({ before: noted("before"), after: noted("after"), status: noted("status") }),
    async [Symbol.asyncDispose]() {
      child.kill();
      await ended;
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

/** A word that a POSIX shell reads as exactly this text. */
function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
