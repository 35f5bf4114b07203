/**
 * One client's wire: cuts the byte stream into messages, keeps replies and events until the client takes them, and
 * bounds how much of either there can be. xen/include/public/io/xs_wire.h.
 */

import { XENSTORE_ERROR, XENSTORE_PAYLOAD_MAX, XS, xsd_sockmsg } from "../abi/io/xs_wire.ts";
import type { Infer } from "../bits/struct.ts";
import type { Answer, Cause, Client } from "./clients.ts";
import { domainPath } from "./path.ts";
import type { Account, Accounts } from "./quota.ts";
import type { Transport } from "./ring.ts";
import { joinStrings } from "./text.ts";
import type { Transaction } from "./transaction.ts";
import type { Watch } from "./watches.ts";

/** A request as it came over the wire. */
export interface Request {
  readonly header: Infer<typeof xsd_sockmsg>;
  readonly payload: Uint8Array;
}

/** How long an event waits for a client that does not take it, before it is dropped. Xen: timeout_watch_event_msec. */
const EVENT_PATIENCE_MS = 20_000;

interface Outgoing {
  readonly bytes: Uint8Array;
  readonly cause: Cause | undefined;
  /** For events, what they say and when they are dropped. */
  readonly event?: { readonly key: string; readonly expires: number };
  sent: number;
}

export interface ConnectionOptions {
  readonly domain: number;
  readonly privileged: boolean;
  readonly features: number;
  readonly accounts: Accounts;
  readonly transport: Transport;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  /** Called when a client may be read again because others took what it had caused. */
  readonly wake: (client: Client) => void;
}

