/**
 * A Xenolith domain with its console on standard input and output. Answers the message "statistics" of the process that
 * started it. `node xenolith-machine.ts --kernel FILE --initrd FILE --memory MEGABYTES --append COMMAND-LINE
 * [--translations DIRECTORY]`
 */
import { readFile } from "node:fs/promises";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { nodeMachine } from "../../src/host/node/machine.ts";
import { Host } from "../../src/toolstack/host.ts";

const text = { type: "string" } as const;
const { values } = parseArgs({
  options: { kernel: text, initrd: text, memory: text, append: text, translations: text },
});
const { kernel = "", initrd = "", memory = "512", append = "", translations } = values;

await using host = await Host.open(nodeMachine(undefined, { translations }));
const guest = await host.create({
  name: "bench",
  kernel: await readFile(kernel),
  kernelName: kernel,
  initrd: await readFile(initrd),
  commandLine: append,
  memoryBytes: Number(memory) << 20,
  vcpus: 1,
});
process.on("message", () => process.send?.(guest.statistics()));
pipeline(process.stdin, Writable.fromWeb(guest.console.writable)).catch(() => {});
pipeline(Readable.fromWeb(guest.console.readable), process.stdout).catch(() => {});
const ending = await guest.ended;
process.stderr.write(`the domain ended: ${ending.kind === "failed" ? ending.error.stack : JSON.stringify(ending)}\n`);
process.exit(0);
