/**
 * The hypervisor heap: one SharedArrayBuffer with all state that several threads touch. Threads hold views of it and
 * nothing else in common, as Xen's pCPUs share its heap; every word is used with Atomics or under a lock.
 */

import { assert } from "../bits/errors.ts";
import { alignUp } from "../bits/integers.ts";
import { HVM_NR_PARAMS } from "../abi/hvm/params.ts";
import { NR_VIRQS } from "../abi/xen.ts";
import type { DomainId } from "../abi/types.ts";

/** Event channels a domain may have at most; `DomainLimits.ports` may set fewer. A multiple of 1024. */
export const MAX_PORTS = 4096;
/** Virtual processors of a domain at most. Xen: HVM_MAX_VCPUS. */
export const MAX_VCPUS = 128;
/** Frames of grant entries at most. Xen: the default of max_grant_frames. */
export const MAX_GRANT_FRAMES = 64;
/** Entries of those frames with version 1, which has the most. */
export const MAX_GRANTS = MAX_GRANT_FRAMES * 512;
/** Frames of version 2 status words: 2048 in each, for 256 entries a frame. */
export const MAX_STATUS_FRAMES = MAX_GRANT_FRAMES / 8;
/** Grants of others that a domain may have mapped at once. */
export const MAX_MAPPINGS = 8192;
/** Pages of FIFO event words that a guest may add, 1024 words in each. */
export const MAX_EVENT_ARRAYS = 128;

/** Numbers fields from `from` on, `size` words each where one is named with a size. */
function words<const F extends readonly (readonly [name: string, words: number])[]>(
  fields: F,
): { readonly [K in F[number][0]]: number } & { readonly size: number } {
  let at = 0;
  const offsets: Record<string, number> = {};
  for (const [name, size] of fields) {
    offsets[name] = at;
    at += size;
  }
  return { ...offsets, size: at } as { readonly [K in F[number][0]]: number } & { readonly size: number };
}

/** Words at the start of the heap. */
const HEADER = words([
  ["magic", 1],
  ["domains", 1],
  /** Guards the domain table. */
  ["domainLock", 1],
  /** Guards every domain's port table: binding and closing touch two of them. Sending takes no lock. */
  ["eventLock", 1],
  /** Changes, and is notified, when domain 0 or the control thread has something to do. */
  ["doorbell", 1],
  ["lastDomain", 1],
  ["lastSerial", 1],
  /** How many domains have gone. */
  ["departures", 1],
]);

/** Words of one event channel. State 0 is free; others are EVTCHNSTAT values, or {@link RESERVED_PORT}. */
export const PORT = words([
  ["state", 1],
  /** The vCPU that is interrupted. */
  ["vcpu", 1],
  ["priority", 1],
  /** The queue that last held it: vCPU << 8 | priority. */
  ["lastQueue", 1],
  ["remoteDomain", 1],
  ["remotePort", 1],
  ["virq", 1],
  /** Raised before its FIFO event word existed. */
  ["savedPending", 1],
]);

/** Words of one vCPU. Frames are machine frames; 0 is none. */
export const VCPU = words([
  /** Five doubles of the Float64Array: since when it is in its runstate, and the time spent in each. Nanoseconds. */
  ["times", 10],
  /** 1 once it runs; 0 before its start-up IPI and after it went down. */
  ["online", 1],
  /** 1 once it has a state to run with, which a start-up IPI gives and INIT takes. Xen: is_initialised */
  ["initialised", 1],
  ["infoFrame", 1],
  ["infoOffset", 1],
  ["infoRegistered", 1],
  /** HVMOP_set_evtchn_upcall_vector, or 0. */
  ["upcallVector", 1],
  ["controlFrame", 1],
  ["controlOffset", 1],
  /** The last port of each FIFO queue. */
  ["queueTail", 16],
  ["virqPort", NR_VIRQS],
  /** Two words each: guest addresses plus one, 0 for none; and whether they are linear or physical. */
  ["runstateArea", 2],
  ["runstateAreaKind", 1],
  ["timeArea", 2],
  ["timeAreaKind", 1],
  /** Interrupt vectors that other threads sent: 256 bits, and NMI, INIT and start-up requests. */
  ["interrupts", 8],
  ["requests", 1],
  ["startVector", 1],
  /** LDR and DFR of the local APIC, for the senders of logical interrupts; and whether it is in x2APIC mode. */
  ["logicalId", 1],
  ["destinationFormat", 1],
  ["x2apic", 1],
  /** 1 while the vCPU waits in SCHEDOP_poll, so that events on masked ports wake it too. */
  ["polling", 1],
  /** Translations are to be dropped before the guest runs on. */
  ["flush", 1],
  /** RUNSTATE value. */
  ["runstate", 1],
]);

