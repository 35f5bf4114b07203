import assert from "node:assert/strict";
import { test } from "node:test";

import { XS } from "../abi/io/xs_wire.ts";
import { XenstoreError } from "./client.ts";
import { testServer } from "./harness.ts";
import { toBytes } from "./text.ts";

const writeOf = (path: string, value: string): Uint8Array => toBytes(`${path}\0${value}`);

test("server: a guest writes, reads and lists below its own home by relative paths", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  assert.equal(one.askBytes(XS.WRITE, writeOf("a/b/c", "x\0y")), "OK\0");
  assert.equal(one.ask(XS.READ, ["a/b/c"]), "x\0y");
  assert.equal(one.ask(XS.READ, ["a/b"]), "");
  assert.equal(one.ask(XS.MKDIR, ["a/d"]), "OK\0");
  assert.equal(one.ask(XS.DIRECTORY, ["/local/domain/1/a"]), "b\0d\0");
  assert.deepEqual(server.client.list("/local/domain/1/a"), ["b", "d"]);
  assert.equal(one.ask(XS.GET_PERMS, ["a/b/c"]), "n1\0");
  assert.equal(one.ask(XS.RM, ["a"]), "OK\0");
  assert.equal(one.ask(XS.READ, ["a/b/c"]), "!ENOENT");
  assert.equal(one.ask(XS.RM, ["a"]), "OK\0");
  assert.equal(one.ask(XS.RM, ["a/b"]), "!ENOENT");
});

test("server: names that are none, and malformed payloads, are EINVAL", () => {
  const { guest } = testServer();
  const one = guest(1);
  for (const path of ["a b", "a//b", "a/", "//", "ä", "@releaseDomain", "x".repeat(2049)]) {
    assert.equal(one.ask(XS.READ, [path]), "!EINVAL", path);
  }
  assert.equal(one.ask(XS.READ, []), "!EINVAL");
  assert.equal(one.ask(XS.READ, ["a", "b"]), "!EINVAL");
  assert.equal(one.askBytes(XS.READ, toBytes("a")), "!EINVAL");
  assert.equal(one.askBytes(XS.WRITE, toBytes("no-nul")), "!EINVAL");
  assert.equal(one.ask(XS.TRANSACTION_END, ["X"]), "!EINVAL");
  assert.equal(one.ask(XS.TRANSACTION_END, ["T"]), "!ENOENT");
  assert.equal(one.ask(XS.READ, ["a"], 99), "!ENOENT");
  assert.equal(one.ask(20, []), "!ENOSYS");
  assert.equal(one.ask(0xffff, []), "!ENOSYS");
  assert.equal(one.ask(XS.WATCH_EVENT, []), "!ENOSYS");
});

test("server: a guest may not see, change or learn of what is not its own", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  guest(2);
  server.client.write("/local/domain/2/secret", "s");
  server.client.setPermissions("/local/domain/2/secret", [{ domain: 2, rights: "n" }]);
  assert.equal(one.ask(XS.READ, ["/local/domain/2/secret"]), "!EACCES");
  assert.equal(one.ask(XS.READ, ["/local/domain/2/absent"]), "!EACCES");
  assert.equal(one.askBytes(XS.WRITE, writeOf("/local/domain/2/x", "")), "!EACCES");
  assert.equal(one.askBytes(XS.WRITE, writeOf("/elsewhere", "")), "!EACCES");
  assert.equal(one.ask(XS.DIRECTORY, ["/"]), "!EACCES");
  for (const type of [XS.INTRODUCE, XS.RELEASE, XS.CONTROL, XS.SET_TARGET, XS.RESUME, XS.SET_QUOTA, XS.GET_QUOTA]) {
    assert.equal(one.ask(type, ["2", "0", "1"]), "!EACCES");
  }
  assert.equal(one.ask(XS.SET_PERMS, ["/local/domain/1", "n2"]), "!EPERM");
  assert.equal(one.ask(XS.SET_PERMS, ["/local/domain/1", "n1", "r2"]), "OK\0");
  assert.equal(one.ask(XS.SET_PERMS, ["/local/domain/1", "q1"]), "!EINVAL");
  assert.equal(one.ask(XS.SET_PERMS, ["/local/domain/2/secret", "n1"]), "!EACCES");
});

