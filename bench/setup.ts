/** What a run needs before it starts: the image, compiled programs, an initramfs of both, and the peers that are there. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "../src/bits/errors.ts";
import { imageStore } from "../src/host/node/image-store.ts";
import { cacheDirectory, pullImage } from "../src/host/node/images.ts";
import { imageCommandLine } from "../src/images/command-line.ts";
import { findComplete } from "../src/images/manifest.ts";
import type { Options } from "./arguments.ts";
import { benchInitramfs } from "./guest/driver.ts";
import type { Plan } from "./measure.ts";
import { native } from "./peers/native.ts";
import type { GuestFiles, Peer } from "./peers/peer.ts";
import { qemu } from "./peers/qemu.ts";
import { xenolith } from "./peers/xenolith.ts";
import { compilePrograms } from "./programs/compile.ts";
import { sampleText, suite } from "./suite.ts";

const MEMORY_MEGABYTES = 512;

/** A plan, and what it is about; disposing of it removes its files. */
export interface Setup extends Disposable {
  readonly plan: Plan;
  /** Guests' kernel, as `uname -r` prints it. */
  readonly kernel: string;
  /** What cannot be measured here, and why. */
  readonly missing: readonly string[];
}

/** @throws Error when a name is unknown, XenError when the image cannot be had. */
export async function setUp(chosen: Options, image: string): Promise<Setup> {
  const missing: string[] = [];
  using cleanup = new DisposableStack();
  const directory = mkdtempSync(join(tmpdir(), "xenolith-bench-"));
  cleanup.defer(() => rmSync(directory, { recursive: true, force: true }));

  const peers: Peer[] = process.env["BENCH_WITHOUT_XENOLITH"] ? [] : [xenolith()];
  for (const peer of wantedPeers(chosen.peers)) {
    if (peer.missing === undefined) peers.push(peer);
    else missing.push(`${peer.name}: ${peer.missing}`);
  }
  const compiled = compilePrograms("amd64");
  if (compiled.kind === "missing") missing.push(compiled.reason);
  const programs = wantedPrograms(chosen.names).filter(({ needs }) => needs !== "gcc" || compiled.kind === "programs");
  const files = [{ name: "data", contents: sampleText() }, ...(compiled.kind === "programs" ? compiled.files : [])];

  const { kernel, vmlinux, initrd, kernelRelease, reference } = await pullImage(image, {});
  const store = imageStore(cacheDirectory());
  const manifest = await findComplete(store, reference);
  assert(manifest !== undefined, `image ${reference}: pulled, but not complete`);
  const busybox = await store.read(manifest.busybox.sha256);
  const initramfs = join(directory, "initrd");
  writeFileSync(initramfs, benchInitramfs(readFileSync(initrd), files));
  const amd64: GuestFiles = {
    vmlinux,
    bzImage: kernel,
    initrd: initramfs,
    memoryMegabytes: MEMORY_MEGABYTES,
    // A stock boot, self-tests and all: they are part of what other machines are timed with.
    commandLine:
      `${imageCommandLine("quiet").replace("console=hvc0 ", "").replace(" cryptomgr.notests", "")} ${chosen.append}`.trim(),
  };
  const host = native(busybox, files);
  if (host === undefined)
    missing.push("native: this host does not run Linux's x86-64 programs; slow-downs are unknown");
  else cleanup.use(host);
  const { scale, timeoutSeconds } = chosen;
  const owned = cleanup.move();
  return {
    plan: { peers, programs, files: { amd64, i386: undefined }, native: host, scale, timeoutSeconds },
    kernel: kernelRelease,
    missing,
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function wantedPeers(names: readonly string[] | undefined): Peer[] {
  const all = { qemu: () => [qemu("default"), qemu("off")] } as const;
  const unknown = names?.filter((name) => !(name in all)) ?? [];
  if (unknown.length > 0)
    throw new Error(`there is no peer "${unknown.join(", ")}"; there are ${Object.keys(all).join(", ")}`);
  return Object.entries(all).flatMap(([name, make]) => (names === undefined || names.includes(name) ? make() : []));
}

/** "boot" is measured in any case. */
function wantedPrograms(names: readonly string[]): typeof suite {
  const unknown = names.filter((name) => name !== "boot" && suite.every((program) => program.name !== name));
  if (unknown.length > 0) {
    const all = ["boot", ...suite.map(({ name }) => name)].join(", ");
    throw new Error(`there is no program "${unknown.join(", ")}"; there are ${all}`);
  }
  return names.length === 0 ? suite : suite.filter(({ name }) => names.includes(name));
}
