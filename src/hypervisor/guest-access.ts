/** Copies between the hypervisor and the linear addresses that a guest passes in hypercalls. */

import { XEN_PAGE_SIZE } from "../abi/xen.ts";
import type { DomainMemory, Vcpu } from "../engine/engine.ts";
import type { ForeignMemory } from "./foreign.ts";

const ADDRESS_MASK = (1n << 64n) - 1n;

/** Visits the guest-physical pieces of a linear range. @returns false if a page does not translate. */
function pieces(
  vcpu: Vcpu,
  linear: bigint,
  length: number,
  access: "read" | "write",
  visit: (address: number, from: number, to: number) => boolean,
): boolean {
  const mask = vcpu.codeSize === 64 ? ADDRESS_MASK : 0xffffffffn;
  for (let done = 0; done < length;) {
    const address = (linear + BigInt(done)) & mask;
    const chunk = Math.min(length - done, XEN_PAGE_SIZE - Number(address & 0xfffn));
    const physical = vcpu.translate(address, access);
    if (physical === undefined || !visit(physical, done, done + chunk)) return false;
    done += chunk;
  }
  return true;
}

/** Copies from the guest. @returns false when any byte cannot be read: -EFAULT. */
export function copyFromGuest(
  vcpu: Vcpu,
  memory: DomainMemory,
  linear: bigint,
  into: Uint8Array,
  foreign?: ForeignMemory,
): boolean {
  const read = (address: number, bytes: Uint8Array): boolean =>
    memory.read(address, bytes) || (foreign?.copyFrom(address, bytes) ?? false);
  // Of nothing there is nothing to fault, wherever it is.
  if (into.length === 0) return true;
  // Nearly every argument lies in one page, on a 64-bit kernel's stack.
  if (vcpu.codeSize === 64 && Number(linear & 0xfffn) + into.length <= XEN_PAGE_SIZE) {
    const physical = vcpu.translate(linear, "read");
    return physical !== undefined && read(physical, into);
  }
  return pieces(vcpu, linear, into.length, "read", (address, from, to) => read(address, into.subarray(from, to)));
}

/** Copies to the guest. @returns false when a byte cannot be written; those before it may have been. */
export function copyToGuest(
  vcpu: Vcpu,
  memory: DomainMemory,
  linear: bigint,
  from: Uint8Array,
  foreign?: ForeignMemory,
): boolean {
  return pieces(vcpu, linear, from.length, "write", (address, begin, end) => {
    const bytes = from.subarray(begin, end);
    if (!memory.write(address, bytes)) return foreign?.copyTo(address, bytes) ?? false;
    memory.externallyWritten(Math.floor(address / XEN_PAGE_SIZE));
    return true;
  });
}
