import assert from "node:assert/strict";
import { test } from "node:test";
import { XenError } from "../bits/errors.ts";
import { kernelPackage, packageIndex, packageNamed } from "./packages.ts";
import type { PackageIndex } from "./packages.ts";

function entry(name: string, depends: string, extra = ""): string {
  return `Package: ${name}
Version: 1:2.3-4
Depends: ${depends}
Description: something
 Package: not-this-one
Filename: pool/main/${name}.deb
Size: 1234
SHA256: ${"ab".repeat(32)}
${extra}`;
}

function index(...entries: string[]): PackageIndex {
  return packageIndex(new TextEncoder().encode(`${entries.join("\n")}\n`));
}

const hasCode = (code: string) => (error: unknown) => error instanceof XenError && error.code === code;

test("packages: an entry's fields, with the first of alternative dependencies", () => {
  const found = index(entry("busybox-static", "libc6 (>= 2.3), a | b, c:any"), entry("busybox", "x")).find("busybox");
  assert.deepEqual(found, {
    name: "busybox",
    version: "1:2.3-4",
    depends: ["x"],
    path: "pool/main/busybox.deb",
    bytes: 1234,
    sha256: "ab".repeat(32),
  });
  assert.deepEqual(packageNamed(index(entry("p", "libc6 (>= 2.3), a | b, c")), "p").depends, ["libc6", "a", "c"]);
});

test("packages: only a whole name at a line's start is found", () => {
  const found = index(entry("busybox-static", "x"));
  assert.equal(found.find("busybox"), undefined);
  assert.equal(found.find("static"), undefined);
  assert.equal(found.find("not-this-one"), undefined);
  assert.throws(() => packageNamed(found, "busybox"), hasCode("bad-archive"));
});

test("packages: a kernel metapackage leads to the package with the kernel", () => {
  const twoSteps = index(
    entry("linux-image-cloud-amd64", "linux-image-6.1.0-50-cloud-amd64 (= 6.1.176-1)"),
    entry("linux-image-6.1.0-50-cloud-amd64", "kmod, linux-base (>= 4.3~), initramfs-tools | linux-initramfs-tool"),
  );
  assert.equal(kernelPackage(twoSteps, "linux-image-cloud-amd64").name, "linux-image-6.1.0-50-cloud-amd64");
  const threeSteps = index(
    entry("linux-image-cloud-amd64", "linux-base-cloud-amd64 (= 7), linux-image-7-cloud-amd64 (= 7)"),
    entry("linux-image-7-cloud-amd64", "dracut, linux-base-7-cloud-amd64, linux-binary-7-cloud-amd64 (= 7)"),
    entry("linux-binary-7-cloud-amd64", "linux-base-7-cloud-amd64 (= 7)"),
  );
  assert.equal(kernelPackage(threeSteps, "linux-image-cloud-amd64").name, "linux-binary-7-cloud-amd64");
});

test("packages: a circle, a missing dependency and a malformed entry are refused", () => {
  assert.throws(
    () => kernelPackage(index(entry("linux-image-a", "linux-image-a")), "linux-image-a"),
    hasCode("bad-archive"),
  );
  assert.throws(
    () => kernelPackage(index(entry("linux-image-a", "linux-image-b")), "linux-image-a"),
    hasCode("bad-archive"),
  );
  assert.throws(() => index("Package: p\nVersion: 1\n").find("p"), hasCode("bad-archive"));
  assert.throws(() => index(entry("p", "x").replace("pool/main", "../../etc")).find("p"), hasCode("bad-archive"));
  assert.throws(() => index(entry("p", "x").replace("1234", "many")).find("p"), hasCode("bad-archive"));
});
