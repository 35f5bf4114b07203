import assert from "node:assert/strict";
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { test } from "node:test";
import { XEN_ELFNOTE } from "../abi/elfnote.ts";
import { XenError } from "../bits/errors.ts";
import type { Decompressors } from "./compression.ts";
import { asciiBytes } from "./cpio.ts";
import { loadKernel } from "./kernel.ts";
import { bzImage, littleEndian, smallKernel, syntheticElf, xenNote } from "./synthetic-kernels.ts";

const decompressors: Decompressors = {
  gzip: (bytes, limit) => gunzipSync(bytes, { maxOutputLength: limit }),
  zstd: (bytes, limit) => zstdDecompressSync(bytes, { maxOutputLength: limit }),
};

function fails(code: string, file: Uint8Array, pattern: RegExp): void {
  assert.throws(
    () => loadKernel(file, "k", decompressors),
    (error) => error instanceof XenError && error.code === code && pattern.test(error.message),
  );
}

function sized(compressed: Uint8Array, size: number): Uint8Array {
  return Buffer.concat([compressed, littleEndian(size, 4)]);
}

test("kernel: a 64-bit ELF file's segments, entry and notes", () => {
  const kernel = loadKernel(smallKernel(), "k", decompressors);
  assert.equal(kernel.entry, 0x1000010);
  assert.equal(kernel.start, 0x1000000);
  assert.equal(kernel.end, 0x1205000);
  assert.equal(kernel.guestOs, "linux");
  assert.equal(kernel.findsRsdpAnywhere, true);
  assert.deepEqual([...kernel.segments[1]!.contents], [1, 2, 3]);
  assert.equal(kernel.segments[1]!.physicalAddress, 0x1200000);
  assert.equal(kernel.segments[1]!.memoryBytes, 0x5000);
});

test("kernel: a 32-bit ELF file with a 4-byte note in a section", () => {
  const file = syntheticElf({
    class: 32,
    segments: [{ address: 0x100000, contents: Uint8Array.of(0x90), memoryBytes: 0x1000 }],
    notes: [xenNote(XEN_ELFNOTE.PHYS32_ENTRY, littleEndian(0x100000, 4))],
    notesIn: "section",
  });
  const kernel = loadKernel(file, "k", decompressors);
  assert.equal(kernel.entry, 0x100000);
  assert.equal(kernel.guestOs, "");
  assert.equal(kernel.findsRsdpAnywhere, true, "only old Linux searches for the RSDP");
});

test("kernel: Linux without linux_rsdp_unrestricted needs the RSDP low", () => {
  const notes = [
    xenNote(XEN_ELFNOTE.GUEST_OS, asciiBytes("linux\0")),
    xenNote(XEN_ELFNOTE.SUPPORTED_FEATURES, littleEndian(0x801, 4)),
    xenNote(XEN_ELFNOTE.PHYS32_ENTRY, littleEndian(0x1000010, 4)),
  ];
  assert.equal(loadKernel(smallKernel({ notes }), "k", decompressors).findsRsdpAnywhere, false);
});

test("kernel: bzImages with gzip, zstd and uncompressed payloads, and a compressed ELF file", () => {
  const elf = smallKernel();
  for (const file of [
    bzImage(gzipSync(elf)),
    bzImage(sized(zstdCompressSync(elf), elf.length)),
    bzImage(elf),
    gzipSync(elf),
  ]) {
    assert.equal(loadKernel(file, "k", decompressors).entry, 0x1000010);
  }
  assert.equal(loadKernel(bzImage(gzipSync(elf)), "k", decompressors).end, 0x1300000, "init_size counts");
});

test("kernel: only notes of the owner Xen count", () => {
  const foreign = xenNote(XEN_ELFNOTE.PHYS32_ENTRY, littleEndian(0x1000020, 4));
  foreign.set(asciiBytes("Zen"), 12);
  const own = xenNote(XEN_ELFNOTE.PHYS32_ENTRY, littleEndian(0x1000010, 4));
  assert.equal(loadKernel(smallKernel({ notes: [foreign, own] }), "k", decompressors).entry, 0x1000010);
  fails("no-pvh-entry", smallKernel({ notes: [foreign] }), /XEN_ELFNOTE_PHYS32_ENTRY/);
});

test("kernel: a segment has no more bytes in the file than in memory", () => {
  const segment = (memoryBytes: number) => {
    const contents = new Uint8Array(0x40);
    return smallKernel({ segments: [{ address: 0x1000000, contents, memoryBytes }] });
  };
  assert.equal(loadKernel(segment(0x40), "k", decompressors).end, 0x1000040);
  fails("not-a-kernel", segment(0x3f), /more bytes in the file/);
});

test("kernel: what is none says so", () => {
  fails("not-a-kernel", asciiBytes("#!/bin/sh\n"), /neither a bzImage nor an ELF/);
  fails("not-a-kernel", new Uint8Array(0), /neither a bzImage nor an ELF/);
  fails("not-a-kernel", smallKernel({ machine: 183 }), /machine type 183/);
  fails("not-a-kernel", bzImage(gzipSync(smallKernel()), { version: 0x207 }), /2\.07 is too old/);
  fails("not-a-kernel", gzipSync(asciiBytes("not an ELF file")), /neither/);
  fails("unsupported-compression", bzImage(asciiBytes("????what is this")), /no known compression/);
});

test("kernel: a missing or foolish PVH entry point says so", () => {
  fails("no-pvh-entry", smallKernel({ notes: [xenNote(XEN_ELFNOTE.GUEST_OS, asciiBytes("linux\0"))] }), /CONFIG_PVH/);
  fails("no-pvh-entry", smallKernel({ notes: [] }), /CONFIG_PVH/);
  for (const entry of [0xffffff, 0x1205000]) {
    fails(
      "no-pvh-entry",
      smallKernel({ notes: [xenNote(XEN_ELFNOTE.PHYS32_ENTRY, littleEndian(entry, 4))] }),
      /outside/,
    );
  }
});

test("kernel: a file that is cut off anywhere is refused", () => {
  const elf = smallKernel();
  for (let end = 0; end < elf.length; end++) {
    assert.throws(() => loadKernel(elf.subarray(0, end), "k", decompressors), XenError, `${end} bytes`);
  }
  const image = bzImage(gzipSync(elf));
  const payloadEnd = image.length - 100;
  for (let end = 0x264; end < payloadEnd; end += 7) {
    assert.throws(() => loadKernel(image.subarray(0, end), "k", decompressors), XenError, `${end} bytes`);
  }
});

test("kernel: damaged payloads and sizes that lie are refused", () => {
  const elf = smallKernel();
  fails("bad-archive", bzImage(sized(zstdCompressSync(elf), elf.length + 1)), /expands to/);
  fails("bad-archive", bzImage(sized(zstdCompressSync(elf).subarray(0, 60), elf.length)), /zstd/);
  fails("not-a-kernel", bzImage(sized(zstdCompressSync(elf), 0xf0000000)), /at most/);
});

test("kernel: changing any byte of an ELF file gives a kernel or a XenError", () => {
  const elf = smallKernel();
  for (let at = 0; at < elf.length; at++) {
    for (const value of [0, 0x7f, 0xff]) {
      const damaged = elf.slice();
      damaged[at] = value;
      try {
        const kernel = loadKernel(damaged, "k", decompressors);
        assert.ok(kernel.entry >= kernel.start && kernel.entry < kernel.end);
      } catch (error) {
        assert.ok(error instanceof XenError, `byte ${at}: ${String(error)}`);
      }
    }
  }
});
