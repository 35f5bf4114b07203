/**
 * A domain's grant table: entries that the guest writes into shared frames, and the pins of those in use. Mapping may
 * happen on any thread that has the granter's memory; pins are in the heap under its memory lock, and the guest's own
 * flags are changed by compare-exchange, since it may be revoking the grant meanwhile. xen/common/grant_table.c.
 */

import { grant_entry_v1, grant_entry_v2, GNTST, GTF } from "../abi/grant_table.ts";
import { XEN_PAGE_SIZE } from "../abi/xen.ts";
import { domainId } from "../abi/types.ts";
import type { DomainId } from "../abi/types.ts";
import type { Domain } from "./domain.ts";
import { DOMAIN, GRANT, MAX_STATUS_FRAMES } from "./heap.ts";
import { allocateFrame, frameBytes, freeFrameLocked } from "./p2m.ts";

/** What a mapper will do with a page. */
export type Access = "read" | "write";

/** A use of a grant, which {@link unpinGrant} ends. */
export interface GrantUse {
  readonly ref: number;
  readonly access: Access;
}

/** A pinned grant: which frame, and which part of it may be used. Only copies may use less than a whole frame. */
export interface PinnedGrant extends GrantUse {
  readonly frame: number;
  readonly gfn: number;
  readonly offset: number;
  readonly length: number;
}

const STATUS_PER_FRAME = XEN_PAGE_SIZE / 2;
const WRITER = 1 << 16;
const READERS = 0xffff;

/** The version of a domain's entries: 1 until the guest asks for 2. */
export function grantVersion(domain: Domain): 1 | 2 {
  return domain.get(DOMAIN.grantVersion) === 2 ? 2 : 1;
}

function entrySize(domain: Domain): number {
  return grantVersion(domain) === 2 ? grant_entry_v2.sizeof : grant_entry_v1.sizeof;
}

/** How many references there are. */
export function grantEntries(domain: Domain): number {
  return domain.get(DOMAIN.grantFrames) * (XEN_PAGE_SIZE / entrySize(domain));
}

/** Gives the table more frames, up to `frames`. @returns false when it may not have so many, or memory is used up. */
export function growGrantTable(domain: Domain, frames: number): boolean {
  if (frames > domain.get(DOMAIN.maxGrantFrames)) return false;
  for (let have = domain.get(DOMAIN.grantFrames); have < frames; have++) {
    const frame = allocateFrame(domain);
    if (frame === undefined) return false;
    domain.set(DOMAIN.grantFrame + have, frame);
    domain.set(DOMAIN.grantFrames, have + 1);
  }
  return grantVersion(domain) === 1 || growStatusFrames(domain);
}

/** Frames of status words for every entry of version 2. */
function growStatusFrames(domain: Domain): boolean {
  const entries = domain.get(DOMAIN.grantFrames) * (XEN_PAGE_SIZE / grant_entry_v2.sizeof);
  const needed = Math.min(MAX_STATUS_FRAMES, Math.ceil(entries / STATUS_PER_FRAME));
  for (let have = domain.get(DOMAIN.statusFrames); have < needed; have++) {
    const frame = allocateFrame(domain);
    if (frame === undefined) return false;
    domain.set(DOMAIN.statusFrame + have, frame);
    domain.set(DOMAIN.statusFrames, have + 1);
  }
  return true;
}

/** The bytes of one entry, live. The reference is one of the table's. */
function entryBytes(domain: Domain, ref: number): Uint8Array<SharedArrayBuffer> {
  const size = entrySize(domain);
  const perFrame = XEN_PAGE_SIZE / size;
  const frame = frameBytes(domain, domain.get(DOMAIN.grantFrame + Math.floor(ref / perFrame)));
  const at = (ref % perFrame) * size;
  return frame.subarray(at, at + size);
}

/** The status word of a version 2 entry, live. */
function statusWord(domain: Domain, ref: number): Uint16Array<SharedArrayBuffer> {
  const frame = frameBytes(domain, domain.get(DOMAIN.statusFrame + Math.floor(ref / STATUS_PER_FRAME)));
  return new Uint16Array(frame.buffer, frame.byteOffset + (ref % STATUS_PER_FRAME) * 2, 1);
}

