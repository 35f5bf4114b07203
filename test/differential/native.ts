/**
 * The host's own processor as an oracle: compiles native.c and runs cases through it. Needs an x86-64 Linux and gcc;
 * elsewhere {@link compileNative} says why not, and recorded vectors (vectors.ts) take its place.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readResults } from "./results.ts";
import { RequestWriter, type Case, type Outcome } from "./wire.ts";

const FLAGS = (
  "-O2 -Wall -Wextra -Werror -static -nostdlib -ffreestanding -fno-pie -no-pie -fno-stack-protector " +
  "-mgeneral-regs-only -mfsgsbase -fcf-protection=none -Wl,-Ttext-segment=0x70000000"
).split(" ");

/** Requests of one batch, in bytes: less than native.c's buffer. */
const BATCH_BYTES = 1 << 24;

export interface Native extends Disposable {
  /** As /proc/cpuinfo has it: decides what undefined results look like. */
  readonly cpuModel: string;
  /** Executes every case; outcomes are in the same order. */
  run(cases: readonly Case[]): Outcome[];
  /** The same for packed requests, with packed results: what a recording is made of. */
  runPacked(requests: Uint8Array): Uint8Array;
}

export interface Unavailable {
  /** One sentence for a skipped test. */
  readonly unavailable: string;
}

/** Compiles native.c into a temporary directory, which goes when the result is disposed of. */
export function compileNative(): Native | Unavailable {
  if (process.arch !== "x64" || process.platform !== "linux")
    return { unavailable: `native execution needs x86-64 Linux; this is ${process.arch} ${process.platform}` };
  const directory = mkdtempSync(join(tmpdir(), "xenolith-native-"));
  const program = join(directory, "native");
  const source = join(import.meta.dirname, "native.c");
  const dispose = (): void => rmSync(directory, { recursive: true, force: true });
  const compiler = spawnSync("gcc", [...FLAGS, "-o", program, source], { encoding: "utf8" });
  if (compiler.error !== undefined || compiler.status !== 0) {
    dispose();
    if (compiler.error === undefined) throw new Error(`gcc rejects native.c:\n${compiler.stderr}`);
    return { unavailable: `native execution needs gcc: ${compiler.error.message}` };
  }
  const probe = spawnSync(program, [], { input: "" });
  if (probe.status !== 0) {
    dispose();
    return { unavailable: `native execution does not work here: ${probe.stderr.toString().trim() || probe.signal}` };
  }

  const runPacked = (requests: Uint8Array): Uint8Array => {
    const header = new Uint8Array(4);
    new DataView(header.buffer).setUint32(0, requests.length, true);
    const result = spawnSync(program, [], { input: Buffer.concat([header, requests]), maxBuffer: 2 ** 30 });
    if (result.status !== 0)
      throw new Error(`native: ${result.signal ?? result.status}: ${result.stderr?.toString() ?? ""}`);
    return result.stdout;
  };
  return {
    cpuModel: readCpuModel(),
    runPacked,
    run(cases) {
      const outcomes: Outcome[] = [];
      for (let done = 0; done < cases.length;) {
        const writer = new RequestWriter();
        const first = done;
        while (done < cases.length && writer.length < BATCH_BYTES) writer.write(cases[done++]!);
        for (const outcome of readResults(runPacked(writer.bytes()), cases.slice(first, done))) outcomes.push(outcome);
      }
      return outcomes;
    },
    [Symbol.dispose]: dispose,
  };
}

function readCpuModel(): string {
  const text = readFileSync("/proc/cpuinfo", "utf8");
  const field = (name: string): string => new RegExp(`^${name}\\s*: (.*)$`, "m").exec(text)?.[1] ?? "?";
  return `${field("vendor_id")} ${field("model name")} family ${field("cpu family")} model ${field("model")} stepping ${field("stepping")}`;
}
