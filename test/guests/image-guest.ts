import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { XenError } from "../../src/bits/errors.ts";
import { pullImage } from "../../src/host/node/images.ts";
import { imageCommandLine } from "../../src/images/command-line.ts";
import { joinArchives, newMarker, runArchive } from "../../src/images/initramfs.ts";
import type { Host } from "../../src/toolstack/host.ts";
import type { Guest, GuestStatistics } from "../../src/toolstack/guest.ts";
import { runSession } from "../../src/toolstack/session.ts";
import type { SessionResult } from "../../src/toolstack/session.ts";

/** What a command in a guest did. */
export interface CommandResult extends SessionResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly statistics: GuestStatistics;
}

/** Why an image cannot be had here, or undefined if it can: tests that boot one skip without network. */
export async function imageUnavailable(reference: string): Promise<string | undefined> {
  try {
    await pullImage(reference, {});
    return undefined;
  } catch (error) {
    if (error instanceof XenError && error.code === "mirror-unreachable")
      return `no mirror for ${reference} can be reached`;
    throw error;
  }
}

/** Boots an image with a command for its init, and runs it to its end. */
export async function runInImage(
  host: Host,
  reference: string,
  command: readonly string[],
  input: string = "",
  inspect: (guest: Guest) => void = () => {},
): Promise<CommandResult> {
  const image = await pullImage(reference, {});
  const marker = newMarker(randomBytes(16));
  const guest = await host.create({
    name: reference,
    kernel: await readFile(image.vmlinux),
    kernelName: reference,
    initrd: joinArchives(await readFile(image.initrd), runArchive({ mode: "command", command }, { marker })),
    commandLine: imageCommandLine("quiet"),
    memoryBytes: 256 << 20,
    vcpus: 1,
  });
  inspect(guest);
  const [stdout, stderr]: [Uint8Array[], Uint8Array[]] = [[], []];
  const result = await runSession(guest, "command", marker, {
    input: (async function* () {
      if (input !== "") yield new TextEncoder().encode(input);
    })(),
    interactive: false,
    output: (bytes) => void stdout.push(bytes.slice()),
    errorOutput: (bytes) => void stderr.push(bytes.slice()),
    boot() {},
    ready() {},
  });
  const text = (chunks: readonly Uint8Array[]) => Buffer.concat(chunks).toString();
  return { ...result, stdout: text(stdout), stderr: text(stderr), statistics: guest.statistics() };
}
