/** What a run needs before it starts: images, compiled programs, initramfs of both, and the peers that are there. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "../src/bits/errors.ts";
import { imageStore } from "../src/host/node/image-store.ts";
import { cacheDirectory, pullImage } from "../src/host/node/images.ts";
import { imageCommandLine } from "../src/images/command-line.ts";
import { buildInitramfs } from "../src/images/initramfs.ts";
import { findComplete } from "../src/images/manifest.ts";
import type { Options } from "./arguments.ts";
import { i386Image, seaBios, systemArchive } from "./guest/debian.ts";
import type { Architecture } from "./guest/debian.ts";
import { benchInitramfs } from "./guest/driver.ts";
import type { BenchFile } from "./guest/driver.ts";
import type { Plan } from "./measure.ts";
import { native } from "./peers/native.ts";
import type { GuestFiles, Peer } from "./peers/peer.ts";
import { qemu } from "./peers/qemu.ts";
import { v86 } from "./peers/v86.ts";
import { xenolith } from "./peers/xenolith.ts";
import { compilePrograms } from "./programs/compile.ts";
import { sampleText, suite } from "./suite.ts";
import type { Program } from "./suite.ts";

/** Plans, and what they are about; disposing of it removes its files. */
export interface Setup extends Disposable {
  /** One for each size of guest: the image with what was compiled, and the one with packages too. */
  readonly plans: readonly Plan[];
  /** Guests' kernel, as `uname -r` prints it. */
  readonly kernel: string;
  /** What cannot be measured here, and why. */
  readonly missing: readonly string[];
}

/** A guest without its programs: what differs between architectures. */
interface Base {
  readonly vmlinux: string;
  readonly bzImage: string;
  readonly busybox: Uint8Array;
  readonly release: string;
}

const MEMORY_MEGABYTES = { small: 512, large: 1024 } as const;

/** @throws Error when a name is unknown, XenError when the image cannot be had. */
export async function setUp(chosen: Options, image: string): Promise<Setup> {
  const missing: string[] = [];
  using cleanup = new DisposableStack();
  const directory = mkdtempSync(join(tmpdir(), "xenolith-bench-"));
  cleanup.defer(() => rmSync(directory, { recursive: true, force: true }));
  /** Undefined, and said so, when something cannot be had. */
  const attempt = async <T>(what: string, make: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await make();
    } catch (error) {
      missing.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };

  const wanted = wantedPrograms(chosen.names);
  const peers = (await wantedPeers(chosen, attempt)).filter((peer) => {
    if (peer.missing !== undefined) missing.push(`${peer.name}: ${peer.missing}`);
    return peer.missing === undefined;
  });
  const amd64 = await amd64Base(image);
  const bases = new Map<Architecture, Base>([["amd64", amd64]]);
  if (peers.some(({ architecture }) => architecture === "i386")) {
    const found = await attempt("the 32-bit image", i386Base);
    if (found !== undefined) bases.set("i386", found);
  }

  const plan = async (size: "small" | "large", programs: readonly Program[], host: Plan["native"]): Promise<Plan> => {
    const files: Partial<Record<Architecture, GuestFiles>> = {};
    for (const [architecture, base] of bases) {
      const system =
        size === "large" ? await attempt(`packages for ${architecture}`, () => systemArchive(architecture)) : undefined;
      if (size === "large" && system === undefined) continue;
      const initrd = join(directory, `${size}-${architecture}`);
      const contents = (await compiled(architecture)).concat(sources());
      writeFileSync(
        initrd,
        benchInitramfs(buildInitramfs(base.busybox), contents, system === undefined ? undefined : readFileSync(system)),
      );
      files[architecture] = {
        vmlinux: base.vmlinux,
        bzImage: base.bzImage,
        initrd,
        memoryMegabytes: MEMORY_MEGABYTES[size],
        commandLine: commandLine(chosen.append),
      };
    }
    const { scale, timeoutSeconds } = chosen;
    return { size, peers, programs, files, native: host, scale, timeoutSeconds };
  };

  const compilations = new Map<Architecture, readonly BenchFile[]>();
  const compiled = async (architecture: Architecture): Promise<readonly BenchFile[]> => {
    const known = compilations.get(architecture);
    if (known !== undefined) return known;
    const result = await compilePrograms(architecture);
    if (result.kind === "missing") missing.push(result.reason);
    const files = result.kind === "programs" ? result.files : [];
    compilations.set(architecture, files);
    return files;
  };

  const plans: Plan[] = [];
  const hasCompiled = (await compiled("amd64")).length > 0;
  const small = wanted.filter(({ needs }) => needs === "nothing" || (needs === "compiled" && hasCompiled));
  const large = wanted.filter(({ needs }) => needs === "packages");
  const host = native(amd64.busybox, (await compiled("amd64")).concat(sources()));
  if (host === undefined)
    missing.push("native: this host does not run Linux's x86-64 programs; slow-downs are unknown");
  else cleanup.use(host);
  if (small.length > 0 || large.length === 0) plans.push(await plan("small", small, host));
  if (large.length > 0) plans.push(await plan("large", large, undefined));
  const owned = cleanup.move();
  return { plans, kernel: amd64.release, missing, [Symbol.dispose]: () => owned.dispose() };
}

