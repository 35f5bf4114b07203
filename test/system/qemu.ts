/** QEMU's emulator of the processor, given a state to start from and asked for the one it halts in. */

import { spawn, spawnSync } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { VcpuContext } from "../../src/engine/engine.ts";
import { Mailbox, monitorRom } from "./qemu-monitor.ts";
import type { Pages, Run } from "./record.ts";

const PROGRAM = "qemu-system-x86_64";
/** Intel's, as far as our processor goes. */
const CPU = "max,vendor=GenuineIntel,phys-bits=40,la57=off,pku=off,xgetbv1=off,avx=off";
const PAGE = 4096;
const RAM_BYTES = 64 << 20;
/** RAM that tests have. */
const TEST_PAGES = (16 << 20) / PAGE;
/** What a PC has there is no RAM; tests leave it alone. */
const HOLE = { first: 0xa0, end: 0x100 } as const;
const zeros = Buffer.alloc(PAGE);

function isHole(page: number): boolean {
  return page >= HOLE.first && page < HOLE.end;
}

/** Why QEMU cannot be asked, or undefined. */
export function qemuMissing(): string | undefined {
  if (process.platform !== "linux") return "QEMU maps a file for its RAM on Linux only";
  return spawnSync(PROGRAM, ["--version"]).status === 0 ? undefined : `${PROGRAM} is not installed`;
}

/** Of QEMU's machine protocol. */
interface Answer {
  readonly return?: unknown;
  readonly error?: unknown;
}

/** What a processor halted with. */
export interface Verdict {
  /** As QEMU's monitor prints them. */
  readonly registers: string;
  /** Pages that are not zero. */
  readonly ram: Pages;
}

/** A machine without devices that runs one state after the other. */
export class Qemu implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "xenolith-qemu-"));
  readonly #ram: number;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #answers: ((answer: Answer | Error) => void)[] = [];
  readonly #ended: Promise<void>;
  /** Pages that the run before has left. */
  #dirty = new Set<number>();
  #complaint = "";

  constructor() {
    const file = (name: string): string => join(this.#directory, name);
    writeFileSync(file("rom"), monitorRom());
    writeFileSync(file("ram"), new Uint8Array(RAM_BYTES));
    this.#ram = openSync(file("ram"), "r+");
    const backend = `memory-backend-file,id=ram,size=${RAM_BYTES},mem-path=${file("ram")},share=on`;
    const machine = ["-machine", "pc,smm=on,memory-backend=ram", "-object", backend, "-m", "64M", "-bios", file("rom")];
    const bare = ["-nodefaults", "-no-user-config", "-display", "none", "-qmp", "stdio"];
    this.#process = spawn(PROGRAM, ["-accel", "tcg", "-cpu", CPU, ...machine, ...bare]);
    this.#process.stderr.on("data", (chunk: Buffer) => (this.#complaint += chunk.toString()));
    this.#process.stdin.on("error", () => {});
    this.#ended = new Promise((resolve) =>
      this.#process.on("close", () => {
        for (const answer of this.#answers.splice(0)) answer(new Error(`QEMU ended: ${this.#complaint.slice(0, 200)}`));
        resolve();
      }),
    );
    let text = "";
    this.#process.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        const message = JSON.parse(line) as Answer;
        if ("return" in message || "error" in message) this.#answers.shift()?.(message);
      }
    });
  }

  static async start(): Promise<Qemu> {
    const qemu = new Qemu();
    await qemu.#ask("qmp_capabilities");
    // The firmware has found nothing to run by then, and does not take what comes next before the reset for it.
    await qemu.#halt(20_000);
    return qemu;
  }

  /** Runs a state to the halt, or for so long. */
  async run({ before, ram }: Run, milliseconds: number): Promise<Verdict> {
    const pages = new Set([...ram.keys(), ...this.#dirty, ...Mailbox.scratchPages]);
    for (const page of pages) if (isHole(page)) throw new Error(`page ${page} is not RAM`);
    const records: number[] = [];
    let source: number = Mailbox.contents;
    for (const page of pages) {
      const bytes = ram.get(page);
      records.push(page * PAGE, bytes === undefined ? 0 : source, PAGE / 4);
      if (bytes === undefined) continue;
      this.#write(source, bytes);
      source += PAGE;
    }
    this.#words(Mailbox.records, records);
    const msrs = [...before.msrs].flatMap(([index, value]) => [
      index,
      Number(value & 0xffffffffn),
      Number(value >> 32n),
    ]);
    this.#words(Mailbox.msrs, msrs);
    this.#write(Mailbox.fxsave, before.fxsave);
    this.#write(Mailbox.state, managementState(before));
    const debug = before.dr.slice(0, 4).map(Number);
    this.#words(Mailbox.control, [
      1,
      pages.size,
      before.msrs.size,
      0,
      Number(before.cr2),
      ...debug,
      Number(before.xcr0),
    ]);
    await this.#ask("system_reset");
    const registers = await this.#halt(milliseconds);
    const all = Buffer.alloc(TEST_PAGES * PAGE);
    readSync(this.#ram, all, 0, all.length, 0);
    const after: Pages = new Map();
    for (let page = 0; page < TEST_PAGES; page++) {
      const bytes = all.subarray(page * PAGE, (page + 1) * PAGE);
      if (!isHole(page) && zeros.compare(bytes) !== 0) after.set(page, bytes);
    }
    this.#dirty = new Set(after.keys());
    return { registers, ram: after };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#ended;
    closeSync(this.#ram);
    rmSync(this.#directory, { recursive: true });
  }

  async #halt(milliseconds: number): Promise<string> {
    for (const end = Date.now() + milliseconds; ; await sleep(1)) {
      const taken = Buffer.alloc(4);
      readSync(this.#ram, taken, 0, 4, Mailbox.control);
      const answer = await this.#ask("human-monitor-command", { "command-line": "info registers" });
      const registers = String(answer.return).replaceAll("\r", "");
      if ((taken.readUInt32LE(0) === 0 && registers.includes("HLT=1")) || Date.now() > end) return registers;
    }
  }

  #ask(execute: string, parameters: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#answers.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer)));
      this.#process.stdin.write(`${JSON.stringify({ execute, arguments: parameters })}\n`);
    });
  }

  #write(at: number, bytes: Uint8Array): void {
    writeSync(this.#ram, bytes, 0, bytes.length, at);
  }

  #words(at: number, values: readonly number[]): void {
    this.#write(at, new Uint8Array(Uint32Array.from(values).buffer));
  }
}

