/**
 * Delivery of events into a guest: pending bits of the 2-level ABI in shared_info, or the queues of the FIFO ABI, and the
 * vCPU's upcall flag. Runs on a worker of the domain, under its delivery lock. xen/common/event_2l.c, event_fifo.c.
 */

import { Errno } from "../abi/errno.ts";
import { EVTCHN_FIFO, evtchn_fifo_control_block } from "../abi/event_channel.ts";
import { shared_info, vcpu_info, XEN_LEGACY_MAX_VCPUS, XEN_PAGE_SIZE } from "../abi/xen.ts";
import type { Domain } from "./domain.ts";
import { isPort, portWord, setPortWord } from "./event-table.ts";
import { DOMAIN, MAX_EVENT_ARRAYS, PORT, VCPU } from "./heap.ts";

const PENDING = 1 << EVTCHN_FIFO.PENDING;
const MASKED = 1 << EVTCHN_FIFO.MASKED;
const LINKED = 1 << EVTCHN_FIFO.LINKED;
const BUSY = 1 << EVTCHN_FIFO.BUSY;
const WORDS_PER_PAGE = XEN_PAGE_SIZE / 4;

/** Called when a vCPU's upcall flag went from clear to set. */
export type Upcall = (vcpu: number) => void;

/** Words of the domain's memory; the index of a byte address is its quarter. */
function guestWords(domain: Domain): Int32Array<SharedArrayBuffer> {
  const { bytes } = domain.memory;
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
}

/** Where a vCPU's vcpu_info is, in bytes of the linear memory. @returns undefined before a high vCPU registers one. */
export function vcpuInfoAddress(domain: Domain, vcpu: number): number | undefined {
  if (domain.vcpuGet(vcpu, VCPU.infoRegistered) !== 0) {
    return domain.vcpuGet(vcpu, VCPU.infoFrame) * XEN_PAGE_SIZE + domain.vcpuGet(vcpu, VCPU.infoOffset);
  }
  const frame = domain.get(DOMAIN.sharedInfoFrame);
  return vcpu < XEN_LEGACY_MAX_VCPUS && frame !== 0 ? frame * XEN_PAGE_SIZE + vcpu * vcpu_info.sizeof : undefined;
}

/** Whether a vCPU has been told of events it has not begun to look at. */
export function upcallPending(domain: Domain, vcpu: number): boolean {
  const at = vcpuInfoAddress(domain, vcpu);
  return at !== undefined && Atomics.load(domain.memory.bytes, at) !== 0;
}

/** Sets a vCPU's upcall flag. Xen: vcpu_mark_events_pending() */
export function markEventsPending(domain: Domain, vcpu: number, upcall: Upcall): void {
  const at = vcpuInfoAddress(domain, vcpu);
  if (at !== undefined && Atomics.exchange(domain.memory.bytes, at, 1) === 0) upcall(vcpu);
}

/** Moves one raised port into the guest's structures. Ports closed since are dropped. */
export function deliver(domain: Domain, port: number, upcall: Upcall): void {
  domain.heap.locked(domain.base + DOMAIN.deliveryLock, () => {
    if (!isPort(domain, port) || portWord(domain, port, PORT.state) === 0) return;
    if (domain.get(DOMAIN.fifo) !== 0) deliverFifo(domain, port, upcall);
    else deliver2l(domain, port, upcall);
  });
}

function layoutOf(domain: Domain): { pending: number; mask: number; selector: number; wordBits: number } {
  const shared = domain.compat ? shared_info.compat : shared_info;
  const info = domain.compat ? vcpu_info.compat : vcpu_info;
  const base = domain.get(DOMAIN.sharedInfoFrame) * XEN_PAGE_SIZE;
  return {
    pending: base + shared.offsets.evtchn_pending,
    mask: base + shared.offsets.evtchn_mask,
    selector: info.offsets.evtchn_pending_sel,
    wordBits: domain.compat ? 32 : 64,
  };
}

/** The bitmaps end after wordBits² ports. */
function isIn2l(domain: Domain, port: number): boolean {
  return port < (domain.compat ? 1024 : 4096);
}

function select2l(domain: Domain, port: number, upcall: Upcall): void {
  const vcpu = portWord(domain, port, PORT.vcpu);
  const info = vcpuInfoAddress(domain, vcpu);
  if (info === undefined) return;
  const { selector, wordBits } = layoutOf(domain);
  const group = Math.floor(port / wordBits);
  const bit = 1 << (group & 31);
  const before = Atomics.or(guestWords(domain), ((info + selector) >> 2) + (group >> 5), bit);
  if ((before & bit) === 0) markEventsPending(domain, vcpu, upcall);
}

