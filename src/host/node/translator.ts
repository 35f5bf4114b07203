/** The translator as a worker thread, shared by the pCPUs of a process. */

import { setFlagsFromString } from "node:v8";
import { MessageChannel, Worker, receiveMessageOnPort } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";
import type { TranslationResult } from "../../engine/translate/job.ts";
import type { TranslationService } from "../../engine/translate/translator.ts";

let worker: Worker | undefined;

/** A line to the translator, for a pCPU's thread to be given. */
export function translatorLine(): MessagePort {
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
  worker.postMessage(port1, [port1]);
  return port2;
}

/** The service at the other end of a line, for a thread that does not return to its event loop. */
export function translatorService(port: MessagePort): TranslationService {
  return {
    submit: (job) => port.postMessage(job),
    poll() {
      const received: { readonly message: TranslationResult } | undefined = receiveMessageOnPort(port);
      return received?.message;
    },
  };
}
