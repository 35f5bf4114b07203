/**
 * Which machine frame is behind which guest frame: RAM, the pages that toolstack and guest share, and the pages that the
 * guest asks for with XENMEM_add_to_physmap. The p2m itself is the engine's; here is who may be put into it.
 */

import { assert, XenError } from "../bits/errors.ts";
import { E820 } from "../abi/memory.ts";
import { HVM_PARAM } from "../abi/hvm/params.ts";
import { XEN_PAGE_SHIFT, XEN_PAGE_SIZE } from "../abi/xen.ts";
import { P2mType } from "../engine/engine.ts";
import type { MachineFrame } from "../engine/engine.ts";
import type { Domain, MemoryRange } from "./domain.ts";
import { DOMAIN, GRANT } from "./heap.ts";

/** RAM of a PVH domain ends here and goes on at 4 GiB: what lies between holds ACPI tables, special pages, the LAPIC. */
export const LOW_RAM_END = 0xfc000000;
const FOUR_GIB = 0x1_0000_0000;

/** Guest frames of the pages a toolstack sets up, as Xen's domain builder places them. xenguest.h: X86_HVM_NR_SPECIAL_PAGES. */
export const SPECIAL_PAGE = {
  first: 0xfeff8,
  xenstore: 0xfeffc,
  ident_pt: 0xfeffe,
  console: 0xfefff,
  end: 0xff000,
} as const;

/** The local APIC's page, which no frame backs. */
export const LAPIC_ADDRESS = 0xfee00000;

/** Machine frames that a domain needs besides its RAM: shared_info, grant and status frames, special and ACPI pages. */
export const OVERHEAD_FRAMES = 128;

/** The ranges of RAM for a number of bytes, in bytes. */
export function ramRanges(ram: number): readonly MemoryRange[] {
  const low = Math.min(ram, LOW_RAM_END);
  const ranges = [{ address: 0, size: low, type: E820.RAM }];
  if (ram > low) ranges.push({ address: FOUR_GIB, size: ram - low, type: E820.RAM });
  return ranges;
}

/**
 * Whether a frame number of the guest can be made to lead anywhere: the p2m has a slot for it, and it is neither the
 * LAPIC's nor that of a mapped grant, which only unmapping frees. Xen: p2m_add_page()
 */
export function isPlaceable(domain: Domain, gfn: number): boolean {
  const { memory } = domain;
  if (gfn >= memory.p2mFrames || gfn === LAPIC_ADDRESS >>> XEN_PAGE_SHIFT) return false;
  return memory.p2mType(gfn) !== P2mType.foreign;
}

/** Live bytes of a machine frame. */
export function frameBytes(domain: Domain, frame: MachineFrame): Uint8Array<SharedArrayBuffer> {
  const { firstFrame, endFrame, bytes } = domain.memory;
  assert(frame >= firstFrame && frame < endFrame, `domain ${domain.id}: frame ${frame} is not its own`);
  return bytes.subarray(frame * XEN_PAGE_SIZE, (frame + 1) * XEN_PAGE_SIZE);
}

/**
 * Takes an unused machine frame, cleared. @returns undefined when the domain's memory is used up.
 *
 * Frames that were given back are chained through their own first word. A guest can still reach one, by a stale grant or
 * event array, so a link is checked before it is used; a guest that forges one can only confuse its own memory.
 */
export function allocateFrame(domain: Domain): MachineFrame | undefined {
  return domain.heap.locked(domain.base + DOMAIN.memoryLock, () => {
    const { firstFrame, endFrame, bytes } = domain.memory;
    const free = domain.get(DOMAIN.freeFrame);
    if (free !== 0) {
      const view = new DataView(bytes.buffer, free * XEN_PAGE_SIZE, XEN_PAGE_SIZE);
      const next = view.getUint32(0, true);
      const sound = next === 0 || (next >= firstFrame && next < domain.get(DOMAIN.nextFrame));
      domain.set(DOMAIN.freeFrame, sound ? next : 0);
      bytes.fill(0, free * XEN_PAGE_SIZE, (free + 1) * XEN_PAGE_SIZE);
      return free;
    }
    const frame = domain.get(DOMAIN.nextFrame);
    if (frame >= endFrame) return undefined;
    domain.set(DOMAIN.nextFrame, frame + 1);
    return frame;
  });
}

/**
 * Gives a frame back; nothing in the guest's p2m leads to it any more. One that is pinned by a grant stays as it is until
 * the last pin goes: who mapped it must never find something else there.
 */
export function freeFrame(domain: Domain, frame: MachineFrame): void {
  domain.heap.locked(domain.base + DOMAIN.memoryLock, () => freeFrameLocked(domain, frame));
}

/** {@link freeFrame} for callers that hold the domain's memory lock. */
export function freeFrameLocked(domain: Domain, frame: MachineFrame): void {
  const { heap, slot } = domain;
  for (let ref = domain.get(DOMAIN.pinnedEnd) - 1; ref >= 0; ref--) {
    const at = heap.grant(slot, ref);
    if (heap.load(at + GRANT.pins) === 0 || heap.load(at + GRANT.frame) !== frame) continue;
    heap.store(at + GRANT.orphan, 1);
    return;
  }
  const view = new DataView(domain.memory.bytes.buffer, frame * XEN_PAGE_SIZE, XEN_PAGE_SIZE);
  view.setUint32(0, domain.get(DOMAIN.freeFrame), true);
  domain.set(DOMAIN.freeFrame, frame);
}

