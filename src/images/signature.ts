/** The signature on a Debian release, checked with OpenPGP against pinned keys. */

import { XenError } from "../bits/errors.ts";
import type { ArchiveKey } from "./keys/archive-key.ts";

/** A release file whose signature was good. */
export interface SignedText {
  /** Exactly what was signed. Nothing outside it may be believed. */
  readonly text: string;
  /** The key that signed it: the first of ours with a valid signature. */
  readonly key: ArchiveKey;
}

/**
 * Checks a clearsigned file.
 * Digests that can be forged (MD5, SHA-1) are refused. A key's own expiry counts when the signature was made, so that an
 * archived release stays usable; a signature from the future means that this machine's clock is wrong.
 * @param what names the file in messages.
 * @param now the present time.
 * @throws XenError "bad-signature".
 */
export async function verifyClearsigned(
  armored: string,
  keys: readonly ArchiveKey[],
  what: string,
  now: Date,
): Promise<SignedText> {
  // Loaded only here: an image that is complete starts without it.
  const { readCleartextMessage, readKey, verify } = await import("openpgp");
  const verificationKeys = await Promise.all(
    keys.map(async (key) => {
      const parsed = await readKey({ armoredKey: key.armored });
      if (parsed.getFingerprint().toUpperCase() !== key.fingerprint.replaceAll(" ", "").toUpperCase()) {
        throw new XenError("internal", `pinned key "${key.name}" does not have its fingerprint ${key.fingerprint}`);
      }
      return parsed;
    }),
  );
  const message = await readCleartextMessage({ cleartextMessage: armored }).catch((cause: unknown) => {
    throw new XenError("bad-signature", `${what}: not a clearsigned file; is this a Debian mirror?`, { cause });
  });
  const { data, signatures } = await verify({ message, verificationKeys, date: now });
  const reasons: string[] = [];
  for (const signature of signatures) {
    try {
      await signature.verified;
    } catch (cause) {
      reasons.push(cause instanceof Error ? cause.message : String(cause));
      continue;
    }
    const index = verificationKeys.findIndex((key) => key.getKeys(signature.keyID).length > 0);
    const key = keys[index];
    if (key !== undefined) return { text: data, key };
  }
  const why = reasons.length === 0 ? "it has no signature" : reasons.join("; ");
  const clock = reasons.some((reason) => reason.includes("future"))
    ? `; this machine's clock says ${now.toISOString()}, is it right?`
    : "";
  throw new XenError("bad-signature", `${what}: no valid signature by a pinned Debian archive key (${why})${clock}`);
}
