import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { gzipSync } from "node:zlib";
import { XenError } from "../../bits/errors.ts";
import type { ErrorCode } from "../../bits/errors.ts";
import { bzImage, smallKernel } from "../../boot/synthetic-kernels.ts";
import type { Image, PullProgress } from "../../images/pull.ts";
import { cutOff, fakeMirror, fakePackage, mirrorContents, mirrorPaths } from "./fake-mirror.ts";
import type { FakeMirror, FakeRelease } from "./fake-mirror.ts";
import { cacheDirectory, listImages, pullImage, removeImage } from "./images.ts";
import type { PullOptions } from "./images.ts";

let directory: string;
let cache: string;
let mirror: FakeMirror;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "xenolith-images-"));
  cache = join(directory, "cache");
  mirror = await fakeMirror();
});

afterEach(async () => {
  await mirror[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const waits: number[] = [];
const briefly = async (milliseconds: number): Promise<void> => void waits.push(milliseconds);

function pull(options: PullOptions = {}, reference = "debian"): Promise<Image> {
  const defaults = { mirror: mirror.url, cacheDirectory: cache, keys: [mirror.key], sleep: briefly };
  return pullImage(reference, { ...defaults, ...options });
}

async function refused(code: ErrorCode, pattern: RegExp, options: PullOptions = {}): Promise<void> {
  await assert.rejects(pull(options), (error) => {
    assert.ok(error instanceof XenError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, pattern);
    return true;
  });
}

test("images: a pull brings kernel, unpacked kernel and initrd, and says how far it is", async () => {
  const progress: PullProgress[] = [];
  const image = await pull({ progress: (step) => progress.push(step) });
  assert.equal(image.reference, "debian:12");
  assert.equal(image.release, "12.99");
  assert.equal(image.kernelRelease, "9.9-cloud-amd64");
  assert.equal(image.version, "9.9-1");
  assert.deepEqual(new Uint8Array(await readFile(image.kernel)), new Uint8Array(mirrorContents.kernel));
  assert.deepEqual(new Uint8Array(await readFile(image.vmlinux)), new Uint8Array(mirrorContents.vmlinux));
  assert.ok((await readFile(image.initrd)).includes(mirrorContents.busybox));
  assert.deepEqual(
    [...new Set(progress.map(({ phase }) => phase))],
    ["release", "packages", "kernel", "busybox", "unpack"],
  );
  const last = progress.findLast(({ phase }) => phase === "busybox")!;
  assert.equal(last.bytes, last.total);
  assert.equal(last.bytes, mirror.files.get(mirrorPaths.busybox)!.length);
});

test("images: a complete image needs no network, and nothing is written", async () => {
  const image = await pull();
  await mirror[Symbol.asyncDispose]();
  const requests = mirror.requests.length;
  const offline = (): Promise<Response> => Promise.reject(new Error("no network"));
  assert.deepEqual(await pull({ fetch: offline }), image);
  assert.deepEqual(await pull({ fetch: offline, mirror: "http://127.0.0.1:9/debian" }, "debian:12"), image);
  assert.equal(mirror.requests.length, requests);
  assert.deepEqual(await readdir(cache), ["blobs", "images"]);
});

test("images: a file that is missing or has another size is pulled again", async () => {
  const image = await pull();
  await writeFile(image.vmlinux, "cut off");
  assert.deepEqual(await listImages(cache), []);
  const again = await pull();
  assert.deepEqual(new Uint8Array(await readFile(again.vmlinux)), new Uint8Array(mirrorContents.vmlinux));
  await rm(image.initrd);
  await pull({ fetch: () => Promise.reject(new Error("no network")) });
  assert.ok((await readFile(image.initrd)).length > 0, "the initrd is made again without the network");
});

test("images: refreshing asks the mirror, and downloads nothing that is still the same", async () => {
  const image = await pull();
  mirror.requests.length = 0;
  assert.deepEqual(await pull({ refresh: "refresh" }), image);
  assert.deepEqual(
    mirror.requests.map((path) => path.split("/by-hash")[0]),
    [mirrorPaths.release, "dists/bookworm/main/binary-amd64"],
  );
});

test("images: a newer kernel replaces the older one, whose files go", async () => {
  const image = await pull();
  const boot = { "boot/vmlinuz-9.9-cloud-amd64": bzImage(gzipSync(smallKernel({ machine: 3 }))) };
  await using newer = await fakeMirror({ kernel: fakePackage("", boot), version: "9.9-2" });
  const other = { mirror: newer.url, keys: [newer.key], refresh: "refresh" } as const;
  const replaced = await pull(other);
  assert.equal(replaced.version, "9.9-2");
  assert.notEqual(replaced.kernel, image.kernel);
  assert.equal(replaced.initrd, image.initrd, "busybox has the same contents");
  const kept = [replaced.kernel, replaced.vmlinux, replaced.initrd].map((path) => basename(path));
  const blobs = await readdir(join(cache, "blobs", "sha256"));
  assert.ok(kept.every((name) => blobs.includes(name)));
  assert.equal(blobs.length, 4, "kernel, its image, busybox, initrd");
});

test("images: a mirror without by-hash directories serves as well", async () => {
  mirror.misbehave = (request, response) => {
    if (!request.url!.includes("by-hash")) return false;
    response.writeHead(404).end();
    return true;
  };
  await pull();
  assert.ok(mirror.requests.includes(mirrorPaths.packages));
});

test("images: an unreachable mirror says which and what to do", async () => {
  await mirror[Symbol.asyncDispose]();
  await refused("mirror-unreachable", /127\.0\.0\.1.*ECONNREFUSED.*--mirror/);
});

test("images: a server that is no mirror says so", async () => {
  await refused("mirror-unreachable", /no http.*InRelease.*404/, { mirror: mirror.url.replace("debian", "other") });
  mirror.files.set(mirrorPaths.release, Buffer.from("<html>Welcome</html>"));
  await refused("bad-signature", /is this a Debian mirror/);
  await refused("invalid-argument", /--mirror/, { mirror: "ftp://x" });
});

test("images: a release by another key is refused, and nothing is kept", async () => {
  await using other = await fakeMirror();
  await refused("bad-signature", /InRelease: no valid signature/, { keys: [other.key] });
  await refused("bad-signature", /InRelease: no valid signature/, { keys: [] });
  assert.deepEqual(await listImages(cache), []);
  assert.deepEqual(
    mirror.requests.filter((path) => !path.endsWith("InRelease")),
    [],
  );
});

test("images: files that are not what the release says are refused after a second try", async () => {
  for (const path of [mirrorPaths.packages, mirrorPaths.kernel, mirrorPaths.busybox]) {
    const file = mirror.files.get(path)!;
    const damaged = Uint8Array.from(file);
    damaged[damaged.length >> 1]! ^= 1;
    mirror.files.set(path, damaged);
    mirror.requests.length = 0;
    await refused("bad-checksum", /SHA-256/);
    assert.equal(mirror.requests.filter((request) => request === path).length, 2);
    mirror.files.set(path, file);
  }
  mirror.files.set(mirrorPaths.kernel, Buffer.concat([mirror.files.get(mirrorPaths.kernel)!, Buffer.of(0)]));
  await refused("bad-checksum", /longer than/);
});

test("images: a download that breaks off goes on where it was", async () => {
  const from: number[] = [];
  mirror.misbehave = (request, response, file) => {
    if (!request.url!.endsWith(mirrorPaths.busybox)) return false;
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    from.push(start);
    if (from.length > 2) return false;
    cutOff(response, file!, start, 50);
    return true;
  };
  await pull();
  assert.deepEqual(from, [0, 50, 100]);
});

test("images: a server that ignores Range starts the file anew", async () => {
  let tries = 0;
  mirror.misbehave = (request, response, file) => {
    if (!request.url!.endsWith(mirrorPaths.busybox)) return false;
    delete request.headers.range;
    if (tries++ > 0) return false;
    cutOff(response, file!, 0, 50);
    return true;
  };
  const image = await pull();
  assert.ok((await readFile(image.initrd)).includes(mirrorContents.busybox));
});

test("images: a download that never comes to its end is refused after some tries", async () => {
  let tries = 0;
  mirror.misbehave = (request, response, file) => {
    if (!request.url!.endsWith(mirrorPaths.kernel)) return false;
    tries++;
    cutOff(response, file!, 0, 100);
    return true;
  };
  waits.length = 0;
  await refused("truncated-download", /100 of \d+ bytes/);
  assert.equal(tries, 4);
  assert.deepEqual(
    waits,
    waits.toSorted((a, b) => a - b),
    "each wait is longer than the one before",
  );
  assert.equal(waits.length, 3);
});

test("images: an interrupted download says so at once", async () => {
  const controller = new AbortController();
  mirror.misbehave = (request, response, file) => {
    if (!request.url!.endsWith(mirrorPaths.kernel)) return false;
    response.writeHead(200, { "content-length": file!.length }).write(file!.subarray(0, 10));
    controller.abort();
    return true;
  };
  await refused("interrupted", /interrupted/, { signal: controller.signal });
  assert.deepEqual(await listImages(cache), []);
  assert.deepEqual(await readdir(cache), [], "no lock stays");
});

test("images: packages that are not what they should be are refused", async () => {
  const vmlinuz = "boot/vmlinuz-9.9-cloud-amd64";
  const cases: readonly (readonly [FakeRelease, ErrorCode, RegExp])[] = [
    [
      { busybox: fakePackage("", { "usr/bin/other": mirrorContents.busybox }) },
      "bad-archive",
      /busybox-static.*needed/,
    ],
    [{ busybox: Buffer.from("no archive at all") }, "bad-archive", /busybox-static.*not a Debian package/],
    [{ busybox: fakePackage(".gz", {}).subarray(0, 200) }, "bad-archive", /busybox-static/],
    [{ kernel: fakePackage(".gz", { [vmlinuz]: Buffer.from("no kernel") }) }, "not-a-kernel", /vmlinuz-9\.9/],
    [
      { kernel: fakePackage(".zst", { "boot/other": mirrorContents.kernel }) },
      "bad-archive",
      /linux-image-9\.9.*needed/,
    ],
  ];
  for (const [release, code, pattern] of cases) {
    await using broken = await fakeMirror(release);
    await refused(code, pattern, { mirror: broken.url, keys: [broken.key] });
  }
  assert.deepEqual(await listImages(cache), []);
});

test("images: a release that is out of date is used, with a warning", async () => {
  await using old = await fakeMirror({ validUntil: "Fri, 06 Nov 2020 08:08:01 UTC" });
  const warnings: string[] = [];
  await pull({ mirror: old.url, keys: [old.key], warn: (message) => warnings.push(message) });
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /out of date since 2020-11-06/);
});

test("images: a cache that cannot be written says so and names the way out", async () => {
  await writeFile(join(directory, "file"), "");
  await refused("cache-unwritable", /XENOLITH_CACHE/, { cacheDirectory: join(directory, "file", "cache") });
  await refused("cache-unwritable", /XENOLITH_CACHE/, { cacheDirectory: "/proc/xenolith" });
});

test("images: a cache that became read-only still serves what it has", async () => {
  const image = await pull();
  const locked = [cache, join(cache, "blobs", "sha256"), join(cache, "images")];
  for (const path of locked) await chmod(path, 0o555);
  // Modes do not bind root, but the user nobody, whom the rest of the test is.
  const root = process.geteuid?.() === 0;
  await chmod(directory, 0o755);
  if (root) process.seteuid?.(65534);
  try {
    assert.deepEqual(await pull(), image);
    await refused("cache-unwritable", /XENOLITH_CACHE/, { refresh: "refresh" });
  } finally {
    if (root) process.seteuid?.(0);
    for (const path of locked) await chmod(path, 0o755);
  }
});

test("images: two pulls at once download once", async () => {
  let waited = 0;
  const [first, second] = await Promise.all([pull({ onWait: () => waited++ }), pull({ onWait: () => waited++ })]);
  assert.deepEqual(first, second);
  assert.equal(waited, 1);
  assert.equal(mirror.requests.filter((path) => path === mirrorPaths.kernel).length, 1);
});

test("images: list and remove", async () => {
  assert.deepEqual(await listImages(cache), []);
  const image = await pull();
  assert.deepEqual(await listImages(cache), [image]);
  assert.equal(await removeImage("debian:12", cache), image.bytes);
  assert.deepEqual(await listImages(cache), []);
  assert.deepEqual(await readdir(join(cache, "blobs", "sha256")), []);
  for (const name of ["debian:12", "debian:99"]) {
    await assert.rejects(
      removeImage(name, cache),
      (error) => error instanceof XenError && error.code === "no-such-image",
    );
  }
});

test("images: the mirror is given, in the environment, or apt's", async () => {
  const apt = join(directory, "apt");
  await mkdir(join(apt, "sources.list.d"), { recursive: true });
  await writeFile(
    join(apt, "sources.list.d", "debian.sources"),
    `Types: deb\nURIs: ${mirror.url}\nSuites: bookworm\nComponents: main\n`,
  );
  await writeFile(join(apt, "sources.list.d", "ignored.save"), "deb http://127.0.0.1:9/debian bookworm main\n");
  const environment = { XENOLITH_CACHE: cache };
  const keys = [mirror.key];
  await pullImage("debian", { environment, aptDirectory: apt, keys });
  await rm(cache, { recursive: true });
  await pullImage("debian", {
    environment: { ...environment, XENOLITH_MIRROR: mirror.url },
    aptDirectory: "/nowhere",
    keys,
  });
  await rm(cache, { recursive: true });
  // The second mirror serves when the first cannot be reached.
  await writeFile(join(apt, "sources.list"), "deb http://127.0.0.1:9/debian bookworm main\n");
  await pullImage("debian", { environment, aptDirectory: apt, keys, sleep: briefly });
});

test("images: where the cache is", () => {
  assert.equal(cacheDirectory({ XENOLITH_CACHE: "/x/y" }), "/x/y");
  assert.equal(cacheDirectory({ XENOLITH_CACHE: "", XDG_CACHE_HOME: "/caches" }), "/caches/xenolith");
  assert.match(cacheDirectory({}), /[/\\]\.cache[/\\]xenolith$/);
});
