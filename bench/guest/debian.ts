/** What guests have beside the image: programs out of Debian's packages, and a 32-bit kernel. Verified, and kept in the cache. */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cpioArchive } from "../../src/boot/cpio.ts";
import type { CpioEntry } from "../../src/boot/cpio.ts";
import { decompressors } from "../../src/host/node/decompressors.ts";
import { cacheDirectory, pullHost } from "../../src/host/node/images.ts";
import { fileInPackage, packageTar } from "../../src/images/deb.ts";
import { kernelPackage, packageNamed } from "../../src/images/packages.ts";
import type { PackageIndex } from "../../src/images/packages.ts";
import { fetchIndex, fetchPackage, fetchRelease } from "../../src/images/pull.ts";
import { tarEntries } from "./tar.ts";

/** Debian's name for a kind of processor. */
export type Architecture = "amd64" | "i386";

/** The same whatever the image is: 32-bit kernels end with it. */
const CODENAME = "bookworm";

const indices = new Map<Architecture, Promise<{ mirror: string; index: PackageIndex }>>();

/** The release's list of packages: fetched once a run, and only when something is not in the cache. */
function packages(architecture: Architecture): Promise<{ mirror: string; index: PackageIndex }> {
  const fetched = indices.get(architecture) ?? fetchList(architecture);
  indices.set(architecture, fetched);
  return fetched;
}

async function fetchList(architecture: Architecture): Promise<{ mirror: string; index: PackageIndex }> {
  const host = pullHost();
  const { mirror, release } = await fetchRelease(CODENAME, host);
  return { mirror, index: await fetchIndex(mirror, release, host, architecture) };
}

/** A package's bytes. */
async function deb(name: string, architecture: Architecture): Promise<Uint8Array> {
  const path = await kept(`${name}-${architecture}.deb`, async () => {
    const { mirror, index } = await packages(architecture);
    const wanted = name.startsWith("linux-image-") ? kernelPackage(index, name) : packageNamed(index, name);
    return fetchPackage(mirror, wanted, "busybox", pullHost());
  });
  return readFileSync(path);
}

/** The path of a file in the benchmark's part of the cache, made when it is not there. */
async function kept(name: string, make: () => Promise<Uint8Array>): Promise<string> {
  const directory = join(cacheDirectory(), "bench");
  const path = join(directory, `${CODENAME}-${name}`);
  if (existsSync(path)) return path;
  const contents = await make();
  mkdirSync(directory, { recursive: true });
  // Whole or not at all.
  writeFileSync(`${path}.part`, contents);
  renameSync(`${path}.part`, path);
  return path;
}

/** The path of one file out of a package. */
function fileOf(name: string, architecture: Architecture, matches: (path: string) => boolean): Promise<string> {
  return kept(`${name}-${architecture}.file`, async () => {
    return fileInPackage(await deb(name, architecture), matches, decompressors, name).contents;
  });
}

/** The 32-bit counterparts of an image's kernel (a bzImage) and busybox: their paths. */
export async function i386Image(): Promise<{ readonly kernel: string; readonly busybox: string }> {
  return {
    kernel: await fileOf("linux-image-686", "i386", (path) => path.startsWith("boot/vmlinuz-")),
    busybox: await fileOf("busybox-static", "i386", (path) => path === "bin/busybox"),
  };
}

/** SeaBIOS, for machines that come without a BIOS: its path. */
export function seaBios(): Promise<string> {
  return fileOf("seabios", "amd64", (path) => path.endsWith("/seabios/bios.bin"));
}

/** Headers and static libraries for 32-bit programs, below `directory`: what gcc needs for -m32 on an amd64 host. */
export async function i386Sysroot(directory: string): Promise<void> {
  for (const name of ["libc6-dev", "linux-libc-dev", "libgcc-12-dev"]) {
    for (const entry of tarEntries(packageTar(await deb(name, "i386"), decompressors, name))) {
      const path = join(directory, entry.path);
      if (entry.type === "directory") mkdirSync(path, { recursive: true });
      if (entry.type === "file") writeFileSync(path, entry.contents);
    }
  }
}

/** What the large guest has: openssl, Python without its larger libraries, and gcc that compiles and assembles C. */
const PACKAGES: readonly string[] = [
  ..."libc6 libgcc-s1 zlib1g libssl3 openssl".split(" "),
  ..."python3.11-minimal libpython3.11-minimal".split(" "),
  ..."gcc-12 cpp-12 libgcc-12-dev libc6-dev linux-libc-dev libcrypt-dev".split(" "),
  ..."libisl23 libmpc3 libmpfr6 libgmp10 libzstd1 libjansson4 libbinutils libctf0 libctf-nobfd0 libexpat1 binutils".split(
    " ",
  ),
];
const BINUTILS: Readonly<Record<Architecture, string>> = {
  amd64: "binutils-x86-64-linux-gnu",
  i386: "binutils-i686-linux-gnu",
};

/** What nobody runs here: link-time optimisation, C++, documentation, linkers, static libraries. */
const SUPERFLUOUS =
  /^usr\/share\/|\/lto1$|\/lto-wrapper$|(?<!libc_nonshared|libgcc)\.a$|_asan|_tsan|_ubsan|\/plugin\/|\/gold$|-(?:dwp|gold|ld\.gold|gprof|lto-dump)[^/]*$|\/gprofng|\/gconv\//;

/** Those packages as an archive to put behind an image's initramfs: its path. */
export function systemArchive(architecture: Architecture): Promise<string> {
  const chosen = createHash("sha256").update(`${PACKAGES.join()} ${SUPERFLUOUS.source}`).digest("hex");
  return kept(`system-${architecture}-${chosen.slice(0, 12)}.cpio`, async () => {
    const entries = new Map<string, CpioEntry>();
    for (const name of [...PACKAGES, BINUTILS[architecture]]) {
      for (const entry of tarEntries(packageTar(await deb(name, architecture), decompressors, name))) {
        if (SUPERFLUOUS.test(entry.path)) continue;
        const path = merged(entry.path);
        if (!entries.has(path) || entry.type !== "directory") entries.set(path, { ...entry, path });
      }
    }
    return cpioArchive([...links(architecture), ...entries.values()]);
  });
}

/** The image has /bin and /sbin of its own, and no /lib: Debian's programs look in both /lib and /usr/lib. */
function merged(path: string): string {
  return path.replace(/^(lib|lib64|libx32|lib32)(?=\/|$)/, "usr/$1");
}

function links(architecture: Architecture): CpioEntry[] {
  const names = architecture === "amd64" ? ["lib", "lib64"] : ["lib"];
  return names.map((path) => ({ type: "symlink", path, target: `usr/${path}` }));
}
