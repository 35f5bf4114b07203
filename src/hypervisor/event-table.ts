/**
 * The port tables of all domains: who may send to whom. Binding and closing hold the heap's event lock; sending takes
 * none. A sender sets the port's bit among the target's raised ports and asks for attention; the target's own worker
 * moves raised ports into the guest's structures (event-channels.ts). xen/common/event_channel.c.
 */

import { lowestBit } from "../bits/integers.ts";
import { Errno } from "../abi/errno.ts";
import { EVTCHN_FIFO, EVTCHNSTAT } from "../abi/event_channel.ts";
import { eventPort } from "../abi/types.ts";
import type { DomainId, EventPort } from "../abi/types.ts";
import { NR_VIRQS, VIRQ } from "../abi/xen.ts";
import type { Domain } from "./domain.ts";
import { DOMAIN, PORT, VCPU } from "./heap.ts";

/** What a port is bound to. */
export type Binding =
  | { readonly state: typeof EVTCHNSTAT.unbound; readonly remote: DomainId }
  | { readonly state: typeof EVTCHNSTAT.interdomain; readonly remote: DomainId; readonly remotePort: EventPort }
  | { readonly state: typeof EVTCHNSTAT.virq; readonly virq: number; readonly vcpu: number }
  | { readonly state: typeof EVTCHNSTAT.ipi; readonly vcpu: number };

/** Virtual interrupts that are delivered to one vCPU each; the others are bound once for a domain, on vCPU 0. */
const PER_VCPU: ReadonlySet<number> = new Set([VIRQ.TIMER, VIRQ.DEBUG, VIRQ.XENOPROF, VIRQ.XENPMU]);

/** Whether a virtual interrupt exists for each vCPU. Xen: virq_is_global() */
export function virqIsPerVcpu(virq: number): boolean {
  return PER_VCPU.has(virq);
}

/** Whether a number can be a port of this domain: 0 never is. */
export function isPort(domain: Domain, port: number): port is EventPort {
  return port > 0 && port < domain.get(DOMAIN.portLimit);
}

/** A word of a port, by its offset in {@link PORT}. */
export function portWord(domain: Domain, port: number, offset: number): number {
  return domain.heap.load(domain.heap.port(domain.slot, port) + offset);
}

/** Changes a word of a port. */
export function setPortWord(domain: Domain, port: number, offset: number, value: number): void {
  domain.heap.store(domain.heap.port(domain.slot, port) + offset, value);
}

/** What a port is bound to. @returns undefined for a port that is free or out of range. */
export function findBinding(domain: Domain, port: number): Binding | undefined {
  if (!isPort(domain, port)) return undefined;
  const remote = portWord(domain, port, PORT.remoteDomain) as DomainId;
  const vcpu = portWord(domain, port, PORT.vcpu);
  switch (portWord(domain, port, PORT.state)) {
    case EVTCHNSTAT.unbound:
      return { state: EVTCHNSTAT.unbound, remote };
    case EVTCHNSTAT.interdomain: {
      const remotePort = eventPort(portWord(domain, port, PORT.remotePort));
      return { state: EVTCHNSTAT.interdomain, remote, remotePort };
    }
    case EVTCHNSTAT.virq:
      return { state: EVTCHNSTAT.virq, virq: portWord(domain, port, PORT.virq), vcpu };
    case EVTCHNSTAT.ipi:
      return { state: EVTCHNSTAT.ipi, vcpu };
    default:
      return undefined;
  }
}

function bind(domain: Domain, port: EventPort, binding: Binding): void {
  setPortWord(domain, port, PORT.vcpu, "vcpu" in binding ? binding.vcpu : 0);
  setPortWord(domain, port, PORT.remoteDomain, "remote" in binding ? binding.remote : 0);
  setPortWord(domain, port, PORT.remotePort, "remotePort" in binding ? binding.remotePort : 0);
  setPortWord(domain, port, PORT.virq, "virq" in binding ? binding.virq : 0);
  setPortWord(domain, port, PORT.state, binding.state);
}

/** Takes the lowest free port. Call inside withPorts. */
function takePort(domain: Domain, binding: Binding): EventPort | undefined {
  for (let port = 1; isPort(domain, port); port++) {
    if (portWord(domain, port, PORT.state) !== EVTCHNSTAT.closed) continue;
    setPortWord(domain, port, PORT.priority, EVTCHN_FIFO.PRIORITY_DEFAULT);
    setPortWord(domain, port, PORT.savedPending, 0);
    unraise(domain, port);
    bind(domain, port, binding);
    return port;
  }
  return undefined;
}

/** A new port. @returns -ENOSPC when the domain has as many as it may. */
export function allocatePort(domain: Domain, binding: Binding): EventPort | number {
  return domain.heap.withPorts(() => takePort(domain, binding)) ?? -Errno.ENOSPC;
}

/**
 * Joins a new port of `domain` with an unbound port of another (or its own). The new port is raised at once, since events
 * may have been sent to the unbound one. Xen: evtchn_bind_interdomain().
 * @returns the local port; -EINVAL unless the remote port accepts this domain; -ENOSPC.
 */
export function bindInterdomain(domain: Domain, remote: Domain, remotePort: number): EventPort | number {
  const result = domain.heap.withPorts(() => {
    const binding = findBinding(remote, remotePort);
    if (binding?.state !== EVTCHNSTAT.unbound || binding.remote !== domain.id) return -Errno.EINVAL;
    const state = EVTCHNSTAT.interdomain;
    const local = takePort(domain, { state, remote: remote.id, remotePort: eventPort(remotePort) });
    if (local === undefined) return -Errno.ENOSPC;
    const vcpu = portWord(remote, remotePort, PORT.vcpu);
    bind(remote, eventPort(remotePort), { state, remote: domain.id, remotePort: local });
    setPortWord(remote, remotePort, PORT.vcpu, vcpu);
    return local;
  });
  if (result > 0) raise(domain, result);
  return result;
}

