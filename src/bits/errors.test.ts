import nodeAssert from "node:assert/strict";
import test from "node:test";

import { assert, exitStatus, unreachable, XenError } from "./errors.ts";

test("errors: a XenError keeps its code, message and cause", () => {
  const cause = new Error("ECONNREFUSED");
  const error = new XenError("mirror-unreachable", "no mirror answers; use --mirror", { cause });
  nodeAssert.equal(error.code, "mirror-unreachable");
  nodeAssert.equal(error.cause, cause);
  nodeAssert.ok(error instanceof Error);
});

test("errors: the operator's fault ends a command with 2, the host's with 125", () => {
  nodeAssert.equal(exitStatus("no-such-image"), 2);
  nodeAssert.equal(exitStatus("bad-checksum"), 125);
});

test("errors: assert throws exactly when its condition is false", () => {
  assert(1, "holds");
  nodeAssert.throws(() => assert(0, "domain 3: port table is torn"), { name: "AssertionError", message: /torn/ });
  nodeAssert.throws(() => unreachable("x" as never), /unreachable: x/);
});
