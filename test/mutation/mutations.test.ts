import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { mutated } from "./mutation.ts";
import { mutations } from "./seeds/index.ts";

test("mutation: there are at least 40, each of another name", () => {
  assert.ok(mutations.length >= 40);
  assert.equal(new Set(mutations.map(({ name }) => name)).size, mutations.length);
});

test("mutation: each can be seeded where it says, and names tests that exist", () => {
  for (const mutation of mutations) {
    const where = `"${mutation.name}" in test/mutation/seeds`;
    assert.notEqual(mutated(readFileSync(mutation.file, "utf8"), mutation), undefined, `${where} is out of date`);
    assert.ok(mutation.tests.length > 0, where);
    for (const file of mutation.tests) assert.ok(existsSync(file), `${where}: there is no ${file}`);
  }
});

test("mutation: a text that is missing, ambiguous or unchanged cannot be seeded", () => {
  const bug = { name: "", file: "", tests: [], find: "a < b", replace: "a <= b" };
  assert.equal(mutated("if (a < b) f()", bug), "if (a <= b) f()");
  assert.equal(mutated("if (a > b) f()", bug), undefined);
  assert.equal(mutated("a < b; a < b", bug), undefined);
  assert.equal(mutated("a < b", { ...bug, replace: bug.find }), undefined);
});
