/** `npm start` on a terminal when everything is there already: it asks no network, and writes nothing to HOME. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { cacheDirectory } from "../../src/host/node/images.ts";
import { imageUnavailable } from "../guests/image-guest.ts";
import { clone, noTerminal, onTerminal, xenolith } from "./session.ts";
import type { TerminalSession } from "./session.ts";

const DETACH = "\x1d";

/** Why `npm start` cannot be the second one here. */
async function notYet(): Promise<string | false> {
  if (noTerminal) return noTerminal;
  if (spawnSync("npm", ["--version"]).status !== 0) return "npm is not installed";
  // It would install, that is, begin by removing node_modules. scripts/prestart.js says what the stamp is.
  const lockfile = createHash("sha256")
    .update(readFileSync(join(clone, "package-lock.json")))
    .digest("hex");
  const stamp = join(clone, "node_modules", ".xenolith-installed");
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== `${lockfile} ${process.platform} ${process.arch}\n`)
    return "scripts/prestart.js has not installed this lockfile's dependencies";
  return (await imageUnavailable("debian:12")) ?? false;
}

const skip = await notYet();

/** A place for everything that would ask the network. Counts who asks. */
async function network(context: TestContext): Promise<{ environment: NodeJS.ProcessEnv; connections: () => number }> {
  let connections = 0;
  const server = createServer();
  server.on("connection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const proxies = { http_proxy: url, https_proxy: url, HTTP_PROXY: url, HTTPS_PROXY: url, NODE_USE_ENV_PROXY: "1" };
  // Once a week npm looks whether there is a newer npm, and needs no answer.
  const npm = { npm_config_registry: `${url}/npm`, npm_config_update_notifier: "false" };
  return {
    environment: { ...proxies, ...npm, XENOLITH_MIRROR: `${url}/debian` },
    connections: () => connections,
  };
}

/** Waits for the shell, leaves it, and looks at what is left. */
async function reachesShell(run: TerminalSession): Promise<void> {
  await run.shows("~ # ");
  run.type("echo $((6*7))here\r");
  await run.shows("42here");
  run.type(DETACH);
  await run.ended;
  const { before, after, status } = run.outcome();
  assert.equal(status, "0", run.screen);
  assert.equal(after, before);
}

test("second run: no network is asked", { skip }, async (t) => {
  const { environment, connections } = await network(t);
  await using run = onTerminal(["npm", "start"], { environment });
  await reachesShell(run);
  assert.equal(connections(), 0);
  assert.ok(!run.screen.includes("installing"), run.screen);
});

/** Runs a command with a HOME that cannot be written. */
type LockedHome = (command: readonly string[]) => TerminalSession;

/** Makes both read-only, in a namespace where nobody else sees it: modes do not bind root, mounts do. */
const LOCK = `for d in "$HOME" "$LOCKED"; do mount --bind "$d" "$d" && mount -o remount,bind,ro "$d" || exit 99; done`;

/** @param cache what ~/.cache/xenolith is, which cannot be written either. @returns a reason where there is no such HOME. */
function lockedHome(context: TestContext, cache?: string): LockedHome | string {
  const home = mkdtempSync(join(tmpdir(), "xenolith-home-"));
  const caches = join(home, ".cache");
  mkdirSync(caches);
  if (cache !== undefined) symlinkSync(cache, join(caches, "xenolith"));
  // npm would write where its variables say, which it sets for the scripts that it runs, this test among them.
  const npm = Object.keys(process.env).filter((name) => /^npm_/i.test(name));
  const environment: NodeJS.ProcessEnv = {
    ...Object.fromEntries(npm.map((name) => [name, undefined])),
    XENOLITH_CACHE: undefined,
    XDG_CACHE_HOME: undefined,
    HOME: home,
    LOCKED: cache ?? home,
  };
  const root = process.getuid?.() === 0;
  if (!root) for (const path of [caches, home]) chmodSync(path, 0o500);
  context.after(() => {
    for (const path of [home, caches]) chmodSync(path, 0o700);
    rmSync(home, { recursive: true, force: true });
  });
  const before = root ? ["unshare", "-m", "sh", "-c", `${LOCK}; exec "$@"`, "sh"] : ["env"];
  const attempt = ["sh", "-c", '! touch "$HOME/x" "$HOME/.cache/x" 2>/dev/null'];
  const trial = spawnSync("env", [...before, ...attempt], { env: { ...process.env, ...environment } });
  if (trial.status !== 0) return "this user cannot be kept from writing to a HOME";
  return (command) => onTerminal([...before, ...command], { environment });
}

test("second run: HOME and the cache may be read-only", { skip }, async (t) => {
  const locked = lockedHome(t, cacheDirectory());
  if (typeof locked === "string") return t.skip(locked);
  await using run = locked(["npm", "start"]);
  await reachesShell(run);
});

test("second run: where HOME is read-only and has no cache, one line says what to do", { skip }, async (t) => {
  const locked = lockedHome(t);
  if (typeof locked === "string") return t.skip(locked);
  {
    await using run = locked(["npm", "start", "--silent"]);
    await run.ended;
    const { before, after, status } = run.outcome();
    assert.equal(status, "125", run.screen);
    assert.equal(after, before);
    const said = run.screen.slice(run.screen.indexOf("xenolith:"));
    assert.match(said, /^xenolith:[^\n]* cache "[^\n]*": cannot be written [^\n]*XENOLITH_CACHE[^\n]*\n$/);
  }
  await using run = locked([...xenolith, "hello"]);
  await run.shows("hello> ");
  run.type("quit\r");
  await run.ended;
  assert.equal(run.outcome().status, "0", run.screen);
});
