import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { XENSTORE_ERROR, XENSTORE_RING_SIZE, XS } from "../abi/io/xs_wire.ts";
import { request, requestBytes } from "./guest-side.ts";
import { testServer } from "./harness.ts";
import { fromBytes, toBytes } from "./text.ts";

test("ring: a request may come in any pieces, and several at once", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 }), (sizes) => {
      const { server, guest } = testServer();
      const { side } = guest(1);
      const stream = [1, 2, 3].flatMap((id) => [...request(XS.WRITE, [`node${id}`, "value"], { req_id: id })]);
      for (let at = 0, i = 0; at < stream.length; i++) {
        const size = sizes[i % sizes.length] ?? 1;
        at += side.put(Uint8Array.from(stream.slice(at, at + size)));
        server.service(1);
      }
      assert.deepEqual(
        side.take().map(({ type, req_id, payload }) => [type, req_id, fromBytes(payload)]),
        [1, 2, 3].map((id) => [XS.WRITE, id, "OK\0"]),
      );
    }),
    { numRuns: 30 },
  );
});

test("ring: a reply larger than the ring comes as the guest takes it", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  const value = "v".repeat(4000);
  server.client.write("/local/domain/1/big", value);
  server.client.setPermissions("/local/domain/1/big", [{ domain: 1, rights: "n" }]);
  assert.equal(one.ask(XS.READ, ["big"]), value);
});

test("ring: indices may wrap around at any place", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  for (const name of ["req_cons", "req_prod", "rsp_cons", "rsp_prod"] as const) one.side.poke(name, 0xffff_fff0);
  assert.equal(one.askBytes(XS.WRITE, toBytes(`a\0${"x".repeat(500)}`)), "OK\0");
  assert.equal(one.ask(XS.READ, ["a"]).length, 500);
  assert.equal(server.client.read("/local/domain/1/a").length, 500);
});

test("ring: indices that make no sense end the connection, and the page says why", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  one.side.poke("req_prod", one.side.word("req_cons") + XENSTORE_RING_SIZE + 1);
  server.service(1);
  assert.equal(one.side.word("error"), XENSTORE_ERROR.RINGIDX);
  one.side.poke("req_prod", one.side.word("req_cons"));
  assert.equal(one.ask(XS.READ, ["a"]), "no reply");
});

test("ring: a payload that is announced too long ends the connection", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  const header = requestBytes(XS.WRITE, new Uint8Array());
  new DataView(header.buffer).setUint32(12, 4097, true);
  one.side.put(header);
  server.service(1);
  assert.equal(one.side.word("error"), XENSTORE_ERROR.PROTO);
  assert.equal(one.ask(XS.READ, ["a"]), "no reply");
});

test("ring: a guest may ask for a new start, without its watches and transactions", () => {
  const { server, guest } = testServer();
  const one = guest(1);
  assert.equal(one.side.word("server_features"), 15);
  one.ask(XS.WATCH, ["a", "t"]);
  one.events();
  const id = Number(one.ask(XS.TRANSACTION_START, [""]).slice(0, -1));
  one.side.poke("req_prod", 12345);
  one.side.poke("connection", 1);
  const rings = one.rings();
  server.service(1);
  assert.equal(one.side.word("connection"), 0);
  assert.equal(one.rings(), rings + 1);
  assert.equal(one.ask(XS.READ, ["a"], id), "!ENOENT");
  server.client.write("/local/domain/1/a", "");
  assert.deepEqual(one.events(), []);
});

test("ring: a guest that takes no replies is not read after 20 requests, and goes on when it takes them", () => {
  const { server, guest, settle } = testServer();
  const { side } = guest(1);
  server.client.write("/local/domain/1/a", "x".repeat(1000));
  server.client.setPermissions("/local/domain/1/a", [{ domain: 1, rights: "n" }]);
  const pending = Array.from({ length: 200 }, (_, i) => [...request(XS.READ, ["a"], { req_id: i })]).flat();
  let sent = 0;
  for (let i = 0; i < 10; i++) {
    sent += side.put(Uint8Array.from(pending.slice(sent)));
    server.service(1);
    settle();
  }
  assert.ok(sent < pending.length, "the request ring stays full");
  const replies: number[] = [];
  for (let i = 0; i < 400; i++) {
    replies.push(...side.take().map(({ req_id }) => req_id));
    sent += side.put(Uint8Array.from(pending.slice(sent)));
    server.service(1);
    settle();
  }
  assert.deepEqual(
    replies,
    Array.from({ length: 200 }, (_, i) => i),
  );
});

test("ring: events that nobody takes hold up who causes them, until they are dropped", () => {
  const { server, guest, sleep } = testServer();
  const one = guest(1);
  const two = guest(2);
  one.ask(XS.SET_PERMS, ["/local/domain/1", "b1"]);
  for (let i = 0; i < 40; i++) two.ask(XS.WATCH, [`/local/domain/1/n${i}`, "x".repeat(60)]);
  two.events();
  const results = Array.from({ length: 40 }, (_, i) => one.askBytes(XS.WRITE, toBytes(`n${i}\0v`)));
  assert.ok(results.includes("no reply"), "limited by what two does not take");
  sleep(20_001);
  server.expire();
  assert.notEqual(one.ask(XS.READ, ["n0"]), "no reply");
});

test("ring: whatever a guest writes into its page, nothing throws, others are served, and no byte beyond changes", () => {
  const word = fc.constantFrom("req_cons", "req_prod", "rsp_cons", "rsp_prod", "connection" as const);
  const poke = fc.record({ word, value: fc.oneof(fc.nat(0xffff_ffff), fc.nat(2100)) });
  const bytes = fc.record({ at: fc.nat(1023), bytes: fc.uint8Array({ maxLength: 64 }) });
  fc.assert(
    fc.property(fc.array(fc.oneof(poke, bytes), { maxLength: 40 }), (actions) => {
      const { server, guest, settle } = testServer();
      const bad = guest(1);
      const good = guest(2);
      bad.side.page.fill(0xee, 2080);
      for (const action of actions) {
        if ("word" in action) bad.side.poke(action.word, action.value);
        else bad.side.page.set(action.bytes.subarray(0, 1024 - action.at), action.at);
        server.service(1);
        settle();
      }
      assert.ok(bad.side.page.subarray(2080).every((byte) => byte === 0xee));
      assert.equal(good.askBytes(XS.WRITE, toBytes("a\0b")), "OK\0");
      assert.equal(good.ask(XS.READ, ["a"]), "b");
    }),
    { numRuns: 200 },
  );
});
