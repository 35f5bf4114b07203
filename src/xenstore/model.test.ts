import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { XS } from "../abi/io/xs_wire.ts";
import { testServer } from "./harness.ts";
import type { TestGuest } from "./harness.ts";
import { toBytes } from "./text.ts";

/** The store as a flat map of paths, and transactions as copies of it with a list of what was looked at. */
class Model {
  nodes = new Map<string, string>([["", ""]]);

  copy(): Model {
    const model = new Model();
    model.nodes = new Map(this.nodes);
    return model;
  }

  write(path: string, value: string): void {
    for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
      const above = path.slice(0, at);
      if (!this.nodes.has(above)) this.nodes.set(above, "");
    }
    this.nodes.set(path, value);
  }

  remove(path: string): void {
    for (const each of this.nodes.keys()) if (each === path || each.startsWith(`${path}/`)) this.nodes.delete(each);
  }

  children(path: string): string[] {
    const prefix = `${path}/`;
    return [...this.nodes.keys()]
      .filter((each) => each.startsWith(prefix) && !each.slice(prefix.length).includes("/"))
      .map((each) => each.slice(prefix.length))
      .toSorted();
  }

  /** What a record holds, as far as a transaction can tell. */
  record(path: string): string {
    return this.nodes.has(path) ? `${this.nodes.get(path)}|${this.children(path).join()}` : "absent";
  }
}

interface Pending {
  readonly id: number;
  /** What it changed, to be done again on the model when it ends well. */
  readonly changes: ((model: Model) => void)[];
  readonly mine: Model;
}

const path = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
const where = fc.constantFrom("outside", "inside");
const step = fc.oneof(
  fc.record({ kind: fc.constant("write"), where, path, value: fc.string({ maxLength: 3, unit: "grapheme-ascii" }) }),
  fc.record({ kind: fc.constant("remove"), where, path, value: fc.constant("") }),
  fc.record({ kind: fc.constant("read"), where, path, value: fc.constant("") }),
  fc.record({ kind: fc.constant("list"), where, path, value: fc.constant("") }),
  fc.record({ kind: fc.constantFrom("begin", "commit", "abort"), where, path, value: fc.constant("") }),
);

function check(
  guest: TestGuest,
  model: Model,
  id: number,
  { kind, path, value }: { kind: string; path: string; value: string },
): void {
  if (kind === "write") {
    assert.equal(guest.askBytes(XS.WRITE, toBytes(`${path}\0${value}`), id), "OK\0");
    model.write(path, value);
  } else if (kind === "remove") {
    const above = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
    const expected = model.nodes.has(path) || model.nodes.has(above) ? "OK\0" : "!ENOENT";
    assert.equal(guest.ask(XS.RM, [path], id), expected);
    model.remove(path);
  } else if (kind === "read") {
    assert.equal(guest.ask(XS.READ, [path], id), model.nodes.get(path) ?? "!ENOENT");
  } else {
    const answer = guest.ask(XS.DIRECTORY, [path], id);
    if (!model.nodes.has(path)) assert.equal(answer, "!ENOENT");
    else assert.deepEqual(answer.split("\0").slice(0, -1).toSorted(), model.children(path));
  }
}

test("xenstore: agrees with a flat model, one transaction at a time, when nothing else happens meanwhile", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const guest = testServer().guest(1);
      let model = new Model();
      let open: Pending | undefined;
      for (const each of steps) {
        if (each.kind === "begin") {
          if (open !== undefined) continue;
          const id = Number(guest.ask(XS.TRANSACTION_START, [""]).slice(0, -1));
          open = { id, changes: [], mine: model.copy() };
        } else if (each.kind === "commit" || each.kind === "abort") {
          if (open === undefined) continue;
          assert.equal(guest.ask(XS.TRANSACTION_END, [each.kind === "commit" ? "T" : "F"], open.id), "OK\0");
          if (each.kind === "commit") model = open.mine;
          open = undefined;
        } else {
          check(guest, open?.mine ?? model, open?.id ?? 0, each);
        }
      }
      for (const [path, value] of model.nodes) if (path !== "") assert.equal(guest.ask(XS.READ, [path]), value);
    }),
    { numRuns: 150 },
  );
});

test("xenstore: a transaction among others' changes ends as if it had run at its end, or with EAGAIN", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const guest = testServer().guest(1);
      const model = new Model();
      const id = Number(guest.ask(XS.TRANSACTION_START, [""]).slice(0, -1));
      const answers: { step: (typeof steps)[number]; answer: string }[] = [];
      for (const each of steps) {
        if (each.where === "outside" || ["begin", "commit", "abort"].includes(each.kind)) {
          if (["write", "remove", "read", "list"].includes(each.kind)) check(guest, model, 0, each);
          continue;
        }
        answers.push({ step: each, answer: ask(guest, each, id) });
      }
      const ended = guest.ask(XS.TRANSACTION_END, ["T"], id);
      if (ended === "!EAGAIN") {
        assert.ok(answers.length > 0);
      } else {
        assert.equal(ended, "OK\0");
        for (const { step: each, answer } of answers) assert.equal(expected(model, each), answer);
      }
      for (const path of ["a", "b", "c", "a/a", "a/b", "b/a", "c/c", "a/a/a", "b/b/b"]) {
        assert.equal(guest.ask(XS.READ, [path]), model.nodes.get(path) ?? "!ENOENT");
      }
    }),
    { numRuns: 300 },
  );
});

function ask(
  guest: TestGuest,
  { kind, path, value }: { kind: string; path: string; value: string },
  id: number,
): string {
  if (kind === "write") return guest.askBytes(XS.WRITE, toBytes(`${path}\0${value}`), id);
  if (kind === "remove") return guest.ask(XS.RM, [path], id);
  if (kind === "read") return guest.ask(XS.READ, [path], id);
  return guest.ask(XS.DIRECTORY, [path], id).split("\0").toSorted().join();
}

/** Does a step on the model. @returns what the server should have answered. */
function expected(model: Model, { kind, path, value }: { kind: string; path: string; value: string }): string {
  if (kind === "read") return model.nodes.get(path) ?? "!ENOENT";
  if (kind === "list") return model.nodes.has(path) ? ["", ...model.children(path)].join() : "!ENOENT";
  const above = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
  if (kind === "write") {
    model.write(path, value);
    return "OK\0";
  }
  const known = model.nodes.has(path) || model.nodes.has(above);
  model.remove(path);
  return known ? "OK\0" : "!ENOENT";
}
