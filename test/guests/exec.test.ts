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

const image = "debian:12";
const skip = (await imageUnavailable(image)) ?? false;

/** Each exec is at other addresses. All is hot that will be after some hundred, and what waits for the translator comes while
 * the shell counts. */
const command = `
execs() { i=0; while [ $i -lt $1 ]; do i=$((i + 1)); /bin/busybox true; done; echo "@$2"; }
execs 500 hot; i=0; while [ $i -lt 150000 ]; do i=$((i + 1)); done; execs 1 before; execs 100 after`;

test("exec: a program that was executed often enough is not translated anew", { skip, timeout: 300_000 }, async (t) => {
  const { initrd, vmlinux } = await pullImage(image, {});
  const marker = newMarker(randomBytes(16));
  await using host = await Host.open(nodeMachine());
  const guest = await host.create({
    name: image,
    kernel: await readFile(vmlinux),
    kernelName: image,
    initrd: joinArchives(
      await readFile(initrd),
      runArchive({ mode: "command", command: ["sh", "-c", command] }, { marker }),
    ),
    commandLine: imageCommandLine("quiet"),
    memoryBytes: 256 << 20,
    vcpus: 1,
  });
  const regions = new Map<string, number>();
  let shown = "";
  const { status } = await runSession(guest, "command", marker, {
    input: (async function* () {})(),
    interactive: false,
    output(bytes) {
      shown += new TextDecoder().decode(bytes);
      for (const [, place] of shown.matchAll(/@(\w+)\n/g))
        if (!regions.has(place!)) regions.set(place!, guest.statistics().translation.regions);
      return undefined;
    },
    errorOutput: () => undefined,
    boot() {},
    ready() {},
  });
  t.diagnostic([...regions].join(" "));
  assert.equal(status, 0);
  const [hot, before, after] = ["hot", "before", "after"].map((place) => regions.get(place) ?? 0);
  assert.ok(hot! > 1000);
  // Were it by address, a hundred executions would bring regions by the hundred.
  assert.ok(after! - before! < 50, `${after! - before!} regions in 100 executions`);
});
