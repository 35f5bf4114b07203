/**
 * `npm run bench [-- OPTION… NAME…]`: Xenolith beside QEMU's TCG and v86, in one run. README.md says what is measured.
 * Figures go to standard output as JSON lines, and into bench/results/ when everything was measured; tables to standard error.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { options } from "./arguments.ts";
import { measureOnce } from "./measure.ts";
import type { Listener, Plan, Sample } from "./measure.ts";
import { counterTable, ratioTable, verdictTable } from "./report.ts";
import { compare, figures } from "./results.ts";
import { setUp } from "./setup.ts";
import { suite, tcgBootSeconds } from "./suite.ts";

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const image = process.env["BENCH_IMAGE"] ?? "debian:12";

function git(...args: readonly string[]): string {
  try {
    return execFileSync("git", args, { encoding: "utf8" }).trim();
  } catch {
    return "";
  }
}

/** Each peer's, with files' names instead of this machine's paths. */
function commandLinesOf({ size, peers, files: guests }: Plan): Record<string, string> {
  const lines: Record<string, string> = {};
  for (const peer of peers) {
    const files = guests[peer.architecture];
    if (files === undefined) continue;
    const { program, args } = peer.launch(files);
    lines[`${peer.name}, ${size} guest`] = [program, ...args]
      .map((word) => word.replace(/^\/.*\//, ""))
      .map((word) => (word.includes(" ") ? `'${word}'` : word))
      .join(" ");
  }
  return lines;
}

/** With a plus sign when it is not quite what was measured. */
function commit(): string {
  const changes = git("status", "--porcelain", "src", "bench/**.ts", "bench/**.c");
  return git("rev-parse", "--short", "HEAD") + (changes === "" ? "" : "+");
}

async function bench(): Promise<void> {
  const chosen = options(process.argv.slice(2), process.env);
  using setup = await setUp(chosen, image);
  // What is cut short leaves nothing behind: neither files nor, in guest/console.ts, processes.
  process.once("exit", () => setup[Symbol.dispose]());
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
  const { plans, kernel, missing } = setup;
  for (const what of missing) say(`missing: ${what}`);
  const commandLines = Object.assign({}, ...plans.map(commandLinesOf)) as Record<string, string>;
  for (const [peer, line] of Object.entries(commandLines)) say(`${peer}: ${line}`);

  const samples: Sample[] = [];
  const failures: { peer: string; benchmark: string; message: string }[] = [];
  const vulnerabilities: Record<string, string> = {};
  const memory: Record<string, { residentBytes: number; largestMappingBytes: number }> = {};
  const listener: Listener = {
    sample: (sample) => void samples.push(sample),
    failure(peer, benchmark, message) {
      failures.push({ peer, benchmark, message });
      say(`${peer}, ${benchmark}: ${message}`);
    },
    vulnerabilities(peer, text) {
      const short = text.replaceAll(/^.*?vulnerabilities\//gm, "  ");
      if (vulnerabilities[peer] === undefined) say(`${peer}, vulnerabilities:\n${short}`);
      vulnerabilities[peer] = text;
    },
    memory: (peer, residentBytes, largestMappingBytes) => void (memory[peer] = { residentBytes, largestMappingBytes }),
  };
  for (let run = 0; run < chosen.runs; run++) {
    say(`run ${run + 1} of ${chosen.runs}, ${new Date().toISOString()}`);
    for (const plan of plans) await measureOnce(plan, run, listener);
  }

  const machine = {
    kind: "run",
    date: new Date().toISOString(),
    commit: process.env["BENCH_COMMIT"] ?? commit(),
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    node: process.version,
    image,
    kernel,
    runs: chosen.runs,
    scale: chosen.scale,
    commandLines,
    vulnerabilities,
    memory,
    missing,
    failures,
  };
  const all = figures(samples);
  const rows = compare(all, suite, tcgBootSeconds);
  const lines = [
    machine,
    ...all.map((figure) => ({ kind: "figure", ...figure })),
    ...rows.map((row) => ({ kind: "comparison", ...row })),
  ].map((line) => `${JSON.stringify(line)}\n`);
  process.stdout.write(lines.join(""));
  if (chosen.names.length === 0 && chosen.peers === undefined) {
    const directory = new URL("results/", import.meta.url);
    mkdirSync(directory, { recursive: true });
    const name = `${machine.date.slice(0, 16).replaceAll(":", "")}-${machine.commit.replace("+", "")}.jsonl`;
    writeFileSync(new URL(name, directory), lines.join(""));
    say(`written to bench/results/${name}`);
  }
  const peers = [...new Set(samples.map(({ peer }) => peer))];
  say(`\n${counterTable(all)}\n${ratioTable(rows, peers)}\n${verdictTable(rows)}`);
  for (const [peer, { residentBytes, largestMappingBytes }] of Object.entries(memory)) {
    const megabytes = (bytes: number): string => (bytes / (1 << 20)).toFixed(0);
    say(
      `${peer}: ${megabytes(residentBytes)} MB resident, ${megabytes(residentBytes - largestMappingBytes)} MB of it beside the guest's memory`,
    );
  }
}

try {
  await bench();
} catch (error) {
  say(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
