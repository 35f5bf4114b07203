/** What an operation of the server is given. */

import type { Answer, Client } from "./clients.ts";
import type { Database, Scope } from "./database.ts";
import type { Domains } from "./domains.ts";
import type { Transaction } from "./transaction.ts";

/** One request. */
export interface Call {
  readonly client: Client;
  readonly payload: Uint8Array;
  /** Where to read and write: {@link Call.transaction}, or the database. */
  readonly scope: Scope;
  readonly transaction: Transaction | undefined;
  readonly database: Database;
  readonly domains: Domains;
  /** What is to follow the reply. */
  afterReply: (() => void) | undefined;
}

/** An operation of the wire protocol. */
export interface Operation {
  /** Domain 0 only; others get EACCES. */
  readonly privileged?: true;
  /** The transaction id of the request means nothing. */
  readonly outsideTransactions?: true;
  answer(call: Call): Answer;
}

/** The payload of a reply that says only that it was done. */
export const OK = Uint8Array.of(0x4f, 0x4b, 0);
