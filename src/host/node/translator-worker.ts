/** What runs in the translator's worker thread: it makes WebAssembly of hot guest code, for all vCPUs of the process. */

import { readlinkSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";
import { assert } from "../../bits/errors.ts";
import { theOpcodeMap } from "../../engine/opcodes.ts";
import { RegionCompiler, untranslated } from "../../engine/translate/job.ts";
import type { TranslationJob, TranslationResult } from "../../engine/translate/job.ts";

/** Modules that are kept alive, so that V8 finds the code of those that a vCPU has yet to instantiate. */
const keptModules = 64;

const port = parentPort;
assert(port !== null, "translator-worker.ts runs in a worker thread");
/** Vacates a core for the guest where there are too few: translation is worth while only when it costs no time. */
function giveWay(): void {
  try {
    // Linux schedules threads one by one, and knows them by numbers like processes'. Elsewhere there is no such link.
    const thread = Number(readlinkSync("/proc/thread-self").split("/").at(-1));
    setPriority(thread, constants.priority.PRIORITY_BELOW_NORMAL / 2);
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