/** A port for a virtual interrupt of a vCPU. @returns -EEXIST when that has one already; -EINVAL, -ENOENT; -ENOSPC. */
export function bindVirq(domain: Domain, virq: number, vcpu: number): EventPort | number {
  if (virq >= NR_VIRQS) return -Errno.EINVAL;
  if (!virqIsPerVcpu(virq) && vcpu !== 0) return -Errno.EINVAL;
  if (vcpu >= domain.vcpus) return -Errno.ENOENT;
  return domain.heap.withPorts(() => {
    if (domain.vcpuGet(vcpu, VCPU.virqPort + virq) !== 0) return -Errno.EEXIST;
    const port = takePort(domain, { state: EVTCHNSTAT.virq, virq, vcpu });
    if (port === undefined) return -Errno.ENOSPC;
    domain.vcpuSet(vcpu, VCPU.virqPort + virq, port);
    return port;
  });
}

/** The port on which a vCPU hears of a virtual interrupt, or 0. */
export function virqPort(domain: Domain, virq: number, vcpu: number): number {
  return domain.vcpuGet(vcpu, VCPU.virqPort + virq);
}

/** Frees a port; an interdomain peer becomes unbound, for this domain to bind again. @returns -EINVAL for a free one. */
export function closePort(domain: Domain, port: number): number {
  return domain.heap.withPorts(() => {
    const binding = findBinding(domain, port);
    if (binding === undefined) return -Errno.EINVAL;
    if (binding.state === EVTCHNSTAT.virq) {
      for (let vcpu = 0; vcpu < domain.vcpus; vcpu++) {
        const at = VCPU.virqPort + binding.virq;
        if (domain.vcpuGet(vcpu, at) === port) domain.vcpuSet(vcpu, at, 0);
      }
    }
    if (binding.state === EVTCHNSTAT.interdomain) {
      const remote = domain.hypervisor.find(binding.remote);
      const back = remote === undefined ? undefined : findBinding(remote, binding.remotePort);
      const joined = back?.state === EVTCHNSTAT.interdomain && back.remote === domain.id && back.remotePort === port;
      if (remote !== undefined && joined) {
        const vcpu = portWord(remote, binding.remotePort, PORT.vcpu);
        bind(remote, binding.remotePort, { state: EVTCHNSTAT.unbound, remote: domain.id });
        setPortWord(remote, binding.remotePort, PORT.vcpu, vcpu);
      }
    }
    unraise(domain, port);
    setPortWord(domain, port, PORT.state, EVTCHNSTAT.closed);
    return 0;
  });
}

/**
 * Sends to the other end of a port: the peer's port, or for an IPI the port itself. An event to an unbound port is lost,
 * as Xen loses it. @returns -EINVAL for a port that cannot send.
 */
export function send(domain: Domain, port: number): number {
  const binding = findBinding(domain, port);
  switch (binding?.state) {
    case EVTCHNSTAT.interdomain: {
      const remote = domain.hypervisor.find(binding.remote);
      if (remote !== undefined) raise(remote, binding.remotePort);
      return 0;
    }
    case EVTCHNSTAT.ipi:
      raise(domain, port);
      return 0;
    case EVTCHNSTAT.unbound:
      return 0;
    default:
      return -Errno.EINVAL;
  }
}

/** Raises a virtual interrupt, if the domain has bound it. Xen: send_guest_vcpu_virq() */
export function raiseVirq(domain: Domain, virq: number, vcpu = 0): void {
  const port = virqPort(domain, virq, vcpu);
  if (port !== 0) raise(domain, port);
}

/** Marks a port as raised and asks its vCPU to look, or rings the doorbell for domain 0. From any thread. */
export function raise(domain: Domain, port: number): void {
  const { words } = domain.heap;
  const bit = 1 << (port & 31);
  const before = Atomics.or(words, domain.base + DOMAIN.raised + (port >> 5), bit);
  Atomics.or(words, domain.base + DOMAIN.raisedSummary + (port >> 10), 1 << ((port >> 5) & 31));
  if (before & bit) return;
  if (domain.id === 0) domain.heap.ringDoorbell();
  else domain.kick(portWord(domain, port, PORT.vcpu));
}

function unraise(domain: Domain, port: number): void {
  Atomics.and(domain.heap.words, domain.base + DOMAIN.raised + (port >> 5), ~(1 << (port & 31)));
}

/** Takes all raised ports, lowest first, and clears them. */
export function takeRaised(domain: Domain, visit: (port: EventPort) => void): void {
  const { words } = domain.heap;
  const limit = domain.get(DOMAIN.portLimit);
  for (let group = 0; group << 10 < limit; group++) {
    const at = domain.base + DOMAIN.raisedSummary + group;
    if (Atomics.load(words, at) === 0) continue;
    let summary = Atomics.exchange(words, at, 0);
    while (summary !== 0) {
      const word = (group << 5) + lowestBit(summary);
      summary &= summary - 1;
      let bits = Atomics.exchange(words, domain.base + DOMAIN.raised + word, 0);
      for (; bits !== 0; bits &= bits - 1) visit(eventPort((word << 5) + lowestBit(bits)));
    }
  }
}

/** Closes every port: when a domain resets its event channels or is destroyed. */
export function closeAllPorts(domain: Domain): void {
  for (let port = 1; isPort(domain, port); port++) {
    if (portWord(domain, port, PORT.state) !== EVTCHNSTAT.closed) closePort(domain, port);
  }
}
