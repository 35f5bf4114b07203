/** A domain: one thread's view of what the heap says about it, with its memory where that thread has it. */

import { assert, XenError } from "../bits/errors.ts";
import { DOMID } from "../abi/xen.ts";
import { SHUTDOWN } from "../abi/sched.ts";
import { HVM_PARAM } from "../abi/hvm/params.ts";
import { domainId } from "../abi/types.ts";
import type { DomainId } from "../abi/types.ts";
import type { Attention, DomainMemory } from "../engine/engine.ts";
import { DOMAIN, DomainState, MAX_GRANT_FRAMES, MAX_PORTS, MAX_VCPUS, VCPU } from "./heap.ts";
import type { Heap, Slot } from "./heap.ts";

/** A range of guest-physical addresses, in bytes, with an E820 type. */
export interface MemoryRange {
  readonly address: number;
  readonly size: number;
  readonly type: number;
}

/** What every thread that serves a domain is told about it. Can be posted to a worker. */
export interface DomainConfig {
  readonly vcpus: number;
  /** RAM, in bytes, a multiple of a page: what the domain begins with and may not exceed. */
  readonly ram: number;
  /** Answered to XENMEM_memory_map. */
  readonly memoryMap: readonly MemoryRange[];
  /** UUID: XENVER_guest_handle. 16 bytes. */
  readonly handle: readonly number[];
  /** Event channels at most. Xen's toolstack allows 1023. */
  readonly ports?: number;
  /** Frames of grant entries at most. */
  readonly grantFrames?: number;
}

/**
 * Gets this thread the memory of another domain that exists. May block.
 * @returns undefined for a domain without memory, or where it cannot be had.
 */
export type FindMemory = (id: DomainId) => DomainMemory | undefined;

/** Reaches one vCPU's attention words. @returns undefined on threads that do not have them. */
export type FindAttention = (vcpu: number) => Attention | undefined;

/** One thread's view of the hypervisor: the heap, and the domains it has looked at. */
export class Hypervisor {
  readonly heap: Heap;
  /** Nanoseconds since some moment, never going back, the same on all threads. */
  readonly monotonic: () => number;
  readonly findMemory: FindMemory;
  readonly #views = new Map<DomainId, Domain>();

  /** @param findMemory for threads that are not given every domain's memory; see {@link Domain.hasMemory}. */
  constructor(heap: Heap, monotonic: () => number, findMemory: FindMemory = () => undefined) {
    this.heap = heap;
    this.monotonic = monotonic;
    this.findMemory = findMemory;
  }

  /** The domain of this id. @returns undefined when none exists. */
  find(id: DomainId): Domain | undefined {
    const view = this.#views.get(id);
    if (view !== undefined && view.exists) return view;
    const slot = this.heap.findDomain(id);
    if (slot === undefined) {
      this.#views.delete(id);
      return undefined;
    }
    return this.remember(new Domain(this, slot));
  }

  /** Makes {@link Hypervisor.find} answer with this view. */
  remember(domain: Domain): Domain {
    this.#views.set(domain.id, domain);
    return domain;
  }

  /** The views this thread has. */
  views(): Iterable<Domain> {
    return this.#views.values();
  }

  /** Lets go of domains that were destroyed, and of their memory. */
  forgetGone(): void {
    for (const [id, view] of this.#views) if (!view.exists) this.#views.delete(id);
  }
}

/** One thread's view of a domain. Everything but the memory is in the heap, so that any number of views agree. */
export class Domain {
  readonly hypervisor: Hypervisor;
  readonly heap: Heap;
  readonly slot: Slot;
  readonly id: DomainId;
  /** No other domain has or will have it. */
  readonly serial: number;
  /** The index of the domain's first word in the heap. */
  readonly base: number;
  #memory: DomainMemory | undefined;
  #asked = false;
  readonly #attention: FindAttention;

  constructor(hypervisor: Hypervisor, slot: Slot, memory?: DomainMemory, attention: FindAttention = () => undefined) {
    const { heap } = hypervisor;
    this.hypervisor = hypervisor;
    this.heap = heap;
    this.slot = slot;
    this.base = heap.domain(slot);
    this.id = domainId(heap.load(this.base + DOMAIN.id));
    this.serial = heap.load(this.base + DOMAIN.serial);
    this.#memory = memory;
    this.#attention = attention;
  }

  /** A word of the domain, by its offset in {@link DOMAIN}. */
  get(offset: number): number {
    return this.heap.load(this.base + offset);
  }

  set(offset: number, value: number): void {
    this.heap.store(this.base + offset, value);
  }

  vcpuGet(vcpu: number, offset: number): number {
    return this.heap.load(this.heap.vcpu(this.slot, vcpu) + offset);
  }

  vcpuSet(vcpu: number, offset: number, value: number): void {
    this.heap.store(this.heap.vcpu(this.slot, vcpu) + offset, value);
  }

