import { seeded } from "../mutation.ts";
import type { Mutation } from "../mutation.ts";

const signature = ["src/images/signature.test.ts"];
const pulling = ["src/images/download.test.ts", "src/host/node/images.test.ts"];
const kernel = ["src/boot/kernel.test.ts"];
const pvh = ["src/boot/pvh.test.ts"];
const acpi = ["src/boot/acpi.test.ts"];

/** Bugs in the pulling of images and in the boot. */
export const images: readonly Mutation[] = [
  ...seeded("src/images/signature.ts", signature, [
    [
      "a signature that is not valid is accepted",
      "reasons.push(cause instanceof Error ? cause.message : String(cause));\n      continue;",
      "reasons.push(cause instanceof Error ? cause.message : String(cause));",
    ],
    ["what stands around the signed text is believed", "return { text: data, key };", "return { text: armored, key };"],
    [
      "a key without its pinned fingerprint is taken",
      "parsed.getFingerprint().toUpperCase() !== key.fingerprint",
      "parsed.getFingerprint() === key.fingerprint",
    ],
    ["a signature from the future is good", "date: now }", "date: null }"],
  ]),
  ...seeded("src/images/release.ts", signature, [
    [
      "another signed release passes for the one that was asked for",
      "if (says !== codename) {",
      "if (says === undefined) {",
    ],
    ["a release without SHA-256 digests is taken", "if (files.size === 0) throw", "if (files.size < 0) throw"],
  ]),
  ...seeded("src/images/download.ts", pulling, [
    ["a file's digest is not compared", "if (digest === expected.sha256) return bytes;", "return bytes;"],
    [
      "a file that is cut off is complete",
      "if (expectedBytes !== undefined && file.bytes < expectedBytes) {",
      "if (expectedBytes !== undefined && file.bytes < 0) {",
    ],
    ["a file may be longer than it should be", "if (file.bytes > limit) {", "if (file.bytes > 2 * limit + 1000) {"],
    ["an answer with the whole file is put behind a part of it", "if (response.status !== 206) restart(file);", ""],
  ]),
  ...seeded("src/images/manifest.ts", pulling, [
    [
      "a stored file of another size is taken for whole",
      "if ((await store.size(blob.sha256)) !== blob.bytes) return undefined;",
      "if ((await store.size(blob.sha256)) === undefined) return undefined;",
    ],
  ]),
  ...seeded(
    "src/images/packages.ts",
    ["src/images/packages.test.ts"],
    [["a package's path may lead out of the mirror", '|| path.split("/").includes("..")', ""]],
  ),
  ...seeded("src/boot/kernel.ts", kernel, [
    [
      "a PVH entry behind the kernel's end is taken",
      "if (entry < start || entry >= loadedEnd) {",
      "if (entry < start || entry > loadedEnd) {",
    ],
    [
      "notes of any owner count",
      'elf.notes.filter((note) => note.owner === "Xen")',
      'elf.notes.filter((note) => note.owner !== "")',
    ],
  ]),
  ...seeded("src/boot/elf.ts", kernel, [
    [
      "a segment may have more bytes in the file than in memory",
      "if (fileBytes > memoryBytes) throw fail",
      "if (fileBytes < 0) throw fail",
    ],
    [
      "a file that is cut off is loaded",
      "if (offset + size > bytes.length) throw fail",
      "if (offset > bytes.length) throw fail",
    ],
    [
      "an ELF file for any machine is a kernel",
      "if (machine !== MACHINE.i386 && machine !== MACHINE.x86_64) {",
      "if (machine === 0) {",
    ],
  ]),
  ...seeded("src/boot/bzimage.ts", kernel, [
    ["a payload that expands to another size is taken", "if (image.length !== size) {", "if (image.length === 0) {"],
  ]),
  ...seeded("src/boot/pvh.ts", pvh, [
    [
      "the initrd overlaps start_info",
      "alignUp(startInfoAddress + segment.length, PAGE_BYTES)",
      "alignUp(startInfoAddress, PAGE_BYTES)",
    ],
    ["memory that is too small is loaded beyond its end", "if (end > memoryBytes) {", "if (end > LOAD_LIMIT) {"],
    ["the memory above 4 GiB counts what lies below it again", "bytes: memoryBytes - low,", "bytes: memoryBytes,"],
    ["EBX does not point to start_info", "gpr[3] = BigInt(startInfoAddress);", "gpr[1] = BigInt(startInfoAddress);"],
  ]),
  ...seeded("src/boot/acpi.ts", acpi, [
    ["tables have no checksum", "table[description_header.offsets.checksum] = checksum(table);", ""],
  ]),
  ...seeded(
    "src/boot/xz.ts",
    ["src/boot/compression.test.ts"],
    [
      ["a block's CRC64 is not compared", "crc64(data) === view.getBigUint64(0, true)", "crc64(data) >= 0n"],
      [
        "the stream header's check is not compared",
        "if (crc32(header.subarray(6, 8)) !== word(header, 8)) throw corrupt",
        "if (crc32(header.subarray(6, 8)) < 0) throw corrupt",
      ],
    ],
  ),
];
