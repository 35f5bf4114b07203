import assert from "node:assert/strict";
import { test } from "node:test";
import { asciiBytes, cpioArchive } from "./cpio.ts";

interface Found {
  readonly path: string;
  readonly mode: number;
  readonly device: readonly number[];
  readonly contents: string;
}

/** Reads as Linux's init/initramfs.c does: header, name to 4 bytes, contents to 4 bytes. */
function read(archive: Uint8Array): Found[] {
  const text = (at: number, length: number): string => String.fromCharCode(...archive.subarray(at, at + length));
  const found: Found[] = [];
  for (let at = 0; ;) {
    assert.equal(text(at, 6), "070701");
    const field = (index: number): number => Number.parseInt(text(at + 6 + index * 8, 8), 16);
    const size = field(6);
    const nameBytes = field(11);
    const path = text(at + 110, nameBytes - 1);
    const contents = Math.ceil((at + 110 + nameBytes) / 4) * 4;
    if (path === "TRAILER!!!") return found;
    found.push({ path, mode: field(1), device: [field(9), field(10)], contents: text(contents, size) });
    at = Math.ceil((contents + size) / 4) * 4;
  }
}

test("cpio: every kind of entry, with names and contents of all lengths modulo 4", () => {
  const files = Array.from({ length: 8 }, (_, i) => ({
    type: "file" as const,
    path: "f".repeat(i + 1),
    mode: 0o644,
    contents: asciiBytes("x".repeat(i)),
  }));
  const archive = cpioArchive([
    { type: "directory", path: "dev", mode: 0o755 },
    { type: "character", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    { type: "symlink", path: "bin", target: "usr/bin" },
    ...files,
  ]);
  assert.equal(archive.length % 4, 0);
  assert.deepEqual(read(archive), [
    { path: "dev", mode: 0o040755, device: [0, 0], contents: "" },
    { path: "dev/console", mode: 0o020600, device: [5, 1], contents: "" },
    { path: "bin", mode: 0o120777, device: [0, 0], contents: "usr/bin" },
    ...files.map((file, i) => ({ path: file.path, mode: 0o100644, device: [0, 0], contents: "x".repeat(i) })),
  ]);
});

test("cpio: equal entries give equal bytes, and no two the same inode", () => {
  const entries = [
    { type: "directory", path: "a", mode: 0o755 },
    { type: "directory", path: "b", mode: 0o755 },
  ] as const;
  const archive = cpioArchive(entries);
  assert.deepEqual(archive, cpioArchive(entries));
  const inodes = [0, 116].map((at) => String.fromCharCode(...archive.subarray(at + 6, at + 14)));
  assert.notEqual(inodes[0], inodes[1]);
});
