/** Compiles the C programs of this directory with the host's gcc. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BenchFile } from "../guest/driver.ts";

/** Programs for one architecture, or why there are none. */
export type Compiled =
  | { readonly kind: "programs"; readonly files: readonly BenchFile[] }
  | { readonly kind: "missing"; readonly reason: string };

const here = fileURLToPath(new URL(".", import.meta.url));

/** For i386: doubles by SSE2 as on amd64, since the x87 rounds otherwise. */
const OPTIONS = { amd64: [], i386: ["-m32", "-msse2", "-mfpmath=sse"] } as const;
const NEEDED = { amd64: "gcc libc6-dev", i386: "gcc-multilib" } as const;

/** Static executables that need nothing of the guest but its kernel. */
export function compilePrograms(architecture: "amd64" | "i386"): Compiled {
  const output = mkdtempSync(join(tmpdir(), "xenolith-bench-"));
  const files: BenchFile[] = [];
  for (const source of readdirSync(here).filter((name) => name.endsWith(".c"))) {
    const name = source.slice(0, -2);
    const target = join(output, name);
    const args = ["-O2", "-static", ...OPTIONS[architecture], "-o", target, join(here, source), "-lm"];
    const { status, stderr, error } = spawnSync("gcc", args, { encoding: "utf8" });
    if (status !== 0) {
      const why = error?.message ?? stderr.trim().split("\n").slice(0, 3).join("; ");
      return {
        kind: "missing",
        reason: `no C programs for ${architecture} (Debian: apt install ${NEEDED[architecture]}): ${why}`,
      };
    }
    files.push({ name, contents: readFileSync(target) });
  }
  return { kind: "programs", files };
}