/** A domain that talks over its ring. */
export class Connection implements Client {
  readonly domain: number;
  readonly privileged: boolean;
  readonly implicit: string;
  readonly account: Account;
  readonly transactions = new Map<number, Transaction>();
  target: number | undefined = undefined;
  features: number;
  watches: Watch[] = [];
  nextTransaction = 1;
  /** The client broke the protocol: nothing of it is read any more. */
  ignored = false;
  readonly #options: ConnectionOptions;
  readonly #header = new Uint8Array(xsd_sockmsg.sizeof);
  #headerLength = 0;
  #payload: Uint8Array | undefined;
  #payloadLength = 0;
  #outgoing: Outgoing[] = [];
  readonly #waitingEvents = new Set<string>();

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.domain = options.domain;
    this.privileged = options.privileged;
    this.implicit = domainPath(options.domain);
    this.account = options.accounts.of(options.domain);
    this.features = options.features;
  }

  /** Takes the next request, if it is there in full and the client is not too far ahead. */
  receive(): Request | undefined {
    const { accounts, transport } = this.#options;
    if (this.ignored || this.account.outstanding >= accounts.limit(this.account, "outstanding")) return undefined;
    if (this.account.memory >= accounts.limit(this.account, "memory")) return undefined;

    if (this.#payload === undefined) {
      const taken = transport.read(this.#header.subarray(this.#headerLength));
      if (taken === "bad-index") return this.#giveUp(XENSTORE_ERROR.RINGIDX);
      this.#headerLength += taken;
      if (this.#headerLength < this.#header.length) return undefined;
      const { len } = xsd_sockmsg.read(this.#header);
      if (len > XENSTORE_PAYLOAD_MAX) return this.#giveUp(XENSTORE_ERROR.PROTO);
      this.#payload = new Uint8Array(len);
    }
    const taken = transport.read(this.#payload.subarray(this.#payloadLength));
    if (taken === "bad-index") return this.#giveUp(XENSTORE_ERROR.RINGIDX);
    this.#payloadLength += taken;
    if (this.#payloadLength < this.#payload.length) return undefined;

    const request = { header: xsd_sockmsg.read(this.#header), payload: this.#payload };
    this.#forgetInput();
    return request;
  }

  /** Queues the reply to a request. @param cause the request, with the events it brought about. */
  reply({ header }: Request, answer: Answer, cause: Cause): void {
    const fits = typeof answer === "string" || answer.length <= XENSTORE_PAYLOAD_MAX;
    const result = fits ? answer : "E2BIG";
    const [type, payload] =
      typeof result === "string" ? ([XS.ERROR, joinStrings([result])] as const) : ([header.type, result] as const);
    this.account.outstanding++;
    this.#queue({ bytes: message({ ...header, type, len: payload.length }, payload), cause, sent: 0 });
  }

  event(path: string, token: string, cause: Cause | undefined): void {
    if (this.ignored) return;
    const payload = joinStrings([path, token]);
    if (payload.length > XENSTORE_PAYLOAD_MAX) return;
    const key = `${path}\0${token}`;
    const repeatable = path.startsWith("@");
    if (!repeatable && this.#waitingEvents.has(key)) return;
    const bytes = message({ type: XS.WATCH_EVENT, req_id: 0, tx_id: 0, len: payload.length }, payload);
    const { accounts, now } = this.#options;
    if (this.account.memory + bytes.length > accounts.limit(this.account, "memory")) return;
    if (cause !== undefined) cause.untaken++;
    if (!repeatable) this.#waitingEvents.add(key);
    const expires = this.privileged ? Infinity : now() + EVENT_PATIENCE_MS;
    this.#queue({ bytes, cause, event: { key, expires }, sent: 0 });
  }

  /** Hands over what fits. */
  flush(): void {
    while (!this.ignored) {
      const [first] = this.#outgoing;
      if (first === undefined) return;
      const written = this.#options.transport.write(first.bytes.subarray(first.sent));
      if (written === "bad-index") {
        this.#giveUp(XENSTORE_ERROR.RINGIDX);
        return;
      }
      first.sent += written;
      if (first.sent < first.bytes.length) return;
      this.#outgoing.shift();
      this.#taken(first);
    }
  }

  /** Drops events that nobody took in time, so that they do not hold up those who caused them. */
  expire(): void {
    const now = this.#options.now();
    const late = (each: Outgoing): boolean => each.sent === 0 && (each.event?.expires ?? Infinity) <= now;
    const dropped = this.#outgoing.filter(late);
    if (dropped.length === 0) return;
    this.#outgoing = this.#outgoing.filter((each) => !late(each));
    for (const each of dropped) this.#taken(each);
  }

  /** Whether the client asks for a new start. */
  reconnecting(): boolean {
    return this.#options.transport.reconnecting();
  }

  /** Starts anew: no watches, transactions, or messages on the way. */
  reset(): void {
    this.#forgetAll();
    this.ignored = false;
    this.#options.transport.reset();
  }

  offerFeatures(): void {
    this.#options.transport.offer(this.features);
  }

  /** Rings the client if its page changed. */
  notify(): void {
    this.#options.transport.notify();
  }

  /** Ends the connection for good. */
  close(): void {
    this.#forgetAll();
    this.ignored = true;
    this.#options.transport.close();
  }

  /** Forgets all watches and transactions. */
  resetWatches(): void {
    forgetWatches(this, this.account);
  }

  #queue(outgoing: Outgoing): void {
    this.account.memory += outgoing.bytes.length;
    this.#outgoing.push(outgoing);
  }

  #taken({ bytes, cause, event }: Outgoing): void {
    this.account.memory -= bytes.length;
    if (event !== undefined) this.#waitingEvents.delete(event.key);
    if (cause === undefined || --cause.untaken > 0) return;
    cause.account.outstanding--;
    this.#options.wake(cause.client);
  }

  #giveUp(error: number): undefined {
    this.#forgetAll();
    this.ignored = true;
    this.#options.transport.fail(error);
  }

  #forgetAll(): void {
    this.resetWatches();
    this.#forgetInput();
    const dropped = this.#outgoing;
    this.#outgoing = [];
    for (const each of dropped) this.#taken(each);
  }

  #forgetInput(): void {
    this.#headerLength = 0;
    this.#payload = undefined;
    this.#payloadLength = 0;
  }
}

/** Takes all watches and transactions from a client. Xen: do_reset_watches(). */
export function forgetWatches(client: Client, account: Account): void {
  for (const watch of client.watches) account.memory -= watch.path.length + watch.token.length;
  account.watches -= client.watches.length;
  client.watches = [];
  for (const transaction of client.transactions.values()) transaction.discard();
  account.transactions -= client.transactions.size;
  client.transactions.clear();
}

function message(header: Infer<typeof xsd_sockmsg>, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(xsd_sockmsg.sizeof + payload.length);
  xsd_sockmsg.write(bytes, 0, header);
  bytes.set(payload, xsd_sockmsg.sizeof);
  return bytes;
}