function deliver2l(domain: Domain, port: number, upcall: Upcall): void {
  if (!isIn2l(domain, port)) return;
  const words = guestWords(domain);
  const { pending, mask } = layoutOf(domain);
  const bit = 1 << (port & 31);
  if (Atomics.or(words, (pending >> 2) + (port >> 5), bit) & bit) return;
  if ((Atomics.load(words, (mask >> 2) + (port >> 5)) & bit) === 0) select2l(domain, port, upcall);
}

/** The index of a port's event word, or undefined while the guest has not added that page. */
function eventWord(domain: Domain, port: number): number | undefined {
  const page = Math.floor(port / WORDS_PER_PAGE);
  if (page >= domain.get(DOMAIN.eventArrays)) return undefined;
  return domain.get(DOMAIN.eventArrayFrame + page) * WORDS_PER_PAGE + (port % WORDS_PER_PAGE);
}

function deliverFifo(domain: Domain, port: number, upcall: Upcall): void {
  const at = eventWord(domain, port);
  if (at === undefined) {
    setPortWord(domain, port, PORT.savedPending, 1);
    return;
  }
  const vcpu = portWord(domain, port, PORT.vcpu);
  const priority = portWord(domain, port, PORT.priority);
  const frame = domain.vcpuGet(vcpu, VCPU.controlFrame);
  // Linux binds the ports of a vCPU before it gives that vCPU a control block: until then its events are dropped.
  if (frame === 0) return;

  const words = guestWords(domain);
  if (Atomics.or(words, at, PENDING) & MASKED) return;
  if (Atomics.or(words, at, LINKED) & LINKED) return;

  leaveOldQueue(domain, port, (vcpu << 8) | priority);
  const control = (frame * XEN_PAGE_SIZE + domain.vcpuGet(vcpu, VCPU.controlOffset)) >> 2;
  const { ready, head } = evtchn_fifo_control_block.offsets;
  const tail = domain.vcpuGet(vcpu, VCPU.queueTail + priority);
  const linked = tail !== 0 && linkAfter(domain, words, tail, port);
  domain.vcpuSet(vcpu, VCPU.queueTail + priority, port);
  if (linked) return;
  Atomics.store(words, control + (head >> 2) + priority, port);
  const bit = 1 << priority;
  if ((Atomics.or(words, control + (ready >> 2), bit) & bit) === 0) markEventsPending(domain, vcpu, upcall);
}

/**
 * A port that is not linked but the tail of a queue was its last event, taken off by the guest: that queue is empty, and
 * nothing may be linked after this port there.
 */
function leaveOldQueue(domain: Domain, port: number, queue: number): void {
  const old = portWord(domain, port, PORT.lastQueue);
  const at = VCPU.queueTail + (old & 0xff);
  if (domain.vcpuGet(old >> 8, at) === port) domain.vcpuSet(old >> 8, at, 0);
  if (old !== queue) setPortWord(domain, port, PORT.lastQueue, queue);
}

/**
 * Writes `port` into the LINK field of the queue's last event, unless the guest has taken that off the queue, which is
 * then empty. The guest may be changing the word at the same time: BUSY keeps it from unmasking during a retry, and a
 * guest that changes it five times over loses the event. @returns false when the queue is empty.
 */
function linkAfter(domain: Domain, words: Int32Array<SharedArrayBuffer>, tail: number, port: number): boolean {
  const at = eventWord(domain, tail);
  if (at === undefined) return false;
  for (let attempt = 0; attempt < 5; attempt++) {
    if (attempt === 1) Atomics.or(words, at, BUSY);
    const before = Atomics.load(words, at);
    if ((before & LINKED) === 0) {
      if (attempt > 0) Atomics.and(words, at, ~BUSY);
      return false;
    }
    const after = (before & ~(BUSY | EVTCHN_FIFO.LINK_MASK)) | port;
    if (Atomics.compareExchange(words, at, before, after) === before) return true;
  }
  Atomics.and(words, at, ~BUSY);
  return true;
}

/** Clears a port's mask, and delivers what waited. Xen: evtchn_unmask() */
export function unmask(domain: Domain, port: number, upcall: Upcall): void {
  domain.heap.locked(domain.base + DOMAIN.deliveryLock, () => {
    const words = guestWords(domain);
    if (domain.get(DOMAIN.fifo) !== 0) {
      const at = eventWord(domain, port);
      if (at !== undefined && Atomics.and(words, at, ~MASKED) & PENDING) deliverFifo(domain, port, upcall);
      return;
    }
    if (!isIn2l(domain, port)) return;
    const { pending, mask } = layoutOf(domain);
    const bit = 1 << (port & 31);
    if ((Atomics.and(words, (mask >> 2) + (port >> 5), ~bit) & bit) === 0) return;
    if (Atomics.load(words, (pending >> 2) + (port >> 5)) & bit) select2l(domain, port, upcall);
  });
}

