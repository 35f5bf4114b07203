/** What `xenolith run` boots: files that the user names, or an image with a small archive that says what to run in it. */

import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { XenError } from "../../bits/errors.ts";
import { pullImage } from "../../host/node/images.ts";
import { windowSize } from "../../host/node/terminal.ts";
import { imageCommandLine } from "../../images/command-line.ts";
import { joinArchives, newMarker, runArchive } from "../../images/initramfs.ts";
import type { Run } from "../../images/initramfs.ts";
import type { SessionMode } from "../../toolstack/session.ts";
import type { EngineCheck } from "../../toolstack/domain-config.ts";
import type { ProgressLine } from "../report.ts";
import { say } from "../report.ts";
import { describeProgress } from "./image.ts";

/** The options of `run`, as they are parsed. */
export interface RunOptions {
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  /** Bytes. */
  readonly memory: number;
  readonly name?: string;
  /** Seconds. */
  readonly timeout?: number;
  readonly format: "text" | "json";
  readonly stats?: true;
  readonly engineCheck?: EngineCheck;
  readonly translationCache: boolean;
  readonly mirror?: string;
  readonly verbose?: true;
}

/** Something to boot. */
export interface Source {
  /** For people. */
  readonly title: string;
  /** The domain's name, unless the user gives one. */
  readonly name: string;
  readonly kernel: Uint8Array;
  /** For messages about the kernel. */
  readonly kernelName: string;
  readonly initrd: Uint8Array | undefined;
  readonly commandLine: string;
  /** See {@link InitProtocol}. */
  readonly marker: string;
}

/** What a Linux guest of the user's is told when the user says nothing. */
const CONSOLE = "console=hvc0";

/** Files that the user names. */
export async function fromFiles(options: RunOptions & { readonly kernel: string }): Promise<Source> {
  const { kernel, initrd, append } = options;
  return {
    title: kernel,
    name: "guest",
    kernel: await contentsOf(kernel, "kernel"),
    kernelName: kernel,
    initrd: initrd === undefined ? undefined : await contentsOf(initrd, "initrd"),
    commandLine: append ?? CONSOLE,
    marker: "",
  };
}

/** An image, pulled if it is not there. */
export async function fromImage(
  reference: string,
  mode: SessionMode,
  command: readonly string[],
  options: RunOptions,
  line: ProgressLine,
  signal: AbortSignal,
): Promise<Source> {
  const image = await pullImage(reference, {
    mirror: options.mirror,
    progress: (progress) => line.set(`${reference}: ${describeProgress(progress)}`),
    warn: say,
    onWait: () => line.set("waiting for another xenolith that is pulling"),
    signal,
  });
  const marker = newMarker(randomBytes(16));
  const window = windowSize(process.stdout);
  const run: Run = mode === "command" || mode === "terminal" ? { mode, command } : { mode: "shell" };
  const terminal = process.env["TERM"];
  const archive = runArchive(run, { marker, ...window, ...(terminal && mode !== "command" ? { terminal } : {}) });
  return {
    title: `${image.reference} (Linux ${image.kernelRelease})`,
    name: image.reference.replaceAll(/[:/]/g, "-"),
    kernel: await readFile(image.vmlinux),
    kernelName: image.reference,
    initrd: joinArchives(await readFile(image.initrd), archive),
    commandLine: options.append ?? imageCommandLine(options.verbose ? "all" : "quiet"),
    marker,
  };
}

async function contentsOf(path: string, what: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "";
    const why: Readonly<Record<string, string>> = {
      ENOENT: "no such file",
      EACCES: "may not be read",
      EISDIR: "is a directory",
    };
    throw new XenError("no-such-file", `${what} "${path}": ${why[code] ?? String(cause)}`, { cause });
  }
}
