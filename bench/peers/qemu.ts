/** QEMU without hardware virtualization (TCG), as Debian packages it: what one would use where there is no KVM. */

import { spawnSync } from "node:child_process";
import type { Peer } from "./peer.ts";

const PROGRAM = "qemu-system-x86_64";

/** The processor model and the machine with which TCG was the fastest: README.md has the figures. */
const processor = process.env["BENCH_QEMU_CPU"] ?? "qemu64";
const machine = process.env["BENCH_QEMU_MACHINE"] ?? "pc";

/** @param mitigations as the kernel has them by itself, or none: what the guest does about its processor's faults costs time. */
export function qemu(mitigations: "default" | "off"): Peer {
  const found = spawnSync(PROGRAM, ["--version"]).status === 0;
  return {
    name: mitigations === "off" ? "qemu-mitigations-off" : "qemu",
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
