/**
 * The two rings of a domain's xenstore page, seen from the server. The guest owns every byte of it, indices included:
 * they are read once, checked, and believed in nothing but how many bytes there are. docs/misc/xenstore-ring.txt.
 */

import { XENSTORE_RING_SIZE, xenstore_domain_interface } from "../abi/io/xs_wire.ts";

/** How messages get to a client and back. */
export interface Transport {
  /** Takes bytes that the client sent. @returns how many, or that the connection cannot be continued. */
  read(into: Uint8Array): number | "bad-index";
  /** Gives bytes to the client as far as there is room. */
  write(from: Uint8Array): number | "bad-index";
  /** Whether the client asks to start anew; see {@link Transport.reset}. */
  reconnecting(): boolean;
  /** Empties both directions, and tells the client that it is connected. */
  reset(): void;
  /** Tells the client the server's features. */
  offer(features: number): void;
  /** Says why the server has stopped listening: XENSTORE_ERROR. */
  fail(error: number): void;
  /** Rings the client's event channel, if something changed since the last time. */
  notify(): void;
  /** Lets go of the page and the event channel. */
  close(): void;
}

const at = xenstore_domain_interface.offsets;
const MASK = XENSTORE_RING_SIZE - 1;

/**
 * The rings in a shared page.
 * @param page the frame, live.
 * @param ring sends an event to the guest.
 * @param release unmaps the page and unbinds the event channel.
 */
export function ringTransport(page: Uint8Array, ring: () => void, release: () => void): Transport {
  const words = new Int32Array(page.buffer, page.byteOffset, page.byteLength >> 2);
  const load = (offset: number): number => Atomics.load(words, offset >> 2) >>> 0;
  const store = (offset: number, value: number): void => void Atomics.store(words, offset >> 2, value | 0);
  let changed = false;

  /** One contiguous piece at a time, as the ring wraps around. */
  function copy(
    bytes: Uint8Array,
    consumer: number,
    producer: number,
    own: "consumer" | "producer",
    piece: (start: number, length: number, done: number) => void,
  ): number | "bad-index" {
    const cons = load(consumer);
    const prod = load(producer);
    const filled = (prod - cons) >>> 0;
    if (filled > XENSTORE_RING_SIZE) return "bad-index";
    const [index, available] = own === "consumer" ? [cons, filled] : [prod, XENSTORE_RING_SIZE - filled];
    const total = Math.min(bytes.length, available);
    for (let done = 0; done < total;) {
      const start = (index + done) & MASK;
      const length = Math.min(total - done, XENSTORE_RING_SIZE - start);
      piece(start, length, done);
      done += length;
    }
    if (total > 0) {
      store(own === "consumer" ? consumer : producer, index + total);
      changed = true;
    }
    return total;
  }

  return {
    read: (into) =>
      copy(into, at.req_cons, at.req_prod, "consumer", (start, length, done) =>
        into.set(page.subarray(at.req + start, at.req + start + length), done),
      ),
    write: (from) =>
      copy(from, at.rsp_cons, at.rsp_prod, "producer", (start, length, done) =>
        page.set(from.subarray(done, done + length), at.rsp + start),
      ),
    reconnecting: () => load(at.connection) === 1,
    reset() {
      for (const offset of [at.req_cons, at.req_prod, at.rsp_cons, at.rsp_prod, at.error, at.connection]) {
        store(offset, 0);
      }
      changed = true;
    },
    offer: (features) => store(at.server_features, features),
    fail(error) {
      store(at.error, error);
      changed = true;
    },
    notify() {
      if (changed) ring();
      changed = false;
    },
    close: release,
  };
}
