/** Fetching a file over HTTP: resumed where it broke off, tried again, measured, and compared with its digest. */

import { XenError } from "../bits/errors.ts";

/** What a download needs from the host. */
export interface Downloader {
  readonly fetch: typeof globalThis.fetch;
  /** Waits between attempts. */
  readonly sleep: (milliseconds: number) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** What is known of a file before it is fetched. */
export interface Expected {
  readonly bytes: number;
  /** SHA-256, in lower-case hexadecimal. */
  readonly sha256: string;
}

/** Told of every chunk: bytes so far, and in all when that is known. */
export type Received = (bytes: number, total: number | undefined) => void;

/** Waits before the second and later attempts. */
const RETRY_MILLISECONDS = [250, 1000, 3000];
/** A server that sends nothing for so long is given up. */
const SILENCE_MILLISECONDS = 30_000;
/** A file whose size nobody has vouched for may be this long. */
const MAXIMUM_UNKNOWN_BYTES = 16 << 20;

/** The server has no such file: another attempt would not help. */
export class NotOnMirror extends XenError {
  constructor(url: string, status: number) {
    super("mirror-unreachable", `mirror has no ${url} (HTTP status ${status}); choose another with --mirror`);
  }
}

/**
 * Fetches a small file of unknown size.
 * @throws XenError "mirror-unreachable" or "interrupted"; {@link NotOnMirror} for a definite answer that it is not there.
 */
export async function download(url: string, downloader: Downloader): Promise<Uint8Array> {
  return attempts(url, downloader, undefined, () => {});
}

/**
 * Fetches a file of known size and digest.
 * @throws XenError "mirror-unreachable", "truncated-download", "bad-checksum" or "interrupted".
 */
export async function downloadVerified(
  url: string,
  expected: Expected,
  downloader: Downloader,
  received: Received,
): Promise<Uint8Array> {
  let digest = "";
  // Twice, since what came may have been an intermediate cache's mistake.
  for (let attempt = 0; attempt < 2; attempt++) {
    const bytes = await attempts(url, downloader, expected.bytes, received);
    digest = await sha256(bytes);
    if (digest === expected.sha256) return bytes;
  }
  throw new XenError(
    "bad-checksum",
    `${url}: its SHA-256 is ${digest}, not ${expected.sha256} as the signed release says; choose another --mirror`,
  );
}

/** @returns the SHA-256 of `bytes` in lower-case hexadecimal. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return new Uint8Array(digest).toHex();
}

async function attempts(
  url: string,
  downloader: Downloader,
  expectedBytes: number | undefined,
  received: Received,
): Promise<Uint8Array> {
  const file: Incoming = { chunks: [], bytes: 0 };
  let failure: unknown;
  for (let attempt = 0; attempt <= RETRY_MILLISECONDS.length; attempt++) {
    try {
      if (attempt > 0) await downloader.sleep(RETRY_MILLISECONDS[attempt - 1]!);
      await receive(url, downloader, expectedBytes, file, received);
      return joined(file);
    } catch (cause) {
      if (downloader.signal?.aborted) throw new XenError("interrupted", `${url}: interrupted`, { cause });
      if (cause instanceof XenError) throw cause;
      failure = cause;
    }
  }
  const reason = describe(failure);
  if (file.bytes > 0 && expectedBytes !== undefined) {
    throw new XenError(
      "truncated-download",
      `${url}: ${file.bytes} of ${expectedBytes} bytes came, and ${RETRY_MILLISECONDS.length + 1} attempts brought no more (${reason})`,
      { cause: failure },
    );
  }
  throw new XenError(
    "mirror-unreachable",
    `${url}: cannot be fetched (${reason}); check the network or choose a --mirror`,
    {
      cause: failure,
    },
  );
}

/** What has come of a file so far. */
interface Incoming {
  chunks: Uint8Array[];
  bytes: number;
}

/** One attempt: goes on where `file` ends. Returns when the file is complete, and throws otherwise. */
async function receive(
  url: string,
  { fetch, signal }: Downloader,
  expectedBytes: number | undefined,
  file: Incoming,
  received: Received,
): Promise<void> {
  // Without a known size it cannot be told whether a file that goes on is still the same.
  if (expectedBytes === undefined) restart(file);
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MILLISECONDS);
  try {
    const response = await fetch(url, {
      headers: file.bytes > 0 ? { range: `bytes=${file.bytes}-` } : {},
      signal: signal === undefined ? silence.signal : AbortSignal.any([signal, silence.signal]),
    });
    if (response.status === 404 || response.status === 410 || response.status === 403) {
      await response.body?.cancel();
      throw new NotOnMirror(url, response.status);
    }
    if (response.status === 416) restart(file);
    if (!response.ok || response.body === null) throw new Error(`HTTP status ${response.status}`);
    if (response.status !== 206) restart(file);
    const declared = response.headers.get("content-length");
    const limit = expectedBytes ?? MAXIMUM_UNKNOWN_BYTES;
    const total = expectedBytes ?? (declared === null ? undefined : Number(declared));
    for await (const chunk of response.body) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MILLISECONDS);
      file.chunks.push(chunk);
      file.bytes += chunk.length;
      if (file.bytes > limit) {
        throw new XenError(
          "bad-checksum",
          `${url}: longer than the ${limit} bytes it should have; choose another --mirror`,
        );
      }
      received(file.bytes, total);
    }
    if (expectedBytes !== undefined && file.bytes < expectedBytes) {
      throw new Error(`connection closed after ${file.bytes} of ${expectedBytes} bytes`);
    }
  } finally {
    clearTimeout(timer);
  }
}

function restart(file: Incoming): void {
  file.chunks = [];
  file.bytes = 0;
}

function joined(file: Incoming): Uint8Array {
  const whole = new Uint8Array(file.bytes);
  let at = 0;
  for (const chunk of file.chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** fetch hides the reason ("getaddrinfo ENOTFOUND …") in its error's cause. */
function describe(failure: unknown): string {
  if (!(failure instanceof Error)) return String(failure);
  if (failure.name === "AbortError") return `nothing came for ${SILENCE_MILLISECONDS / 1000} s`;
  return failure.cause instanceof Error ? failure.cause.message || failure.message : failure.message;
}
