/** QEMU without hardware virtualization (TCG), as Debian packages it: what one would use where there is no KVM. */

import { spawnSync } from "node:child_process";
import type { Peer } from "./peer.ts";

const PROGRAM = "qemu-system-x86_64";

/** The processor model and the machine with which TCG was the fastest: README.md has the figures. */
export const bestProcessor = "qemu64";
const machine = "pc";

/**
 * @param processor one of QEMU's models, for -cpu.
 * @param mitigations as the kernel has them by itself, or none: what the guest does about its
 *   processor's faults costs time.
 */
export function qemu(processor: string, mitigations: "default" | "off"): Peer {
  const found = spawnSync(PROGRAM, ["--version"]).status === 0;
  return {
    name: `qemu${processor === bestProcessor ? "" : `-${processor}`}${mitigations === "off" ? "-mitigations-off" : ""}`,
    architecture: "amd64",
    missing: found ? undefined : `${PROGRAM} is not installed (Debian: apt install qemu-system-x86)`,
    statistics: "none",
    launch: ({ vmlinux, initrd, memoryMegabytes, commandLine }) => ({
      program: PROGRAM,
      args: [
        ...`-accel tcg -machine ${machine} -cpu ${processor} -smp 1 -m ${memoryMegabytes}M`.split(" "),
        ..."-nodefaults -no-user-config -no-reboot -display none -serial stdio".split(" "),
        "-kernel",
        vmlinux,
        "-initrd",
        initrd,
        "-append",
        `console=ttyS0 ${commandLine}${mitigations === "off" ? " mitigations=off" : ""}`,
      ],
    }),
  };
}
