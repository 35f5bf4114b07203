/** Who is connected, and what happens to the tree and to watchers when domains come and go. */

import { XENSTORE_SERVER_FEATURE } from "../abi/io/xs_wire.ts";
import { DOMID } from "../abi/xen.ts";
import type { Cause, Client } from "./clients.ts";
import { Connection } from "./connection.ts";
import { Database } from "./database.ts";
import type { Happening } from "./database.ts";
import { parentPath } from "./path.ts";
import { permits } from "./permissions.ts";
import { Accounts } from "./quota.ts";
import type { Transport } from "./ring.ts";
import { ownerOf, walk, walkLeavesFirst } from "./store.ts";
import { concerns, eventPath } from "./watches.ts";

/** The features that every domain is offered unless SET_FEATURE says less. */
export const ALL_FEATURES =
  XENSTORE_SERVER_FEATURE.RECONNECTION |
  XENSTORE_SERVER_FEATURE.ERROR |
  XENSTORE_SERVER_FEATURE.WATCHDEPTH |
  XENSTORE_SERVER_FEATURE.DOMID_ANY;

/** What the server needs of whoever runs it. */
export interface XenstoreHost {
  /** Whether the hypervisor knows a domain of this number. */
  exists(domain: number): boolean;
  /** Maps a domain's xenstore page and binds its event channel. @returns undefined if there is none to map. */
  connect(domain: number, frame: number, port: number): Transport | undefined;
  /** Milliseconds, monotonic. */
  now(): number;
  /** Runs something soon, but not now: the server gives way to other work. */
  defer(work: () => void): void;
  /** Takes a line for the log. */
  log(line: string): void;
}

/** What the server knows of a domain. */
interface StoreDomain {
  readonly id: number;
  features: number;
  connection: Connection | undefined;
  shutDown: boolean;
}

