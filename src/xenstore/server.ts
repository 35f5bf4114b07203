/** xenstored: reads requests from the rings of domains, performs them, sends replies and events. */

import { XS } from "../abi/io/xs_wire.ts";
import type { Call, Operation } from "./call.ts";
import { StoreClient } from "./client.ts";
import type { Answer, Cause, Client } from "./clients.ts";
import { Connection } from "./connection.ts";
import type { Request } from "./connection.ts";
import * as onDomains from "./domain-operations.ts";
import { Domains } from "./domains.ts";
import type { XenstoreHost } from "./domains.ts";
import * as onNodes from "./node-operations.ts";
import * as onWatches from "./watch-operations.ts";

/** Every operation of the wire protocol; types that are not here get ENOSYS. Xen: wire_funcs[]. */
const OPERATIONS: Readonly<Record<number, Operation>> = {
  [XS.CONTROL]: { privileged: true, answer: onDomains.control },
  [XS.DIRECTORY]: { answer: onNodes.directory },
  [XS.READ]: { answer: onNodes.read },
  [XS.GET_PERMS]: { answer: onNodes.getPermissions },
  [XS.WATCH]: { outsideTransactions: true, answer: onWatches.watch },
  [XS.UNWATCH]: { outsideTransactions: true, answer: onWatches.unwatch },
  [XS.TRANSACTION_START]: { answer: onWatches.transactionStart },
  [XS.TRANSACTION_END]: { answer: onWatches.transactionEnd },
  [XS.INTRODUCE]: { privileged: true, answer: onDomains.introduce },
  [XS.RELEASE]: { privileged: true, answer: onDomains.release },
  [XS.GET_DOMAIN_PATH]: { answer: onDomains.getDomainPath },
  [XS.WRITE]: { answer: onNodes.write },
  [XS.MKDIR]: { answer: onNodes.makeDirectory },
  [XS.RM]: { answer: onNodes.remove },
  [XS.SET_PERMS]: { answer: onNodes.setPermissions },
  [XS.IS_DOMAIN_INTRODUCED]: { privileged: true, answer: onDomains.isDomainIntroduced },
  [XS.RESUME]: { privileged: true, answer: onDomains.resume },
  [XS.SET_TARGET]: { privileged: true, answer: onDomains.setTarget },
  [XS.RESET_WATCHES]: { answer: onWatches.resetWatches },
  [XS.DIRECTORY_PART]: { answer: onNodes.directoryPart },
  [XS.GET_FEATURE]: { answer: onDomains.getFeature },
  [XS.SET_FEATURE]: { privileged: true, answer: onDomains.setFeature },
  [XS.GET_QUOTA]: { privileged: true, answer: onDomains.getQuota },
  [XS.SET_QUOTA]: { privileged: true, answer: onDomains.setQuota },
};

/** Requests performed before the server lets other work go on. */
const REQUESTS_A_TURN = 64;

/** The server. All of it runs on one thread; nothing in it waits. */
export class Xenstore {
  /** Domain 0's own way in. */
  readonly client: StoreClient;
  readonly #domains: Domains;
  #deferred = false;
  #settling = false;

  constructor(host: XenstoreHost) {
    this.#domains = new Domains(host);
    this.client = new StoreClient(this.#domains.accounts, (client, request) => {
      const answer = this.#perform(client, request, undefined);
      this.#settle();
      return answer;
    });
    this.#domains.join(this.client);
  }

  /** A domain's event channel rang: its ring has something, or has room again. */
  service(domain: number): void {
    const connection = this.#domains.findConnection(domain);
    if (connection === undefined) return;
    this.#domains.ready.add(connection);
    this.#settle();
  }

  /** A domain has shut down but is still there. */
  domainShutDown(domain: number): void {
    this.#domains.shutDown(domain);
    this.#settle();
  }

  /** A domain is gone. Before another gets its number, nothing may be left that names it. */
  domainGone(domain: number): void {
    this.#domains.release(domain);
    this.#settle();
  }

  /** Drops events that clients have not taken for long. To be called every few seconds. */
  expire(): void {
    for (const connection of this.#domains.connections()) connection.expire();
    this.#settle();
  }

  /** Goes on until no client can be served, or enough has been done for one turn. */
  #settle(): void {
    if (this.#settling) return;
    this.#settling = true;
    try {
      const { ready } = this.#domains;
      let left = REQUESTS_A_TURN;
      do {
        // A client that is put back comes after all others.
        for (const client of ready) {
          if (left === 0) break;
          ready.delete(client);
          if (!(client instanceof Connection)) continue;
          if (this.#serve(client)) ready.add(client);
          left--;
        }
        this.client.deliver();
      } while (ready.size > 0 && left > 0);
      if (ready.size > 0 && !this.#deferred) {
        this.#deferred = true;
        this.#domains.host.defer(() => {
          this.#deferred = false;
          this.#settle();
        });
      }
    } finally {
      this.#settling = false;
    }
  }

  /** One request of a domain. @returns whether there may be more. */
  #serve(connection: Connection): boolean {
    if (connection.reconnecting()) connection.reset();
    connection.flush();
    const request = connection.receive();
    if (request !== undefined) {
      const cause = { client: connection, account: connection.account, untaken: 1 };
      const answered = this.#perform(connection, request, cause, (answer) => connection.reply(request, answer, cause));
      if (answered === "EINVAL") this.#domains.host.log(`xenstore: d${connection.domain}: malformed request`);
    }
    connection.flush();
    connection.notify();
    return request !== undefined;
  }

  #perform(
    client: Client,
    { header, payload }: Request,
    cause: Cause | undefined,
    reply?: (answer: Answer) => void,
  ): Answer {
    const outer = this.#domains.cause;
    this.#domains.cause = cause;
    const [answer, afterReply] = this.#answer(client, header.type, header.tx_id, payload);
    reply?.(answer);
    this.#domains.cause = outer;
    afterReply?.();
    return answer;
  }

  #answer(client: Client, type: number, id: number, payload: Uint8Array): readonly [Answer, (() => void) | undefined] {
    const operation = OPERATIONS[type];
    if (operation === undefined) return ["ENOSYS", undefined];
    if (operation.privileged && !client.privileged) return ["EACCES", undefined];
    const named = id !== 0 && !operation.outsideTransactions;
    const transaction = named ? client.transactions.get(id) : undefined;
    if (named && transaction === undefined) return ["ENOENT", undefined];
    const { database } = this.#domains;
    const call: Call = {
      client,
      payload,
      scope: transaction ?? database,
      transaction,
      database,
      domains: this.#domains,
      afterReply: undefined,
    };
    const answer = operation.answer(call);
    if (transaction?.takeOverflow()) return ["ENOSPC", undefined];
    return [answer, call.afterReply];
  }
}
