import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { XenError } from "../../bits/errors.ts";
import { imageStore } from "./image-store.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "xenolith-store-"));
});
afterEach(() => rm(directory, { recursive: true }));

const digest = "d".repeat(64);

test("store: blobs and manifests come back, and leave no temporary files", async () => {
  const store = imageStore(directory);
  assert.equal(await store.size(digest), undefined);
  assert.equal(await store.readManifest("m"), undefined);
  assert.deepEqual(await store.manifests(), []);
  await store.put(digest, Uint8Array.of(1, 2, 3));
  await store.put(digest, Uint8Array.of(1, 2, 3));
  await store.writeManifest("m", "{}");
  await store.writeManifest("m", '{"a":1}');
  assert.equal(await store.size(digest), 3);
  assert.deepEqual([...(await store.read(digest))], [1, 2, 3]);
  assert.equal(await store.readManifest("m"), '{"a":1}');
  assert.deepEqual(await store.manifests(), ["m"]);
  assert.deepEqual(await readdir(join(directory, "blobs", "sha256")), [digest]);
  assert.deepEqual(await readdir(join(directory, "images")), ["m.json"]);
  assert.equal(await store.sweep(new Set([digest])), 0);
  assert.equal(await store.sweep(new Set()), 3);
  assert.equal(await store.removeManifest("m"), true);
  assert.equal(await store.removeManifest("m"), false);
  await assert.rejects(store.read(digest), (error) => error instanceof XenError && error.code === "io-error");
});

test("store: work is done one after the other, also when it fails", async () => {
  const events: string[] = [];
  const work = (name: string, failure?: Error) => () =>
    imageStore(directory).exclusively(async () => {
      events.push(`${name} in`);
      await sleep(30);
      events.push(`${name} out`);
      if (failure) throw failure;
    });
  const results = await Promise.allSettled([work("a", new Error("no"))(), work("b")(), work("c")()]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["rejected", "fulfilled", "fulfilled"],
  );
  for (let i = 0; i < 6; i += 2) assert.equal(events[i]!.replace("in", "out"), events[i + 1]);
});

test("store: the lock of a process that has died is no obstacle, a living one's is", async () => {
  const dead = spawnSync(process.execPath, ["-e", ""]).pid;
  await writeFile(join(directory, "lock"), `${dead} ${hostname()}\n`);
  assert.equal(await imageStore(directory).exclusively(async () => "done"), "done");

  for (const holder of [`${process.pid} ${hostname()}\n`, `${dead} another-host\n`]) {
    await writeFile(join(directory, "lock"), holder);
    let waits = 0;
    const waiting = imageStore(directory, () => waits++).exclusively(async () => "done");
    await sleep(250);
    assert.equal(waits, 1);
    await rm(join(directory, "lock"));
    assert.equal(await waiting, "done");
  }
});
