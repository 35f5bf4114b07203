/** Pulling an image: from a Debian mirror's signed release to a kernel and an initial RAM file system in the store. */

import { XenError } from "../bits/errors.ts";
import { isBzImage, unpackBzImage } from "../boot/bzimage.ts";
import { decompress } from "../boot/compression.ts";
import type { Decompressors } from "../boot/compression.ts";
import { catalogueEntry } from "./catalogue.ts";
import type { CatalogueEntry } from "./catalogue.ts";
import { fileInPackage } from "./deb.ts";
import { NotOnMirror, download, downloadVerified, sha256 } from "./download.ts";
import type { Downloader, Received } from "./download.ts";
import { buildInitramfs } from "./initramfs.ts";
import type { ArchiveKey } from "./keys/archive-key.ts";
import { findComplete, manifestName, readManifest } from "./manifest.ts";
import type { Blob, Manifest, PackagedBlob } from "./manifest.ts";
import { kernelPackage, packageIndex, packageNamed } from "./packages.ts";
import type { Package, PackageIndex } from "./packages.ts";
import { parseRelease } from "./release.ts";
import type { Release } from "./release.ts";
import { verifyClearsigned } from "./signature.ts";
import type { ImageStore } from "./store.ts";

/** What pulling an image is doing: `bytes` of `total` where they are known. */
export interface PullProgress {
  readonly phase: "release" | "packages" | "kernel" | "busybox" | "unpack";
  readonly bytes: number;
  readonly total: number | undefined;
}

