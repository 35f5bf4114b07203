/** What runs before anything is installed: `scripts/prestart.js` with a stand-in for npm, and `scripts/test.js`. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";

/** A clone with the scripts and a lockfile. Its npm notes each call, then does what `behaviour` says. */
function clone(context: TestContext, behaviour = ""): { directory: string; npm: string } {
  const directory = mkdtempSync(join(tmpdir(), "xenolith-setup-"));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  cpSync("scripts", join(directory, "scripts"), { recursive: true });
  writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
  writeFileSync(join(directory, "package-lock.json"), "{}");
  mkdirSync(join(directory, "npm"));
  const npm = join(directory, "npm", "npm-cli.js");
  const note = `import fs from "node:fs"; fs.appendFileSync("calls", process.argv.slice(2).join(" ") + "\\n");`;
  writeFileSync(npm, `${note}\nconsole.log("added 1 package");\n${behaviour}`);
  return { directory, npm };
}

function prestart({ directory, npm }: { directory: string; npm: string }) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/prestart.js"], {
    cwd: directory,
    input: "for the guest",
    encoding: "utf8",
    env: { ...process.env, npm_execpath: npm, npm_node_execpath: process.execPath },
  });
  const calls = existsSync(join(directory, "calls"))
    ? readFileSync(join(directory, "calls"), "utf8").trim().split("\n")
    : [];
  return { status, stdout, stderr, calls };
}

test("prestart: installs once, and again when the lockfile changes, without a word", (t) => {
  const fresh = clone(t);
  const first = prestart(fresh);
  assert.deepEqual([first.status, first.stdout, first.stderr, first.calls.length], [0, "", "", 1]);
  assert.match(first.calls[0] ?? "", /^ci /);
  assert.equal(prestart(fresh).calls.length, 1);
  writeFileSync(join(fresh.directory, "package-lock.json"), '{ "changed": true }');
  assert.equal(prestart(fresh).calls.length, 2);
  assert.equal(prestart(fresh).calls.length, 2);
});

test("prestart: leaves stdin to what comes after it", (t) => {
  const fresh = clone(t, "process.stdin.pipe(fs.createWriteStream('heard'));");
  const { directory, npm } = fresh;
  const env = { ...process.env, npm_execpath: npm, npm_node_execpath: process.execPath };
  const line = `"${process.execPath}" scripts/prestart.js && "${process.execPath}" -e "process.stdin.pipe(process.stdout)"`;
  const { stdout } = spawnSync(line, { cwd: directory, shell: true, input: "uname -r\n", encoding: "utf8", env });
  assert.equal(stdout, "uname -r\n");
});

test("prestart: an unreachable registry is one line, and nothing counts as installed", (t) => {
  const fresh = clone(
    t,
    "console.error('npm error code ECONNREFUSED\\nnpm error errno ECONNREFUSED'); process.exit(1);",
  );
  const { status, stdout, stderr } = prestart(fresh);
  assert.deepEqual([status, stdout], [125, ""]);
  assert.match(stderr, /^xenolith: [^\n]*npm cannot reach its registry \(ECONNREFUSED\)[^\n]*\n$/);
  assert.equal(prestart(fresh).calls.length, 2);
});

test("prestart: any other failure of npm's is named in one line", (t) => {
  const fresh = clone(
    t,
    "console.error('npm error code EUSAGE\\nnpm error\\nnpm error the lock is wrong'); process.exit(1);",
  );
  const { status, stderr } = prestart(fresh);
  assert.equal(status, 125);
  assert.match(stderr, /^xenolith: [^\n]*npm ci failed: the lock is wrong[^\n]*\n$/);
});

/** Runs the test runner on a file of its own. Its children must not take themselves for part of this run. */
function runTests(context: TestContext, source: string) {
  const { directory } = clone(context);
  mkdirSync(join(directory, "test"));
  writeFileSync(join(directory, "test", "sample.test.ts"), `import { test } from "node:test";\n${source}`);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const options = { cwd: directory, encoding: "utf8", env } as const;
  const { status, stdout } = spawnSync(process.execPath, ["scripts/test.js", "--only-tests"], options);
  return { status, stdout, last: stdout.trimEnd().split("\n").at(-1) };
}

test("runner: counts what passed and was skipped, and succeeds", (t) => {
  const { status, last, stdout } = runTests(t, 'test("a", () => {}); test("b", { skip: "no gcc" }, () => {});');
  assert.deepEqual([status, last], [0, "1 passed, 0 failed, 1 skipped"]);
  assert.match(stdout, /1 × no gcc/);
});

test("runner: a failing test is named with its place, and fails the run", (t) => {
  const { status, last, stdout } = runTests(
    t,
    'test("a", () => {});\ntest("wrong sum", () => { throw new Error("3, not 4"); });',
  );
  assert.deepEqual([status, last], [1, "1 passed, 1 failed, 0 skipped"]);
  assert.match(stdout, /✖ wrong sum {2}\(test\/sample\.test\.ts:3\)/);
  assert.match(stdout, /3, not 4/);
});

test("runner: a test counts for the file that runs it, wherever it is declared", (t) => {
  const { directory } = clone(t);
  mkdirSync(join(directory, "test"));
  writeFileSync(
    join(directory, "test", "declares.ts"),
    'import { test } from "node:test";\nexport const declare = () => test("a", () => {});\n',
  );
  writeFileSync(join(directory, "test", "sample.test.ts"), 'import { declare } from "./declares.ts";\ndeclare();\n');
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const options = { cwd: directory, encoding: "utf8", env } as const;
  const { stdout } = spawnSync(process.execPath, ["scripts/test.js", "--only-tests"], options);
  assert.match(stdout, /^ok {3}test\/sample\.test\.ts: 1 passed/);
});

test("runner: a file that dies or cannot be loaded fails the run", (t) => {
  for (const source of ['test("a", () => process.exit(0));', 'import "./missing.ts";']) {
    const { status, last } = runTests(t, source);
    assert.equal(status, 1, source);
    assert.match(last ?? "", /^0 passed, 1 failed, 0 skipped$/);
  }
});
