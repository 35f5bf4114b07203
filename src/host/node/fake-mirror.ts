/** A Debian mirror for the tests: a release signed by a key of its own, on a server of this machine, that can misbehave. */

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { createCleartextMessage, generateKey, sign } from "openpgp";
import { bzImage, smallKernel } from "../../boot/synthetic-kernels.ts";
import type { ArchiveKey } from "../../images/keys/archive-key.ts";

/** Answers a request in another way than with the file: returns whether it did. */
export type Misbehaviour = (
  request: IncomingMessage,
  response: ServerResponse,
  file: Uint8Array | undefined,
) => boolean;

/** A mirror that runs. */
export interface FakeMirror extends AsyncDisposable {
  readonly url: string;
  readonly key: ArchiveKey;
  /** Every path that was asked for, in order. */
  readonly requests: string[];
  /** The files by path below the root; a test may change them. */
  readonly files: Map<string, Uint8Array>;
  misbehave: Misbehaviour;
}

/** The paths of what a pull of debian:12 needs. */
export const mirrorPaths = {
  release: "dists/bookworm/InRelease",
  packages: "dists/bookworm/main/binary-amd64/Packages.gz",
  kernel: "pool/main/l/linux-image-9.9-cloud-amd64_9.9-1_amd64.deb",
  busybox: "pool/main/b/busybox-static_1.0-1_amd64.deb",
} as const;

/** What the packages contain. */
export const mirrorContents = {
  kernel: bzImage(gzipSync(smallKernel())),
  vmlinux: smallKernel(),
  busybox: Uint8Array.from({ length: 70_000 }, (_, i) => (i * i) & 0xff),
} as const;

function tar(files: Readonly<Record<string, Uint8Array>>): Buffer {
  const parts: Uint8Array[] = [];
  for (const [path, contents] of Object.entries(files)) {
    const header = Buffer.alloc(512);
    header.write(`./${path}`);
    header.write(`${contents.length.toString(8).padStart(11, "0")} `, 124);
    header.write("0", 156);
    header.write("ustar\0", 257);
    parts.push(header, contents, Buffer.alloc(-contents.length & 511));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

function ar(members: Readonly<Record<string, Uint8Array>>): Buffer {
  const parts: Uint8Array[] = [Buffer.from("!<arch>\n")];
  for (const [name, contents] of Object.entries(members)) {
    const header = `${name.padEnd(16)}${"0".padEnd(12)}0     0     100644  ${String(contents.length).padEnd(10)}\x60\n`;
    parts.push(Buffer.from(header), contents, Buffer.alloc(contents.length & 1, "\n"));
  }
  return Buffer.concat(parts);
}

/** A package with these files. */
export function fakePackage(suffix: ".gz" | ".zst" | "", files: Readonly<Record<string, Uint8Array>>): Buffer {
  const data = tar(files);
  const compressed = suffix === ".gz" ? gzipSync(data) : suffix === ".zst" ? zstdCompressSync(data) : data;
  return ar({
    "debian-binary": Buffer.from("2.0\n"),
    "control.tar.gz": gzipSync(tar({})),
    [`data.tar${suffix}`]: compressed,
  });
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function entry(version: string, name: string, path: string, depends: string, contents: Uint8Array): string {
  return `Package: ${name}
Version: ${version}
Depends: ${depends}
Filename: ${path}
Size: ${contents.length}
SHA256: ${sha256(contents)}

`;
}

/** What may be unusual about a release. */
export interface FakeRelease {
  /** As HTTP writes dates. */
  readonly validUntil?: string;
  /** Of all packages. */
  readonly version?: string;
  /** Packages that replace those that {@link mirrorContents} are in. */
  readonly kernel?: Uint8Array;
  readonly busybox?: Uint8Array;
}

export async function fakeMirror(release: FakeRelease = {}): Promise<FakeMirror> {
  const validUntil = release.validUntil ?? "Fri, 01 Jan 2100 00:00:00 UTC";
  const version = release.version ?? "9.9-1";
  const files = new Map<string, Uint8Array>();
  const kernelFiles = { "boot/config-9.9": Buffer.from("#"), "boot/vmlinuz-9.9-cloud-amd64": mirrorContents.kernel };
  files.set(mirrorPaths.kernel, release.kernel ?? fakePackage(".zst", kernelFiles));
  files.set(mirrorPaths.busybox, release.busybox ?? fakePackage(".gz", { "usr/bin/busybox": mirrorContents.busybox }));
  const packages = gzipSync(
    entry(version, "linux-image-cloud-amd64", "none", "linux-image-9.9-cloud-amd64 (= 9.9-1)", new Uint8Array(0)) +
      entry(version, "linux-image-9.9-cloud-amd64", mirrorPaths.kernel, "kmod", files.get(mirrorPaths.kernel)!) +
      entry(version, "busybox-static", mirrorPaths.busybox, "", files.get(mirrorPaths.busybox)!),
  );
  files.set(mirrorPaths.packages, packages);

  const { privateKey } = await generateKey({ userIDs: [{ name: "Fake archive" }], format: "object" });
  const text = `Codename: bookworm
Version: 12.99
Valid-Until: ${validUntil}
Acquire-By-Hash: yes
SHA256:
 ${sha256(packages)} ${packages.length} main/binary-amd64/Packages.gz
`;
  const signed = await sign({ message: await createCleartextMessage({ text }), signingKeys: privateKey });
  files.set(mirrorPaths.release, Buffer.from(signed));

  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url!.replace(/^\/debian\//, ""));
    requests.push(path);
    const byHash = /^(.*)\/by-hash\/SHA256\/([0-9a-f]+)$/.exec(path);
    const file = byHash ? [...files.values()].find((bytes) => sha256(bytes) === byHash[2]) : files.get(path);
    if (mirror.misbehave(request, response, file)) return;
    if (file === undefined) response.writeHead(404).end("no such file");
    else sendFile(request, response, file);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const mirror: FakeMirror = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/debian`,
    key: { name: "Fake archive", fingerprint: privateKey.getFingerprint(), armored: privateKey.toPublic().armor() },
    requests,
    files,
    misbehave: () => false,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return mirror;
}

/** Sends a file, or the end of it that a Range header asks for. */
export function sendFile(request: IncomingMessage, response: ServerResponse, file: Uint8Array): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? -1);
  if (from < 0) response.writeHead(200, { "content-length": file.length }).end(file);
  else response.writeHead(206, { "content-length": file.length - from }).end(file.subarray(from));
}

/** Sends the beginning of a file and breaks the connection. */
export function cutOff(response: ServerResponse, file: Uint8Array, from: number, bytes: number): void {
  response.writeHead(from === 0 ? 200 : 206, { "content-length": file.length - from });
  response.write(file.subarray(from, from + bytes), () => response.destroy());
}