/** What pulling needs from its host. */
export interface PullHost extends Downloader {
  readonly store: ImageStore;
  readonly decompressors: Decompressors;
  /** Keys whose signature on a release is believed. */
  readonly keys: readonly ArchiveKey[];
  /** Mirrors' URLs without a slash at the end, tried in this order. Called only when the network is needed. */
  readonly mirrors: () => readonly string[];
  readonly now: () => Date;
  readonly progress?: ((progress: PullProgress) => void) | undefined;
  /** Told of what is odd but no reason to stop, one sentence each. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** A pulled image. The files are in the store: open them for reading only. */
export interface Image {
  readonly reference: string;
  /** The release's version, as in "12.15". */
  readonly release: string;
  /** As `uname -r` prints it in the guest. */
  readonly kernelRelease: string;
  /** Version of the kernel's package. */
  readonly version: string;
  /** Path of the bzImage as Debian ships it. */
  readonly kernel: string;
  /** Path of the ELF image that was inside it; boots the same, sooner. */
  readonly vmlinux: string;
  /** Path of the initial RAM file system; append a run's archive to its bytes. */
  readonly initrd: string;
  /** Size in bytes of what the store keeps for it. */
  readonly bytes: number;
  /** When it was pulled, ISO 8601. */
  readonly pulled: string;
}

/** An ELF kernel larger than this is refused. */
const MAXIMUM_KERNEL_BYTES = 512 << 20;
/** A release's list of packages, uncompressed: some 50 MB today. */
const MAXIMUM_INDEX_BYTES = 512 << 20;

/**
 * The image of that name, pulled from a mirror unless the store has it.
 * Without `refresh` a complete image needs no network and no writing.
 * @throws XenError: see the functions that this calls; the message says what to do.
 */
export async function pullImage(
  reference: string,
  host: PullHost,
  refresh: "refresh" | "keep" = "keep",
): Promise<Image> {
  const entry = catalogueEntry(reference);
  if (refresh === "keep") {
    const manifest = await findComplete(host.store, entry.reference);
    if (manifest !== undefined) return imageOf(host.store, manifest);
  }
  return host.store.exclusively(async () => {
    // Another process may have pulled it while this one waited.
    const before = await findComplete(host.store, entry.reference);
    const manifest = before !== undefined && refresh === "keep" ? before : await pull(entry, before, host);
    return imageOf(host.store, manifest);
  });
}

/** The images that are in the store, whole ones only. */
export async function listImages(store: ImageStore): Promise<Image[]> {
  const images: Image[] = [];
  for (const name of await store.manifests()) {
    const manifest = await readManifest(store, name);
    if (manifest === undefined || (await findComplete(store, manifest.reference)) === undefined) continue;
    images.push(await imageOf(store, manifest));
  }
  return images.toSorted((a, b) => a.reference.localeCompare(b.reference));
}

/**
 * Removes an image and the files that no other needs.
 * @returns the bytes that were freed.
 * @throws XenError "no-such-image" when it is not in the store.
 */
export async function removeImage(reference: string, store: ImageStore): Promise<number> {
  const { reference: name } = catalogueEntry(reference);
  return store.exclusively(async () => {
    if (!(await store.removeManifest(manifestName(name)))) {
      throw new XenError("no-such-image", `image "${name}": not in the cache, so it cannot be removed`);
    }
    return store.sweep(await blobsInUse(store));
  });
}

async function blobsInUse(store: ImageStore): Promise<Set<string>> {
  const keep = new Set<string>();
  for (const name of await store.manifests()) {
    const manifest = await readManifest(store, name);
    if (manifest === undefined) continue;
    for (const blob of [manifest.kernel, manifest.vmlinux, manifest.busybox]) keep.add(blob.sha256);
    keep.add((await initramfsOf(store, manifest)).sha256);
  }
  return keep;
}

/** The image's paths. The initramfs is written when it is not there, as after an update of this program. */
async function imageOf(store: ImageStore, manifest: Manifest): Promise<Image> {
  const initramfs = await initramfsOf(store, manifest);
  if ((await store.size(initramfs.sha256)) !== initramfs.bytes) await store.put(initramfs.sha256, initramfs.contents);
  return {
    reference: manifest.reference,
    release: manifest.release,
    kernelRelease: manifest.kernelRelease,
    version: manifest.kernel.packageVersion,
    kernel: store.path(manifest.kernel.sha256),
    vmlinux: store.path(manifest.vmlinux.sha256),
    initrd: store.path(initramfs.sha256),
    bytes: manifest.kernel.bytes + manifest.vmlinux.bytes + manifest.busybox.bytes + initramfs.bytes,
    pulled: manifest.pulled,
  };
}

async function initramfsOf(store: ImageStore, manifest: Manifest): Promise<Blob & { contents: Uint8Array }> {
  const contents = buildInitramfs(await store.read(manifest.busybox.sha256));
  return { sha256: await sha256(contents), bytes: contents.length, contents };
}

async function pull(entry: CatalogueEntry, before: Manifest | undefined, host: PullHost): Promise<Manifest> {
  const { mirror, release, signedBy } = await fetchRelease(entry.codename, host);
  if (release.validUntil !== undefined && release.validUntil < host.now()) {
    const date = release.validUntil.toISOString().slice(0, 10);
    host.warn?.(`${mirror}: its release "${entry.codename}" is out of date since ${date}; its signature is good`);
  }
  const index = await fetchIndex(mirror, release, host);
  const kernel = kernelPackage(index, entry.kernelPackage);
  const busybox = packageNamed(index, "busybox-static");
  if (before !== undefined && isUpToDate(before.kernel, kernel) && isUpToDate(before.busybox, busybox)) return before;

  const kernelDeb = await fetchPackage(mirror, kernel, "kernel", host);
  const busyboxDeb = await fetchPackage(mirror, busybox, "busybox", host);
  host.progress?.({ phase: "unpack", bytes: 0, total: undefined });
  const isKernel = /^boot\/vmlinuz-[^/]+$|^(?:usr\/)?lib\/modules\/[^/]+\/vmlinuz$/;
  const bzImage = fileInPackage(kernelDeb, (path) => isKernel.test(path), host.decompressors, `package ${kernel.name}`);
  const isBusybox = /^(?:usr\/)?bin\/busybox$/;
  const shell = fileInPackage(busyboxDeb, (path) => isBusybox.test(path), host.decompressors, "package busybox-static");
  if (!isBzImage(bzImage.contents))
    throw new XenError("not-a-kernel", `package ${kernel.name}: ${bzImage.path} is no bzImage`);
  const { image } = unpackBzImage(bzImage.contents, host.decompressors, bzImage.path, MAXIMUM_KERNEL_BYTES);

  const put = async (contents: Uint8Array): Promise<Blob> => {
    const digest = await sha256(contents);
    await host.store.put(digest, contents);
    return { sha256: digest, bytes: contents.length };
  };
  const packaged = async (from: Package, contents: Uint8Array): Promise<PackagedBlob> => ({
    ...(await put(contents)),
    package: from.name,
    packageVersion: from.version,
  });
  const manifest: Manifest = {
    schema: 1,
    reference: entry.reference,
    release: release.version,
    kernelRelease: kernel.name.replace(/^linux-(?:image|binary)-/, ""),
    kernel: await packaged(kernel, bzImage.contents),
    vmlinux: await put(image),
    busybox: await packaged(busybox, shell.contents),
    signedBy,
    pulled: host.now().toISOString(),
  };
  await host.store.writeManifest(manifestName(entry.reference), `${JSON.stringify(manifest, null, 2)}\n`);
  // What this image had before, and initial RAM file systems of earlier versions of this program.
  await host.store.sweep(await blobsInUse(host.store));
  return manifest;
}

function isUpToDate(blob: PackagedBlob, current: Package): boolean {
  return blob.package === current.name && blob.packageVersion === current.version;
}

/** A release whose signature was good. */
export interface SignedRelease {
  /** Its mirror's URL, without a slash at the end. */
  readonly mirror: string;
  readonly release: Release;
  readonly signedBy: string;
}

/** From the first mirror that has this release. A bad signature is not passed over in favour of another mirror. */
export async function fetchRelease(codename: string, host: PullHost): Promise<SignedRelease> {
  let failure: XenError | undefined;
  for (const mirror of host.mirrors()) {
    host.progress?.({ phase: "release", bytes: 0, total: undefined });
    const url = `${mirror}/dists/${codename}/InRelease`;
    let armored: string;
    try {
      armored = new TextDecoder().decode(await download(url, host));
    } catch (cause) {
      if (!(cause instanceof XenError) || cause.code !== "mirror-unreachable") throw cause;
      failure ??= cause;
      continue;
    }
    const { text, key } = await verifyClearsigned(armored, host.keys, url, host.now());
    return { mirror, release: parseRelease(text, codename, url), signedBy: key.fingerprint };
  }
  throw failure ?? new XenError("mirror-unreachable", "no Debian mirror is known; give one with --mirror");
}

/** The release's list of packages. */
export async function fetchIndex(
  mirror: string,
  release: Release,
  host: PullHost,
  architecture = "amd64",
): Promise<PackageIndex> {
  const path = `main/binary-${architecture}/Packages`;
  const file = [".xz", ".gz", ""].map((suffix) => release.files.get(path + suffix)).find((found) => found);
  if (file === undefined)
    throw new XenError("bad-archive", `${mirror}: release "${release.codename}" has no ${architecture} packages`);
  const base = `${mirror}/dists/${release.codename}`;
  const received = reporter(host, "packages");
  const plain = (): Promise<Uint8Array> => downloadVerified(`${base}/${file.path}`, file, host, received);
  const byHash = `${base}/${file.path.replace(/[^/]*$/, "")}by-hash/SHA256/${file.sha256}`;
  const bytes = release.byHash
    ? await downloadVerified(byHash, file, host, received).catch((cause: unknown) => {
        if (cause instanceof NotOnMirror) return plain();
        throw cause;
      })
    : await plain();
  const compression = file.path.endsWith(".xz") ? "xz" : file.path.endsWith(".gz") ? "gzip" : undefined;
  if (compression === undefined) return packageIndex(bytes);
  return packageIndex(decompress(compression, bytes, MAXIMUM_INDEX_BYTES, host.decompressors, `${base}/${file.path}`));
}

/** A package's bytes, compared with the digest that the index gives. */
export function fetchPackage(
  mirror: string,
  wanted: Package,
  phase: "kernel" | "busybox",
  host: PullHost,
): Promise<Uint8Array> {
  const path = wanted.path.split("/").map(encodeURIComponent).join("/");
  return downloadVerified(`${mirror}/${path}`, wanted, host, reporter(host, phase));
}

function reporter(host: PullHost, phase: PullProgress["phase"]): Received {
  return (bytes, total) => host.progress?.({ phase, bytes, total });
}
