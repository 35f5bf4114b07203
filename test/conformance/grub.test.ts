/** A guest that is not Linux: GRUB, as Debian builds it for PVH domains. It looks for a disk, finds none, and has a prompt. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { XenError } from "../../src/bits/errors.ts";
import { nodeMachine } from "../../src/host/node/machine.ts";
import type { Guest } from "../../src/toolstack/guest.ts";
import { Host } from "../../src/toolstack/host.ts";
import { fileOfPackage } from "./debian-package.ts";

const FILE = "usr/lib/grub-xen/grub-i386-xen_pvh.bin";
const TIMEOUT = 60_000;

const image = await fileOfPackage("grub-xen-host", FILE).catch((error: unknown) => {
  if (error instanceof XenError && error.code === "mirror-unreachable") return undefined;
  throw error;
});

/** Reads the console until a text is there, without what moves the cursor. */
function reader(guest: Guest): (until: string) => Promise<string> {
  const chunks = guest.console.readable.getReader();
  const decoder = new TextDecoder();
  let pending = "";
  return async (until) => {
    for (;;) {
      // Colours and positions are sequences that begin with ESC [; GRUB places each character that is typed.
      // oxlint-disable-next-line no-control-regex
      const plain = pending.replaceAll(/\x1b\[[\d;?]*[A-Za-z]/g, "");
      const at = plain.indexOf(until);
      if (at >= 0) {
        pending = plain.slice(at + until.length);
        return plain.slice(0, at);
      }
      const { done, value } = await chunks.read();
      assert.ok(!done, `the console ended before "${until}": ${plain}`);
      pending += decoder.decode(value, { stream: true });
    }
  };
}

test(
  "GRUB: boots to its prompt, does what is typed, and powers off",
  { skip: image === undefined && "no Debian mirror can be reached", timeout: TIMEOUT },
  async () => {
    assert.ok(image !== undefined);
    await using host = await Host.open(nodeMachine());
    const guest = await host.create({
      name: "grub",
      kernel: image,
      kernelName: FILE,
      commandLine: "",
      memoryBytes: 64 << 20,
      vcpus: 1,
    });
    const read = reader(guest);
    const keyboard = guest.console.writable.getWriter();
    const type = (line: string): Promise<void> => keyboard.write(new TextEncoder().encode(`${line}\r`));
    assert.match(await read("grub> "), /Welcome to GRUB![\s\S]*Minimal BASH-like line editing/);
    await type("set answer=4711; echo answer: ${answer}");
    await read("answer: 4711");
    await read("grub> ");
    await type("lsmmap");
    assert.match(await read("grub> "), /base_addr = 0x0, length = 0x4000000, available RAM/);
    await type("halt");
    assert.deepEqual(await guest.ended, { kind: "shutdown", reason: "poweroff" });
  },
);
