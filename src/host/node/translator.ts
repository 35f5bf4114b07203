/** The translator as a worker thread, shared by the pCPUs of a process. */

import { setFlagsFromString } from "node:v8";
import { MessageChannel, Worker, receiveMessageOnPort } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";
import type { TranslationResult } from "../../engine/translate/job.ts";
import type { TranslationService } from "../../engine/translate/translator.ts";

/** Where translations are kept on disk: a folder, and a name for what boots, as PcpuAssignment.kernel. */
export interface TranslationCache {
  readonly directory: string;
  readonly kernel: string;
}

/** What the translator's thread is told: of a new line. */
export interface TranslatorMessage {
  readonly port: MessagePort;
  readonly cache: TranslationCache | undefined;
}

/** What comes over a line: results, and first of all, where there is a cache, its recipes. */
export type TranslatorAnswer =
  | { readonly kind: "result"; readonly result: TranslationResult }
  | { readonly kind: "recipes"; readonly recipes: Uint8Array };

let worker: Worker | undefined;

/** A line to the translator, for a pCPU's thread to be given. */
export function translatorLine(cache?: TranslationCache): MessagePort {
  if (worker === undefined) {
    // What the translator compiles is complete when it is handed over.
    setFlagsFromString("--no-wasm-lazy-compilation");
    const file = new URL(`./translator-worker${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);
    worker = new Worker(file, { name: "translator" });
    worker.unref();
    // Guests go on interpreted without it; an error that nobody hears would end the process.
    worker.on("error", () => {});
    worker.on("exit", () => (worker = undefined));
  }
  const { port1, port2 } = new MessageChannel();
  const message: TranslatorMessage = { port: port1, cache };
  worker.postMessage(message, [port1]);
  return port2;
}

/**
 * The service at the other end of a line, for a thread that does not return to its event loop.
 * @param cached The line is to a cache.
 */
export function translatorService(port: MessagePort, cached = false): TranslationService {
  const results: TranslationResult[] = [];
  let recipes: Uint8Array | undefined;
  const receive = (): boolean => {
    const received: { readonly message: TranslatorAnswer } | undefined = receiveMessageOnPort(port);
    if (received === undefined) return false;
    const { message } = received;
    if (message.kind === "result") results.push(message.result);
    else recipes = message.recipes;
    return true;
  };
  return {
    submit: (job) => port.postMessage(job),
    poll() {
      if (results.length === 0) receive();
      return results.shift();
    },
    ...(cached
      ? {
          recipes() {
            while (recipes === undefined && receive());
            return recipes;
          },
        }
      : {}),
  };
}
