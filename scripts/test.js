/**
 * `npm test`: type check, lint, format, then every test; ends with the line `N passed, N failed, N skipped`.
 * Plain JavaScript for Node 20, which re-executes itself under the Node 26 that node_modules brings.
 *
 *   node scripts/test.js [--only-checks | --only-tests] [--name REGEXP] [PATTERN…]
 *
 * A PATTERN is part of a test file's path; --name chooses by the tests' names.
 */
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { availableParallelism, constants } from "node:os";
import { dirname, join, relative } from "node:path";
import { run } from "node:test";
import { fileURLToPath } from "node:url";
import { inspect, parseArgs } from "node:util";

const NODE_NEEDED = 26;

/** A file that runs longer hangs. */
const FILE_TIMEOUT_MILLISECONDS = 15 * 60_000;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

/** What is checked besides the tests. Each is a program of node_modules and counts as one test. */
const checks = [
  { name: "type check", program: "typescript/bin/tsc", options: ["--noEmit", "-p", "tsconfig.json"] },
  { name: "type check of the core", program: "typescript/bin/tsc", options: ["--noEmit", "-p", "tsconfig.core.json"] },
  { name: "lint", program: "oxlint/bin/oxlint", options: ["--format=unix"] },
  { name: "format", program: "oxfmt/bin/oxfmt", options: ["--list-different"] },
];

if (Number.parseInt(process.versions.node, 10) < NODE_NEEDED) reExecute();
else process.exitCode = await main();

function reExecute() {
  const node = join(root, "node_modules", ".bin", process.platform === "win32" ? "node.cmd" : "node");
  if (!fs.existsSync(node)) {
    process.stderr.write(
      `test: Node ${NODE_NEEDED} is needed and node_modules has none for this platform; run npm ci\n`,
    );
    process.exitCode = 125;
    return;
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, () => child.kill(name));
  child.on("error", (error) => {
    process.stderr.write(`test: ${node} does not run here (${error.code}); install Node ${NODE_NEEDED}\n`);
    process.exitCode = 125;
  });
  child.on("close", (status, signal) => {
    process.exitCode = status ?? 128 + constants.signals[signal];
  });
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { "only-checks": { type: "boolean" }, "only-tests": { type: "boolean" }, name: { type: "string" } },
  });
  const totals = { passed: 0, failed: 0, skipped: 0, failures: [], reasons: new Map() };
  if (!values["only-tests"]) for (const check of checks) perform(check, totals);
  if (!values["only-checks"]) await runTests(positionals, values.name, totals);
  return conclude(totals);
}

function perform({ name, program, options }, totals) {
  const started = Date.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, [join("node_modules", program), ...options], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const good = status === 0;
  print(`${good ? "ok  " : "FAIL"} ${name} (${seconds(Date.now() - started)})`);
  if (good) {
    totals.passed++;
  } else {
    totals.failed++;
    totals.failures.push(name);
    print(indent((stdout + stderr).trim()));
  }
}

async function runTests(patterns, name, totals) {
  const wanted = (file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern));
  // What crosses layers runs longest: it comes first, so that one slow file does not end alone.
  const files = ["test/**/*.test.ts", "src/**/*.test.ts", "bench/**/*.test.ts"]
    .flatMap((glob) => fs.globSync(glob).toSorted())
    .filter(wanted);
  if (files.length === 0) {
    totals.failed++;
    totals.failures.push(`no test file's path contains ${patterns.join(" or ")}`);
    return;
  }
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());
  const events = run({
    files: files.map((file) => join(root, file)),
    concurrency: availableParallelism(),
    timeout: FILE_TIMEOUT_MILLISECONDS,
    signal: stop.signal,
    ...(name === undefined ? {} : { testNamePatterns: [new RegExp(name)] }),
  });
  const reports = new Map();
  const report = (file) => {
    const known = reports.get(file) ?? { passed: 0, failed: 0, skipped: 0, lines: [], output: "" };
    reports.set(file, known);
    return known;
  };
  for await (const { type, data } of events) {
    if (data.file === undefined) continue;
    // A test may be declared by a file that the test file imports.
    const file = relative(root, data.entryFile ?? data.file);
    if (type === "test:pass" || type === "test:fail") record(type, data, report(file), totals);
    else if (type === "test:diagnostic" && data.nesting > 0) report(file).lines.push(`     ${data.message}`);
    else if (type === "test:stdout" || type === "test:stderr") report(file).output += data.message;
    else if (type === "test:summary") {
      printReport(file, report(file), data.duration_ms);
      reports.delete(file);
    }
  }
  // A file that could not be loaded, ended early or hung sends no summary.
  for (const [file, unfinished] of reports) printReport(file, unfinished, 0);
  if (stop.signal.aborted) totals.failures.push("interrupted");
}

/** Takes in the end of one test. Suites, and tests that failed only because a part of them did, are not counted again. */
function record(type, { name, line, details, skip, todo, file }, report, totals) {
  if (details.type === "suite" && type === "test:pass") return;
  // A file stands for itself only when no test of it was heard of.
  const silent = name === file && type === "test:pass";
  if (skip !== undefined || todo !== undefined) {
    totals.skipped++;
    report.skipped++;
    const reason = typeof skip === "string" && skip !== "" ? skip : name;
    totals.reasons.set(reason, (totals.reasons.get(reason) ?? 0) + 1);
  } else if (type === "test:pass" && !silent) {
    totals.passed++;
    report.passed++;
  } else if (details.error?.failureType !== "subtestsFailed") {
    totals.failed++;
    report.failed++;
    const path = relative(root, file);
    const title = name === file ? `${path} itself` : `${name}  (${path}:${line})`;
    totals.failures.push(title);
    report.lines.push(
      `   ✖ ${title}`,
      indent(silent ? "ended with status 0 and reported no test" : explain(details.error)),
    );
  }
}

function printReport(file, { passed, failed, skipped, lines, output }, milliseconds) {
  const counts = [
    `${passed} passed`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
  ];
  print(`${failed === 0 ? "ok  " : "FAIL"} ${file}: ${counts.join(", ")} (${seconds(milliseconds)})`);
  for (const line of lines) print(line);
  if (failed > 0 && output.trim() !== "") print(`   its output:\n${indent(output.trim())}`);
}

/** What went wrong, with the frames that are ours. */
function explain(error) {
  if (error?.failureType === "testCodeFailure" && error.exitCode !== undefined) {
    return `ended with ${error.signal === null ? `status ${error.exitCode}` : error.signal} before it reported all its tests`;
  }
  const cause = error?.cause ?? error;
  const text = cause instanceof Error ? (cause.stack ?? cause.message) : inspect(cause);
  return text
    .split("\n")
    .filter((line) => !/^\s+at .*(node:internal|node:async_hooks)/.test(line))
    .join("\n");
}

function conclude({ passed, failed, skipped, failures, reasons }) {
  if (reasons.size > 0) print("\nskipped:");
  for (const [reason, count] of reasons) print(`  ${count} × ${reason}`);
  if (failures.length > 0) print("\nfailed:");
  for (const failure of failures) print(`  ✖ ${failure}`);
  print(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  return failures.length === 0 ? 0 : 1;
}

function indent(text) {
  return text.replaceAll(/^/gm, "       ");
}

function seconds(milliseconds) {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

function print(line) {
  process.stdout.write(`${line}\n`);
}