/** What programs read: texts, and the sources that gcc and Python are given. */
function sources(): BenchFile[] {
  const read = (name: string): BenchFile => ({
    name,
    contents: readFileSync(new URL(`programs/${name}`, import.meta.url)),
  });
  return [{ name: "data", contents: sampleText() }, ...["bench.py", "bench.h", "strings.c"].map(read)];
}

/** A stock boot, self-tests and all: they are part of what other machines are timed with. */
function commandLine(append: string): string {
  const stock = imageCommandLine("quiet").replace("console=hvc0 ", "").replace(" cryptomgr.notests", "");
  return `${stock} ${append}`.trim();
}

async function amd64Base(image: string): Promise<Base> {
  const { kernel, vmlinux, kernelRelease, reference } = await pullImage(image, {});
  const store = imageStore(cacheDirectory());
  const manifest = await findComplete(store, reference);
  assert(manifest !== undefined, `image ${reference}: pulled, but not complete`);
  const busybox = await store.read(manifest.busybox.sha256);
  return { vmlinux, bzImage: kernel, busybox, release: kernelRelease };
}

async function i386Base(): Promise<Base> {
  const { kernel, busybox } = await i386Image();
  return { vmlinux: kernel, bzImage: kernel, busybox: readFileSync(busybox), release: "686" };
}

type Attempt = <T>(what: string, make: () => Promise<T>) => Promise<T | undefined>;

/** Xenolith, and those that were asked for. */
async function wantedPeers({ peers: names, processors }: Options, attempt: Attempt): Promise<Peer[]> {
  const all: Readonly<Record<string, () => Promise<Peer[]>>> = {
    qemu: () => Promise.resolve(processors.flatMap((model) => [qemu(model, "default"), qemu(model, "off")])),
    v86: async () => [v86(await attempt("SeaBIOS", seaBios))],
  };
  const unknown = names?.filter((name) => all[name] === undefined) ?? [];
  if (unknown.length > 0) {
    throw new Error(`there is no peer "${unknown.join(", ")}"; there are ${Object.keys(all).join(", ")}`);
  }
  const peers = [xenolith()];
  for (const [name, make] of Object.entries(all)) {
    if (names === undefined || names.includes(name)) peers.push(...(await make()));
  }
  return peers;
}

/** "boot" is measured in any case. */
function wantedPrograms(names: readonly string[]): readonly Program[] {
  const unknown = names.filter((name) => name !== "boot" && suite.every((program) => program.name !== name));
  if (unknown.length > 0) {
    const all = ["boot", ...suite.map(({ name }) => name)].join(", ");
    throw new Error(`there is no program "${unknown.join(", ")}"; there are ${all}`);
  }
  return names.length === 0 ? suite : suite.filter(({ name }) => names.includes(name));
}
