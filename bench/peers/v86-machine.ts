/**
 * A v86 machine with its first serial port on standard input and output.
 * `node v86-machine.ts --bios FILE --kernel FILE --initrd FILE --memory MEGABYTES --append COMMAND-LINE`
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { V86 } from "v86";

const text = { type: "string" } as const;
const { values } = parseArgs({ options: { bios: text, kernel: text, initrd: text, memory: text, append: text } });

async function buffer(path = ""): Promise<{ buffer: ArrayBuffer }> {
  return { buffer: Uint8Array.from(await readFile(path)).buffer };
}

const emulator = new V86({
  wasm_path: fileURLToPath(import.meta.resolve("v86").replace("libv86.mjs", "v86.wasm")),
  memory_size: Number(values.memory) << 20,
  vga_memory_size: 2 << 20,
  bios: await buffer(values.bios),
  bzimage: await buffer(values.kernel),
  initrd: await buffer(values.initrd),
  cmdline: values.append ?? "",
  acpi: false,
  disable_speaker: true,
  autostart: true,
});
const decoder = new TextDecoder("latin1");
let line: number[] = [];
emulator.add_listener("serial0-output-byte", (byte: number) => {
  line.push(byte);
  if (byte !== 10) return;
  process.stdout.write(decoder.decode(Uint8Array.from(line)));
  line = [];
});
process.stdin.setEncoding("latin1").on("data", (typed: string) => emulator.serial0_send(typed));
process.stdin.on("end", () => process.exit(0));