/** Words of a domain, apart from its tables. */
export const DOMAIN = words([
  /** A double: what the hosts' clock showed when the domain first ran. Nanoseconds. */
  ["epoch", 2],
  ["id", 1],
  /** Tells domains apart that have had the same id. */
  ["serial", 1],
  /** {@link DomainState} */
  ["state", 1],
  ["pauseCount", 1],
  ["shutdownReason", 1],
  ["shutdownCode", 1],
  ["vcpus", 1],
  ["onlineVcpus", 1],
  /** 1 when the guest's structures are laid out for 32-bit code. */
  ["compat", 1],
  ["vmAssist", 1],
  /** Guards delivery into the guest's event structures. */
  ["deliveryLock", 1],
  /** Guards the p2m, the frame lists, the grant table and the mappings. */
  ["memoryLock", 1],
  ["portLimit", 1],
  ["fifo", 1],
  ["eventArrays", 1],
  ["eventArrayFrame", MAX_EVENT_ARRAYS],
  ["sharedInfoFrame", 1],
  /** A guest frame plus one, 0 for none. */
  ["sharedInfoGfn", 1],
  ["nextFrame", 1],
  ["freeFrame", 1],
  ["totalPages", 1],
  ["maxPages", 1],
  ["maxGfn", 1],
  ["grantVersion", 1],
  ["grantFrames", 1],
  ["maxGrantFrames", 1],
  ["statusFrames", 1],
  ["grantFrame", MAX_GRANT_FRAMES],
  ["grantGfn", MAX_GRANT_FRAMES],
  ["statusFrame", MAX_STATUS_FRAMES],
  ["statusGfn", MAX_STATUS_FRAMES],
  ["grantsInUse", 1],
  /** References at and above this have not been in use. */
  ["pinnedEnd", 1],
  /** Handles at and above this have not been in use; where to look for a free one; how often mappings have changed. */
  ["mappingEnd", 1],
  ["nextMapping", 1],
  ["mappingGeneration", 1],
  ["params", HVM_NR_PARAMS * 2],
  /** vCPUs that another domain's thread wants woken: the control thread forwards it. */
  ["kicks", MAX_VCPUS / 32],
  ["kicked", 1],
  ["raisedSummary", MAX_PORTS / 1024],
  ["raised", MAX_PORTS / 32],
]);

/** Words of a grant in use. */
export const GRANT = words([
  /** Readers, and writers in the upper half: how often it is mapped. */
  ["pins", 1],
  /** The machine frame while it is pinned. */
  ["frame", 1],
  ["gfn", 1],
  ["domain", 1],
  /** 1 when the granter has given the frame back meanwhile: it is free when the last pin goes. */
  ["orphan", 1],
]);

/** Words of a grant that the domain has mapped: Xen's struct grant_mapping. */
export const MAPPING = words([
  /** The granter's id plus one; 0 for a handle that is free. */
  ["granter", 1],
  ["granterSerial", 1],
  ["ref", 1],
  /** 1 for reading only, 2 for writing too. */
  ["access", 1],
  /** The mapper's guest frame, and the machine frame in the granter's memory. */
  ["gfn", 1],
  ["frame", 1],
  ["granterGfn", 1],
  /** Tells mappings apart that have had the same handle. */
  ["stamp", 1],
]);

const VCPU_WORDS = alignUp(VCPU.size, 2);
const VCPUS_AT = alignUp(DOMAIN.size, 2);
const PORTS_AT = VCPUS_AT + MAX_VCPUS * VCPU_WORDS;
const GRANTS_AT = PORTS_AT + MAX_PORTS * PORT.size;
const MAPPINGS_AT = GRANTS_AT + MAX_GRANTS * GRANT.size;
const DOMAIN_WORDS = MAPPINGS_AT + MAX_MAPPINGS * MAPPING.size;
const DOMAIN_STRIDE = alignUp(DOMAIN_WORDS, 2);
const DOMAINS_AT = alignUp(HEADER.size, 16);
const MAGIC = 0x786e6c31;

assert((VCPUS_AT + VCPU.times) % 2 === 0 && DOMAIN.epoch % 2 === 0, "doubles of the heap are aligned");

/** Where a domain is in its life. */
export const DomainState = { free: 0, building: 1, running: 2, shutdown: 3, dying: 4 } as const;
export type DomainState = (typeof DomainState)[keyof typeof DomainState];

/** A domain's place in the heap: 0 is domain 0's. */
export type Slot = number;

