import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { nodeMachine } from "../../src/host/node/machine.ts";
import { pullImage } from "../../src/host/node/images.ts";
import { imageCommandLine } from "../../src/images/command-line.ts";
import { joinArchives, newMarker, runArchive } from "../../src/images/initramfs.ts";
import { Host } from "../../src/toolstack/host.ts";
import { runSession } from "../../src/toolstack/session.ts";
import { imageUnavailable } from "./image-guest.ts";

/** Every release has a busybox and a kernel of its own to read xenstore with; those after the first by `npm run test:guests`. */
const images = ["debian:12", "debian:11", "debian:13", "debian:sid"];
const asked = process.env["npm_lifecycle_event"] === "test:guests";

for (const [i, image] of images.entries()) {
  const why = i > 0 && !asked ? "npm run test:guests boots every image" : ((await imageUnavailable(image)) ?? false);
  test(`window: ${image}'s terminal follows the user's window`, { skip: why, timeout: 300_000 }, async () => {
    const { initrd, vmlinux } = await pullImage(image, {});
    await using host = await Host.open(nodeMachine());
    const marker = newMarker(randomBytes(16));
    const guest = await host.create({
      name: image,
      kernel: await readFile(vmlinux),
      kernelName: image,
      initrd: joinArchives(await readFile(initrd), runArchive({ mode: "shell" }, { marker, rows: 30, columns: 100 })),
      commandLine: imageCommandLine("quiet"),
      memoryBytes: 256 << 20,
      vcpus: 1,
    });
    // Said before the guest listens: it must hear of it all the same.
    guest.resize(33, 90);
    let shown = "";
    let look = (): void => {};
    const shows = async (text: string): Promise<void> => {
      while (!shown.includes(text)) await new Promise<void>((resolve) => (look = resolve));
    };
    async function* typed(): AsyncGenerator<Uint8Array> {
      const line = (text: string): Uint8Array => new TextEncoder().encode(`${text}\n`);
      yield line(`until [ "$(stty size)" = "33 90" ]; do sleep 0.1; done; echo he''ard`);
      await shows("heard");
      // The shell's child is in the foreground: the signal is its.
      yield line(`sh -c 'trap "stty size" WINCH; echo lis''tens; while :; do sleep 0.1; done'`);
      await shows("listens");
      guest.resize(41, 121);
      await shows("41 121");
      yield Uint8Array.of(3);
      // A shell goes on without what follows the window.
      yield line(
        `for p in /proc/[0-9]*; do case $(readlink $p/fd/0) in *xenbus) kill \${p#/proc/}; echo kil''led; esac; done`,
      );
      await shows("killed");
      yield line("exit 3");
    }
    const result = await runSession(guest, "shell", marker, {
      input: typed(),
      interactive: true,
      output(bytes) {
        shown += new TextDecoder().decode(bytes);
        look();
        return undefined;
      },
      errorOutput: () => undefined,
      boot() {},
      ready() {},
    });
    assert.equal(result.status, 3, shown);
  });
}
