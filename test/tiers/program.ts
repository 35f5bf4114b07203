/** Random programs: items that are placed one behind the other, and may branch to each other. */

import { Code, codeBase } from "./layout.ts";

/** One instruction, or a few that belong together. */
export interface Item {
  readonly text: string;
  /** Its bytes, always as many, at a linear address; `of` says where other items are. */
  bytes(at: number, of: (item: number) => number): Uint8Array;
  /** Offset of a byte that may be changed to get another instruction as long, and the bits to change. */
  readonly patch?: { readonly offset: number; readonly bits: number };
}

/** What a page of data allows. */
export type PageAccess = "write" | "read" | "absent";

export interface Program {
  readonly seed: number;
  /** By number; those that are missing have been left out, and what led to them leads to the next. */
  readonly items: ReadonlyMap<number, Item>;
  /** The offset of the first item in the first page of code. */
  readonly offset: number;
  readonly cpl: 0 | 3;
  readonly pages: readonly PageAccess[];
  /** How often it is run, each time with other registers and data. */
  readonly runs: number;
}

/** A program that has been placed. */
export interface Placed {
  readonly bytes: Uint8Array;
  /** Addresses of the items, in their order, and where the last ends. */
  readonly starts: readonly number[];
  readonly numbers: readonly number[];
  readonly end: number;
}

/** `int endVector`: the end of every program. */
const tail = Uint8Array.of(0xcd, 0x30);

/** Places a program. @returns undefined where it does not fit. */
export function place({ items, offset, cpl }: Program): Placed | undefined {
  const numbers = [...items.keys()].toSorted((a, b) => a - b);
  const starts: number[] = [];
  let at = codeBase(cpl) + offset;
  for (const number of numbers) {
    starts.push(at);
    at += items.get(number)!.bytes(at, () => at).length;
  }
  if (at + tail.length > codeBase(cpl) + Code.pages * 4096) return undefined;
  const of = (item: number): number => {
    const index = numbers.findIndex((number) => number >= item);
    return index < 0 ? at : starts[index]!;
  };
  const first = codeBase(cpl) + offset;
  const bytes = new Uint8Array(at + tail.length - first);
  numbers.forEach((number, index) => bytes.set(items.get(number)!.bytes(starts[index]!, of), starts[index]! - first));
  bytes.set(tail, bytes.length - tail.length);
  return { bytes, starts, numbers, end: at };
}

/** The same program with other instructions where that is possible: each as long as the one it replaces. */
export function otherVersion({ items }: Program, { bytes, starts, numbers }: Placed): Uint8Array {
  const other = bytes.slice();
  numbers.forEach((number, index) => {
    const { patch } = items.get(number)!;
    if (patch !== undefined) other[starts[index]! - starts[0]! + patch.offset]! ^= patch.bits;
  });
  return other;
}

/** The program as text, for reports. */
export function listing({ items, seed, cpl, pages, runs }: Program, { bytes, starts, numbers, end }: Placed): string {
  const lines = numbers.map((number, index) => {
    const from = starts[index]! - starts[0]!;
    const to = (starts[index + 1] ?? end) - starts[0]!;
    const digits = bytes.subarray(from, to).toHex();
    return `${(starts[index]! >>> 0).toString(16)} #${String(number).padEnd(4)} ${digits.padEnd(22)} ${items.get(number)!.text}`;
  });
  return [`seed ${seed}, CPL ${cpl}, data pages ${pages.join(" ")}, ${runs} runs`, ...lines].join("\n");
}
