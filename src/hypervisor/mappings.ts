/**
 * The grants that a domain has mapped, by handle: Xen's maptrack. They are in the heap, under the domain's memory lock,
 * since a guest may map on one vCPU and unmap on another. xen/common/grant_table.c.
 */

import { domainId } from "../abi/types.ts";
import type { DomainId } from "../abi/types.ts";
import { P2mType } from "../engine/engine.ts";
import type { MachineFrame } from "../engine/engine.ts";
import type { Domain } from "./domain.ts";
import type { GrantUse } from "./grant-table.ts";
import { DOMAIN, MAPPING, MAX_MAPPINGS } from "./heap.ts";
import { isPlaceable } from "./p2m.ts";

/** A granted page in its mapper's p2m. */
export interface GrantMapping extends GrantUse {
  readonly granter: DomainId;
  /** {@link Domain.serial} of the granter, which another domain of the same id does not have. */
  readonly granterSerial: number;
  /** The mapper's guest frame. */
  readonly gfn: number;
  /** In the granter's memory. */
  readonly frame: MachineFrame;
  /** The granter's guest frame when it was mapped. */
  readonly granterGfn: number;
}

/** A mapping as {@link mappingsOf} lists it. */
export interface ListedMapping extends GrantMapping {
  /** No two mappings of a domain have the same, before 2^32 of them. */
  readonly stamp: number;
}

const READ = 1;
const WRITE = 2;

/** Changes whenever a mapping comes or goes. */
export function mappingGeneration(domain: Domain): number {
  return domain.get(DOMAIN.mappingGeneration);
}

function bumpGeneration(domain: Domain): number {
  return Atomics.add(domain.heap.words, domain.base + DOMAIN.mappingGeneration, 1) + 1;
}

/** Puts a pinned grant into the domain's p2m. @returns its handle; "taken" where the guest frame is; "full". */
export function addMapping(domain: Domain, mapping: GrantMapping): number | "taken" | "full" {
  const { heap, base, slot } = domain;
  return heap.locked(base + DOMAIN.memoryLock, () => {
    if (!isPlaceable(domain, mapping.gfn)) return "taken";
    const from = domain.get(DOMAIN.nextMapping);
    for (let i = 0; i < MAX_MAPPINGS; i++) {
      const handle = (from + i) % MAX_MAPPINGS;
      const at = heap.mapping(slot, handle);
      if (heap.load(at + MAPPING.granter) !== 0) continue;
      heap.store(at + MAPPING.granterSerial, mapping.granterSerial);
      heap.store(at + MAPPING.ref, mapping.ref);
      heap.store(at + MAPPING.access, mapping.access === "write" ? WRITE : READ);
      heap.store(at + MAPPING.gfn, mapping.gfn);
      heap.store(at + MAPPING.frame, mapping.frame);
      heap.store(at + MAPPING.granterGfn, mapping.granterGfn);
      heap.store(at + MAPPING.granter, mapping.granter + 1);
      heap.store(at + MAPPING.stamp, bumpGeneration(domain));
      domain.memory.setP2m(mapping.gfn, P2mType.foreign);
      domain.set(DOMAIN.nextMapping, (handle + 1) % MAX_MAPPINGS);
      domain.set(DOMAIN.mappingEnd, Math.max(domain.get(DOMAIN.mappingEnd), handle + 1));
      return handle;
    }
    return "full";
  });
}

/**
 * Takes a mapping out of the p2m. Translations are to be flushed, and then its grant unpinned.
 * @returns the mapping; "bad handle"; "elsewhere" when it is not at this guest frame.
 */
export function takeMapping(domain: Domain, handle: number, gfn: bigint): GrantMapping | "bad handle" | "elsewhere" {
  const { heap, base, slot } = domain;
  return heap.locked(base + DOMAIN.memoryLock, () => {
    const mapping = handle < domain.get(DOMAIN.mappingEnd) ? mappingAt(domain, handle) : undefined;
    if (mapping === undefined) return "bad handle";
    if (BigInt(mapping.gfn) !== gfn) return "elsewhere";
    domain.memory.setP2m(mapping.gfn, P2mType.mmio);
    heap.store(heap.mapping(slot, handle) + MAPPING.granter, 0);
    bumpGeneration(domain);
    return mapping;
  });
}

/** All mappings, with the generation that they are of. */
export function mappingsOf(domain: Domain): { readonly generation: number; readonly list: readonly ListedMapping[] } {
  return domain.heap.locked(domain.base + DOMAIN.memoryLock, () => {
    const list: ListedMapping[] = [];
    for (let handle = domain.get(DOMAIN.mappingEnd) - 1; handle >= 0; handle--) {
      const mapping = mappingAt(domain, handle);
      if (mapping !== undefined) list.push(mapping);
    }
    return { generation: mappingGeneration(domain), list };
  });
}

function mappingAt({ heap, slot }: Domain, handle: number): ListedMapping | undefined {
  const at = heap.mapping(slot, handle);
  const granter = heap.load(at + MAPPING.granter);
  if (granter === 0) return undefined;
  return {
    granter: domainId(granter - 1),
    granterSerial: heap.load(at + MAPPING.granterSerial),
    ref: heap.load(at + MAPPING.ref),
    access: heap.load(at + MAPPING.access) === WRITE ? "write" : "read",
    gfn: heap.load(at + MAPPING.gfn),
    frame: heap.load(at + MAPPING.frame),
    granterGfn: heap.load(at + MAPPING.granterGfn),
    stamp: heap.load(at + MAPPING.stamp),
  };
}
