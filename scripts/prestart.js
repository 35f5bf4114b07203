/**
 * Makes node_modules what package-lock.json says, before `npm start` and `npm test`. Plain JavaScript for Node 20, with
 * no dependencies, since it runs on a clone that has none yet. When nothing changed it reads two files and ends; it never
 * reads stdin and never writes to stdout, which belong to the guest.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const stampFile = join(modules, ".xenolith-installed");

/** How long an installation may take before the user is told what goes on. */
const QUIET_MILLISECONDS = 1000;

/** Our own failure, as in docker and env: the guest's exit codes stay below. */
const EXIT_FAILURE = 125;

/** What npm prints when the fault is the network's, not the package's. */
const NETWORK_ERROR =
  /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT|ENOTCACHED|EPROTO|UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|E5\d\d|E407)\b/;

const stamp = expectedStamp();
if (readStamp() !== stamp) process.exitCode = await install();

/** The platform is part of it: a clone that containers or machines share needs each one's own Node and libraries. */
function expectedStamp() {
  const lockfile = readFileSync(join(root, "package-lock.json"));
  const digest = createHash("sha256").update(lockfile).digest("hex");
  return `${digest} ${process.platform} ${process.arch}\n`;
}

function readStamp() {
  try {
    return readFileSync(stampFile, "utf8");
  } catch {
    return undefined;
  }
}

/** @returns the exit status of this process. */
async function install() {
  try {
    // First, so that an installation that is cut short is never taken for a whole one.
    rmSync(stampFile, { force: true });
  } catch (error) {
    return fail(`node_modules cannot be written (${error.code}); make the directory of this clone writable`);
  }
  const progress = showProgress();
  const { status, signal, output } = await npmCi();
  progress.stop();
  if (signal !== null) return 128 + (constants.signals[signal] ?? 0);
  if (status !== 0) return fail(explain(output));
  mkdirSync(modules, { recursive: true });
  writeFileSync(stampFile, stamp);
  return 0;
}

/**
 * Runs `npm ci`. Errors alone are logged: the warnings are about the Node that runs npm, and the packages run under the
 * Node that they bring.
 */
function npmCi() {
  const options = ["--no-audit", "--no-fund", "--loglevel=error", "--include=dev", "--include=optional"];
  const patience = ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=8000"];
  const [command, ...before] = npmCommand();
  const child = spawn(command, [...before, "ci", ...options, ...patience], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    shell: process.platform === "win32" && before.length === 0,
  });
  let output = "";
  child.stdout.on("data", (data) => (output += data));
  child.stderr.on("data", (data) => (output += data));
  // npm would finish unpacking and roll back before it heeded a signal. It need not: `npm ci` begins by removing all.
  let interrupted = null;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(name, () => {
      interrupted = name;
      child.kill("SIGKILL");
    });
  }
  return new Promise((resolve) => {
    child.on("error", (error) => resolve({ status: 1, signal: interrupted, output: `npm: ${error.message}` }));
    child.on("close", (status, signal) => resolve({ status, signal: interrupted ?? signal, output }));
  });
}

/** The npm that runs this script, or the first on the path when it is run by hand. */
function npmCommand() {
  const { npm_execpath: npm, npm_node_execpath: node } = process.env;
  return npm !== undefined && basename(npm) === "npm-cli.js" ? [node ?? process.execPath, npm] : ["npm"];
}

/** On a terminal one line that counts up, elsewhere one line once; nothing if the installation is over soon. */
function showProgress() {
  const started = Date.now();
  const terminal = process.stderr.isTTY === true;
  let shown = false;
  const show = () => {
    if (shown && !terminal) return;
    const seconds = Math.round((Date.now() - started) / 1000);
    const state = terminal ? `\r\x1b[Kinstalling dependencies: ${megabytes(modules)} MB, ${seconds} s` : undefined;
    process.stderr.write(state ?? "installing dependencies (this happens once)\n");
    shown = true;
  };
  const timer = setInterval(show, QUIET_MILLISECONDS);
  return {
    stop() {
      clearInterval(timer);
      if (shown && terminal) process.stderr.write("\r\x1b[K");
    },
  };
}

/** What has been unpacked so far. Directories come and go meanwhile. */
function megabytes(directory) {
  let bytes = 0;
  const visit = (path) => {
    try {
      for (const entry of readdirSync(path, { withFileTypes: true })) {
        const inside = join(path, entry.name);
        if (entry.isDirectory()) visit(inside);
        else bytes += lstatSync(inside).size;
      }
    } catch {
      // Renamed or removed by npm since it was listed.
    }
  };
  visit(directory);
  return Math.round(bytes / 1e6);
}

function explain(output) {
  const network = NETWORK_ERROR.exec(output);
  if (network !== null) {
    return `npm cannot reach its registry (${network[1]}); check the network and \`npm config get registry\`, then run this again`;
  }
  if (/\b(EACCES|EPERM|EROFS|ENOSPC|EDQUOT)\b/.test(output)) {
    return `npm cannot write (${telling(output, /EACCES|EPERM|EROFS|ENOSPC|EDQUOT/)}); free or unlock the directory and npm's cache`;
  }
  return `npm ci failed: ${telling(output, /./)}; run \`npm ci\` for the whole story`;
}

/** The first of npm's error lines that tells something: not a code alone, and not the pointer to its log. */
function telling(output, wanted) {
  const lines = [...output.matchAll(/^npm (?:error|ERR!) *(.*)$/gm)].map(([, line]) => line.trim());
  const useful = lines.filter((line) => line !== "" && !/^(code|A complete log)\b/.test(line));
  return useful.find((line) => wanted.test(line)) ?? useful[0] ?? (output.trim() || "no reason given");
}

function fail(reason) {
  process.stderr.write(`xenolith: dependencies not installed: ${reason}\n`);
  return EXIT_FAILURE;
}
