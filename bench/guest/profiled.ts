import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { cpioArchive } from "../../src/boot/cpio.ts";
import type { CpioEntry } from "../../src/boot/cpio.ts";
import { nodeMachine } from "../../src/host/node/machine.ts";
import { pullImage } from "../../src/host/node/images.ts";
import { imageCommandLine } from "../../src/images/command-line.ts";
import { joinArchives, newMarker, runArchive } from "../../src/images/initramfs.ts";
import type { Machine } from "../../src/toolstack/machine.ts";
import type { GuestStatistics } from "../../src/toolstack/guest.ts";
import { Host } from "../../src/toolstack/host.ts";
import { runSession } from "../../src/toolstack/session.ts";

/** One run of a command in a guest that was booted for it. */
export interface Run {
  readonly status: number | undefined;
  readonly stdout: string;
  readonly kernel: string;
  /** Seconds from the domain's first instruction to the command's. */
  readonly ready: number;
  readonly bootInstructions: number;
  /** Counters at the command's beginning and its end. */
  readonly atReady: GuestStatistics;
  readonly atEnd: GuestStatistics;
}

/** Boots an image, with further files in its initramfs, and runs a shell command in it. */
export async function runInGuest(
  reference: string,
  command: string,
  files: readonly CpioEntry[] = [],
  machine: Machine = nodeMachine(),
): Promise<Run> {
  const image = await pullImage(reference, {});
  const marker = newMarker(randomBytes(16));
  const archives = [
    await readFile(image.initrd),
    cpioArchive(files),
    runArchive({ mode: "command", command: ["sh", "-c", command] }, { marker }),
  ];
  await using host = await Host.open(machine);
  const guest = await host.create({
    name: "bench",
    kernel: await readFile(image.vmlinux),
    kernelName: reference,
    initrd: joinArchives(...archives),
    // A stock boot, self-tests and all: they are part of what other machines are timed with.
    commandLine: imageCommandLine("quiet").replace(" cryptomgr.notests", ""),
    memoryBytes: 512 << 20,
    vcpus: 1,
  });
  let atReady = guest.statistics();
  const stdout: Uint8Array[] = [];
  const result = await runSession(guest, "command", marker, {
    input: (async function* () {})(),
    interactive: false,
    output: (bytes) => void stdout.push(bytes.slice()),
    errorOutput: (bytes) => void stdout.push(bytes.slice()),
    boot() {},
    ready: () => (atReady = guest.statistics()),
  });
  const atEnd = guest.statistics();
  return {
    status: result.status,
    stdout: Buffer.concat(stdout).toString(),
    kernel: image.kernelRelease,
    ready: atReady.seconds,
    bootInstructions: atReady.instructions,
    atReady,
    atEnd,
  };
}
