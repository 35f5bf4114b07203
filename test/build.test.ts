/** What would be published: plain JavaScript that runs without the sources. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type TestContext, test } from "node:test";

/** A directory with what `npm pack` would take, and the dependencies beside it. */
function built(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "xenolith-build-"));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  for (const name of ["bin", "package.json"]) cpSync(name, join(directory, name), { recursive: true });
  symlinkSync(resolve("node_modules"), join(directory, "node_modules"));
  const compiler = join("node_modules", "typescript", "bin", "tsc");
  const options = ["-p", "tsconfig.build.json", "--outDir", join(directory, "dist")];
  const { status, stdout } = spawnSync(process.execPath, [compiler, ...options], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
  return directory;
}

test("build: commands and SDK run from emitted JavaScript", (t) => {
  const directory = built(t);
  const run = (...args: string[]) => execFileSync(process.execPath, args, { cwd: directory, encoding: "utf8" });
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  assert.equal(run("bin/xenolith.js", "--version"), `${version}\n`);
  assert.match(run("bin/xenolith.js", "run", "--help"), /--kernel/);
  assert.match(
    run("--input-type=module", "-e", "console.log(Object.keys(await import('xenolith')).join())"),
    /Host,.*nodeMachine/,
  );
});
