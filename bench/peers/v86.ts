/** v86, the x86 emulator that runs in browsers, in Node.js: it has no 64-bit mode, so that its guest is the 32-bit counterpart. */

import { fileURLToPath } from "node:url";
import type { Peer } from "./peer.ts";

/** @param bios path of SeaBIOS, which the package of v86 comes without; undefined when it could not be had. */
export function v86(bios: string | undefined): Peer {
  return {
    name: "v86",
    architecture: "i386",
    missing: bios === undefined ? "no SeaBIOS: is a Debian mirror reachable?" : missingPackage(),
    statistics: "none",
    launch: ({ bzImage, initrd, memoryMegabytes, commandLine }) => ({
      program: process.execPath,
      args: [
        fileURLToPath(new URL("v86-machine.ts", import.meta.url)),
        "--bios",
        bios ?? "",
        "--kernel",
        bzImage,
        "--initrd",
        initrd,
        `--memory=${memoryMegabytes}`,
        `--append=console=ttyS0 ${commandLine}`,
      ],
    }),
  };
}

function missingPackage(): string | undefined {
  try {
    import.meta.resolve("v86");
    return undefined;
  } catch {
    return "its package is not installed; run npm ci";
  }
}
