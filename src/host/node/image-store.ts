/** A directory as the store of images: `blobs/sha256/<digest>`, `images/<name>.json`, and a lock. */

import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { XenError } from "../../bits/errors.ts";
import type { ImageStore } from "../../images/store.ts";

/** How often a process looks whether another has left the store. */
const LOCK_POLL_MILLISECONDS = 100;

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/**
 * The store in `directory`, which is made when something is first put there. Files come into being under another name and
 * are renamed, so that a reader sees a whole file or none; a process that dies leaves at most a temporary file.
 * @param onWait told once when another process holds the store and this one waits.
 */
export function imageStore(directory: string, onWait: () => void = () => {}): ImageStore {
  const blobs = join(directory, "blobs", "sha256");
  const manifests = join(directory, "images");
  const lock = join(directory, "lock");

  const unwritable = (cause: unknown): XenError => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new XenError(
      "cache-unwritable",
      `cache "${directory}": cannot be written (${reason}); set XENOLITH_CACHE to a directory that can`,
      {
        cause,
      },
    );
  };
  const writing = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      throw cause instanceof XenError ? cause : unwritable(cause);
    }
  };
  const replace = (inDirectory: string, name: string, contents: string | Uint8Array): Promise<void> =>
    writing(async () => {
      await makeDirectory(inDirectory);
      const temporary = join(inDirectory, `.${name}.${randomUUID()}`);
      try {
        await writeFile(temporary, contents, { flag: "wx", flush: true });
        await rename(temporary, join(inDirectory, name));
      } catch (cause) {
        await rm(temporary, { force: true });
        throw cause;
      }
    });
  const names = async (inDirectory: string): Promise<string[]> => {
    try {
      return await readdir(inDirectory);
    } catch (cause) {
      if (errorCode(cause) === "ENOENT") return [];
      throw new XenError("io-error", `cache "${inDirectory}": cannot be read (${errorCode(cause)})`, { cause });
    }
  };
  const size = async (path: string): Promise<number | undefined> => {
    try {
      return (await stat(path)).size;
    } catch (cause) {
      if (errorCode(cause) === "ENOENT" || errorCode(cause) === "ENOTDIR") return undefined;
      throw new XenError("io-error", `cache "${path}": cannot be read (${errorCode(cause)})`, { cause });
    }
  };

  return {
    path: (digest) => join(blobs, digest),
    size: (digest) => size(join(blobs, digest)),
    async read(digest) {
      try {
        return await readFile(join(blobs, digest));
      } catch (cause) {
        throw new XenError("io-error", `cache "${join(blobs, digest)}": cannot be read (${errorCode(cause)})`, {
          cause,
        });
      }
    },
    async put(digest, bytes) {
      if ((await size(join(blobs, digest))) !== bytes.length) await replace(blobs, digest, bytes);
    },
    async manifests() {
      const files = await names(manifests);
      return files.filter((name) => /^[^.].*\.json$/.test(name)).map((name) => name.slice(0, -".json".length));
    },
    async readManifest(name) {
      try {
        return await readFile(join(manifests, `${name}.json`), "utf8");
      } catch (cause) {
        if (errorCode(cause) === "ENOENT" || errorCode(cause) === "ENOTDIR") return undefined;
        throw new XenError("io-error", `cache "${manifests}": cannot be read (${errorCode(cause)})`, { cause });
      }
    },
    writeManifest: (name, text) => replace(manifests, `${name}.json`, text),
    removeManifest: (name) =>
      writing(async () => {
        const path = join(manifests, `${name}.json`);
        const there = (await size(path)) !== undefined;
        if (there) await rm(path);
        return there;
      }),
    sweep: (keep) =>
      writing(async () => {
        let freed = 0;
        for (const name of await names(blobs)) {
          if (keep.has(name)) continue;
          freed += (await size(join(blobs, name))) ?? 0;
          await rm(join(blobs, name), { force: true });
        }
        return freed;
      }),
    async exclusively(work) {
      await writing(() => acquire(lock, directory, onWait));
      try {
        return await work();
      } finally {
        await rm(lock, { force: true });
      }
    },
  };
}

/** Makes a directory and those above it. Node's own `recursive` never comes back where mkdir keeps failing, as in /proc. */
async function makeDirectory(path: string): Promise<void> {
  const make = async (): Promise<string> => {
    try {
      await mkdir(path);
      return "";
    } catch (cause) {
      if (errorCode(cause) === "ENOENT") return "ENOENT";
      // Some systems say EROFS or EACCES of a directory that is there.
      if ((await stat(path).catch(() => undefined))?.isDirectory()) return "";
      throw cause;
    }
  };
  if ((await make()) === "") return;
  if (dirname(path) !== path) await makeDirectory(dirname(path));
  if ((await make()) !== "") throw Object.assign(new Error(`ENOENT: mkdir "${path}"`), { code: "ENOENT" });
}

/** Makes the lock file, once no living process holds it. */
async function acquire(lock: string, directory: string, onWait: () => void): Promise<void> {
  await makeDirectory(directory);
  for (let waits = 0; ; waits++) {
    try {
      const file = await open(lock, "wx");
      await file.writeFile(`${process.pid} ${hostname()}\n`);
      await file.close();
      return;
    } catch (cause) {
      if (errorCode(cause) !== "EEXIST") throw cause;
    }
    if (await isAbandoned(lock)) {
      // Renaming takes it from under no one else: of several that saw the same dead holder, one succeeds.
      const grave = `${lock}.${randomUUID()}`;
      await rename(lock, grave).catch(() => {});
      await rm(grave, { force: true });
      continue;
    }
    if (waits === 0) onWait();
    await sleep(LOCK_POLL_MILLISECONDS);
  }
}

/** Whether the process that holds the lock is gone. One on another host is believed to live. */
async function isAbandoned(lock: string): Promise<boolean> {
  const [pid, host] = (await readFile(lock, "utf8").catch(() => "")).trim().split(" ");
  if (pid === undefined || host !== hostname()) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (cause) {
    return errorCode(cause) === "ESRCH";
  }
}
