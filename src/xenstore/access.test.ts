/** Refusals of the xenstore server, each of something that all other checks would allow. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { XENSTORE_PAYLOAD_MAX, XS } from "../abi/io/xs_wire.ts";
import { XenstoreError } from "./client.ts";
import { testServer } from "./harness.ts";
import type { TestGuest } from "./harness.ts";
import { toBytes } from "./text.ts";

const write = (guest: TestGuest, path: string, value: string, id = 0): string =>
  guest.askBytes(XS.WRITE, toBytes(`${path}\0${value}`), id);
const begin = (guest: TestGuest): number => Number(guest.ask(XS.TRANSACTION_START, [""]).slice(0, -1));

test("access: reading, writing and owning are three rights", () => {
  const { guest } = testServer();
  const one = guest(1);
  const two = guest(2);
  const attempts = (rights: string): string[] => {
    assert.equal(write(one, "shared", "v"), "OK\0");
    assert.equal(one.ask(XS.SET_PERMS, ["shared", "n1", `${rights}2`]), "OK\0");
    const path = "/local/domain/1/shared";
    return [two.ask(XS.READ, [path]), write(two, path, "w"), two.ask(XS.SET_PERMS, [path, "n1", "b2"])];
  };
  assert.deepEqual(attempts("n"), ["!EACCES", "!EACCES", "!EACCES"]);
  assert.deepEqual(attempts("r"), ["v", "!EACCES", "!EACCES"]);
  assert.deepEqual(attempts("w"), ["!EACCES", "OK\0", "!EACCES"]);
  assert.deepEqual(attempts("b"), ["v", "OK\0", "!EACCES"]);
});

test("access: a node that a guest makes is its own, with the other rights of the one above", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  server.client.write("/shared", "");
  server.client.setPermissions("/shared", [
    { domain: 0, rights: "r" },
    { domain: 1, rights: "b" },
  ]);
  assert.equal(write(one, "/shared/mine", "v"), "OK\0");
  assert.equal(one.ask(XS.GET_PERMS, ["/shared/mine"]), "r1\0b1\0");
  server.client.write("/shared/yours", "");
  assert.equal(one.ask(XS.GET_PERMS, ["/shared/yours"]), "r0\0b1\0");
});

test("access: domain ids have 16 bits", () => {
  const { guest } = testServer();
  const one = guest(1);
  assert.equal(one.ask(XS.SET_PERMS, ["/local/domain/1", "n1", "r65535"]), "OK\0");
  assert.equal(one.ask(XS.SET_PERMS, ["/local/domain/1", "n1", "r65536"]), "!EINVAL");
});

test("access: nobody removes the root", () => {
  const { server } = testServer();
  assert.throws(
    () => server.client.remove("/"),
    (error) => error instanceof XenstoreError && error.code === "EINVAL",
  );
  assert.ok(server.client.list("/").includes("tool"));
});

test("access: a transaction that does not exist is ENOENT, though the node does", () => {
  const { guest } = testServer();
  const one = guest(1);
  assert.equal(write(one, "a", "v"), "OK\0");
  assert.equal(one.ask(XS.READ, ["a"], 99), "!ENOENT");
  assert.equal(write(one, "a", "w", 99), "!ENOENT");
  assert.equal(one.ask(XS.READ, ["a"]), "v");
});

test("access: a transaction that read what has been removed since must start anew", () => {
  const { guest } = testServer();
  const one = guest(1);
  write(one, "a", "v");
  const id = begin(one);
  assert.equal(one.ask(XS.READ, ["a"], id), "v");
  assert.equal(one.ask(XS.RM, ["a"]), "OK\0");
  assert.equal(one.ask(XS.TRANSACTION_END, ["T"], id), "!EAGAIN");
});

test("access: a transaction looks at as many nodes as its quota, and no more", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  for (let i = 0; i < 6; i++) write(one, `n${i}`, "v");
  server.client.request(XS.SET_QUOTA, toBytes("transaction-nodes\x005\0"));
  const id = begin(one);
  const reads = Array.from({ length: 6 }, (_, i) => one.ask(XS.READ, [`n${i}`], id));
  assert.deepEqual(reads, ["v", "v", "v", "v", "v", "!ENOSPC"]);
});

test("access: each part of a directory fits in a message, however well the names fill it", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  const digits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const names = Array.from(digits).flatMap((a) => Array.from(digits, (b) => a + b));
  for (const name of names) server.client.makeDirectory(`/local/domain/1/many/${name}`);
  server.client.setPermissions("/local/domain/1/many", [{ domain: 1, rights: "n" }]);
  const answer = one.ask(XS.DIRECTORY_PART, ["many", "0"]);
  assert.ok(!answer.startsWith("!") && answer.length <= XENSTORE_PAYLOAD_MAX, answer.slice(0, 20));
  assert.ok(answer.length > XENSTORE_PAYLOAD_MAX - 3, "it is filled");
});
