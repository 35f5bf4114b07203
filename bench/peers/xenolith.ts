/** Xenolith as a peer: a process of its own, so that its memory can be measured and its start counts. */

import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../../bin/v8-flags.js";
import type { GuestFiles, Launch, Peer } from "./peer.ts";

/** This repository's hypervisor. */
export function xenolith(): Peer {
  const launch = (
    { vmlinux, initrd, memoryMegabytes, commandLine }: GuestFiles,
    more: readonly string[] = [],
  ): Launch => ({
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
      ...more,
    ],
  });
  return {
    name: "xenolith",
    architecture: "amd64",
    missing: undefined,
    statistics: "messages",
    launch: (files) => launch(files),
    launchCached: (files, directory) => launch(files, [`--translations=${directory}`]),
  };
}
