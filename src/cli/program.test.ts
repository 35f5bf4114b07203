import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("../../bin/xenolith.js", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "xenolith-cli-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Runs the program with a cache of its own: no test may touch the user's. */
function xenolith(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const env = { ...process.env, XENOLITH_CACHE: join(scratch, "cache"), XENOLITH_DEBUG: "" };
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], {
    encoding: "utf8",
    env,
    input: "",
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

/** One line for people: no stack, nothing on stdout. */
function refuses(args: readonly string[], status: number, message: RegExp): void {
  const result = xenolith(...args);
  assert.equal(result.status, status, `${args.join(" ")}: ${result.stderr}`);
  assert.equal(result.stdout, "");
  assert.match(result.stderr, message);
  assert.equal(result.stderr.trimEnd().split("\n").length, 1, result.stderr);
}

test("cli: every command has help, on stdout", () => {
  for (const args of [
    ["--help"],
    ["run", "--help"],
    ["image", "--help"],
    ["image", "pull", "--help"],
    ["help", "run"],
  ]) {
    const { status, stdout } = xenolith(...args);
    assert.equal(status, 0);
    assert.match(stdout, /^Usage: xenolith/);
  }
  assert.match(xenolith("--version").stdout, /^\d+\.\d+\.\d+\n$/);
});

test("cli: bad usage is one line and status 2", () => {
  refuses(["nope"], 2, /unknown command 'nope'/);
  refuses(["run", "--bogus"], 2, /unknown option '--bogus'/);
  refuses(["run", "-m", "lots"], 2, /an amount of memory/);
  refuses(["run", "--timeout", "0"], 2, /a number of seconds/);
  refuses(["run", "--format", "xml"], 2, /xml/);
  refuses(["image", "rm"], 2, /missing required argument/);
  refuses(["image", "ls", "--", "true"], 2, /only "run"/);
  assert.equal(xenolith().status, 2);
});

test("cli: options that contradict each other are refused before anything is pulled", () => {
  refuses(["run", "debian", "--kernel", "k"], 2, /either an image/);
  refuses(["run", "--kernel", "k", "--", "true"], 2, /needs an image/);
  refuses(["run", "--initrd", "i"], 2, /needs --kernel/);
  refuses(["run", "debian", "--"], 2, /command must follow/);
});

test("cli: what cannot be booted is said in one line", () => {
  const text = join(scratch, "text");
  writeFileSync(text, "this is no kernel\n".repeat(1000));
  refuses(["run", "debian:99"], 2, /no such image/);
  refuses(["run", "--kernel", join(scratch, "absent")], 2, /no such file/);
  refuses(["run", "--kernel", scratch], 2, /is a directory/);
  refuses(["run", "--kernel", text], 2, /not a kernel/);
});

test("cli: an empty cache lists nothing, and nothing can be removed from it", () => {
  assert.deepEqual(JSON.parse(xenolith("image", "ls", "--format", "json").stdout), []);
  refuses(["image", "rm", "debian:12"], 2, /not in the cache/);
});
