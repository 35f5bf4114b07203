/** A domain's half of the xenstore rings, for tests: what xenbus does in a guest, and what a hostile one would do. */

import { XENSTORE_RING_SIZE, xenstore_domain_interface, xsd_sockmsg } from "../abi/io/xs_wire.ts";
import { joinStrings } from "./text.ts";

const at = xenstore_domain_interface.offsets;

/** A message as the guest sees it. */
export interface GuestMessage {
  readonly type: number;
  readonly req_id: number;
  readonly tx_id: number;
  readonly payload: Uint8Array;
}

/** The guest of a xenstore page. */
export class GuestSide {
  readonly page: Uint8Array = new Uint8Array(4096);
  readonly view = new DataView(this.page.buffer);
  #received: number[] = [];

  /** An index or another word of the page: `req_prod`, `rsp_cons`, `error`, … */
  word(name: "req_cons" | "req_prod" | "rsp_cons" | "rsp_prod" | "server_features" | "connection" | "error"): number {
    return this.view.getUint32(at[name], true);
  }

  /** Overwrites a word, as a guest may at any time. */
  poke(name: "req_cons" | "req_prod" | "rsp_cons" | "rsp_prod" | "connection", value: number): void {
    this.view.setUint32(at[name], value, true);
  }

  /** Writes raw bytes into the request ring. @returns how many fitted. */
  put(bytes: Uint8Array): number {
    const free = XENSTORE_RING_SIZE - ((this.word("req_prod") - this.word("req_cons")) >>> 0);
    const length = Math.min(free, bytes.length);
    for (let i = 0; i < length; i++) {
      this.page[at.req + ((this.word("req_prod") + i) % XENSTORE_RING_SIZE)] = bytes[i] ?? 0;
    }
    this.poke("req_prod", this.word("req_prod") + length);
    return length;
  }

  /** The messages that have come in full, taken from the ring. */
  take(): GuestMessage[] {
    while (this.word("rsp_cons") !== this.word("rsp_prod")) {
      this.#received.push(this.page[at.rsp + (this.word("rsp_cons") % XENSTORE_RING_SIZE)] ?? 0);
      this.poke("rsp_cons", this.word("rsp_cons") + 1);
    }
    const messages: GuestMessage[] = [];
    for (;;) {
      if (this.#received.length < xsd_sockmsg.sizeof) return messages;
      const { len, ...ids } = xsd_sockmsg.read(Uint8Array.from(this.#received.slice(0, xsd_sockmsg.sizeof)));
      if (this.#received.length < xsd_sockmsg.sizeof + len) return messages;
      const payload = Uint8Array.from(this.#received.slice(xsd_sockmsg.sizeof, xsd_sockmsg.sizeof + len));
      this.#received = this.#received.slice(xsd_sockmsg.sizeof + len);
      messages.push({ ...ids, payload });
    }
  }
}

/** A request in bytes. */
export function request(
  type: number,
  parts: readonly string[],
  ids: { req_id?: number; tx_id?: number } = {},
): Uint8Array {
  return requestBytes(type, joinStrings(parts), ids);
}

/** A request with a payload that is not a list of strings. */
export function requestBytes(
  type: number,
  payload: Uint8Array,
  { req_id = 7, tx_id = 0 }: { req_id?: number; tx_id?: number } = {},
): Uint8Array {
  const bytes = new Uint8Array(xsd_sockmsg.sizeof + payload.length);
  xsd_sockmsg.write(bytes, 0, { type, req_id, tx_id, len: payload.length });
  bytes.set(payload, xsd_sockmsg.sizeof);
  return bytes;
}
