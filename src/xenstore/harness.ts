/** A server with guests on rings, for tests. */

import { GuestSide, request, requestBytes } from "./guest-side.ts";
import type { GuestMessage } from "./guest-side.ts";
import { ringTransport } from "./ring.ts";
import { Xenstore } from "./server.ts";
import { fromBytes } from "./text.ts";

/** A guest that sends one request at a time and keeps the events apart. */
export interface TestGuest {
  readonly side: GuestSide;
  /** @returns the reply's strings, or the error's name with a `!` before it. */
  ask(type: number, parts: readonly string[], tx_id?: number): string;
  /** The same with raw bytes for a payload. */
  askBytes(type: number, payload: Uint8Array, tx_id?: number): string;
  /** The events taken since the last call, as `path token`. */
  events(): string[];
  /** How often the server rang. */
  rings(): number;
}

export interface TestServer {
  readonly server: Xenstore;
  readonly log: string[];
  /** Makes a domain exist, introduces it, and gives it a home that it owns. */
  readonly guest: (domain: number) => TestGuest;
  /** Lets deferred work run. */
  readonly settle: () => void;
  /** Makes time pass. */
  readonly sleep: (milliseconds: number) => void;
}

const ERROR = 16;
const WATCH_EVENT = 15;

export function testServer(): TestServer {
  const existing = new Set<number>([0]);
  const sides = new Map<number, { side: GuestSide; ring: () => void }>();
  const log: string[] = [];
  let deferred: (() => void)[] = [];
  let time = 0;
  const server = new Xenstore({
    exists: (domain) => existing.has(domain),
    connect(domain) {
      const found = sides.get(domain);
      return found && ringTransport(found.side.page, found.ring, () => {});
    },
    now: () => time,
    defer: (work) => deferred.push(work),
    log: (line) => log.push(line),
  });
  const settle = (): void => {
    for (let work = deferred; work.length > 0; work = deferred) {
      deferred = [];
      for (const each of work) each();
    }
  };
  return {
    server,
    log,
    settle,
    sleep: (milliseconds) => void (time += milliseconds),
    guest(domain) {
      const side = new GuestSide();
      let rings = 0;
      const events: string[] = [];
      existing.add(domain);
      sides.set(domain, { side, ring: () => rings++ });
      server.client.introduce(domain, 0, 1);
      server.client.write(`/local/domain/${domain}`, "");
      server.client.setPermissions(`/local/domain/${domain}`, [{ domain, rights: "n" }]);

      const take = (replies: GuestMessage[]): void => {
        for (const message of side.take()) {
          if (message.type === WATCH_EVENT) events.push(fromBytes(message.payload).split("\0").slice(0, 2).join(" "));
          else replies.push(message);
        }
      };
      const exchange = (bytes: Uint8Array): string => {
        const replies: GuestMessage[] = [];
        let sent = 0;
        for (let tries = 0; tries < 100 && (sent < bytes.length || replies.length === 0); tries++) {
          sent += side.put(bytes.subarray(sent));
          server.service(domain);
          settle();
          take(replies);
          server.service(domain);
          settle();
          take(replies);
        }
        const [reply] = replies;
        if (reply === undefined) return "no reply";
        const text = fromBytes(reply.payload);
        return reply.type === ERROR ? `!${text.slice(0, -1)}` : text;
      };
      return {
        side,
        ask: (type, parts, tx_id = 0) => exchange(request(type, parts, { tx_id })),
        askBytes: (type, payload, tx_id = 0) => exchange(requestBytes(type, payload, { tx_id })),
        events() {
          server.service(domain);
          settle();
          take([]);
          return events.splice(0);
        },
        rings: () => rings,
      };
    },
  };
}
