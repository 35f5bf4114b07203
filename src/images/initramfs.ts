/** The initial RAM file system: an image's busybox and init, and what one run adds to it. */

import { XenError } from "../bits/errors.ts";
import { cpioArchive } from "../boot/cpio.ts";
import type { CpioEntry } from "../boot/cpio.ts";
import { initScript } from "./init-script.ts";

const utf8 = new TextEncoder();

function file(path: string, mode: number, text: string): CpioEntry {
  return { type: "file", path, mode, contents: utf8.encode(text) };
}

function directories(...paths: string[]): CpioEntry[] {
  return paths.map((path) => ({ type: "directory", path, mode: 0o755 }));
}

/** The archive an image boots with. Equal for equal busybox binaries. */
export function buildInitramfs(busybox: Uint8Array): Uint8Array<ArrayBuffer> {
  return cpioArchive([
    ...directories("bin", "sbin", "usr", "usr/bin", "usr/sbin", "usr/local", "usr/local/bin", "usr/local/sbin"),
    ...directories("dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp", "var", "var/tmp", "xenolith"),
    // The kernel gives this to PID 1 as its standard files before anything is mounted on /dev.
    { type: "character", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    { type: "file", path: "bin/busybox", mode: 0o755, contents: busybox },
    { type: "symlink", path: "bin/sh", target: "busybox" },
    file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    file("etc/group", 0o644, "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
    file("etc/hosts", 0o644, "127.0.0.1 localhost xenolith\n::1 localhost\n"),
    file("init", 0o755, initScript),
  ]);
}

/** What the guest's init does once the system is up. */
export type Run =
  /** An interactive shell on the console. */
  | { readonly mode: "shell" }
  /** A command whose standard files are pipes to the host. */
  | { readonly mode: "command"; readonly command: readonly string[] }
  /** A command on the console, which is its controlling terminal. */
  | { readonly mode: "terminal"; readonly command: readonly string[] };

/** What one run tells the guest beside the command. */
export interface RunOptions {
  /** A secret of this run, made by {@link newMarker}: nothing else in the console's output can look like init's words. */
  readonly marker: string;
  /** Size of the terminal in characters, where there is one. */
  readonly rows?: number;
  readonly columns?: number;
  /** terminfo name, as in $TERM. */
  readonly terminal?: string;
}

/** @param random 16 random bytes. */
export function newMarker(random: Uint8Array): string {
  return random.toHex();
}

/**
 * A second archive to append to the image's: it tells init what to run.
 * @throws XenError "invalid-argument" when an argument holds a NUL character or the command is empty.
 */
export function runArchive(run: Run, options: RunOptions): Uint8Array<ArrayBuffer> {
  const settings = [
    `mode=${run.mode}`,
    `marker=${quote(options.marker)}`,
    ...(options.rows === undefined || options.columns === undefined
      ? []
      : [`rows=${options.rows}`, `cols=${options.columns}`]),
    ...(options.terminal === undefined ? [] : [`term=${quote(options.terminal)}`]),
  ];
  const entries: CpioEntry[] = [...directories("xenolith"), file("xenolith/run", 0o600, `${settings.join("\n")}\n`)];
  if (run.mode !== "shell") {
    if (run.command.length === 0) throw new XenError("invalid-argument", "command: empty; give a program after --");
    entries.push(file("xenolith/command", 0o600, `exec ${run.command.map(quote).join(" ")}\n`));
  }
  return cpioArchive(entries);
}

/** A word that a POSIX shell reads as exactly this text. */
function quote(word: string): string {
  if (word.includes("\0")) throw new XenError("invalid-argument", "command: an argument contains a NUL character");
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Archives one after the other, as Linux reads them: each begins at a multiple of 4 bytes. */
export function joinArchives(...archives: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const starts: number[] = [];
  let end = 0;
  for (const archive of archives) {
    starts.push(end);
    end = Math.ceil((end + archive.length) / 4) * 4;
  }
  const joined = new Uint8Array(end);
  archives.forEach((archive, i) => joined.set(archive, starts[i]));
  return joined;
}
