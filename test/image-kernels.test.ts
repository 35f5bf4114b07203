/** The real kernels of the images in the cache: what the domain builder makes of them. Skips where none was pulled. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { loadKernel } from "../src/boot/kernel.ts";
import { layOutPvh } from "../src/boot/pvh.ts";
import { decompressors } from "../src/host/node/decompressors.ts";
import { listImages } from "../src/host/node/images.ts";

const images = await listImages().catch(() => []);

test("kernels: an image is in the cache", { skip: images.length === 0 && "no image is in the cache" }, async (t) => {
  for (const image of images) {
    await t.test(`kernels: ${image.reference}, Linux ${image.kernelRelease}`, async () => {
      const bzImage = loadKernel(await readFile(image.kernel), image.kernel, decompressors);
      const vmlinux = loadKernel(await readFile(image.vmlinux), image.vmlinux, {});
      assert.equal(bzImage.guestOs, "linux");
      assert.equal(bzImage.findsRsdpAnywhere, true);
      assert.equal(bzImage.start, 0x1000000);
      assert.equal(bzImage.entry, vmlinux.entry);
      assert.ok(bzImage.end >= vmlinux.end, "init_size covers the image");
      assert.equal(bzImage.segments.length, vmlinux.segments.length);
      bzImage.segments.forEach(({ contents }, i) => {
        assert.equal(Buffer.compare(contents, vmlinux.segments[i]!.contents), 0, `segment ${i}`);
      });
      const initrd = await readFile(image.initrd);
      const commandLine = "console=hvc0";
      const domain = layOutPvh({
        kernel: vmlinux,
        memoryBytes: 256 << 20,
        initrd,
        commandLine,
        processors: { online: 1, maximum: 1 },
      });
      assert.ok(domain.writes.some(({ bytes }) => bytes === initrd));
    });
  }
});
