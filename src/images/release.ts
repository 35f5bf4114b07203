/** A Debian release: the signed list of its index files. Debian repository format: wiki.debian.org/DebianRepository/Format. */

import { XenError } from "../bits/errors.ts";
import { parseParagraph } from "./control.ts";

/** An index file of a release. */
export interface ReleaseFile {
  /** Relative to `dists/<codename>/`. */
  readonly path: string;
  readonly bytes: number;
  /** SHA-256, in lower-case hexadecimal. */
  readonly sha256: string;
}

/** What this project needs of a Release file. */
export interface Release {
  readonly codename: string;
  /** As in "12.15", or the suite's name where there is no number. */
  readonly version: string;
  /** After this the mirror should have a newer one. */
  readonly validUntil: Date | undefined;
  /** Index files are also there under their digests, where a mirror that is being updated cannot change them. */
  readonly byHash: boolean;
  readonly files: ReadonlyMap<string, ReleaseFile>;
}

/**
 * Parses the text of a Release file. The signature has been checked; this is about what it says.
 * @param codename what was asked for: a mirror must not pass off another signed release.
 * @throws XenError "bad-signature" when it is another release's, or lists no SHA-256 digests.
 */
export function parseRelease(text: string, codename: string, what: string): Release {
  const fields = parseParagraph(text);
  const says = fields.get("codename");
  if (says !== codename) {
    throw new XenError("bad-signature", `${what}: signed for release "${says ?? "?"}", not for "${codename}"`);
  }
  const files = new Map<string, ReleaseFile>();
  for (const line of (fields.get("sha256") ?? "").split("\n")) {
    const match = /^([0-9a-f]{64})\s+(\d+)\s+(\S+)$/.exec(line.trim());
    if (match) files.set(match[3]!, { sha256: match[1]!, bytes: Number(match[2]), path: match[3]! });
  }
  if (files.size === 0) throw new XenError("bad-signature", `${what}: lists no SHA-256 digests`);
  const until = Date.parse(fields.get("valid-until") ?? "");
  return {
    codename,
    version: fields.get("version") ?? fields.get("suite") ?? codename,
    validUntil: Number.isNaN(until) ? undefined : new Date(until),
    byHash: fields.get("acquire-by-hash") === "yes",
    files,
  };
}
