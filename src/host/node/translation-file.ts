/** Translations on disk: one file for each version of the translator and each kernel, to which processes append. */

import { Buffer } from "node:buffer";
import {
  closeSync, constants, existsSync, fstatSync, ftruncateSync, futimesSync, linkSync, lstatSync, mkdirSync, openSync, readSync, readdirSync,
  rmSync, writeSync,
} from "node:fs"; // prettier-ignore
import { randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import type { SavedBodies } from "../../engine/translate/body-store.ts";

/** A file of this size gets no more, and is begun anew by the next process. */
const MOST_BYTES = 64 << 20;
/** Files that no process has used for so long are removed. */
const MOST_AGE_MS = 30 * 24 * 3600 * 1000;
const SUFFIX = ".translations";

/** Bytes of a key, and of what stands before each entry: lengths and checksums of its head and body. */
const KEY_BYTES = 16;
const FRAME_BYTES = 16;

/** Where a body is. */
interface Place {
  readonly at: number;
  readonly length: number;
  readonly checksum: number;
}

/** An open file of translations. */
export interface TranslationFile extends SavedBodies, Disposable {
  /** What was there when it was opened: recipes, each behind its length (u32). */
  readonly recipes: Uint8Array<ArrayBuffer>;
  /** Writes what has been saved since. */
  flush(): void;
}

/**
 * Opens the file for a translator and a kernel, and makes it if need be. Its contents become code with the guests' memory, so
 * a file that others own or may write is refused. A cache is no reason for a guest not to run: what cannot be read or
 * written is left alone.
 * @param translator what the contents depend on beside their keys. @param kernel any short name of what boots.
 * @returns undefined where there can be no such file.
 */
export function openTranslations(
  directory: string,
  translator: string,
  kernel: string,
  mostBytes = MOST_BYTES,
): TranslationFile | undefined {
  const name = `${translator}-${kernel}`;
  try {
    makeDirectory(directory);
    removeOld(directory, translator);
    const header = Buffer.from(`xenolith translations 1 ${name}\n`);
    const path = join(directory, `${name}${SUFFIX}`);
    return (
      openFile(path, header, mostBytes) ??
      // It was of no use, and is gone.
      openFile(path, header, mostBytes)
    );
  } catch {
    return undefined;
  }
}

/** Makes a directory and those above it. Node's own `recursive` never comes back where mkdir keeps failing, as in /proc. */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeDirectory(dirname(path));
  try {
    mkdirSync(path, 0o700);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** @returns undefined when the file was removed. @throws where it cannot be used. */
function openFile(path: string, header: Uint8Array, mostBytes: number): TranslationFile | undefined {
  const { file, writable } = openOrMake(path, header);
  try {
    const { uid, mode, size } = fstatSync(file);
    const mine = process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0);
    if (!mine) throw new Error("somebody else may have written it");
    const contents = readAll(file, size);
    if (size >= mostBytes || !contents.subarray(0, header.length).equals(header)) {
      if (!writable) throw new Error("it is full, or something else");
      rmSync(path, { force: true });
      closeSync(file);
      return undefined;
    }
    const { places, recipes, end } = readEntries(contents, header.length);
    // What a process has left unfinished would hide what comes behind it.
    if (writable && end < size) ftruncateSync(file, end);
    if (writable) futimesSync(file, new Date(), new Date());
    return new OpenTranslations(file, places, recipes, writable ? mostBytes - end : 0);
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function openOrMake(path: string, header: Uint8Array): { readonly file: number; readonly writable: boolean } {
  const open = (flags: number): number => openSync(path, flags | (constants.O_NOFOLLOW ?? 0));
  try {
    return { file: open(constants.O_RDWR | constants.O_APPEND), writable: true };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EROFS") return { file: open(constants.O_RDONLY), writable: false };
    if (code !== "ENOENT") throw error;
  }
  // It is there with its header, or not at all: others may be doing the same.
  const temporary = `${path}.${randomUUID()}`;
  const file = openSync(temporary, "wx", 0o600);
  try {
    writeSync(file, header);
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    closeSync(file);
    rmSync(temporary, { force: true });
  }
  return { file: open(constants.O_RDWR | constants.O_APPEND), writable: true };
}

function readAll(file: number, size: number): Buffer {
  const contents = Buffer.alloc(size);
  let end = 0;
  while (end < size) {
    const count = readSync(file, contents, end, size - end, end);
    if (count === 0) break;
    end += count;
  }
  return contents.subarray(0, end);
}

/** Reads entries up to the first that is not whole. */
function readEntries(contents: Buffer, from: number) {
  const places = new Map<string, Place>();
  const recipes: Uint8Array[] = [];
  let end = from;
  for (let at = from; at + FRAME_BYTES <= contents.length;) {
    const headLength = contents.readUInt32LE(at);
    const length = contents.readUInt32LE(at + 4);
    const head = at + FRAME_BYTES;
    const body = head + headLength;
    at = body + length;
    if (headLength < KEY_BYTES || at > contents.length) break;
    const checksum = contents.readUInt32LE(head - 4);
    if (crc32(contents.subarray(head, body)) !== contents.readUInt32LE(head - 8)) break;
    if (crc32(contents.subarray(body, at)) !== checksum) break;
    places.set(contents.toString("hex", head, head + KEY_BYTES), { at: body, length, checksum });
    if (headLength > KEY_BYTES) recipes.push(withLength(contents.subarray(head + KEY_BYTES, body)));
    end = at;
  }
  return { places, recipes: joined(recipes), end };
}

function withLength(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
}
/** In a buffer of its own, to be handed to another thread. */
function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts));
}

