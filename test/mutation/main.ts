/**
 * `npm run test:mutation [-- --jobs 1|2] [NAME…]`: shows that the tests find the bugs in seeds/, each seeded in turn into
 * a copy of this tree. A NAME is part of a mutation's name or file.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { setPriority, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { mutated } from "./mutation.ts";
import type { Mutation } from "./mutation.ts";
import { runTests } from "./run-tests.ts";
import { mutations } from "./seeds/index.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A run of tests that takes so long, or so many times what it takes without a bug, hangs; the machine may be busy. */
const LEAST_TIMEOUT_MILLISECONDS = 60_000;
const TIMEOUT_FACTOR = 10;
const BASELINE_TIMEOUT_MILLISECONDS = 5 * 60_000;

/** What became of a mutation; only "caught" is good. */
interface Outcome {
  readonly verdict: "caught" | "survived" | "stale" | "unusable";
  readonly detail: string;
}

/** Milliseconds that a test file takes without a bug, or why it can catch none. */
type Baseline = ReadonlyMap<string, number | string>;

/** A copy of what tests need of the repository. */
function copyTree(directory: string): string {
  const copy = mkdtempSync(join(directory, "tree-"));
  for (const name of ["src", "test", "package.json", "tsconfig.json"]) {
    cpSync(join(root, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"), "junction");
  return copy;
}

async function measure(tree: string, files: Iterable<string>): Promise<Baseline> {
  const baseline = new Map<string, number | string>();
  for (const file of files) {
    const started = Date.now();
    const run = await runTests(tree, [file], BASELINE_TIMEOUT_MILLISECONDS);
    const why = run.kind === "failed" ? `"${run.test}" fails` : run.kind === "unusable" ? run.why : "does not end";
    baseline.set(file, run.kind === "passed" ? Date.now() - started : why);
    print(`${run.kind === "passed" ? "ok  " : "FAIL"} without a bug: ${file} (${seconds(Date.now() - started)})`);
  }
  return baseline;
}

async function seed(tree: string, mutation: Mutation, baseline: Baseline): Promise<Outcome> {
  const path = join(tree, mutation.file);
  const original = readFileSync(path, "utf8");
  const changed = mutated(original, mutation);
  if (changed === undefined) {
    return {
      verdict: "stale",
      detail: `its text is not in ${mutation.file} exactly once; bring test/mutation/seeds up to date`,
    };
  }
  let milliseconds = 0;
  for (const file of mutation.tests) {
    const known = baseline.get(file);
    if (typeof known !== "number") return { verdict: "unusable", detail: `without the bug, ${file}: ${known ?? "?"}` };
    milliseconds += known;
  }
  writeFileSync(path, changed);
  try {
    const timeout = Math.max(LEAST_TIMEOUT_MILLISECONDS, milliseconds * TIMEOUT_FACTOR);
    const run = await runTests(tree, mutation.tests, timeout);
    switch (run.kind) {
      case "failed":
        return { verdict: "caught", detail: run.test };
      case "timeout":
        return { verdict: "caught", detail: "the tests do not end" };
      case "unusable":
        return { verdict: "unusable", detail: run.why };
      case "passed":
        return { verdict: "survived", detail: `${mutation.tests.join(", ")} found nothing` };
    }
  } finally {
    writeFileSync(path, original);
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { jobs: { type: "string" } } });
  const jobs = values.jobs === "1" ? 1 : 2;
  const wanted = ({ name, file }: Mutation): boolean =>
    positionals.length === 0 || positionals.some((part) => name.includes(part) || file.includes(part));
  const chosen = mutations.filter(wanted);
  setPriority(10);
  const directory = mkdtempSync(join(tmpdir(), "xenolith-mutation-"));
  const stop = (): never => {
    rmSync(directory, { recursive: true, force: true });
    process.exit(130);
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const failures: string[] = [];
  try {
    // All copies are of one moment: others may be working on this tree.
    const trees = Array.from({ length: jobs }, () => copyTree(directory));
    const baseline = await measure(trees[0]!, new Set(chosen.flatMap(({ tests }) => tests)));
    let done = 0;
    const queue = [...chosen];
    const work = async (tree: string): Promise<void> => {
      for (let mutation = queue.shift(); mutation !== undefined; mutation = queue.shift()) {
        const started = Date.now();
        const { verdict, detail } = await seed(tree, mutation, baseline);
        const line = `${mutation.file}: ${mutation.name}`;
        if (verdict !== "caught") failures.push(`${verdict}: ${line} (${detail})`);
        const mark = verdict === "caught" ? "ok  " : "FAIL";
        print(
          `${mark} ${++done}/${chosen.length} ${verdict}: ${line} (${seconds(Date.now() - started)})\n       ${detail}`,
        );
      }
    };
    await Promise.all(trees.map(work));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  if (failures.length > 0) print("\nfailed:");
  for (const failure of failures) print(`  ✖ ${failure}`);
  print(`\n${chosen.length - failures.length} passed, ${failures.length} failed, 0 skipped`);
  return failures.length === 0 && chosen.length > 0 ? 0 : 1;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exitCode = await main();
