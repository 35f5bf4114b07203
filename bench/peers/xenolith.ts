/** Xenolith as a peer: a process of its own, so that its memory can be measured and its start counts. */

import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../../bin/v8-flags.js";
import type { Peer } from "./peer.ts";

/** This repository's hypervisor. */
export function xenolith(): Peer {
  return {
    name: "xenolith",
    architecture: "amd64",
    missing: undefined,
    statistics: "messages",
    launch: ({ vmlinux, initrd, memoryMegabytes, commandLine }) => ({
      program: process.execPath,
      args: [
        ...V8_FLAGS,
        fileURLToPath(new URL("xenolith-machine.ts", import.meta.url)),
        "--kernel",
        vmlinux,
        "--initrd",
        initrd,
        `--memory=${memoryMegabytes}`,
        `--append=console=hvc0 ${commandLine}`,
      ],
    }),
  };
}