/** Attributes as the save area has them. QEMU keeps TR as LTR found it, not busy, and asserts that it is so. */
function packed(name: string, attributes: number): number {
  const found = name === "tr" ? attributes & ~2 : attributes;
  return (found & 0xff) | ((found & 0xf00) << 4);
}

/**
 * The state as RSM takes it: AMD's save area from offset 7E00h to 7FFFh. AMD APM Vol. 2, "SMRAM State-Save Area"; here it is the
 * one way to load what no instruction can: the hidden parts of segment registers, all together.
 */
function managementState(context: VcpuContext): Uint8Array {
  const view = new DataView(new ArrayBuffer(512));
  const at = (offset: number): number => offset - 0x7e00;
  const { segments } = context;
  for (const [index, name] of (["es", "cs", "ss", "ds", "fs", "gs", "gdtr", "ldtr", "idtr", "tr"] as const).entries()) {
    const table = name === "gdtr" || name === "idtr";
    const { base, limit } = table ? context[name] : segments[name];
    if (!table) {
      const { selector, attributes } = segments[name];
      view.setUint16(index * 16, selector, true);
      view.setUint16(index * 16 + 2, packed(name, attributes), true);
    }
    view.setUint32(index * 16 + 4, limit, true);
    view.setBigUint64(index * 16 + 8, base, true);
  }
  context.gpr.forEach((value, register) => view.setBigUint64(at(0x7ff8 - register * 8), value, true));
  const [dr6 = 0n, dr7 = 0n] = context.dr.slice(6);
  for (const [offset, value] of [
    [0x7ed0, context.efer],
    [0x7f48, context.cr4],
    [0x7f50, context.cr3],
    [0x7f58, context.cr0],
    [0x7f60, dr7],
    [0x7f68, dr6],
    [0x7f70, context.rflags],
    [0x7f78, context.rip],
  ] as const)
    view.setBigUint64(at(offset), value, true);
  view.setUint32(at(0x7efc), 0x2_0064, true);
  view.setUint32(at(0x7f00), Mailbox.managementBase, true);
  return new Uint8Array(view.buffer);
}
