/** Interrupts between the vCPUs of a domain, as their local APICs send them. Intel SDM Vol. 3A, "Issuing Interprocessor Interrupts". */

import type { Domain } from "./domain.ts";
import { VCPU } from "./heap.ts";
import type { Delivery, Destination } from "./lapic.ts";

/** Bits of VCPU.requests. */
export const Request = { nmi: 1, init: 2, startup: 4 } as const;

/** The sending side: its own number, and its own local APIC. */
export interface Sender {
  readonly index: number;
  readonly lapic: { raise(vector: number): void };
}

function isAddressed(domain: Domain, vcpu: number, sender: number, to: Destination): boolean {
  switch (to.kind) {
    case "self":
      return vcpu === sender;
    case "all":
      return true;
    case "others":
      return vcpu !== sender;
    case "physical": {
      const broadcast = domain.vcpuGet(vcpu, VCPU.x2apic) !== 0 ? 0xffffffff : 0xff;
      return to.id === broadcast || to.id === vcpu * 2;
    }
    case "logical":
      return isLogicallyAddressed(domain, vcpu, to.id);
  }
}

/** Flat, cluster and x2APIC logical ids. */
function isLogicallyAddressed(domain: Domain, vcpu: number, id: number): boolean {
  if (domain.vcpuGet(vcpu, VCPU.x2apic) !== 0) {
    const own = vcpu * 2;
    return id === 0xffffffff || (id >>> 16 === own >>> 4 && ((id >>> (own & 15)) & 1) === 1);
  }
  const logical = domain.vcpuGet(vcpu, VCPU.logicalId) >>> 24;
  if (domain.vcpuGet(vcpu, VCPU.destinationFormat) >>> 28 === 0xf) return (logical & id) !== 0;
  return (id >>> 4 === 0xf || id >>> 4 === logical >>> 4) && (logical & id & 0xf) !== 0;
}

/** Delivers to every vCPU that is addressed: the sender's own at once, the others by way of the heap. */
export function deliverInterrupt(domain: Domain, sender: Sender, to: Destination, delivery: Delivery): void {
  for (let vcpu = 0; vcpu < domain.vcpus; vcpu++) {
    if (!isAddressed(domain, vcpu, sender.index, to)) continue;
    const at = domain.heap.vcpu(domain.slot, vcpu);
    switch (delivery.kind) {
      case "fixed":
        if (vcpu === sender.index) {
          sender.lapic.raise(delivery.vector);
          continue;
        }
        Atomics.or(domain.heap.words, at + VCPU.interrupts + (delivery.vector >>> 5), 1 << (delivery.vector & 31));
        break;
      case "nmi":
        Atomics.or(domain.heap.words, at + VCPU.requests, Request.nmi);
        break;
      case "init":
        // A start-up request from before belongs to a life that ends here.
        Atomics.store(domain.heap.words, at + VCPU.requests, Request.init);
        break;
      case "startup":
        domain.vcpuSet(vcpu, VCPU.startVector, delivery.page);
        Atomics.or(domain.heap.words, at + VCPU.requests, Request.startup);
        break;
    }
    domain.kick(vcpu);
  }
}