/** Points a guest frame at a machine frame, and remembers the highest guest frame in use. */
export function place(domain: Domain, gfn: number, frame: MachineFrame): void {
  domain.memory.setP2m(gfn, P2mType.ram, frame);
  if (gfn > domain.get(DOMAIN.maxGfn)) domain.set(DOMAIN.maxGfn, gfn);
}

/** Whether the hypervisor itself keeps a frame: it is unmapped by guests, but never freed. */
function isHypervisorFrame(domain: Domain, frame: MachineFrame): boolean {
  if (frame === domain.get(DOMAIN.sharedInfoFrame)) return true;
  for (let i = domain.get(DOMAIN.grantFrames) - 1; i >= 0; i--) {
    if (domain.get(DOMAIN.grantFrame + i) === frame) return true;
  }
  for (let i = domain.get(DOMAIN.statusFrames) - 1; i >= 0; i--) {
    if (domain.get(DOMAIN.statusFrame + i) === frame) return true;
  }
  return false;
}

/**
 * Empties a guest frame; its memory goes back to the domain's free frames. @returns whether RAM was there.
 * Translations of it must be flushed before the guest runs on. Xen: guest_remove_page().
 */
export function removePage(domain: Domain, gfn: number): boolean {
  const { memory } = domain;
  const frame = gfn < memory.p2mFrames ? memory.findFrame(gfn) : undefined;
  if (frame === undefined) return false;
  memory.externallyWritten(gfn);
  memory.setP2m(gfn, P2mType.mmio);
  if (!isHypervisorFrame(domain, frame)) {
    freeFrame(domain, frame);
    Atomics.sub(domain.heap.words, domain.base + DOMAIN.totalPages, 1);
  }
  return true;
}

/** Puts a cleared frame behind a guest frame, in place of what was there. @returns false when memory is used up. */
export function populatePage(domain: Domain, gfn: number): boolean {
  if (domain.get(DOMAIN.totalPages) >= domain.get(DOMAIN.maxPages)) return false;
  const frame = allocateFrame(domain);
  if (frame === undefined) return false;
  removePage(domain, gfn);
  place(domain, gfn, frame);
  domain.memory.externallyWritten(gfn);
  Atomics.add(domain.heap.words, domain.base + DOMAIN.totalPages, 1);
  return true;
}

/**
 * Puts memory behind `count` empty guest frames, for the domain builder: RAM, ACPI tables, special pages.
 * @throws XenError "not-enough-memory" when the domain's memory does not hold it.
 */
export function populate(domain: Domain, gfn: number, count: number): void {
  const { memory, heap, base } = domain;
  const first = heap.locked(base + DOMAIN.memoryLock, () => {
    const next = domain.get(DOMAIN.nextFrame);
    if (next + count > memory.endFrame) return undefined;
    domain.set(DOMAIN.nextFrame, next + count);
    return next;
  });
  if (first === undefined || gfn + count > memory.p2mFrames) {
    const where = `0x${(gfn * XEN_PAGE_SIZE).toString(16)}`;
    throw new XenError("not-enough-memory", `domain ${domain.id}: no memory for ${count} pages at ${where}`);
  }
  for (let i = 0; i < count; i++) memory.setP2m(gfn + i, P2mType.ram, first + i);
  domain.set(DOMAIN.maxGfn, Math.max(domain.get(DOMAIN.maxGfn), gfn + count - 1));
  Atomics.add(heap.words, base + DOMAIN.totalPages, count);
}

/**
 * Gives a new domain its RAM, the shared_info frame, the xenstore and console pages, and the parameters that name them.
 * @throws XenError "not-enough-memory"
 */
export function populateDomain(domain: Domain, ram: number): void {
  for (const { address, size } of ramRanges(ram)) {
    populate(domain, address >= FOUR_GIB ? address / XEN_PAGE_SIZE : address >>> XEN_PAGE_SHIFT, size / XEN_PAGE_SIZE);
  }
  populate(domain, SPECIAL_PAGE.xenstore, 1);
  populate(domain, SPECIAL_PAGE.console, 1);
  domain.setParam(HVM_PARAM.STORE_PFN, BigInt(SPECIAL_PAGE.xenstore));
  domain.setParam(HVM_PARAM.CONSOLE_PFN, BigInt(SPECIAL_PAGE.console));
  const frame = allocateFrame(domain);
  if (frame === undefined) throw new XenError("not-enough-memory", `domain ${domain.id}: no memory for shared_info`);
  domain.set(DOMAIN.sharedInfoFrame, frame);
}

/** Moves a hypervisor frame to a guest frame, away from where it was. `gfnAt` holds its guest frame plus one. */
export function placeHypervisorFrame(domain: Domain, frame: MachineFrame, gfnAt: number, gfn: number): void {
  const before = domain.get(gfnAt);
  if (before !== 0 && domain.memory.findFrame(before - 1) === frame) domain.memory.setP2m(before - 1, P2mType.mmio);
  removePage(domain, gfn);
  place(domain, gfn, frame);
  domain.set(gfnAt, gfn + 1);
}
