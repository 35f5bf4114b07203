/** Those who use the store, as operations and watches see them. */

import type { XsdError } from "../abi/io/xs_wire.ts";
import type { Holder } from "./permissions.ts";
import type { Account } from "./quota.ts";
import type { Transaction } from "./transaction.ts";
import type { Watch } from "./watches.ts";

/** The errors that have a name on the wire. */
export type ErrorName = XsdError;

/** The payload of a reply, or what was wrong. */
export type Answer = Uint8Array | ErrorName;

/** Someone who uses the store: a domain by its ring, or domain 0 in this process. */
export interface Client extends Holder {
  /** What its relative paths begin with. */
  readonly implicit: string;
  readonly account: Account;
  target: number | undefined;
  /** XENSTORE_SERVER_FEATURE bits. */
  features: number;
  watches: Watch[];
  readonly transactions: Map<number, Transaction>;
  /** The id that the next transaction gets, unless it is in use. */
  nextTransaction: number;
  /**
   * Queues an event.
   * @param cause whose request brought it about, if that client's requests are limited until the event is taken.
   */
  event(path: string, token: string, cause: Cause | undefined): void;
}

/** A request that counts as outstanding until its reply and all events that it caused were taken. */
export interface Cause {
  readonly client: Client;
  readonly account: Account;
  /** Messages that have not been taken yet. */
  untaken: number;
}