class OpenTranslations implements TranslationFile {
  readonly recipes: Uint8Array<ArrayBuffer>;
  readonly #file: number;
  readonly #places: Map<string, Place>;
  #room: number;
  #unwritten: Uint8Array[] = [];

  constructor(file: number, places: Map<string, Place>, recipes: Uint8Array<ArrayBuffer>, room: number) {
    this.#file = file;
    this.#places = places;
    this.recipes = recipes;
    this.#room = room;
  }

  find(key: string): Uint8Array | undefined {
    const place = this.#places.get(key);
    if (place === undefined) return undefined;
    try {
      const body = Buffer.alloc(place.length);
      const whole = readSync(this.#file, body, 0, place.length, place.at) === place.length;
      // Another process may have cut the file.
      return whole && crc32(body) === place.checksum ? body : undefined;
    } catch {
      return undefined;
    }
  }

  save(key: string, body: Uint8Array, recipe = new Uint8Array()): void {
    const head = Buffer.concat([Buffer.from(key, "hex"), recipe]);
    const frame = Buffer.alloc(FRAME_BYTES);
    frame.writeUInt32LE(head.length, 0);
    frame.writeUInt32LE(body.length, 4);
    frame.writeUInt32LE(crc32(head), 8);
    frame.writeUInt32LE(crc32(body), 12);
    const entry = Buffer.concat([frame, head, body]);
    this.#room -= entry.length;
    if (this.#room >= 0) this.#unwritten.push(entry);
  }

  flush(): void {
    if (this.#unwritten.length === 0) return;
    // One write, so that what others append stands before it or behind it.
    const entries = Buffer.concat(this.#unwritten);
    this.#unwritten = [];
    try {
      if (writeSync(this.#file, entries) < entries.length) this.#room = 0;
    } catch {
      // The disk is full, for instance: those that come now are not kept.
      this.#room = 0;
    }
  }

  [Symbol.dispose](): void {
    this.flush();
    closeSync(this.#file);
  }
}

/** Removes files of other translators that have not been used for long, and what processes that died have left. */
function removeOld(directory: string, translator: string): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (!name.includes(SUFFIX) || (name.startsWith(`${translator}-`) && name.endsWith(SUFFIX))) continue;
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.isFile() === true && Date.now() - found.mtimeMs > MOST_AGE_MS) rmSync(path, { force: true });
  }
}
