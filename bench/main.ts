/**
 * `npm run bench [-- NAME…]`: measures, and prints a JSON line a figure, then a table. Names: boot, getppid, page-fault,
 * ping-pong, fork, shell, sha256, md5. Each is measured BENCH_RUNS times (5); the median counts.
 */
import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import { linuxProgram } from "./programs/elf.ts";
import { forks, getppid, pageFaults, pingPong } from "./programs/runtime.ts";
import { runInGuest } from "./guest.ts";
import type { Run } from "./guest.ts";

interface Figure {
  readonly benchmark: string;
  readonly unit: string;
  readonly value: number;
  readonly extra?: Readonly<Record<string, number | string>>;
}
interface Benchmark {
  readonly command: string;
  readonly program?: string;
  readonly figures: (run: Run) => Figure[];
}

const image = process.env["BENCH_IMAGE"] ?? "debian:12";
const runs = Number(process.env["BENCH_RUNS"] ?? 5);

/** A program of ours that prints "name nanoseconds" and makes `rounds` rounds. */
function program(source: string, benchmark: string, rounds: number): Benchmark {
  return {
    command: "/bench/program",
    program: source,
    figures(run) {
      const value = Number(/ (\d+)\n/.exec(run.stdout)?.[1]);
      const transitions = run.atEnd.transitions - run.atReady.transitions;
      const instructions = run.atEnd.instructions - run.atReady.instructions;
      return [
        {
          benchmark,
          unit: "ns",
          value,
          extra: { "transitions/round": transitions / rounds, "instructions/round": Math.round(instructions / rounds) },
        },
      ];
    },
  };
}

/** A shell command whose whole time counts, by the host's clock. */
function command(text: string, benchmark: string, expected: RegExp): Benchmark {
  return {
    command: text,
    figures(run) {
      if (!expected.test(run.stdout)) throw new Error(`${benchmark}: the guest printed ${JSON.stringify(run.stdout)}`);
      const seconds = run.atEnd.seconds - run.atReady.seconds;
      const mips = (run.atEnd.instructions - run.atReady.instructions) / seconds / 1e6;
      return [{ benchmark, unit: "s", value: seconds, extra: { MIPS: Math.round(mips) } }];
    },
  };
}

const benchmarks: Readonly<Record<string, Benchmark>> = {
  boot: {
    command: "true",
    figures: ({ ready, bootInstructions, kernel }) => [
      { benchmark: "boot", unit: "s", value: ready, extra: { kernel } },
      {
        benchmark: "boot speed",
        unit: "MIPS",
        value: bootInstructions / ready / 1e6,
        extra: { instructions: bootInstructions },
      },
    ],
  },
  getppid: program(getppid, "getppid", 500_000),
  "page-fault": program(pageFaults, "page-fault", 20_480),
  "ping-pong": program(pingPong, "ping-pong", 20_000),
  fork: program(forks, "fork", 500),
  shell: command("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo $i", "shell loop", /^100000$/m),
  sha256: command("head -c 4000000 /dev/zero | sha256sum", "sha256sum 4 MB", /^8dbe5f/),
  md5: command("head -c 16000000 /dev/zero | md5sum", "md5sum 16 MB", /^[0-9a-f]{32}/),
};

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

async function measure({ command: text, program: source, figures }: Benchmark): Promise<Figure[]> {
  const files =
    source === undefined
      ? []
      : [
          { path: "bench", type: "directory" as const, mode: 0o755 },
          { path: "bench/program", type: "file" as const, mode: 0o755, contents: linuxProgram(source) },
        ];
  const all: Figure[][] = [];
  for (let run = 0; run < runs; run++) all.push(figures(await runInGuest(image, text, files)));
  return (all[0] ?? []).map((first, index) => {
    const values = all.map((each) => each[index]?.value ?? Number.NaN);
    const middle = all.find((each) => each[index]?.value === median(values))?.[index] ?? first;
    return { ...middle, extra: { ...middle.extra, least: Math.min(...values), most: Math.max(...values), runs } };
  });
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => benchmarks[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(`bench: there is no "${unknown.join(", ")}"; there are ${Object.keys(benchmarks).join(", ")}\n`);
  process.exit(2);
}
const machine = {
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  node: process.version,
  commit: commit(),
  image,
};
const table: Figure[] = [];
for (const name of wanted.length > 0 ? wanted : Object.keys(benchmarks)) {
  for (const figure of await measure(benchmarks[name]!)) {
    process.stdout.write(`${JSON.stringify({ ...figure, ...machine })}\n`);
    table.push(figure);
  }
}
for (const { benchmark, unit, value, extra } of table) {
  const details = Object.entries(extra ?? {}).map(
    ([key, detail]) => `${key} ${typeof detail === "number" ? Number(detail.toPrecision(4)) : detail}`,
  );
  process.stderr.write(
    `${benchmark.padEnd(16)} ${value.toPrecision(4).padStart(9)} ${unit.padEnd(5)} ${details.join(", ")}\n`,
  );
}
