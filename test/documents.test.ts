/** Documents say what is so: what is generated is fresh, files that are named exist, and links lead somewhere. */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { documents, observations, operations } from "../scripts/docs.ts";

test("documents: what is generated from the tables is not stale", () => {
  for (const [path, text] of documents()) {
    const current = existsSync(path) ? readFileSync(path, "utf8") : "";
    assert.ok(current === text, `${path} is stale: npm run docs`);
  }
});

const files = globSync("{*.*,{src,test,docs,bin,bench,scripts}/**/*.*}");

/** Words that look like a file's path and name one of another project. */
const elsewhere = /^(?:xen|docs\/misc|doc|Documentation)\//;

function missing(document: string): string[] {
  const text = readFileSync(document, "utf8");
  const named = [...text.matchAll(/`((?:[\w.-]+\/)*[\w-]+(?:\.[\w-]+)*\.(?:ts|js|md|json))`/g)].map(
    ([, name = ""]) => name,
  );
  const linked = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, target = ""]) =>
    normalize(join(dirname(document), target)),
  );
  return [
    ...named.filter(
      (name) => !elsewhere.test(name) && !files.some((file) => file === name || file.endsWith(`/${name}`)),
    ),
    ...linked.filter((target) => !existsSync(target)),
  ].map((name) => `${document}: ${name} does not exist`);
}

test("documents: files that they name exist, and links lead somewhere", () => {
  const all = globSync(["*.md", "docs/**/*.md", "src/**/README.md"]);
  assert.ok(all.length > 20);
  assert.deepEqual(all.flatMap(missing), []);
});

test("documents: whatever a hypercall does, a guest observes", () => {
  const observed = observations();
  const known = new Set(operations().map(({ name }) => name));
  const implemented = operations().filter(({ operation }) => operation?.kind !== "refused");
  assert.ok(implemented.length > 60);
  assert.deepEqual(
    implemented.map(({ name }) => name).filter((name) => !observed.has(name)),
    [],
  );
  assert.deepEqual(
    [...observed.keys()].filter((name) => !known.has(name)),
    [],
  );
});