function pinWord(domain: Domain, ref: number, offset: number): number {
  return domain.heap.load(domain.heap.grant(domain.slot, ref) + offset);
}

function setPinWord(domain: Domain, ref: number, offset: number, value: number): void {
  domain.heap.store(domain.heap.grant(domain.slot, ref) + offset, value);
}

/** How often an entry is in use. */
export function pinsOf(domain: Domain, ref: number): number {
  const pins = pinWord(domain, ref, GRANT.pins);
  return (pins & READERS) + (pins >>> 16);
}

/**
 * Uses a grant: checks the entry against the mapper, marks it as being read or written, and pins it.
 * @returns the pinned grant, or a GNTST below zero: bad_gntref for a reference the table does not have; general_error
 * where the entry does not allow this; bad_page where it names no RAM; no_space when it is mapped too often; bad_domain
 * when the granter has gone.
 */
export function pinGrant(granter: Domain, by: DomainId, ref: number, access: Access): PinnedGrant | GNTST {
  return granter.heap.locked(granter.base + DOMAIN.memoryLock, () => {
    if (!granter.exists) return GNTST.bad_domain;
    if (ref >= grantEntries(granter)) return GNTST.bad_gntref;
    const pins = pinWord(granter, ref, GRANT.pins);
    if (pins !== 0 && pinWord(granter, ref, GRANT.domain) !== by) return GNTST.general_error;
    if ((pins & READERS) === READERS || pins >>> 16 === READERS) return GNTST.no_space;
    const mustMark = pins === 0 || (access === "write" && pins >>> 16 === 0);
    const entry = readEntry(granter, ref);
    if (mustMark) {
      const marked = markEntry(granter, ref, by, access);
      if (marked !== GNTST.okay) return marked;
    }
    let gfn = pinWord(granter, ref, GRANT.gfn);
    let frame = pinWord(granter, ref, GRANT.frame);
    if (pins === 0) {
      gfn = entry.frame < BigInt(granter.memory.p2mFrames) ? Number(entry.frame) : -1;
      frame = gfn < 0 ? 0 : (granter.memory.findFrame(gfn) ?? 0);
      if (frame === 0) {
        unmarkEntry(granter, ref, GTF.reading | GTF.writing);
        return GNTST.bad_page;
      }
      setPinWord(granter, ref, GRANT.gfn, gfn);
      setPinWord(granter, ref, GRANT.frame, frame);
      setPinWord(granter, ref, GRANT.domain, by);
      setPinWord(granter, ref, GRANT.orphan, 0);
      granter.set(DOMAIN.pinnedEnd, Math.max(granter.get(DOMAIN.pinnedEnd), ref + 1));
      Atomics.add(granter.heap.words, granter.base + DOMAIN.grantsInUse, 1);
    }
    setPinWord(granter, ref, GRANT.pins, pins + (access === "write" ? WRITER : 1));
    return { ref, access, frame, gfn, offset: entry.offset, length: entry.length };
  });
}

/**
 * Ends one use of a grant. The last reader and the last writer clear their mark, for the guest to see. Of a granter that
 * is gone nothing is left to end.
 */
export function unpinGrant(granter: Domain, { ref, access }: GrantUse): void {
  granter.heap.locked(granter.base + DOMAIN.memoryLock, () => {
    if (!granter.exists) return;
    const pins = pinWord(granter, ref, GRANT.pins) - (access === "write" ? WRITER : 1);
    setPinWord(granter, ref, GRANT.pins, pins);
    if (access === "write" && pins >>> 16 === 0) unmarkEntry(granter, ref, GTF.writing);
    if (pins === 0) endUse(granter, ref);
  });
}

/** Ends all uses that a domain which is gone has made of another's grants. Xen: gnttab_release_mappings() */
export function releaseGrants(granter: Domain, by: DomainId): void {
  if (granter.get(DOMAIN.grantsInUse) === 0) return;
  granter.heap.locked(granter.base + DOMAIN.memoryLock, () => {
    for (let ref = granter.get(DOMAIN.pinnedEnd) - 1; ref >= 0; ref--) {
      if (pinsOf(granter, ref) === 0 || pinWord(granter, ref, GRANT.domain) !== by) continue;
      setPinWord(granter, ref, GRANT.pins, 0);
      unmarkEntry(granter, ref, GTF.writing);
      endUse(granter, ref);
    }
  });
}

