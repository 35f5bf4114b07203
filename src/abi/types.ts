/** The scalar types of Xen's interface, and how structures differ between 64-bit and 32-bit callers. */

import type { Brand } from "../bits/brand.ts";
import { i32, i64, u16, u32, u32AsBigint, u64 } from "../bits/integers.ts";
import type { Member } from "../bits/integers.ts";
import { aligned, branded, struct } from "../bits/struct.ts";
import type { Infer, Members, Struct } from "../bits/struct.ts";

/** A domain's number, or one of the reserved {@link ./xen.ts | DOMID} values. 0 to 0x7fff. */
export type DomainId = Brand<number, "DomainId">;
/** An event channel of one domain. */
export type EventPort = Brand<number, "EventPort">;
/** An index into one domain's grant table. */
export type GrantRef = Brand<number, "GrantRef">;

/** Takes a number for a domain's. For boundaries: configuration, tests, ABI structures. */
export function domainId(value: number): DomainId {
  return value as DomainId;
}

/** Takes a number for an event channel's. For boundaries. */
export function eventPort(value: number): EventPort {
  return value as EventPort;
}

/** Takes a number for a grant reference. For boundaries. */
export function grantRef(value: number): GrantRef {
  return value as GrantRef;
}

/** xen/include/public/xen.h: domid_t */
export const domid_t = branded<DomainId>(u16);
/** xen/include/public/event_channel.h: evtchn_port_t */
export const evtchn_port_t = branded<EventPort>(u32);
/** xen/include/public/grant_table.h: grant_ref_t */
export const grant_ref_t = branded<GrantRef>(u32);
/** xen/include/public/grant_table.h: grant_handle_t, a grant that its mapper holds. */
export const grant_handle_t = u32;

/** The members whose width or alignment depends on the caller's ABI. All are bigints in both. */
export interface Words {
  readonly ulong: Member<bigint>;
  /** xen_pfn_t: a frame number, an `unsigned long` on x86. */
  readonly pfn: Member<bigint>;
  /** XEN_GUEST_HANDLE: a linear address. */
  readonly handle: Member<bigint>;
  /** uint64_t: aligned to 8 bytes in 64-bit code, to 4 in 32-bit code (i386 psABI). */
  readonly u64: Member<bigint>;
  readonly long: Member<bigint>;
}

const longs: Words = { ulong: u64, pfn: u64, handle: u64, u64, long: i64 };
const i32AsBigint: Member<bigint> = {
  sizeof: 4,
  alignof: 4,
  get: (view, at) => BigInt(i32.get(view, at)),
  set: (view, at, value) => i32.set(view, at, Number(BigInt.asIntN(32, value))),
  zero: () => 0n,
};
const ints: Words = {
  ulong: u32AsBigint,
  pfn: u32AsBigint,
  handle: u32AsBigint,
  u64: aligned(u64, 4),
  long: i32AsBigint,
};

/** A structure that 32-bit code lays out differently; itself the 64-bit layout. Both have the same TypeScript type. */
export interface DualStruct<T> extends Struct<T> {
  readonly compat: Struct<T>;
}

/**
 * A structure with members from {@link Words}.
 * @param sizes `sizeof` for 64-bit and for 32-bit code.
 */
export function dualStruct<const M extends Members>(
  name: string,
  sizes: readonly [native: number, compat: number],
  members: (words: Words) => M,
): DualStruct<{ -readonly [K in keyof M]: Infer<M[K]> }> {
  const native = struct(name, sizes[0], members(longs));
  return { ...native, compat: struct(`compat_${name}`, sizes[1], members(ints)) };
}
