/**
 * The SDK on Node.js: domains from a program.
 *
 * @example
 * await using host = await Host.open(nodeMachine());
 * await using guest = await host.create({ name: "a", kernel, kernelName: "vmlinuz", commandLine: "console=hvc0", memoryBytes: 512 << 20, vcpus: 1 });
 */

export { Host } from "./toolstack/host.ts";
export type { DomainConfig } from "./toolstack/domain-config.ts";
export type { Ending, Guest, GuestConsole, GuestStatistics, ShutdownReason } from "./toolstack/guest.ts";
export { nodeMachine } from "./host/node/machine.ts";
export type { Machine } from "./toolstack/machine.ts";
export { XenError } from "./bits/errors.ts";
export type { ErrorCode } from "./bits/errors.ts";