test("server: rights granted to a domain that does not exist are not inherited by one that comes later", () => {
  const { guest } = testServer();
  const one = guest(1);
  assert.equal(one.askBytes(XS.WRITE, writeOf("a", "v")), "OK\0");
  assert.equal(one.ask(XS.SET_PERMS, ["a", "n1", "r2"]), "OK\0");
  const two = guest(2);
  assert.equal(two.ask(XS.READ, ["/local/domain/1/a"]), "!EACCES");
  assert.equal(one.ask(XS.SET_PERMS, ["a", "n1", "r2"]), "OK\0");
  assert.equal(two.ask(XS.READ, ["/local/domain/1/a"]), "v");
});

test("server: when a domain is gone its nodes and its rights are gone", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  guest(2);
  one.askBytes(XS.WRITE, writeOf("a", "v"));
  one.ask(XS.SET_PERMS, ["a", "n1", "r2"]);
  server.domainGone(2);
  assert.deepEqual(server.client.permissions("/local/domain/1/a"), [{ domain: 1, rights: "n" }]);
  server.domainGone(1);
  assert.equal(server.client.find("/local/domain/1"), undefined);
});

test("server: a watch fires once at the start and then for what is below it, in the form it was set", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  assert.equal(one.ask(XS.WATCH, ["device", "rel"]), "OK\0");
  assert.equal(one.ask(XS.WATCH, ["device", "rel"]), "!EEXIST");
  assert.equal(one.ask(XS.WATCH, ["/local/domain/1", "abs"]), "OK\0");
  assert.deepEqual(one.events(), ["device rel", "/local/domain/1 abs"]);
  server.client.write("/local/domain/1/device/vbd", "x");
  assert.deepEqual(one.events(), ["device/vbd rel", "/local/domain/1/device/vbd abs"]);
  assert.equal(one.ask(XS.UNWATCH, ["device", "no"]), "!ENOENT");
  assert.equal(one.ask(XS.UNWATCH, ["device", "rel"]), "OK\0");
  server.client.remove("/local/domain/1/device");
  assert.deepEqual(one.events(), ["/local/domain/1/device abs"]);
  assert.equal(one.ask(XS.RESET_WATCHES, [""]), "OK\0");
  server.client.write("/local/domain/1/device", "x");
  assert.deepEqual(one.events(), []);
});

test("server: a watch with a depth sees that many levels", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  assert.equal(one.ask(XS.WATCH, ["a", "d0", "0"]), "OK\0");
  assert.equal(one.ask(XS.WATCH, ["a", "d1", "1"]), "OK\0");
  assert.equal(one.ask(XS.WATCH, ["a", "d2", "-1"]), "!EINVAL");
  one.events();
  server.client.write("/local/domain/1/a/b/c", "");
  assert.deepEqual(one.events(), []);
  server.client.write("/local/domain/1/a/b", "");
  assert.deepEqual(one.events(), ["a/b d1"]);
  server.client.write("/local/domain/1/a", "");
  assert.deepEqual(one.events(), ["a d0", "a d1"]);
});

test("server: @releaseDomain is told to everyone, @introduceDomain to domain 0", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  const seen: string[] = [];
  server.client.watch("@introduceDomain", (path) => seen.push(path));
  one.ask(XS.WATCH, ["@releaseDomain", "r"]);
  one.ask(XS.WATCH, ["@releaseDomain", "deep", "1"]);
  one.ask(XS.WATCH, ["@introduceDomain", "i"]);
  one.events();
  guest(2);
  server.domainGone(2);
  assert.deepEqual(seen, ["@introduceDomain", "@introduceDomain"]);
  assert.deepEqual(one.events(), ["@releaseDomain r", "@releaseDomain/2 deep"]);
});

