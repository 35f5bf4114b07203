/** What the store remembers of a pulled image. */

import type { Digest, ImageStore } from "./store.ts";

/** A stored file. */
export interface Blob {
  readonly sha256: Digest;
  readonly bytes: number;
}

/** A file and the package it came in. */
export interface PackagedBlob extends Blob {
  readonly package: string;
  readonly packageVersion: string;
}

/** A pulled image, as JSON in the store. */
export interface Manifest {
  readonly schema: 1;
  readonly reference: string;
  /** The release's version, as in "12.15". */
  readonly release: string;
  /** The kernel's own name for itself, as `uname -r` prints it. */
  readonly kernelRelease: string;
  /** The bzImage as it was packaged. */
  readonly kernel: PackagedBlob;
  /** The ELF image inside it, unpacked once so that a boot does not. */
  readonly vmlinux: Blob;
  readonly busybox: PackagedBlob;
  /** Fingerprint of the key that signed the release. */
  readonly signedBy: string;
  /** When it was pulled, ISO 8601. */
  readonly pulled: string;
}

/** The file name of an image's manifest: references contain characters that file names may not. */
export function manifestName(reference: string): string {
  return reference.replaceAll(/[:/]/g, "-");
}

/** @returns the manifest of an image that is complete, or undefined when it must be pulled. */
export async function findComplete(store: ImageStore, reference: string): Promise<Manifest | undefined> {
  const manifest = await readManifest(store, manifestName(reference));
  if (manifest?.reference !== reference) return undefined;
  for (const blob of [manifest.kernel, manifest.vmlinux, manifest.busybox]) {
    if ((await store.size(blob.sha256)) !== blob.bytes) return undefined;
  }
  return manifest;
}

/** @returns the manifest, or undefined when there is none or it is damaged, which pulling again repairs. */
export async function readManifest(store: ImageStore, name: string): Promise<Manifest | undefined> {
  const text = await store.readManifest(name);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isManifest(value) ? value : undefined;
}

function isManifest(value: unknown): value is Manifest {
  if (typeof value !== "object" || value === null) return false;
  const fields = value as Record<string, unknown>;
  return (
    fields["schema"] === 1 &&
    ["reference", "release", "kernelRelease", "signedBy", "pulled"].every((name) => typeof fields[name] === "string") &&
    [fields["kernel"], fields["vmlinux"], fields["busybox"]].every(isBlob)
  );
}

function isBlob(value: unknown): value is Blob {
  if (typeof value !== "object" || value === null) return false;
  const { sha256, bytes } = value as Partial<Blob>;
  return typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256) && typeof bytes === "number";
}