/** An entry's last pin has gone: the guest may know, and what it gave back meanwhile is free. */
function endUse(granter: Domain, ref: number): void {
  unmarkEntry(granter, ref, GTF.reading);
  if (Atomics.sub(granter.heap.words, granter.base + DOMAIN.grantsInUse, 1) === 1) granter.set(DOMAIN.pinnedEnd, 0);
  if (pinWord(granter, ref, GRANT.orphan) !== 0) freeFrameLocked(granter, pinWord(granter, ref, GRANT.frame));
}

interface Entry {
  readonly frame: bigint;
  readonly offset: number;
  readonly length: number;
}

function readEntry(granter: Domain, ref: number): Entry {
  const bytes = entryBytes(granter, ref);
  if (grantVersion(granter) === 1) {
    return { frame: BigInt(grant_entry_v1.read(bytes).frame), offset: 0, length: XEN_PAGE_SIZE };
  }
  const entry = grant_entry_v2.read(bytes);
  const partial = (entry.flags & GTF.sub_page) !== 0;
  return {
    frame: entry.frame,
    offset: partial ? Math.min(entry.page_off, XEN_PAGE_SIZE) : 0,
    length: partial ? Math.min(entry.length, XEN_PAGE_SIZE - Math.min(entry.page_off, XEN_PAGE_SIZE)) : XEN_PAGE_SIZE,
  };
}

/** Whether flags and domain of an entry allow the access. Transitive grants and transfers are not for mapping. */
function allows(header: number, by: DomainId, access: Access): boolean {
  const flags = header & 0xffff;
  if ((flags & GTF.type_mask) !== GTF.permit_access || header >>> 16 !== by) return false;
  return access === "read" || (flags & GTF.readonly) === 0;
}

/** Sets GTF_reading, and for writers GTF_writing, on an entry that allows it. Xen: _set_status() */
function markEntry(granter: Domain, ref: number, by: DomainId, access: Access): GNTST {
  const bytes = entryBytes(granter, ref);
  const header = new Int32Array(bytes.buffer, bytes.byteOffset, 1);
  const marks = access === "write" ? GTF.reading | GTF.writing : GTF.reading;
  if (grantVersion(granter) === 1) {
    for (let attempt = 0; attempt < 5; attempt++) {
      const before = Atomics.load(header, 0);
      if (!allows(before, by, access)) return GNTST.general_error;
      if (Atomics.compareExchange(header, 0, before, before | marks) === before) return GNTST.okay;
    }
    return GNTST.general_error;
  }
  // Version 2 keeps the marks apart: they are set first, and the entry looked at again, so that a guest that revokes it
  // in between sees either the mark or no use of it.
  if (!allows(Atomics.load(header, 0), by, access)) return GNTST.general_error;
  const status = statusWord(granter, ref);
  const before = Atomics.or(status, 0, marks);
  if (allows(Atomics.load(header, 0), by, access)) return GNTST.okay;
  Atomics.and(status, 0, before | ~marks);
  return GNTST.general_error;
}

function unmarkEntry(granter: Domain, ref: number, marks: number): void {
  if (grantVersion(granter) === 2) {
    Atomics.and(statusWord(granter, ref), 0, ~marks);
    return;
  }
  const bytes = entryBytes(granter, ref);
  Atomics.and(new Int32Array(bytes.buffer, bytes.byteOffset, 1), 0, ~marks);
}

/** Writes an entry on the guest's behalf: the toolstack grants domain 0 the console and xenstore pages. */
export function seedGrant(granter: Domain, ref: number, to: DomainId, gfn: number): boolean {
  if (!growGrantTable(granter, 1)) return false;
  const flags = GTF.permit_access;
  grant_entry_v1.write(entryBytes(granter, ref), 0, { flags, domid: domainId(to), frame: gfn });
  return true;
}