test("server: a transaction is seen by others only when it has ended well", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  server.client.watch("/local/domain/1/t", () => {});
  const id = Number(one.ask(XS.TRANSACTION_START, [""]).slice(0, -1));
  assert.equal(one.askBytes(XS.WRITE, writeOf("t/a", "1"), id), "OK\0");
  assert.equal(one.ask(XS.READ, ["t/a"], id), "1");
  assert.equal(one.ask(XS.READ, ["t/a"]), "!ENOENT");
  assert.equal(one.ask(XS.TRANSACTION_START, [""], id), "!EBUSY");
  assert.equal(one.ask(XS.TRANSACTION_END, ["T"], id), "OK\0");
  assert.equal(one.ask(XS.READ, ["t/a"]), "1");
  assert.equal(one.ask(XS.TRANSACTION_END, ["T"], id), "!ENOENT");
});

test("server: a transaction fails if what it looked at has changed, and not for anything else", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  const begin = (): number => Number(one.ask(XS.TRANSACTION_START, [""]).slice(0, -1));
  server.client.write("/local/domain/1/a", "0");
  server.client.write("/local/domain/1/b", "0");

  let id = begin();
  one.ask(XS.READ, ["a"], id);
  server.client.write("/local/domain/1/a", "1");
  one.askBytes(XS.WRITE, writeOf("b", "1"), id);
  assert.equal(one.ask(XS.TRANSACTION_END, ["T"], id), "!EAGAIN");
  assert.equal(one.ask(XS.READ, ["b"]), "0");

  id = begin();
  one.ask(XS.READ, ["a"], id);
  server.client.write("/local/domain/1/b", "2");
  assert.equal(one.ask(XS.TRANSACTION_END, ["T"], id), "OK\0");

  id = begin();
  server.client.write("/local/domain/1/a", "3");
  assert.equal(one.ask(XS.READ, ["a"], id), "3", "first looked at now");
  server.client.write("/local/domain/1/c", "new");
  one.askBytes(XS.WRITE, writeOf("b/deep", "4"), id);
  assert.equal(one.ask(XS.TRANSACTION_END, ["T"], id), "OK\0");
  assert.equal(server.client.read("/local/domain/1/c"), "new");
  assert.equal(server.client.read("/local/domain/1/b/deep"), "4");

  id = begin();
  assert.equal(one.ask(XS.READ, ["nothing"], id), "!ENOENT");
  server.client.write("/local/domain/1/nothing", "");
  assert.equal(one.ask(XS.TRANSACTION_END, ["T"], id), "!EAGAIN");

  id = begin();
  one.ask(XS.RM, ["b"], id);
  server.client.write("/local/domain/1/b/deep", "5");
  assert.equal(one.ask(XS.TRANSACTION_END, ["T"], id), "!EAGAIN");

  id = begin();
  one.askBytes(XS.WRITE, writeOf("a", "lost"), id);
  assert.equal(one.ask(XS.TRANSACTION_END, ["F"], id), "OK\0");
  assert.equal(server.client.read("/local/domain/1/a"), "3");
});

test("server: a transaction's events come when it ends, also for nodes it removed", () => {
  const { guest } = testServer();
  const one = guest(1);
  const two = guest(2);
  one.askBytes(XS.WRITE, writeOf("d/e", ""));
  one.ask(XS.SET_PERMS, ["d/e", "n1", "r2"]);
  two.ask(XS.WATCH, ["/local/domain/1/d/e", "w"]);
  two.events();
  const id = Number(one.ask(XS.TRANSACTION_START, [""]).slice(0, -1));
  one.ask(XS.RM, ["d"], id);
  assert.deepEqual(two.events(), []);
  one.ask(XS.TRANSACTION_END, ["T"], id);
  assert.deepEqual(two.events(), ["/local/domain/1/d/e w"]);
});

