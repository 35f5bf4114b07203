import assert from "node:assert/strict";
import { test } from "node:test";
import { XenError } from "../bits/errors.ts";
import { catalogue, catalogueEntry } from "./catalogue.ts";

test("catalogue: names, short names and code names", () => {
  assert.equal(catalogueEntry("debian").reference, "debian:12");
  assert.equal(catalogueEntry("debian/amd64").reference, "debian:12/amd64");
  assert.equal(catalogueEntry("debian:trixie").reference, "debian:13");
  assert.equal(catalogueEntry("debian:bookworm/amd64").reference, "debian:12/amd64");
  assert.deepEqual(
    ["debian:11", "debian:12", "debian:13", "debian:sid"].map((name) => catalogueEntry(name).codename),
    ["bullseye", "bookworm", "trixie", "sid"],
  );
  assert.equal(catalogueEntry("debian:12").kernelPackage, "linux-image-cloud-amd64");
  assert.equal(catalogueEntry("debian:12/amd64").kernelPackage, "linux-image-amd64");
});

test("catalogue: an unknown image is refused with the names of those there are", () => {
  for (const name of ["", "debian:", "debian:14", "Debian", "debian:12/arm64", "ubuntu", "debian:12 ", "../x"]) {
    assert.throws(
      () => catalogueEntry(name),
      (error) => {
        assert.ok(error instanceof XenError && error.code === "no-such-image");
        for (const { reference } of catalogue) assert.ok(error.message.includes(reference));
        return true;
      },
    );
  }
});