  /** Whether this is still the domain that the view was made for. */
  get exists(): boolean {
    return this.get(DOMAIN.serial) === this.serial && this.state !== DomainState.free;
  }

  /** Whether this thread can reach the domain's memory. It asks for it once; the caller holds no lock. */
  get hasMemory(): boolean {
    if (this.#memory === undefined && !this.#asked) {
      this.#asked = true;
      this.#memory = this.hypervisor.findMemory(this.id);
    }
    return this.#memory !== undefined;
  }

  /** The domain's memory. Only for domains that have some, on threads that were given it. */
  get memory(): DomainMemory {
    assert(this.#memory !== undefined, `domain ${this.id}: this thread does not have its memory`);
    return this.#memory;
  }

  get vcpus(): number {
    return this.get(DOMAIN.vcpus);
  }

  get state(): DomainState {
    return this.get(DOMAIN.state) as DomainState;
  }

  /** Whether the guest's shared structures are laid out for 32-bit code. */
  get compat(): boolean {
    return this.get(DOMAIN.compat) !== 0;
  }

  /** An HVM parameter; zero until set. */
  param(index: number): bigint {
    const low = BigInt(this.get(DOMAIN.params + index * 2) >>> 0);
    return (BigInt(this.get(DOMAIN.params + index * 2 + 1) >>> 0) << 32n) | low;
  }

  setParam(index: number, value: bigint): void {
    this.set(DOMAIN.params + index * 2, Number(BigInt.asIntN(32, value)));
    this.set(DOMAIN.params + index * 2 + 1, Number(BigInt.asIntN(32, value >> 32n)));
  }

  /** A 64-bit word pair of a vCPU that holds an address plus one, or 0 for none. */
  vcpuAddress(vcpu: number, offset: number): bigint | undefined {
    const low = BigInt(this.vcpuGet(vcpu, offset) >>> 0);
    const value = (BigInt(this.vcpuGet(vcpu, offset + 1) >>> 0) << 32n) | low;
    return value === 0n ? undefined : value - 1n;
  }

  setVcpuAddress(vcpu: number, offset: number, address: bigint | undefined): void {
    const value = address === undefined ? 0n : BigInt.asUintN(64, address + 1n);
    this.vcpuSet(vcpu, offset, Number(BigInt.asIntN(32, value)));
    this.vcpuSet(vcpu, offset + 1, Number(BigInt.asIntN(32, value >> 32n)));
  }

  /** Makes a vCPU look at its events, requests and the domain's state soon. From any thread. */
  kick(vcpu: number): void {
    const attention = this.#attention(vcpu);
    if (attention !== undefined) {
      attention.request();
      return;
    }
    Atomics.or(this.heap.words, this.base + DOMAIN.kicks + (vcpu >> 5), 1 << (vcpu & 31));
    this.set(DOMAIN.kicked, 1);
    this.heap.ringDoorbell();
  }

  kickAll(): void {
    for (let vcpu = 0; vcpu < this.vcpus; vcpu++) this.kick(vcpu);
  }

  /** Forwards what {@link Domain.kick} of threads without attention words asked for. On the control thread. */
  forwardKicks(): void {
    if (Atomics.exchange(this.heap.words, this.base + DOMAIN.kicked, 0) === 0) return;
    for (let word = 0; word < MAX_VCPUS / 32; word++) {
      const bits = Atomics.exchange(this.heap.words, this.base + DOMAIN.kicks + word, 0);
      for (let bit = 0; bit < 32; bit++) if ((bits >>> bit) & 1) this.#attention(word * 32 + bit)?.request();
    }
  }

  /** Whether the domain may not run now. */
  get paused(): boolean {
    return this.get(DOMAIN.pauseCount) > 0;
  }

  /** Stops the domain's vCPUs at their next exit. Counts. */
  pause(): void {
    Atomics.add(this.heap.words, this.base + DOMAIN.pauseCount, 1);
    this.kickAll();
  }

  /** Undoes one {@link Domain.pause}; a new domain has been paused once. */
  unpause(): void {
    const before = Atomics.sub(this.heap.words, this.base + DOMAIN.pauseCount, 1);
    assert(before > 0, `domain ${this.id}: unpaused more often than paused`);
    if (this.state === DomainState.building) {
      this.heap.doubles[(this.base + DOMAIN.epoch) / 2] = this.hypervisor.monotonic();
      this.set(DOMAIN.state, DomainState.running);
    }
    this.kickAll();
  }

  /**
   * Ends the domain for a SHUTDOWN reason, unless it has ended already; a code latched by SCHEDOP_shutdown_code takes
   * precedence. @returns whether this call ended it. Xen: domain_shutdown().
   */
  shutdown(reason: number): boolean {
    const latched = this.get(DOMAIN.shutdownCode);
    const words = this.heap.words;
    const at = this.base + DOMAIN.state;
    if (Atomics.compareExchange(words, at, DomainState.running, DomainState.shutdown) !== DomainState.running) {
      return false;
    }
    this.set(DOMAIN.shutdownReason, latched === 0 ? reason : latched - 1);
    this.kickAll();
    this.heap.ringDoorbell();
    return true;
  }

  /** Makes the domain's vCPUs stop for good: their loops return soon. The first step of destroying it. */
  stop(): void {
    this.set(DOMAIN.state, DomainState.dying);
    this.kickAll();
  }

  /** What {@link Hypervisor.monotonic} showed when the domain first ran: its system time 0. */
  get epoch(): number {
    return this.heap.doubles[(this.base + DOMAIN.epoch) / 2] ?? 0;
  }

  /** The SHUTDOWN reason, once the domain has shut down. */
  get shutdownReason(): number | undefined {
    return this.state === DomainState.shutdown ? this.get(DOMAIN.shutdownReason) : undefined;
  }

  /** Lets a domain that shut down to be suspended run on in place. What it left as its code is void. Xen: domain_resume() */
  resume(): void {
    const words = this.heap.words;
    this.set(DOMAIN.shutdownCode, 0);
    Atomics.compareExchange(words, this.base + DOMAIN.state, DomainState.shutdown, DomainState.running);
    this.kickAll();
  }
}

/**
 * Makes a domain: paused, with one vCPU online, no memory behind any guest frame yet.
 * @throws XenError "invalid-argument" for limits out of range, "not-enough-memory" when the heap holds no more domains.
 */
export function createDomain(
  hypervisor: Hypervisor,
  config: DomainConfig,
  memory: DomainMemory,
  attention?: FindAttention,
): Domain {
  const { vcpus, ports = 1023, grantFrames = MAX_GRANT_FRAMES } = config;
  const within = (what: string, value: number, low: number, high: number): void => {
    if (Number.isInteger(value) && value >= low && value <= high) return;
    throw new XenError("invalid-argument", `${what}: ${value} is not between ${low} and ${high}`);
  };
  within("vcpus", vcpus, 1, MAX_VCPUS);
  within("event channels", ports, 15, MAX_PORTS - 1);
  within("grant frames", grantFrames, 1, MAX_GRANT_FRAMES);
  const { heap } = hypervisor;
  const slot = heap.withDomains(() => {
    let id = heap.nextDomainId(DOMID.FIRST_RESERVED);
    while (heap.findDomain(domainId(id)) !== undefined) id = heap.nextDomainId(DOMID.FIRST_RESERVED);
    return heap.takeSlot(domainId(id));
  });
  if (slot === undefined) {
    throw new XenError("not-enough-memory", `no room for another domain: ${heap.domains - 1} exist; destroy one first`);
  }
  const domain = hypervisor.remember(new Domain(hypervisor, slot, memory, attention));
  domain.set(DOMAIN.vcpus, vcpus);
  domain.set(DOMAIN.pauseCount, 1);
  domain.set(DOMAIN.portLimit, ports + 1);
  domain.set(DOMAIN.maxGrantFrames, grantFrames);
  domain.set(DOMAIN.grantVersion, 1);
  domain.set(DOMAIN.nextFrame, memory.firstFrame);
  domain.set(DOMAIN.maxPages, config.ram / 4096 + 512);
  domain.setParam(HVM_PARAM.TRIPLE_FAULT_REASON, BigInt(SHUTDOWN.reboot));
  domain.setParam(HVM_PARAM.TIMER_MODE, 1n);
  domain.vcpuSet(0, VCPU.online, 1);
  domain.vcpuSet(0, VCPU.initialised, 1);
  domain.set(DOMAIN.onlineVcpus, 1);
  return domain;
}

/**
 * Domain 0, which lives on the control thread and has no guest: xenstored and the back ends act in its name.
 * Called once for a heap, before any {@link createDomain}.
 */
export function createControlDomain(hypervisor: Hypervisor): Domain {
  const { heap } = hypervisor;
  const slot = heap.withDomains(() => heap.takeSlot(domainId(0)));
  assert(slot === 0, "domain 0 is the first domain");
  const domain = hypervisor.remember(new Domain(hypervisor, slot));
  domain.set(DOMAIN.vcpus, 1);
  domain.set(DOMAIN.portLimit, MAX_PORTS);
  domain.set(DOMAIN.state, DomainState.running);
  return domain;
}

/** Another thread's view of an existing domain. @returns undefined when there is none of this id. */
export function attachDomain(
  hypervisor: Hypervisor,
  id: DomainId,
  memory?: DomainMemory,
  attention?: FindAttention,
): Domain | undefined {
  const slot = hypervisor.heap.findDomain(id);
  return slot === undefined ? undefined : hypervisor.remember(new Domain(hypervisor, slot, memory, attention));
}
