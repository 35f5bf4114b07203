import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { documents } from "../scripts/docs.ts";

test("documents: what is generated from the tables is not stale", () => {
  for (const [path, text] of documents()) {
    const current = existsSync(path) ? readFileSync(path, "utf8") : "";
    assert.ok(current === text, `${path} is stale: npm run docs`);
  }
});
