/**
 * The PV console's daemon side: takes what the guest prints out of one ring and puts what is typed into the other.
 * Protocol: xen/include/public/io/console.h; the part of Xen's xenconsoled.
 */

import { XENCONS_RING, xencons_interface } from "../abi/io/console.ts";
import type { Backend } from "./backend.ts";

const at = xencons_interface.offsets;

/** Where the guest's output goes. */
export interface ConsoleSink {
  /**
   * Takes bytes that the guest printed, which are the sink's to keep.
   * @returns false when the sink is full: the guest's next output stays in the ring until {@link ConsoleBackend.resume}.
   */
  write(bytes: Uint8Array<ArrayBuffer>): boolean;
}

export interface ConsoleBackend extends Backend {
  /** The sink is not full any more. */
  resume(): void;
  /** Types into the guest. @returns a promise kept when the guest's ring holds all of it, or the console is closed. */
  type(bytes: Uint8Array): Promise<void>;
  /** Takes what the guest has printed even if the sink is full: the guest is gone and nothing may be lost. */
  drain(): void;
}

/**
 * Serves a console page.
 * @param page the frame, live; the guest may write anything into it at any time.
 * @param notify interrupts the guest.
 */
export function consoleBackend(page: Uint8Array, notify: () => void, sink: ConsoleSink): ConsoleBackend {
  const words = new Int32Array(page.buffer, page.byteOffset, page.byteLength >> 2);
  const load = (offset: number): number => Atomics.load(words, offset >> 2) >>> 0;
  const store = (offset: number, value: number): void => void Atomics.store(words, offset >> 2, value | 0);
  const waiting: { bytes: Uint8Array; sent: number; done: () => void }[] = [];
  let full = false;
  let closed = false;

  /** Moves output to the sink. @returns whether anything moved. */
  function takeOutput(): boolean {
    const cons = load(at.out_cons);
    const filled = (load(at.out_prod) - cons) >>> 0;
    // Indices that make no sense are the guest's own loss: nothing is taken until they do again.
    if (filled === 0 || filled > XENCONS_RING.out) return false;
    const bytes = new Uint8Array(filled);
    const start = cons % XENCONS_RING.out;
    const first = Math.min(filled, XENCONS_RING.out - start);
    bytes.set(page.subarray(at.out + start, at.out + start + first));
    bytes.set(page.subarray(at.out, at.out + filled - first), first);
    store(at.out_cons, cons + filled);
    full = !sink.write(bytes);
    return true;
  }

  /** Moves input to the guest. @returns whether anything moved. */
  function giveInput(): boolean {
    let moved = false;
    for (let head = waiting[0]; head !== undefined; head = waiting[0]) {
      const prod = load(at.in_prod);
      const filled = (prod - load(at.in_cons)) >>> 0;
      const room = filled > XENCONS_RING.in ? 0 : XENCONS_RING.in - filled;
      const length = Math.min(room, head.bytes.length - head.sent);
      for (let i = 0; i < length; i++) {
        page[at.in + ((prod + i) % XENCONS_RING.in)] = head.bytes[head.sent + i] ?? 0;
      }
      if (length > 0) {
        store(at.in_prod, prod + length);
        head.sent += length;
        moved = true;
      }
      if (head.sent < head.bytes.length) break;
      waiting.shift();
      head.done();
    }
    return moved;
  }

  // The guest decides how often: events alone must not bring more into a sink that is full.
  function service(): void {
    if (closed) return;
    let changed = giveInput();
    while (!full && takeOutput()) changed = true;
    if (changed) notify();
  }

  return {
    service,
    resume() {
      full = false;
      service();
    },
    drain() {
      if (closed) return;
      while (takeOutput()) continue;
    },
    type(bytes) {
      if (closed || bytes.length === 0) return Promise.resolve();
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push({ bytes, sent: 0, done: resolve });
      if (giveInput()) notify();
      return promise;
    },
    [Symbol.dispose]() {
      closed = true;
      for (const { done } of waiting.splice(0)) done();
    },
  };
}
