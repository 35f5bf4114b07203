/** Images on a machine with Node.js: its cache directory, its apt configuration, its network. */

import { readFileSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { XenError } from "../../bits/errors.ts";
import { debianArchiveKeys } from "../../images/keys/debian.ts";
import type { ArchiveKey } from "../../images/keys/archive-key.ts";
import { aptMirrors, defaultMirrors, mirrorUrl } from "../../images/mirror.ts";
import type { AptSource } from "../../images/mirror.ts";
import { listImages as listStored, pullImage as pullInto, removeImage as removeStored } from "../../images/pull.ts";
import type { Image, PullHost, PullProgress } from "../../images/pull.ts";
import { decompressors } from "./decompressors.ts";
import { imageStore } from "./image-store.ts";

/** How to pull an image; everything has a default. */
export interface PullOptions {
  /** URL of a Debian mirror. Otherwise XENOLITH_MIRROR, else apt's configuration, else Debian's own mirrors. */
  readonly mirror?: string | undefined;
  /** Otherwise {@link cacheDirectory}. */
  readonly cacheDirectory?: string | undefined;
  /** "refresh" asks the mirror for newer packages even when the image is complete. */
  readonly refresh?: "refresh" | "keep";
  readonly progress?: ((progress: PullProgress) => void) | undefined;
  readonly warn?: ((message: string) => void) | undefined;
  /** Told once when another process is pulling and this one waits for it. */
  readonly onWait?: (() => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For tests: the machine's variables, apt's directory, other keys, another network, waits between attempts. */
  readonly environment?: NodeJS.ProcessEnv;
  readonly aptDirectory?: string;
  readonly keys?: readonly ArchiveKey[];
  readonly fetch?: typeof globalThis.fetch;
  readonly sleep?: (milliseconds: number) => Promise<void>;
}

/** XENOLITH_CACHE, else `xenolith` in XDG_CACHE_HOME or ~/.cache. */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const chosen = environment["XENOLITH_CACHE"];
  if (chosen !== undefined && chosen !== "") return resolve(chosen);
  const caches = environment["XDG_CACHE_HOME"];
  return join(caches !== undefined && caches.startsWith("/") ? caches : join(homeDirectory(), ".cache"), "xenolith");
}

function homeDirectory(): string {
  try {
    return homedir();
  } catch (cause) {
    throw new XenError(
      "cache-unwritable",
      "this user has no home directory; set XENOLITH_CACHE to a directory for the cache",
      {
        cause,
      },
    );
  }
}

/**
 * The image of that name, pulled and verified when the cache does not have it.
 * @throws XenError "no-such-image", "mirror-unreachable", "bad-signature", "bad-checksum", "truncated-download",
 *   "bad-archive", "cache-unwritable", "interrupted", "invalid-argument" for a mirror that is no URL.
 */
export function pullImage(reference: string, options: PullOptions = {}): Promise<Image> {
  return pullInto(reference, pullHost(options), options.refresh);
}

/** This machine under {@link PullHost}: what pulling packages needs. */
export function pullHost(options: PullOptions = {}): PullHost {
  const environment = options.environment ?? process.env;
  return {
    store: imageStore(options.cacheDirectory ?? cacheDirectory(environment), options.onWait),
    decompressors,
    keys: options.keys ?? debianArchiveKeys,
    mirrors: () => mirrors(options.mirror, environment, options.aptDirectory ?? "/etc/apt"),
    fetch: options.fetch ?? globalThis.fetch,
    sleep: options.sleep ?? ((milliseconds: number) => sleep(milliseconds, undefined, signalOption(options.signal))),
    signal: options.signal,
    now: () => new Date(),
    progress: options.progress,
    warn: options.warn,
  };
}

function signalOption(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

/** The images in the cache, by name. */
export function listImages(directory: string = cacheDirectory()): Promise<Image[]> {
  return listStored(imageStore(directory));
}

/**
 * Removes an image from the cache, with the files that no other image needs.
 * @returns the bytes that were freed.
 * @throws XenError "no-such-image" or "cache-unwritable".
 */
export function removeImage(reference: string, directory: string = cacheDirectory()): Promise<number> {
  return removeStored(reference, imageStore(directory));
}

function mirrors(given: string | undefined, environment: NodeJS.ProcessEnv, aptDirectory: string): readonly string[] {
  if (given !== undefined) return [mirrorUrl(given, "--mirror")];
  const variable = environment["XENOLITH_MIRROR"];
  if (variable !== undefined && variable !== "") return [mirrorUrl(variable, "XENOLITH_MIRROR")];
  const configured = aptMirrors(aptSources(aptDirectory), readIfThere);
  return configured.length > 0 ? configured : defaultMirrors;
}

/** apt's own rules for names: sources.list(5). Machines without apt have none. */
function aptSources(directory: string): AptSource[] {
  const parts = join(directory, "sources.list.d");
  let names: string[] = [];
  try {
    names = readdirSync(parts)
      .filter((name) => /^[A-Za-z0-9_.-]+\.(?:list|sources)$/.test(name))
      .toSorted();
  } catch {
    // Without the directory there is nothing to read.
  }
  return [join(directory, "sources.list"), ...names.map((name) => join(parts, name))].flatMap((path) => {
    const text = readIfThere(path);
    return text === undefined ? [] : [{ path, text }];
  });
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