test("server: quotas of nodes, watches, transactions, sizes and permissions hold for guests", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  server.client.request(XS.SET_QUOTA, toBytes("nodes\x0010\0"));
  const results = Array.from({ length: 12 }, (_, i) => one.ask(XS.MKDIR, [`n${i}`]));
  assert.deepEqual(results.slice(8), ["OK\0", "!ENOSPC", "!ENOSPC", "!ENOSPC"]);
  assert.equal(one.ask(XS.MKDIR, ["x/y/z"]), "!ENOSPC");
  one.ask(XS.RM, ["n0"]);
  assert.equal(one.ask(XS.MKDIR, ["again"]), "OK\0");

  assert.equal(one.askBytes(XS.WRITE, writeOf("n1", "v".repeat(2049))), "!ENOSPC");
  assert.equal(one.askBytes(XS.WRITE, writeOf("n1", "v".repeat(2000))), "OK\0");
  assert.equal(one.ask(XS.SET_PERMS, ["n2", "n1", "r2", "r3", "r4", "r5", "r6"]), "!ENOSPC");

  const watches = Array.from({ length: 130 }, (_, i) => one.ask(XS.WATCH, ["n1", String(i)]));
  assert.equal(watches.filter((each) => each === "OK\0").length, 128);
  const transactions = Array.from({ length: 12 }, () => one.ask(XS.TRANSACTION_START, [""]));
  assert.deepEqual(transactions.slice(9), ["10\0", "!ENOSPC", "!ENOSPC"]);
});

test("server: a transaction over its node quota fails and cannot be committed", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  server.client.request(XS.SET_QUOTA, toBytes("transaction-nodes\x005\0"));
  const id = Number(one.ask(XS.TRANSACTION_START, [""]).slice(0, -1));
  const reads = Array.from({ length: 6 }, (_, i) => one.ask(XS.READ, [`n${i}`], id));
  assert.equal(reads.at(-1), "!ENOSPC");
  assert.equal(one.ask(XS.TRANSACTION_END, ["T"], id), "!ENOMEM");
});

test("server: memory is given back when nodes, watches and transactions go", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  const used = (): string => {
    const answer = server.client.request(XS.CONTROL, toBytes("quota\x001\0"));
    assert.ok(typeof answer !== "string");
    return String.fromCharCode(...answer);
  };
  const before = used();
  one.askBytes(XS.WRITE, writeOf("a/b/c", "x".repeat(100)));
  one.ask(XS.WATCH, ["a", "t"]);
  one.events();
  const id = Number(one.ask(XS.TRANSACTION_START, [""]).slice(0, -1));
  one.askBytes(XS.WRITE, writeOf("a/b/c", "y".repeat(1000)), id);
  one.askBytes(XS.WRITE, writeOf("a/d", "z"), id);
  assert.notEqual(used(), before);
  one.ask(XS.TRANSACTION_END, ["T"], id);
  one.events();
  one.ask(XS.UNWATCH, ["a", "t"]);
  one.ask(XS.RM, ["a"]);
  assert.equal(used(), before);
});

test("server: domain 0 works in transactions, and its errors name the path", () => {
  const { server } = testServer();
  const { client } = server;
  let tries = 0;
  client.write("/counter", "1");
  const seen: string[] = [];
  const watch = client.watch("/counter", (path) => seen.push(path));
  const result = client.transaction((store) => {
    tries++;
    return store.read("/counter");
  });
  assert.equal(result, "1");
  assert.equal(tries, 1);
  assert.throws(
    () =>
      client.transaction((store) => {
        store.write("/counter", "2");
        throw new RangeError("stop");
      }),
    RangeError,
  );
  assert.equal(client.read("/counter"), "1");
  client.write("/counter", "3");
  watch[Symbol.dispose]();
  client.write("/counter", "4");
  assert.deepEqual(seen, ["/counter", "/counter"]);
  assert.throws(
    () => client.read("/none"),
    (error) => error instanceof XenstoreError && error.code === "ENOENT",
  );
  assert.equal(client.find("/none"), undefined);
});

test("server: a list of names longer than a message comes in parts", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  const names = Array.from({ length: 700 }, (_, i) => `child-${i}`);
  for (const name of names) server.client.makeDirectory(`/local/domain/1/many/${name}`);
  server.client.setPermissions("/local/domain/1/many", [{ domain: 1, rights: "n" }]);
  assert.equal(one.ask(XS.DIRECTORY, ["many"]), "!E2BIG");
  let collected = "";
  for (let part = 0; part < 10; part++) {
    const [, ...rest] = one.ask(XS.DIRECTORY_PART, ["many", String(collected.length)]).split("\0");
    const text = rest.join("\0");
    if (text.endsWith("\0\0") || text === "\0") {
      collected += text.slice(0, -1);
      break;
    }
    collected += text;
  }
  assert.equal(collected, names.map((name) => `${name}\0`).join(""));
});
