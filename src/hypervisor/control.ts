/**
 * What domain 0 does to domains, on the control thread: it ends them, and back ends in its name map their grants.
 * Events need nothing more than event-table.ts: bind, send, and takeRaised when the doorbell rings.
 */

import { domainId } from "../abi/types.ts";
import { GNTST } from "../abi/grant_table.ts";
import type { Domain, Hypervisor } from "./domain.ts";
import { closeAllPorts } from "./event-table.ts";
import { pinGrant, releaseGrants, unpinGrant } from "./grant-table.ts";
import type { Access } from "./grant-table.ts";
import { frameBytes } from "./p2m.ts";

/** A page of a guest that it granted to domain 0. Disposing of it ends the use, which the guest may wait for. */
export interface MappedGrant extends Disposable {
  /** The granted bytes, live: read what the guest can change once. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
}

/**
 * Maps a page that a domain granted to domain 0.
 * @returns the page, or a GNTST below zero for why not: see pinGrant.
 */
export function mapGrant(granter: Domain, ref: number, access: Access): MappedGrant | GNTST {
  const grant = pinGrant(granter, domainId(0), ref, access);
  if (typeof grant === "number") return grant;
  const page = frameBytes(granter, grant.frame);
  let mapped = true;
  return {
    bytes: page.subarray(grant.offset, grant.offset + grant.length),
    [Symbol.dispose]() {
      if (!mapped) return;
      mapped = false;
      // Code of the guest's that was in the page is gone if a back end wrote there.
      if (access === "write") granter.memory.externallyWritten(grant.gfn);
      unpinGrant(granter, grant);
    },
  };
}

/**
 * Ends a domain and gives its place to others: ports are closed, peers become unbound, its uses of others' grants end,
 * locks that its threads died with are opened. Others that have its pages mapped keep what they held: their threads are
 * asked to look, and let go of its memory. Its own threads must be gone: call {@link Domain.stop}, wait for their loops to
 * return, or kill them.
 */
export function destroyDomain(hypervisor: Hypervisor, domain: Domain): void {
  domain.stop();
  hypervisor.heap.breakLocks(domain.slot);
  closeAllPorts(domain);
  const others = [...hypervisor.views()].filter((other) => other !== domain && other.id !== 0 && other.exists);
  for (const other of others) if (other.hasMemory) releaseGrants(other, domain.id);
  hypervisor.heap.withDomains(() => hypervisor.heap.freeSlot(domain.slot));
  hypervisor.forgetGone();
  for (const other of others) other.kickAll();
}
