/** Compiles the C programs of this directory with the host's gcc. */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { i386Sysroot } from "../guest/debian.ts";
import type { BenchFile } from "../guest/driver.ts";

/** Programs for one architecture, or why there are none. */
export type Compiled =
  | { readonly kind: "programs"; readonly files: readonly BenchFile[] }
  | { readonly kind: "missing"; readonly reason: string };

const here = fileURLToPath(new URL(".", import.meta.url));

/** Static executables that need nothing of the guest but its kernel. */
export async function compilePrograms(architecture: "amd64" | "i386"): Promise<Compiled> {
  const directory = mkdtempSync(join(tmpdir(), "xenolith-bench-"));
  try {
    const files: BenchFile[] = [];
    const options = architecture === "amd64" ? [] : await optionsFor32Bit(join(directory, "i386"));
    for (const source of readdirSync(here).filter((file) => file.endsWith(".c"))) {
      const name = source.slice(0, -2);
      const target = join(directory, name);
      const args = ["-O2", "-static", "-s", ...options, "-o", target, join(here, source), "-lm"];
      const { status, stderr, error } = spawnSync("gcc", args, { encoding: "utf8" });
      if (status !== 0)
        return missing(architecture, error?.message ?? stderr.trim().split("\n").slice(0, 3).join("; "));
      files.push({ name, contents: readFileSync(target) });
    }
    return { kind: "programs", files };
  } catch (error) {
    return missing(architecture, error instanceof Error ? error.message : String(error));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function missing(architecture: string, why: string): Compiled {
  return { kind: "missing", reason: `C programs for ${architecture} (gcc and libc6-dev are needed): ${why}` };
}

/** For an amd64 gcc with Debian's 32-bit library; doubles by SSE2 as on amd64, since the x87 rounds otherwise. */
async function optionsFor32Bit(root: string): Promise<string[]> {
  mkdirSync(root);
  await i386Sysroot(root);
  const libraries = ["usr/lib/i386-linux-gnu", "usr/lib/gcc/i686-linux-gnu/12"].map((path) => join(root, path));
  const headers = ["usr/include", "usr/include/i386-linux-gnu"].map((path) => join(root, path));
  return [
    "-m32",
    "-msse2",
    "-mfpmath=sse",
    ...headers.flatMap((path) => ["-isystem", path]),
    ...libraries.flatMap((path) => [`-B${path}`, `-L${path}`]),
  ];
}
