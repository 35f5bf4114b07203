/** A name for this version of the translator: translations of another are of no use. */

import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The layers whose code decides what guest code becomes. */
const LAYERS = ["bits", "engine", "ir", "wasm", "x86"];

/** @returns hexadecimal digits: a digest over the sources, or what was built of them, and the version of V8. */
export function translatorVersion(): string {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const extension = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
  const hash = createHash("sha256").update(process.versions.v8);
  for (const layer of LAYERS) {
    const files = readdirSync(`${root}${layer}`, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(extension) && !name.endsWith(`.test${extension}`))
      .toSorted();
    for (const name of files) {
      const contents = readFileSync(`${root}${layer}/${name}`);
      hash.update(`${layer}/${name} ${contents.length}\n`).update(contents);
    }
  }
  return hash.digest("hex").slice(0, 24);
}
