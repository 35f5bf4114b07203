/**
 * C structures as values: one declaration gives the layout (by the psABI's rules, its size asserted as it is loaded), the
 * codec and the TypeScript type. Reading returns a copy, so that memory a guest can change is looked at once (XSA-155).
 */

import { assert } from "./errors.ts";
import { alignUp } from "./integers.ts";
import type { Member } from "./integers.ts";

/** The members of a structure, in the order in which C declares them. */
export type Members = Readonly<Record<string, Member<unknown>>>;

/** The value of a {@link Member} or a {@link Struct}. */
export type Infer<M> = M extends Member<infer T> ? T : never;

type Value<M extends Members> = { -readonly [K in keyof M]: Infer<M[K]> };

/** A C structure: a member of others, and a codec over bytes. */
export interface Struct<T> extends Member<T> {
  readonly name: string;
  /** Where each member begins, in bytes. */
  readonly offsets: { readonly [K in keyof T]: number };
  /** The members as declared, for what is derived from layouts. */
  readonly members: { readonly [K in keyof T]: Member<T[K]> };
  /** @returns a copy of the structure at `offset`. Throws a RangeError when it does not fit: check lengths first. */
  read(bytes: Uint8Array, offset?: number): T;
  /** Stores every member; padding is left as it was. */
  write(bytes: Uint8Array, offset: number, value: T): void;
  /** @returns the value in bytes of its own, padding zero. */
  encode(value: T): Uint8Array<ArrayBuffer>;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * A C structure.
 * @param name the C tag, for messages.
 * @param sizeof what `sizeof` says in C; the layout computed from the members must agree.
 */
export function struct<const M extends Members>(name: string, sizeof: number, members: M): Struct<Value<M>> {
  const entries: { key: string; member: Member<unknown>; at: number }[] = [];
  let end = 0;
  let alignof = 1;
  for (const [key, member] of Object.entries(members)) {
    const at = alignUp(end, member.alignof);
    entries.push({ key, member, at });
    end = at + member.sizeof;
    alignof = Math.max(alignof, member.alignof);
  }
  assert(alignUp(end, alignof) === sizeof, `struct ${name}: laid out in ${alignUp(end, alignof)} bytes, not ${sizeof}`);

  const get = (view: DataView, at: number): Value<M> => {
    const value: Record<string, unknown> = {};
    for (const entry of entries) value[entry.key] = entry.member.get(view, at + entry.at);
    return value as Value<M>;
  };
  const set = (view: DataView, at: number, value: Value<M>): void => {
    for (const entry of entries) entry.member.set(view, at + entry.at, value[entry.key]);
  };
  return {
    name,
    sizeof,
    alignof,
    offsets: Object.fromEntries(entries.map(({ key, at }) => [key, at])) as Struct<Value<M>>["offsets"],
    members: members as unknown as Struct<Value<M>>["members"],
    get,
    set,
    zero: () => Object.fromEntries(entries.map(({ key, member }) => [key, member.zero()])) as Value<M>,
    read: (bytes, offset = 0) => get(viewOf(bytes), offset),
    write: (bytes, offset, value) => set(viewOf(bytes), offset, value),
    encode: (value) => {
      const bytes = new Uint8Array(sizeof);
      set(viewOf(bytes), 0, value);
      return bytes;
    },
  };
}

/** `T name[length]`. The value is an array of exactly `length` elements; writing another number of them is our fault. */
export function array<T>(element: Member<T>, length: number): Member<T[]> {
  return {
    sizeof: element.sizeof * length,
    alignof: element.alignof,
    get: (view, at) => Array.from({ length }, (_, i) => element.get(view, at + i * element.sizeof)),
    set(view, at, value) {
      assert(value.length === length, `array of ${length} elements given ${value.length}`);
      value.forEach((item, i) => element.set(view, at + i * element.sizeof, item));
    },
    zero: () => Array.from({ length }, () => element.zero()),
  };
}

/** `uint8_t name[length]` or `char name[length]`. A shorter value is padded with zero bytes. */
export function bytes(length: number): Member<Uint8Array<ArrayBuffer>> {
  return {
    sizeof: length,
    alignof: 1,
    get: (view, at) => new Uint8Array(new Uint8Array(view.buffer, view.byteOffset + at, length)),
    set(view, at, value) {
      assert(value.length <= length, `${value.length} bytes do not fit in ${length}`);
      const target = new Uint8Array(view.buffer, view.byteOffset + at, length);
      target.set(value);
      target.fill(0, value.length);
    },
    zero: () => new Uint8Array(length),
  };
}

/** The same bytes with a smaller or larger alignment: `uint64_aligned_t`, or the 4-byte `uint64_t` of the i386 ABI. */
export function aligned<M extends Member<unknown>>(member: M, alignof: number): M {
  return { ...member, alignof };
}

/** The same member under a branded type: `branded<EventPort>(u32)`. */
export function branded<B extends number | bigint>(member: Member<B extends bigint ? bigint : number>): Member<B> {
  return member as unknown as Member<B>;
}
