/** Where pulled images are kept: blobs by their digest, and a manifest for each image. The host implements it. */

/** SHA-256 of a blob's contents, in lower-case hexadecimal. */
export type Digest = string;

/** A content-addressed store. Everything it holds can be fetched or made again. */
export interface ImageStore {
  /** Where the blob is, or would be, as the host's programs can open it. */
  path(digest: Digest): string;
  /** @returns the blob's size in bytes, or undefined when it is not there. */
  size(digest: Digest): Promise<number | undefined>;
  /** The blob's contents. Throws XenError "io-error" when they cannot be read. */
  read(digest: Digest): Promise<Uint8Array>;
  /** Stores bytes whole or not at all; does nothing when they are there. Throws XenError "cache-unwritable". */
  put(digest: Digest, bytes: Uint8Array): Promise<void>;
  /** Names of the manifests. */
  manifests(): Promise<string[]>;
  readManifest(name: string): Promise<string | undefined>;
  /** Replaces a manifest whole. Throws XenError "cache-unwritable". */
  writeManifest(name: string, text: string): Promise<void>;
  /** @returns whether there was one. */
  removeManifest(name: string): Promise<boolean>;
  /** Removes all blobs but these. @returns the bytes that were freed. */
  sweep(keep: ReadonlySet<Digest>): Promise<number>;
  /** Runs `work` while no other process does so under the same store. Throws XenError "cache-unwritable". */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
}
