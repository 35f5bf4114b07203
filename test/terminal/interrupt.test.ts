/**
 * Ctrl-C before the guest has the keyboard: in the installation, in a download, and in the boot, where it is the guest's.
 * Nothing is left running, nothing half done is taken for whole, and the terminal is as it was.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { pullImage } from "../../src/host/node/images.ts";
import { imageUnavailable } from "../guests/image-guest.ts";
import { clone, noTerminal, onTerminal, xenolith } from "./session.ts";
import type { TerminalSession } from "./session.ts";

/** Ending takes no longer, on a machine that does other work too. */
const SOON_MILLISECONDS = 15_000;
const INTERRUPT = "\x03";
const DETACH = "\x1d";

function directory(context: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), "xenolith-interrupt-"));
  context.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

interface Server {
  readonly url: string;
  /** Paths that were asked for. */
  readonly requests: string[];
  /** How many connections are open. */
  connections(): Promise<number>;
}

/** A server of this machine's. Unless `answer` does, it answers nothing. */
async function server(
  context: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void = () => {},
): Promise<Server> {
  const requests: string[] = [];
  const http = createServer((request, response) => {
    requests.push(request.url ?? "");
    answer(request, response);
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    http.close();
    http.closeAllConnections();
  });
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    requests,
    connections: () => new Promise((resolve) => http.getConnections((_, count) => resolve(count))),
  };
}

/** Waits for an end that was asked for, which comes soon and with this status. */
async function endsSoon(run: TerminalSession, status: number): Promise<void> {
  const late = setTimeout(() => run.kill("SIGKILL"), SOON_MILLISECONDS);
  await run.ended;
  clearTimeout(late);
  const outcome = run.outcome();
  assert.equal(outcome.status, String(status), run.screen);
  assert.equal(outcome.after, outcome.before);
}

/** Nobody is left who waits for the server. */
async function nobodyAsks(server: Server): Promise<void> {
  const end = Date.now() + SOON_MILLISECONDS;
  while ((await server.connections()) > 0) {
    assert.ok(Date.now() < end, "a process that should have ended still waits for the server");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const haveNpm = spawnSync("npm", ["--version"], { shell: process.platform === "win32" }).status === 0;

test(
  "interrupt: an installation ends, and is begun again the next time",
  {
    skip: noTerminal || (haveNpm ? false : "npm is not installed"),
  },
  async (t) => {
    const registry = await server(t);
    const fresh = directory(t);
    for (const name of ["package.json", "package-lock.json", "scripts", "bin"])
      cpSync(join(clone, name), join(fresh, name), { recursive: true });
    const environment = { npm_config_registry: registry.url, npm_config_cache: join(fresh, "npm") };
    for (const again of [false, true]) {
      registry.requests.length = 0;
      await using run = onTerminal(["npm", "start"], { directory: fresh, environment });
      await run.shows("installing dependencies: ");
      assert.ok(registry.requests.length > 0, again ? "the second time nothing is installed" : run.screen);
      run.type(INTERRUPT);
      await endsSoon(run, 130);
      await nobodyAsks(registry);
      assert.ok(!existsSync(join(fresh, "node_modules", ".xenolith-installed")));
      assert.ok(!run.screen.includes("xenolith:"), run.screen);
    }
  },
);

/** The URL of the mirror that an image is pulled from on this machine. */
async function machinesMirror(scratch: string): Promise<string> {
  let first: string | undefined;
  const fetch = (url: string): Promise<Response> => {
    first ??= url;
    return Promise.reject(new Error("not now"));
  };
  const sleep = (): Promise<void> => Promise.resolve();
  await assert.rejects(
    pullImage("debian:12", { cacheDirectory: scratch, fetch: fetch as typeof globalThis.fetch, sleep }),
  );
  return first?.replace(/\/dists\/.*$/, "") ?? "";
}

test("interrupt: a download that does not begin ends", { skip: noTerminal }, async (t) => {
  const mirror = await server(t);
  const cache = join(directory(t), "cache");
  await using run = onTerminal([...xenolith, "run"], {
    environment: { XENOLITH_MIRROR: `${mirror.url}/debian`, XENOLITH_CACHE: cache },
  });
  await run.shows("debian: ");
  while (mirror.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  run.type(INTERRUPT);
  await endsSoon(run, 130);
  await nobodyAsks(mirror);
  assert.deepEqual(readdirSync(cache), [], "no lock stays");
  assert.ok(!run.screen.includes("xenolith:"), run.screen);
});

test("interrupt: a download that is under way ends", { skip: noTerminal }, async (t) => {
  const real = await machinesMirror(join(directory(t), "none"));
  const sent = Promise.withResolvers<void>();
  // Lists are as they are, or their signature would not be good; of a package comes only the beginning.
  const mirror = await server(t, (request, response) => {
    if (request.url?.includes("/pool/")) {
      response.writeHead(200).write(new Uint8Array(100_000), () => sent.resolve());
      return;
    }
    fetch(request.url?.replace("/debian", real) ?? "")
      .then(async (file) => response.writeHead(file.status).end(new Uint8Array(await file.arrayBuffer())))
      .catch(() => response.destroy());
  });
  const reachable = await fetch(`${real}/dists/bookworm/InRelease`).then(
    ({ ok, body }) => body?.cancel().then(() => ok),
    () => false,
  );
  if (!reachable) return t.skip("no mirror for debian:12 can be reached");
  const cache = join(directory(t), "cache");
  await using run = onTerminal([...xenolith, "run", "debian:12"], {
    environment: { XENOLITH_MIRROR: `${mirror.url}/debian`, XENOLITH_CACHE: cache },
  });
  await sent.promise;
  await run.shows("downloading the kernel: 100 kB");
  run.type(INTERRUPT);
  await endsSoon(run, 130);
  await nobodyAsks(mirror);
  assert.deepEqual(readdirSync(cache), [], "no lock and nothing half done stays");
});

const noImage = noTerminal || ((await imageUnavailable("debian:12")) ?? false);

test("interrupt: in the boot Ctrl-C is the guest's, and Ctrl-] ends it", { skip: noImage }, async () => {
  {
    await using run = onTerminal([...xenolith, "run", "debian:12"]);
    await run.shows("booting ");
    run.type(`${INTERRUPT}echo $((6*7))st''ill\r`);
    await run.shows("42still");
    run.type(DETACH);
    await endsSoon(run, 0);
  }
  await using run = onTerminal([...xenolith, "run", "debian:12"]);
  await run.shows("booting ");
  run.type(DETACH);
  await endsSoon(run, 0);
  assert.ok(!run.screen.includes("~ # "), run.screen);
});

test("interrupt: a signal in the boot ends the guest", { skip: noImage }, async () => {
  await using run = onTerminal([...xenolith, "run", "debian:12"]);
  await run.shows("booting ");
  // The line counts seconds.
  await run.shows("booting ");
  run.kill("SIGINT");
  await endsSoon(run, 130);
  assert.ok(!run.screen.includes("~ # "), run.screen);
});