/** The clients and the tree that they share. */
export class Domains {
  readonly accounts = new Accounts((domain) => domain === 0);
  readonly database = new Database(this.accounts, (happening) => this.#tell(happening));
  readonly host: XenstoreHost;
  /** Connections that may have something to read or write. */
  readonly ready = new Set<Client>();
  /** The request that is being answered, if its client's requests are limited. */
  cause: Cause | undefined;
  readonly #clients = new Set<Client>();
  readonly #domains = new Map<number, StoreDomain>();

  constructor(host: XenstoreHost) {
    this.host = host;
  }

  /** Adds a client that is not on a ring: domain 0's in this process. */
  join(client: Client): void {
    this.#clients.add(client);
  }

  /** Whether a permission may name the domain. */
  exists(domain: number): boolean {
    return domain === 0 || domain === DOMID.ANY || this.#domains.has(domain) || this.host.exists(domain);
  }

  /** The connection of an introduced domain. */
  findConnection(domain: number): Connection | undefined {
    return this.#domains.get(domain)?.connection;
  }

  /** What is known of a domain that exists, introduced or not. */
  findDomain(domain: number): StoreDomain | undefined {
    const known = this.#domains.get(domain);
    if (known !== undefined || domain === 0 || !this.host.exists(domain)) return known;
    const fresh = { id: domain, features: ALL_FEATURES, connection: undefined, shutDown: false };
    this.#domains.set(domain, fresh);
    return fresh;
  }

  /** Connects a domain, or gives an introduced one a fresh start. @returns false if it has no page to map. */
  introduce(domain: number, frame: number, port: number): "introduced" | "EINVAL" | "ENOENT" {
    const known = this.findDomain(domain);
    if (known === undefined) return "ENOENT";
    const fresh = known.connection === undefined;
    if (known.connection !== undefined) this.#disconnect(known.connection);
    const transport = this.host.connect(domain, frame, port);
    if (transport === undefined) return "EINVAL";

    const { features } = known;
    const connection = new Connection({
      domain,
      privileged: false,
      features,
      accounts: this.accounts,
      transport,
      now: () => this.host.now(),
      wake: (client) => this.ready.add(client),
    });
    known.connection = connection;
    connection.reset();
    connection.offerFeatures();
    this.#clients.add(connection);
    this.ready.add(connection);
    if (fresh) this.tellSpecial("@introduceDomain", domain, "both");
    return "introduced";
  }

  /** A domain has shut down, though it is still there: watchers with a depth may tell it from release. */
  shutDown(domain: number): void {
    const known = this.#domains.get(domain);
    if (known === undefined || known.shutDown) return;
    known.shutDown = true;
    this.tellSpecial("@releaseDomain", domain, "both");
  }

  /** A domain that had shut down runs again. */
  resume(domain: number): void {
    const known = this.#domains.get(domain);
    if (known !== undefined) known.shutDown = false;
  }

  /** A domain is gone, or to be forgotten: its connection, its nodes, and its place in others' permissions. */
  release(domain: number): void {
    const known = this.#domains.get(domain);
    if (known === undefined) return;
    const introduced = known.connection !== undefined;
    if (known.connection !== undefined) this.#disconnect(known.connection);
    this.#domains.delete(domain);
    this.#disown(domain);
    this.accounts.close(domain);
    if (introduced) this.tellSpecial("@releaseDomain", domain, "both");
  }

  /** Fires the watches on a special node: on the name itself, and on the name with the domain's number. */
  tellSpecial(name: "@introduceDomain" | "@releaseDomain", domain: number, which: "both" | "with-domain"): void {
    if (which === "both") this.#tell({ path: name, match: "without-depth" });
    this.#tell({ path: `${name}/${domain}`, match: "with-depth" });
  }

  /** All connections on rings. */
  *connections(): Generator<Connection> {
    for (const { connection } of this.#domains.values()) if (connection !== undefined) yield connection;
  }

  #disconnect(connection: Connection): void {
    this.#clients.delete(connection);
    this.ready.delete(connection);
    connection.close();
  }

  /** Queues an event for each watch that a change concerns, where the client may know of it. Xen: fire_watches(). */
  #tell(happening: Happening): void {
    const { path, match } = happening;
    for (const client of this.#clients) {
      const watches = client.watches.filter((each) => concerns(each, path, match));
      if (watches.length === 0 || !this.#mayKnow(client, happening)) continue;
      for (const each of watches) client.event(eventPath(each, path), each.token, this.cause);
      this.ready.add(client);
    }
  }

  /** A node's changes are known to who may read it, may have read it until now, or may read its parent. */
  #mayKnow(client: Client, { path, permissions }: Happening): boolean {
    if (permissions !== undefined && permits(permissions, client, "read")) return true;
    const special = path.startsWith("@");
    const node = this.database.node(special ? path.replace(/\/.*/, "") : path);
    if (node === undefined) return false;
    if (permits(node.permissions, client, "read")) return true;
    const parent = this.database.node(special ? "/" : parentPath(path));
    return parent !== undefined && permits(parent.permissions, client, "read");
  }

  /** So that a later domain of the same number inherits nothing. Xen: domain_tree_remove(). */
  #disown(domain: number): void {
    const { database } = this;
    for (const root of ["/", "@introduceDomain", "@releaseDomain"]) {
      const top = database.node(root);
      if (top === undefined) continue;
      for (const { path, node } of walk(top, root)) {
        if (database.node(path) === undefined) continue;
        if (ownerOf(node) !== domain) {
          const permissions = node.permissions.filter((entry, i) => i === 0 || entry.domain !== domain);
          if (permissions.length < node.permissions.length) database.change(path, { permissions });
        } else if (path === root) {
          const [, ...others] = node.permissions;
          database.change(path, { permissions: [{ domain: 0, rights: "n" }, ...others] });
        } else {
          for (const { path: each } of walkLeavesFirst(node, path)) {
            this.#tell({ path: each, match: each === path ? "subtree" : "exact" });
          }
          database.remove(path);
        }
      }
    }
  }
}
