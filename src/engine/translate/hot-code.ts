/** Code that has become hot and waits to be translated. */

import { Handler } from "../dispatch.ts";
import { RecordField } from "../record.ts";
import type { Recipe } from "./recipe.ts";

/** Where hot code is entered, and what the pages around led to in the address space in which it became hot. */
export interface Wanted {
  readonly head: number;
  /** Byte address and mode of the code. A head that has another is not the one that was meant. */
  readonly at: number;
  readonly mode: number;
  /** Byte addresses of frames, by their pages' distance from the code's. */
  readonly frames: ReadonlyMap<number, number>;
  /** What an earlier boot made of it. */
  readonly recipe: Recipe | undefined;
}

/** A head that waits loses this power of two of its count each time that others are taken. */
const wearShift = 3;

/** A queue in which those are first that are entered most often: heads go on counting while they wait. */
export class HotCode {
  readonly #view: DataView;
  #queue: Wanted[] = [];
  /** Heads of regions in the making: no other region takes them. */
  readonly #claimed = new Set<number>();

  constructor(view: DataView) {
    this.#view = view;
  }

  get size(): number {
    return this.#queue.length;
  }

  add(wanted: Wanted): void {
    this.#queue.push(wanted);
  }

  /** Whether a head still stands before the code that was hot, and no region has it. */
  isWanted({ head, at, mode }: Wanted): boolean {
    const view = this.#view;
    return (
      this.isFree(head) &&
      view.getUint32(head + RecordField.displacement, true) === at &&
      view.getUint16(head + RecordField.immediate2, true) === mode
    );
  }

  /** Whether a record is a head that no region has. */
  isFree(head: number): boolean {
    return this.#view.getUint16(head + RecordField.handler, true) === Handler.head && !this.#claimed.has(head);
  }

  /** Heads that a region in the making has. */
  claim(heads: Iterable<number>): void {
    for (const head of heads) this.#claimed.add(head);
  }
  release(heads: Iterable<number>): void {
    for (const head of heads) this.#claimed.delete(head);
  }

  /** Takes out what is entered most often; of the others' counts some wears off, so that what was hot once does not stay so. */
  take(most: number): Wanted[] {
    const waiting = this.#queue.filter((wanted) => this.isWanted(wanted));
    const hottest: { readonly wanted: Wanted; readonly count: number }[] = [];
    for (const wanted of waiting) {
      const count = this.#count(wanted.head);
      if (hottest.length === most && count >= hottest[most - 1]!.count) continue;
      // Heads count downwards.
      const place = hottest.findIndex((other) => count < other.count);
      hottest.splice(place < 0 ? hottest.length : place, 0, { wanted, count });
      if (hottest.length > most) hottest.pop();
    }
    const taken = new Set(hottest.map(({ wanted }) => wanted));
    this.#queue = waiting.filter((wanted) => !taken.has(wanted));
    for (const { head } of this.#queue) {
      const count = this.#count(head);
      this.#view.setInt32(head + RecordField.immediate, Math.min(count - (count >> wearShift), -1), true);
    }
    return [...taken];
  }

  #count(head: number): number {
    return this.#view.getInt32(head + RecordField.immediate, true);
  }

  clear(): void {
    this.#queue = [];
  }
}