/** Whether an event waits on a port, for SCHEDOP_poll. */
export function isPending(domain: Domain, port: number): boolean {
  const words = guestWords(domain);
  if (domain.get(DOMAIN.fifo) !== 0) {
    const at = eventWord(domain, port);
    return at !== undefined && (Atomics.load(words, at) & PENDING) !== 0;
  }
  if (!isIn2l(domain, port)) return false;
  return ((Atomics.load(words, (layoutOf(domain).pending >> 2) + (port >> 5)) >>> (port & 31)) & 1) !== 0;
}

/** Forgets an event on a port that is being bound anew. Xen: evtchn_port_clear_pending() */
export function clearPending(domain: Domain, port: number): void {
  const words = guestWords(domain);
  if (domain.get(DOMAIN.fifo) !== 0) {
    const at = eventWord(domain, port);
    if (at !== undefined) Atomics.and(words, at, ~PENDING);
  } else if (isIn2l(domain, port)) {
    Atomics.and(words, (layoutOf(domain).pending >> 2) + (port >> 5), ~(1 << (port & 31)));
  }
}

/**
 * Gives a vCPU its FIFO control block; the first call of a domain switches it to the FIFO ABI.
 * @returns -EINVAL for a frame that is not RAM, a block across its end, or a vCPU that has one. Xen: evtchn_fifo_init_control()
 */
export function initControl(domain: Domain, vcpu: number, gfn: bigint, offset: number): number {
  if (vcpu >= domain.vcpus) return -Errno.ENOENT;
  if (offset > XEN_PAGE_SIZE - evtchn_fifo_control_block.sizeof || offset % 8 !== 0) return -Errno.EINVAL;
  if (domain.vcpuGet(vcpu, VCPU.controlFrame) !== 0) return -Errno.EINVAL;
  const frame = gfn < BigInt(domain.memory.p2mFrames) ? domain.memory.findFrame(Number(gfn)) : undefined;
  if (frame === undefined) return -Errno.EINVAL;
  domain.heap.locked(domain.base + DOMAIN.deliveryLock, () => {
    if (domain.get(DOMAIN.fifo) === 0) {
      // The ports that are pending now will be so in the new ABI, once their words exist.
      for (let port = 1; isPort(domain, port); port++) {
        setPortWord(domain, port, PORT.savedPending, isPending(domain, port) ? 1 : 0);
        setPortWord(domain, port, PORT.lastQueue, 0);
      }
      domain.set(DOMAIN.fifo, 1);
    }
    domain.vcpuSet(vcpu, VCPU.controlOffset, offset);
    domain.vcpuSet(vcpu, VCPU.controlFrame, frame);
    for (let queue = 0; queue < EVTCHN_FIFO.MAX_QUEUES; queue++) domain.vcpuSet(vcpu, VCPU.queueTail + queue, 0);
  });
  return 0;
}

/**
 * Adds a page of event words, and delivers what had been raised before there were any.
 * @returns -EOPNOTSUPP outside the FIFO ABI, -ENOSPC, -EINVAL. Xen: evtchn_fifo_expand_array()
 */
export function expandArray(domain: Domain, gfn: bigint, upcall: Upcall): number {
  if (domain.get(DOMAIN.fifo) === 0) return -Errno.EOPNOTSUPP;
  const frame = gfn < BigInt(domain.memory.p2mFrames) ? domain.memory.findFrame(Number(gfn)) : undefined;
  if (frame === undefined) return -Errno.EINVAL;
  return domain.heap.locked(domain.base + DOMAIN.deliveryLock, () => {
    const page = domain.get(DOMAIN.eventArrays);
    if (page >= MAX_EVENT_ARRAYS) return -Errno.ENOSPC;
    domain.set(DOMAIN.eventArrayFrame + page, frame);
    domain.set(DOMAIN.eventArrays, page + 1);
    for (let port = Math.max(1, page * WORDS_PER_PAGE); port < (page + 1) * WORDS_PER_PAGE; port++) {
      if (!isPort(domain, port)) break;
      if (portWord(domain, port, PORT.savedPending) === 0) continue;
      setPortWord(domain, port, PORT.savedPending, 0);
      if (portWord(domain, port, PORT.state) !== 0) deliverFifo(domain, port, upcall);
    }
    return 0;
  });
}

/** Takes a domain back to the 2-level ABI. Xen: evtchn_fifo_destroy() */
export function resetFifo(domain: Domain): void {
  domain.heap.locked(domain.base + DOMAIN.deliveryLock, () => {
    domain.set(DOMAIN.fifo, 0);
    domain.set(DOMAIN.eventArrays, 0);
    for (let vcpu = 0; vcpu < domain.vcpus; vcpu++) domain.vcpuSet(vcpu, VCPU.controlFrame, 0);
  });
}
