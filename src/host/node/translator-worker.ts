/** What runs in the translator's worker thread: it makes WebAssembly of hot guest code, for all vCPUs of the process. */

import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";
import { assert } from "../../bits/errors.ts";
import { theOpcodeMap } from "../../engine/opcodes.ts";
import { RegionCompiler, untranslated } from "../../engine/translate/job.ts";
import type { TranslationJob, TranslationResult } from "../../engine/translate/job.ts";

/** Modules that are kept alive, so that V8 finds the code of those that a vCPU has yet to instantiate. */
const keptModules = 64;
/** As `nice` has it: half of what it gives when it is not told. */
const lessUrgent = constants.priority.PRIORITY_BELOW_NORMAL / 2;

const port = parentPort;
assert(port !== null, "translator-worker.ts runs in a worker thread");
/**
 * Vacates a core for the guest where there are too few: translation is worth while only when it costs no time. The same goes for
 * the threads of V8 that compile.
 */
function giveWay(): void {
  try {
    // Linux schedules threads one by one, and knows them by numbers like processes'. Elsewhere there are no such files.
    for (const thread of readdirSync("/proc/self/task")) {
      const name = readFileSync(`/proc/self/task/${thread}/comm`, "utf8").trim();
      if (name === "node-V8Worker") setPriority(Number(thread), lessUrgent);
    }
    setPriority(Number(readlinkSync("/proc/thread-self").split("/").at(-1)), lessUrgent);
  } catch {
    // As it is, then.
  }
}

giveWay();
const compiler = new RegionCompiler(theOpcodeMap().rows);
const kept: WebAssembly.Module[] = [];

/** A mistake of ours in one guest's code must not end the others' translations: that code stays interpreted. */
function translate(job: TranslationJob): TranslationResult {
  try {
    const result = compiler.compile(job);
    // V8 shares the code of equal modules within a process: compiled here, it is there for the vCPU's thread.
    kept.push(new WebAssembly.Module(result.bytes));
    if (kept.length > keptModules) kept.shift();
    return result;
  } catch {
    return untranslated(job.number);
  }
}

function serve(client: MessagePort): void {
  client.on("message", (job: TranslationJob) => {
    const result = translate(job);
    client.postMessage(result, [result.bytes.buffer]);
  });
}
port.on("message", serve);
