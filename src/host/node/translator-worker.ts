/** What runs in the translator's worker thread: it makes WebAssembly of hot guest code, for all vCPUs of the process. */

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";
import { assert } from "../../bits/errors.ts";
import { theOpcodeMap } from "../../engine/opcodes.ts";
import { BodyStore } from "../../engine/translate/body-store.ts";
import { RegionCompiler } from "../../engine/translate/compiler.ts";
import { untranslated } from "../../engine/translate/job.ts";
import type { TranslationJob, TranslationResult } from "../../engine/translate/job.ts";
import { openTranslations } from "./translation-file.ts";
import type { TranslationFile } from "./translation-file.ts";
import { translatorVersion } from "./translator-version.ts";
import type { TranslationCache, TranslatorAnswer, TranslatorMessage } from "./translator.ts";

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

/** 128 bits: a guest that makes two codes with one digest must look for long. */
const digest = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex").slice(0, 32);
/** What has been translated for guests without a cache on disk. */
const unsaved = new BodyStore(theOpcodeMap().rows, digest);
interface Cache {
  readonly file: TranslationFile;
  readonly store: BodyStore;
}
/** By directory and kernel: undefined where nothing can be kept. */
const caches = new Map<string, Cache | undefined>();
let version: string | undefined;

function cacheFor({ directory, kernel }: TranslationCache): Cache | undefined {
  const name = `${directory}/${kernel}`;
  if (!caches.has(name)) {
    version ??= translatorVersion();
    const file = openTranslations(directory, version, kernel);
    caches.set(name, file && { file, store: new BodyStore(theOpcodeMap().rows, digest, file) });
  }
  return caches.get(name);
}

/** A mistake of ours in one guest's code must not end the others' translations: that code stays interpreted. */
function translate(job: TranslationJob, store: BodyStore): TranslationResult {
  try {
    const result = compiler.compile(job, store);
    // V8 shares the code of equal modules within a process: compiled here, it is there for the vCPU's thread.
    kept.push(new WebAssembly.Module(result.bytes));
    if (kept.length > keptModules) kept.shift();
    return result;
  } catch {
    return untranslated(job.number);
  }
}

function serve(client: MessagePort, wanted: TranslationCache | undefined): void {
  const answer = (message: TranslatorAnswer, transfer: ArrayBuffer[]): void => client.postMessage(message, transfer);
  const cache = wanted === undefined ? undefined : cacheFor(wanted);
  if (wanted !== undefined) answer({ kind: "recipes", recipes: cache?.file.recipes ?? new Uint8Array() }, []);
  client.on("message", (job: TranslationJob) => {
    const result = translate(job, cache?.store ?? unsaved);
    answer({ kind: "result", result }, [result.bytes.buffer]);
    cache?.file.flush();
  });
}
port.on("message", ({ port: client, cache }: TranslatorMessage) => serve(client, cache));
