/** The host's own processor: what slow-downs are counted from. The same programs, run by the same busybox. */

import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { directory } from "../guest/driver.ts";
import type { BenchFile } from "../guest/driver.ts";

/** A directory with the programs and busybox's commands; removed when it is disposed of. */
export interface Native extends Disposable {
  /** @returns seconds, or undefined when the host cannot run it. */
  run(command: string, check: (output: string) => boolean): number | undefined;
}

/** @param busybox the image's, with all commands in it. @returns undefined where the host is no x86-64 Linux. */
export function native(busybox: Uint8Array, files: readonly BenchFile[]): Native | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  const root = mkdtempSync(join(tmpdir(), "xenolith-bench-"));
  const programs = join(root, directory);
  const commands = join(root, "bin");
  mkdirSync(programs);
  mkdirSync(commands);
  for (const { name, contents } of files) {
    writeFileSync(join(programs, name), contents);
    chmodSync(join(programs, name), 0o755);
  }
  const shell = join(commands, "busybox");
  writeFileSync(shell, busybox, { mode: 0o755 });
  const applets = spawnSync(shell, ["--list"], { encoding: "utf8" }).stdout.split("\n");
  for (const applet of applets)
    if (applet !== "" && applet !== "busybox") symlinkSync("busybox", join(commands, applet));
  return {
    run(command, check) {
      const start = performance.now();
      const { status, stdout } = spawnSync(shell, ["sh", "-c", command], {
        encoding: "latin1",
        env: { PATH: commands, B: programs },
        cwd: root,
      });
      const seconds = (performance.now() - start) / 1000;
      return status === 0 && check(stdout) ? seconds : undefined;
    },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}
