import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("../../../bin/xenolith.js", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "xenolith-terminal-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

// util-linux's script(1) makes a terminal; others of that name take other options.
const haveScript = process.platform === "linux" && spawnSync("script", ["--version"]).status === 0;
const options = haveScript ? {} : { skip: "needs script(1) of util-linux" };

interface Session {
  readonly child: ChildProcessWithoutNullStreams;
  /** Everything the terminal has shown. */
  screen: string;
  /** Waits until the terminal shows a text after what was waited for before. */
  shows(text: string): Promise<void>;
  readonly ended: Promise<void>;
  /** The settings of the terminal before and after, and the program's exit status. */
  outcome(): { before: string; after: string; status: string };
}

/** Runs the built-in guest on a terminal of its own, in a shell that notes the terminal's settings around it. */
function session(name: string): Session {
  const file = (part: string): string => join(scratch, `${name}-${part}`);
  const program = `"${process.execPath}" "${launcher}" hello & echo $! >"${file("pid")}"; fg >/dev/null`;
  const shell = `set -m; tty >"${file("tty")}"; stty -a >"${file("before")}"; ${program}; echo $? >"${file("status")}"; stty -a >"${file("after")}"`;
  const child = spawn("script", ["-qec", `bash -c '${shell}'`, "/dev/null"], {
    env: { ...process.env, SHELL: "/bin/sh" },
  });
  let seen = 0;
  let look = (): void => {};
  const made: Session = {
    child,
    screen: "",
    async shows(text) {
      const end = Date.now() + 60_000;
      for (let at = made.screen.indexOf(text, seen); ; at = made.screen.indexOf(text, seen)) {
        if (at >= 0) {
          seen = at + text.length;
          return;
        }
        assert.ok(Date.now() < end, `waited for "${text}" in ${JSON.stringify(made.screen)}`);
        await new Promise<void>((resolve) => {
          look = resolve;
          setTimeout(resolve, 1000);
        });
      }
    },
    ended: new Promise((resolve) => child.on("close", () => resolve())),
    outcome: () => {
      const [before = "", after = "", status = ""] = ["before", "after", "status"].map((part) =>
        readFileSync(file(part), "utf8").trim(),
      );
      return { before, after, status };
    },
  };
  child.stdout.on("data", (chunk: Buffer) => {
    made.screen += chunk.toString("latin1");
    look();
  });
  return made;
}

test(
  "terminal: keys go to the guest, Ctrl-C too, and Ctrl-] leaves it with the terminal as it was",
  options,
  async () => {
    const run = session("detach");
    await run.shows("hello> ");
    run.child.stdin.write("\x03cpuid\r");
    await run.shows("XenVMMXenVMM");
    await run.shows("hello> ");
    run.child.stdin.write("\x1d");
    await run.ended;
    const { before, after: later, status } = run.outcome();
    assert.equal(status, "0");
    assert.equal(later, before);
  },
);

test(
  "terminal: a guest that ends, alone or after the other's crash, leaves the terminal as it was",
  options,
  async () => {
    for (const crash of [false, true]) {
      const run = session(crash ? "crash" : "quit");
      await run.shows("hello> ");
      if (crash) {
        run.child.stdin.write("crash\r");
        await run.shows("I go on.");
        await run.shows("hello> ");
      }
      run.child.stdin.write("quit\r");
      await run.ended;
      const { before, after: later, status } = run.outcome();
      assert.equal(status, "0");
      assert.equal(later, before);
    }
  },
);

test("terminal: a window that changes its size is told to the guest", options, async () => {
  const run = session("resize");
  await run.shows("hello> ");
  const terminal = readFileSync(join(scratch, "resize-tty"), "utf8").trim();
  const resize = (rows: number, columns: number): void => {
    const done = spawnSync("stty", ["-F", terminal, "rows", String(rows), "cols", String(columns)]);
    assert.equal(done.status, 0, String(done.stderr));
  };
  for (const [rows, columns] of [
    [41, 121],
    [22, 77],
  ] as const) {
    resize(rows, columns);
    const end = Date.now() + 20_000;
    for (let told = false; !told;) {
      assert.ok(Date.now() < end, run.screen);
      run.child.stdin.write("xenstore\r");
      const from = run.screen.length;
      await run.shows("hello> ");
      told = run.screen.slice(from).includes(`window = "${rows} ${columns}"`);
    }
  }
  run.child.stdin.write("quit\r");
  await run.ended;
});

test("terminal: a signal ends the run with its status, and leaves the terminal as it was", options, async () => {
  for (const [signal, expected] of [
    ["SIGTERM", "143"],
    ["SIGHUP", "129"],
  ] as const) {
    const run = session(signal);
    await run.shows("hello> ");
    process.kill(Number(readFileSync(join(scratch, `${signal}-pid`), "utf8")), signal);
    await run.ended;
    const { before, after: later, status } = run.outcome();
    assert.equal(status, expected);
    assert.equal(later, before);
  }
});
