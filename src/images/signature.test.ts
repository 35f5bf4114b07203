import assert from "node:assert/strict";
import { test } from "node:test";
import { createCleartextMessage, generateKey, sign } from "openpgp";
import type { PrivateKey } from "openpgp";
import { XenError } from "../bits/errors.ts";
import type { ArchiveKey } from "./keys/archive-key.ts";
import { debianArchiveKeys } from "./keys/debian.ts";
import { parseRelease } from "./release.ts";
import { verifyClearsigned } from "./signature.ts";

const NOW = new Date("2026-05-01T12:00:00Z");
const TEXT = `Codename: bookworm
Suite: stable
Version: 12.15
Valid-Until: Sat, 09 May 2026 10:00:00 UTC
Acquire-By-Hash: yes
SHA256:
 ${"0a".repeat(32)}     1234 main/binary-amd64/Packages
 ${"0b".repeat(32)}      123 main/binary-amd64/Packages.xz
- dash line`;

interface Signer {
  readonly key: ArchiveKey;
  readonly privateKey: PrivateKey;
}

async function newSigner(name: string, options: { date?: Date; keyExpirationTime?: number } = {}): Promise<Signer> {
  const { privateKey } = await generateKey({
    userIDs: [{ name }],
    date: new Date("2025-01-01T00:00:00Z"),
    format: "object",
    ...options,
  });
  const fingerprint = privateKey.getFingerprint();
  return { privateKey, key: { name, fingerprint, armored: privateKey.toPublic().armor() } };
}

async function clearsigned(text: string, signers: readonly Signer[], date: Date = NOW): Promise<string> {
  const message = await createCleartextMessage({ text });
  return sign({ message, signingKeys: signers.map(({ privateKey }) => privateKey), date });
}

async function refused(armored: string, keys: readonly ArchiveKey[], pattern: RegExp, now: Date = NOW): Promise<void> {
  await assert.rejects(verifyClearsigned(armored, keys, "http://m.example/InRelease", now), (error) => {
    assert.ok(error instanceof XenError && error.code === "bad-signature", String(error));
    assert.match(error.message, pattern);
    assert.ok(error.message.includes("http://m.example/InRelease"));
    return true;
  });
}

const [alice, bob] = await Promise.all([newSigner("Alice"), newSigner("Bob")]);

test("signature: any one valid signature by a pinned key is enough, and the signed text comes back", async () => {
  const armored = await clearsigned(TEXT, [bob, alice]);
  for (const keys of [[alice.key], [bob.key], [alice.key, bob.key]]) {
    const { text, key } = await verifyClearsigned(armored, keys, "x", NOW);
    assert.equal(text.replaceAll("\r\n", "\n"), TEXT);
    assert.ok(keys.includes(key));
  }
});

test("signature: a stranger's, a missing and a broken one are refused", async () => {
  const armored = await clearsigned(TEXT, [bob]);
  await refused(armored, [alice.key], /no valid signature by a pinned/);
  await refused(armored.replace("12.15", "12.16"), [bob.key], /no valid signature/);
  await refused(armored.replace("bookworm", "bookw0rm"), [bob.key], /no valid signature/);
  await refused("<html>captive portal</html>", [bob.key], /is this a Debian mirror/);
  await refused("", [bob.key], /is this a Debian mirror/);
  await refused(armored.slice(0, armored.indexOf("-----BEGIN PGP SIGNATURE")), [bob.key], /Debian mirror/);
});

test("signature: text before and after what is signed is not believed", async () => {
  const armored = await clearsigned(TEXT, [bob]);
  try {
    const { text } = await verifyClearsigned(`Codename: evil\n${armored}\nCodename: evil\n`, [bob.key], "x", NOW);
    assert.ok(!text.includes("evil"));
  } catch (error) {
    assert.ok(error instanceof XenError && error.code === "bad-signature");
  }
});

test("signature: a key's expiry counts when it signed, and a signature from the future tells of the clock", async () => {
  const brief = await newSigner("Brief", { date: new Date("2026-01-01T00:00:00Z"), keyExpirationTime: 30 * 86_400 });
  const inTime = await clearsigned(TEXT, [brief], new Date("2026-01-15T00:00:00Z"));
  assert.equal((await verifyClearsigned(inTime, [brief.key], "x", NOW)).key, brief.key);
  const armored = await clearsigned(TEXT, [bob]);
  await refused(armored, [bob.key], /clock says 2020-01-01/, new Date("2020-01-01T00:00:00Z"));
});

test("signature: a pinned key whose fingerprint is another's is our own mistake", async () => {
  const armored = await clearsigned(TEXT, [bob]);
  const wrong = { ...bob.key, fingerprint: alice.key.fingerprint };
  await assert.rejects(
    verifyClearsigned(armored, [wrong], "x", NOW),
    (error) => error instanceof XenError && error.code === "internal",
  );
});

test("signature: Debian's pinned keys can be read and have their fingerprints", async () => {
  const armored = await clearsigned(TEXT, [bob]);
  assert.equal(debianArchiveKeys.length, 6);
  await refused(armored, debianArchiveKeys, /no valid signature by a pinned/);
});

test("release: its fields, and only SHA-256 digests", () => {
  const release = parseRelease(TEXT.replace("SHA256:", `MD5Sum:\n ${"0c".repeat(16)} 1 x\nSHA256:`), "bookworm", "x");
  assert.equal(release.version, "12.15");
  assert.equal(release.byHash, true);
  assert.equal(release.validUntil?.toISOString(), "2026-05-09T10:00:00.000Z");
  assert.deepEqual([...release.files.keys()], ["main/binary-amd64/Packages", "main/binary-amd64/Packages.xz"]);
  assert.deepEqual(release.files.get("main/binary-amd64/Packages.xz"), {
    path: "main/binary-amd64/Packages.xz",
    bytes: 123,
    sha256: "0b".repeat(32),
  });
  assert.equal(parseRelease(TEXT.replace(/Valid-Until.*\n/, ""), "bookworm", "x").validUntil, undefined);
});

test("release: another release, or one without SHA-256 digests, is refused", () => {
  const bad = (error: unknown): boolean => error instanceof XenError && error.code === "bad-signature";
  assert.throws(() => parseRelease(TEXT, "trixie", "x"), bad);
  assert.throws(() => parseRelease(TEXT.replace("SHA256", "SHA1"), "bookworm", "x"), bad);
  assert.throws(() => parseRelease("", "bookworm", "x"), bad);
});