/** One thread's view of the hypervisor heap. */
export class Heap {
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly doubles: Float64Array<SharedArrayBuffer>;
  /** How many domains fit, domain 0 included. */
  readonly domains: number;
  /** What this thread writes into locks: 1 for the control thread, {@link Heap.holderOf} for a vCPU's. */
  holder = 1;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer);
    this.doubles = new Float64Array(buffer, 0, Math.floor(buffer.byteLength / 8));
    assert(this.words[HEADER.magic] === MAGIC, "not a hypervisor heap");
    this.domains = this.words[HEADER.domains] ?? 0;
  }

  /** The index of a domain's first word. */
  domain(slot: Slot): number {
    return DOMAINS_AT + slot * DOMAIN_STRIDE;
  }

  vcpu(slot: Slot, index: number): number {
    return this.domain(slot) + VCPUS_AT + index * VCPU_WORDS;
  }

  port(slot: Slot, port: number): number {
    return this.domain(slot) + PORTS_AT + port * PORT.size;
  }

  grant(slot: Slot, ref: number): number {
    return this.domain(slot) + GRANTS_AT + ref * GRANT.size;
  }

  mapping(slot: Slot, handle: number): number {
    return this.domain(slot) + MAPPINGS_AT + handle * MAPPING.size;
  }

  load(index: number): number {
    return Atomics.load(this.words, index);
  }

  store(index: number, value: number): void {
    Atomics.store(this.words, index, value);
  }

  /** @returns the slot of a domain that exists. */
  findDomain(id: DomainId): Slot | undefined {
    for (let slot = 0; slot < this.domains; slot++) {
      const at = this.domain(slot);
      if (this.load(at + DOMAIN.id) === id && this.load(at + DOMAIN.state) !== DomainState.free) return slot;
    }
    return undefined;
  }

  /** Wakes the control thread. */
  ringDoorbell(): void {
    Atomics.add(this.words, HEADER.doorbell, 1);
    Atomics.notify(this.words, HEADER.doorbell);
  }

  /** What the doorbell said last; {@link Heap.waitForDoorbell} waits for it to change. */
  doorbell(): number {
    return this.load(HEADER.doorbell);
  }

  /** Resolves when the doorbell differs from `seen`. */
  async waitForDoorbell(seen: number): Promise<void> {
    const { value } = Atomics.waitAsync(this.words, HEADER.doorbell, seen);
    await value;
  }

  /** Runs `work` with no other thread in the domain table. */
  withDomains<T>(work: () => T): T {
    return this.locked(HEADER.domainLock, work);
  }

  /** Runs `work` with no other thread changing any port. */
  withPorts<T>(work: () => T): T {
    return this.locked(HEADER.eventLock, work);
  }

  /** Runs `work` holding the spin lock at a word. Holders never wait for anything, so that spinning is short. */
  locked<T>(index: number, work: () => T): T {
    while (Atomics.compareExchange(this.words, index, 0, this.holder) !== 0) {
      // Spins: a main thread may not block, and the holder only computes.
    }
    try {
      return work();
    } finally {
      // Not if somebody else has it by now: the lock of a domain that is gone begins anew with the next in its place.
      Atomics.compareExchange(this.words, index, this.holder, 0);
    }
  }

  /** What the threads of a domain write into locks. */
  holderOf(slot: Slot): number {
    return slot + 2;
  }

  /**
   * Opens every lock that a domain's threads hold. Only when those threads are gone: one that was killed in the middle of
   * something would keep all others waiting for ever.
   */
  breakLocks(slot: Slot): void {
    const locks = [HEADER.domainLock, HEADER.eventLock];
    for (let other = 0; other < this.domains; other++) {
      const at = this.domain(other);
      locks.push(at + DOMAIN.deliveryLock, at + DOMAIN.memoryLock);
    }
    for (const lock of locks) Atomics.compareExchange(this.words, lock, this.holderOf(slot), 0);
  }

  /**
   * Gives a slot back. The domain's threads are gone; others that are at its grants finish first, and later ones see,
   * under the lock, that the domain does not exist any more.
   */
  freeSlot(slot: Slot): void {
    const at = this.domain(slot);
    this.locked(at + DOMAIN.memoryLock, () => this.store(at + DOMAIN.state, DomainState.free));
    Atomics.add(this.words, HEADER.departures, 1);
  }

  /** How many domains have gone: threads that see another number than before let go of what they have of those. */
  get departures(): number {
    return this.load(HEADER.departures);
  }

  /** Takes a free slot for a domain. @returns undefined when all are taken. Call inside {@link Heap.withDomains}. */
  takeSlot(id: DomainId): Slot | undefined {
    for (let slot = 0; slot < this.domains; slot++) {
      const at = this.domain(slot);
      if (this.load(at + DOMAIN.state) !== DomainState.free) continue;
      this.words.fill(0, at, at + DOMAIN_WORDS);
      this.store(at + DOMAIN.id, id);
      this.store(at + DOMAIN.serial, Atomics.add(this.words, HEADER.lastSerial, 1) + 1);
      this.store(at + DOMAIN.state, DomainState.building);
      return slot;
    }
    return undefined;
  }

  /** The id after the last one given out; ids are not reused before they wrap. Call inside {@link Heap.withDomains}. */
  nextDomainId(firstReserved: number): number {
    const last = this.load(HEADER.lastDomain);
    const next = last + 1 >= firstReserved ? 1 : last + 1;
    this.store(HEADER.lastDomain, next);
    return next;
  }
}

/**
 * Makes a heap for at most `domains` domains besides domain 0. Memory that no domain has used costs address space only.
 */
export function createHeap(domains: number): Heap {
  const slots = domains + 1;
  const buffer = new SharedArrayBuffer(alignUp((DOMAINS_AT + slots * DOMAIN_STRIDE) * 4, 8));
  const header = new Int32Array(buffer);
  header[HEADER.domains] = slots;
  header[HEADER.magic] = MAGIC;
  return new Heap(buffer);
}
