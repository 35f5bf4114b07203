/** Domain 0's own use of the store, without a ring: the toolstack and the back ends call it and have their answer at once. */

import { XS } from "../abi/io/xs_wire.ts";
import type { Answer, Client, ErrorName } from "./clients.ts";
import type { Request } from "./connection.ts";
import { ALL_FEATURES } from "./domains.ts";
import { domainPath } from "./path.ts";
import { formatPermission, parsePermission } from "./permissions.ts";
import type { Permission } from "./permissions.ts";
import type { Account, Accounts } from "./quota.ts";
import { fromBytes, joinStrings, strings, toBytes } from "./text.ts";
import type { Transaction } from "./transaction.ts";
import type { Watch } from "./watches.ts";

/** What the server answered instead of doing it. */
export class XenstoreError extends Error {
  readonly code: ErrorName;

  constructor(code: ErrorName, what: string) {
    super(`xenstore: ${what}: ${code}`);
    this.name = "XenstoreError";
    this.code = code;
  }
}

/** Called with the path that changed. */
export type WatchHandler = (path: string) => void;

/** What can be done inside and outside of transactions. Every method throws {@link XenstoreError}. */
export interface StoreAccess {
  /** The value as text, one byte a character. */
  read(path: string): string;
  /** The value, or undefined where there is no such node. */
  find(path: string): string | undefined;
  write(path: string, value: string | Uint8Array): void;
  makeDirectory(path: string): void;
  remove(path: string): void;
  list(path: string): string[];
  permissions(path: string): Permission[];
  setPermissions(path: string, permissions: readonly Permission[]): void;
}

/** The in-process client of domain 0. */
export class StoreClient implements Client, StoreAccess {
  readonly domain = 0;
  readonly privileged = true;
  readonly implicit = domainPath(0);
  readonly account: Account;
  readonly transactions = new Map<number, Transaction>();
  target: number | undefined = undefined;
  features = ALL_FEATURES;
  watches: Watch[] = [];
  nextTransaction = 1;
  readonly #request: (client: Client, request: Request) => Answer;
  readonly #handlers = new Map<string, WatchHandler>();
  #events: { readonly path: string; readonly token: string }[] = [];
  #tokens = 0;
  #transaction = 0;

  /** @param request performs a request at once. */
  constructor(accounts: Accounts, request: (client: Client, request: Request) => Answer) {
    this.account = accounts.of(0);
    this.#request = request;
  }

  event(path: string, token: string): void {
    this.#events.push({ path, token });
  }

  /** Calls the handlers of what has happened. The server does it when it is between requests. */
  deliver(): void {
    for (let events = this.#events; events.length > 0; events = this.#events) {
      this.#events = [];
      for (const { path, token } of events) this.#handlers.get(token)?.(path);
    }
  }

  read(path: string): string {
    return fromBytes(this.#ask(XS.READ, `read ${path}`, joinStrings([path])));
  }

  find(path: string): string | undefined {
    try {
      return this.read(path);
    } catch (error) {
      if (error instanceof XenstoreError && error.code === "ENOENT") return undefined;
      throw error;
    }
  }

  write(path: string, value: string | Uint8Array): void {
    const name = joinStrings([path]);
    const data = typeof value === "string" ? toBytes(value) : value;
    const payload = new Uint8Array(name.length + data.length);
    payload.set(name);
    payload.set(data, name.length);
    this.#ask(XS.WRITE, `write ${path}`, payload);
  }

  makeDirectory(path: string): void {
    this.#ask(XS.MKDIR, `make ${path}`, joinStrings([path]));
  }

  remove(path: string): void {
    this.#ask(XS.RM, `remove ${path}`, joinStrings([path]));
  }

  list(path: string): string[] {
    return strings(this.#ask(XS.DIRECTORY, `list ${path}`, joinStrings([path])));
  }

  permissions(path: string): Permission[] {
    const entries = strings(this.#ask(XS.GET_PERMS, `permissions of ${path}`, joinStrings([path])));
    return entries.map(parsePermission).filter((entry) => entry !== undefined);
  }

  setPermissions(path: string, permissions: readonly Permission[]): void {
    const payload = joinStrings([path, ...permissions.map(formatPermission)]);
    this.#ask(XS.SET_PERMS, `set permissions of ${path}`, payload);
  }

  /** Calls the handler once soon, and at each change of the node or below it until the result is disposed of. */
  watch(path: string, handler: WatchHandler): Disposable {
    const token = String(this.#tokens++);
    this.#handlers.set(token, handler);
    this.#ask(XS.WATCH, `watch ${path}`, joinStrings([path, token]));
    return {
      [Symbol.dispose]: () => {
        if (!this.#handlers.delete(token)) return;
        this.#ask(XS.UNWATCH, `unwatch ${path}`, joinStrings([path, token]));
      },
    };
  }

  /** Makes several changes everyone's at once. The body runs again when others changed what it had looked at. */
  transaction<Result>(body: (store: StoreAccess) => Result): Result {
    for (;;) {
      const [id] = strings(this.#ask(XS.TRANSACTION_START, "start a transaction", joinStrings([""])));
      this.#transaction = Number(id);
      const end = (verdict: "T" | "F"): Answer => {
        const answer = this.request(XS.TRANSACTION_END, joinStrings([verdict]));
        this.#transaction = 0;
        return answer;
      };
      let result: Result;
      try {
        result = body(this);
      } catch (error) {
        end("F");
        throw error;
      }
      const ended = end("T");
      if (typeof ended !== "string") return result;
      if (ended !== "EAGAIN") throw new XenstoreError(ended, "end a transaction");
    }
  }

  /** Connects a domain to the store. @param frame its xenstore page. @param port its end of the event channel. */
  introduce(domain: number, frame: number, port: number): void {
    this.#ask(XS.INTRODUCE, `introduce d${domain}`, joinStrings([String(domain), String(frame), String(port)]));
  }

  /** Forgets a domain, with the nodes that it owns. */
  release(domain: number): void {
    this.#ask(XS.RELEASE, `release d${domain}`, joinStrings([String(domain)]));
  }

  /** Any request, for tools that speak the protocol themselves. */
  request(type: number, payload: Uint8Array): Answer {
    const header = { type, req_id: 0, tx_id: this.#transaction, len: payload.length };
    return this.#request(this, { header, payload });
  }

  #ask(type: number, what: string, payload: Uint8Array): Uint8Array {
    const answer = this.request(type, payload);
    if (typeof answer === "string") throw new XenstoreError(answer, what);
    return answer;
  }
}
