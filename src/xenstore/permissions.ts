/** Who may do what with a node. docs/misc/xenstore.txt, SET_PERMS. */

import { DOMID } from "../abi/xen.ts";

/** The rights of one entry: none, read, write, both. */
export type Rights = "n" | "r" | "w" | "b";

/**
 * One entry of a node's list. In the first, `domain` is the owner, who may do everything, and `rights` are everybody
 * else's who has no entry of their own.
 */
export interface Permission {
  readonly domain: number;
  readonly rights: Rights;
  /** The domain did not exist when the entry was made, or is gone: a later one with its id must not inherit it. */
  readonly ignored?: true;
}

/** The clients that hold rights: a domain, or one that acts for another (a stub domain for its target). */
export interface Holder {
  readonly domain: number;
  /** May do everything: domain 0. */
  readonly privileged: boolean;
  /** The domain for which this one acts. */
  readonly target: number | undefined;
}

/** What an operation needs. Only the owner and privileged domains may change permissions. */
export type Access = "read" | "write" | "own";

/** An entry in the form `r5`, or undefined where it is malformed. */
export function parsePermission(text: string): Permission | undefined {
  const match = /^([nrwb])(0[xX][0-9a-fA-F]{1,8}|\d{1,10})$/.exec(text);
  if (match === null) return undefined;
  const domain = Number(match[2]);
  return domain <= 0xffff ? { rights: match[1] as Rights, domain } : undefined;
}

/** An entry as GET_PERMS answers it. */
export function formatPermission({ rights, domain }: Permission): string {
  return `${rights}${domain}`;
}

/** Whether a client has an access to a node with these permissions. Xen: perm_for_conn(). */
export function permits(permissions: readonly Permission[], holder: Holder, access: Access): boolean {
  const [owner, ...others] = permissions;
  if (owner === undefined) return holder.privileged;
  if (holder.privileged || names(owner, holder)) return true;
  const { rights } = others.find((entry) => !entry.ignored && names(entry, holder)) ?? owner;
  if (access === "own") return false;
  return rights === "b" || rights === (access === "read" ? "r" : "w");
}

function names(entry: Permission, holder: Holder): boolean {
  return entry.domain === holder.domain || entry.domain === holder.target || entry.domain === DOMID.ANY;
}
