/** A guest that prints for ever to a reader that does not read: what comes of it, with real threads. */

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { HYPERVISOR } from "../src/abi/xen.ts";
import { CONSOLE_WINDOW, consoleCost } from "../src/toolstack/console-gate.ts";
import type { Guest } from "../src/toolstack/guest.ts";
import { pvhElf } from "../src/toolstack/hello/elf.ts";
import { Host } from "../src/toolstack/host.ts";
import { nodeMachine } from "../src/host/node/machine.ts";

const CODE = 0x10_0000;
const BUFFER = 0x20_0000;
/** Bytes that one call of the second guest prints. */
const CALL = 4096;

const word = (value: number): readonly number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

/** Prints 0, 1, … 255, 0, … by port 0xE9. The hypercall before is an exit, by which the test sees that the guest runs. */
const BY_PORT = [
  [0xb8, ...word(HYPERVISOR.xen_version)], // mov eax, xen_version
  [0x31, 0xdb], // xor ebx, ebx: XENVER_version
  [0x0f, 0x01, 0xc1], // vmcall
  [0x31, 0xdb], // xor ebx, ebx
  [0x88, 0xd8], // again: mov al, bl
  [0xe6, 0xe9], // out 0xe9, al
  [0x43], // inc ebx
  [0xeb, 0xf9], // jmp again
].flat();

/** Prints pages by console_io, the first word of each its number. Hypercalls of 32-bit code take ebx, ecx, edx. */
const BY_CALL = [
  [0xb8, ...word(HYPERVISOR.console_io)], // again: mov eax, console_io
  [0x31, 0xdb], // xor ebx, ebx: CONSOLEIO_write
  [0xb9, ...word(CALL)], // mov ecx, CALL
  [0xba, ...word(BUFFER)], // mov edx, BUFFER
  [0x0f, 0x01, 0xc1], // vmcall
  [0xff, 0x05, ...word(BUFFER)], // inc dword [BUFFER]
  [0xeb, 0xe2], // jmp again
].flat();

function start(host: Host, code: readonly number[]): Promise<Guest> {
  const kernel = pvhElf(Uint8Array.from(code), CODE, CODE);
  return host.create({
    name: "talker",
    kernel,
    kernelName: "talker",
    commandLine: "",
    memoryBytes: 16 << 20,
    vcpus: 1,
  });
}

/** Waits until the guest runs no more. @returns how many instructions it has run. */
async function stalls(guest: Guest): Promise<number> {
  const end = Date.now() + 30_000;
  for (let before = -1; ; await sleep(300)) {
    const { instructions } = guest.statistics();
    if (instructions === before && instructions > 0) return instructions;
    assert.ok(Date.now() < end, "the guest prints on, and nobody reads");
    before = instructions;
  }
}

/** Reads so many bytes. */
async function read(guest: Guest, count: number): Promise<Uint8Array> {
  const reader = guest.console.readable.getReader();
  const all = new Uint8Array(count);
  for (let length = 0; length < count;) {
    const { value } = await reader.read();
    assert.ok(value !== undefined, "the console ended");
    all.set(value.subarray(0, count - length), length);
    length += value.length;
  }
  reader.releaseLock();
  return all;
}

interface Talker {
  readonly name: string;
  readonly code: readonly number[];
  /** Bytes of a message. */
  readonly piece: number;
  readonly check: (bytes: Uint8Array) => void;
}

const talkers: readonly Talker[] = [
  {
    name: "port 0xE9",
    code: BY_PORT,
    piece: 1,
    check: (bytes) => assert.ok(bytes.every((byte, i) => byte === (i & 0xff))),
  },
  {
    name: "console_io",
    code: BY_CALL,
    piece: CALL,
    check(bytes) {
      const view = new DataView(bytes.buffer);
      for (let at = 0; at < bytes.length; at += CALL) assert.equal(view.getUint32(at, true), at / CALL);
    },
  },
];

for (const { name, code, piece, check } of talkers) {
  const limit = { timeout: 120_000 };
  test(`console flow: ${name}: a guest waits for a reader that does not read, and loses nothing`, limit, async () => {
    await using host = await Host.open(nodeMachine());
    // What the first guest of a process takes, threads and compiled code, is there before it is measured.
    const first = await start(host, code);
    await stalls(first);
    await first.destroy();
    const before = process.memoryUsage().rss;
    const guest = await start(host, code);
    await stalls(guest);
    assert.ok(process.memoryUsage().rss - before < 64 << 20, "memory grows");
    // Half of it can have been on its way: the guest goes on.
    check(await read(guest, 4 * (CONSOLE_WINDOW / consoleCost(piece)) * piece));
    await stalls(guest);
  });

  test(`console flow: ${name}: a guest that waits can be destroyed, or let print into nothing`, limit, async () => {
    await using host = await Host.open(nodeMachine());
    const guest = await start(host, code);
    const stalled = await stalls(guest);
    await guest.console.readable.cancel();
    for (const end = Date.now() + 30_000; guest.statistics().instructions === stalled; await sleep(20))
      assert.ok(Date.now() < end, "the guest still waits");
    const other = await start(host, code);
    await stalls(other);
    await other.destroy();
    assert.deepEqual(await other.ended, { kind: "destroyed" });
  });
}