/**
 * Changes the version, and with it the layout, of the entries. Those beyond the reserved ones are cleared; the reserved
 * ones, which toolstack and back ends use before the guest chooses, are carried over. Xen: gnttab_set_version()
 * @returns "in use" while other entries are; "no memory" when there is none for status frames; "unrepresentable" when
 * version 1 cannot say what a reserved entry does.
 */
export function setGrantVersion(
  domain: Domain,
  version: 1 | 2,
  reserved: number,
): "done" | "in use" | "no memory" | "unrepresentable" {
  if (grantVersion(domain) === version) return "done";
  if (version === 2 && !growStatusFrames(domain)) return "no memory";
  return domain.heap.locked(domain.base + DOMAIN.memoryLock, () => {
    for (let ref = reserved; ref < grantEntries(domain); ref++) if (pinsOf(domain, ref) !== 0) return "in use";
    if (version === 1 && !isRepresentable(domain, reserved)) return "unrepresentable";
    const kept = Array.from({ length: Math.min(reserved, grantEntries(domain)) }, (_, ref) => carryOver(domain, ref));
    for (let i = 0; i < domain.get(DOMAIN.grantFrames); i++)
      frameBytes(domain, domain.get(DOMAIN.grantFrame + i)).fill(0);
    for (let i = 0; i < domain.get(DOMAIN.statusFrames); i++) {
      frameBytes(domain, domain.get(DOMAIN.statusFrame + i)).fill(0);
    }
    domain.set(DOMAIN.grantVersion, version);
    kept.forEach(({ flags, domid, frame, marks }, ref) => {
      const bytes = entryBytes(domain, ref);
      if (version === 1) grant_entry_v1.write(bytes, 0, { flags: flags | marks, domid, frame: Number(frame) });
      else {
        grant_entry_v2.write(bytes, 0, { flags, domid, page_off: 0, length: 0, frame });
        Atomics.store(statusWord(domain, ref), 0, marks);
      }
    });
    return "done";
  });
}

/** Whether version 1 has a way to say what the reserved entries of version 2 do. */
function isRepresentable(domain: Domain, reserved: number): boolean {
  for (let ref = Math.min(reserved, grantEntries(domain)) - 1; ref >= 0; ref--) {
    const { flags, frame } = grant_entry_v2.read(entryBytes(domain, ref));
    const type = flags & GTF.type_mask;
    if (type === GTF.transitive || (type === GTF.permit_access && frame >= 1n << 32n)) return false;
  }
  return true;
}

function carryOver(domain: Domain, ref: number): { flags: number; domid: DomainId; frame: bigint; marks: number } {
  const marks = GTF.reading | GTF.writing;
  const bytes = entryBytes(domain, ref);
  if (grantVersion(domain) === 1) {
    const { flags, domid, frame } = grant_entry_v1.read(bytes);
    return { flags: flags & ~marks, domid, frame: BigInt(frame), marks: flags & marks };
  }
  const { flags, domid, frame } = grant_entry_v2.read(bytes);
  const fits = (flags & (GTF.type_mask | GTF.sub_page)) === GTF.permit_access && frame < 1n << 32n;
  return {
    flags: fits ? flags : GTF.invalid,
    domid,
    frame: fits ? frame : 0n,
    marks: Atomics.load(statusWord(domain, ref), 0) & marks,
  };
}

/** Exchanges two entries. @returns a GNTST: bad_gntref, or eagain while one is in use. Xen: swap_grant_ref() */
export function swapGrants(domain: Domain, a: number, b: number): GNTST {
  return domain.heap.locked(domain.base + DOMAIN.memoryLock, () => {
    const entries = grantEntries(domain);
    if (a >= entries || b >= entries) return GNTST.bad_gntref;
    if (a === b) return GNTST.okay;
    if (pinsOf(domain, a) !== 0 || pinsOf(domain, b) !== 0) return GNTST.eagain;
    const before = entryBytes(domain, a).slice();
    entryBytes(domain, a).set(entryBytes(domain, b));
    entryBytes(domain, b).set(before);
    if (grantVersion(domain) === 2) {
      const status = Atomics.load(statusWord(domain, a), 0);
      Atomics.store(statusWord(domain, a), 0, Atomics.load(statusWord(domain, b), 0));
      Atomics.store(statusWord(domain, b), 0, status);
    }
    return GNTST.okay;
  });
}
