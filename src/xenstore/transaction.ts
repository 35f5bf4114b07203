/**
 * Transactions. One is a saved root, the paths it looked at, and what it made of them. It ends well if every record it
 * looked at is still the same, whatever happened to others; otherwise with EAGAIN, for the client to start anew.
 * Xen: the comment at the head of tools/xenstored/transaction.c, whose rules these are.
 */

import { charged } from "./database.ts";
import type { Charge, Database, Happening, Scope } from "./database.ts";
import type { Permission } from "./permissions.ts";
import type { Account } from "./quota.ts";
import { findNode, leaf, merge, NO_GENERATION, recordSize, withChange, withChild, withoutNode } from "./store.ts";
import type { Change, Node } from "./store.ts";
import type { Match } from "./watches.ts";

/** What a transaction knows of a path that it looked at. */
interface Accessed {
  /** The record's generation outside when it was first looked at. */
  readonly generation: number;
  readonly permissions: readonly Permission[] | undefined;
  match: Match | undefined;
}

/** How {@link Transaction.commit} ended: `ENOMEM` after an operation failed half-way, `ENOSPC` over a quota. */
export type CommitResult = "committed" | "EAGAIN" | "ENOMEM" | "ENOSPC";

export class Transaction implements Scope {
  readonly id: number;
  readonly #database: Database;
  readonly #account: Account;
  readonly #accessed = new Map<string, Accessed>();
  readonly #pending = new Map<number, { nodes: number; bytes: number }>();
  #base: Node;
  #forest: Node;
  /** Bytes that the transaction's own copies take, counted for the client until it ends. */
  #held = 0;
  #failed = false;
  #overflowed = false;

  constructor(id: number, database: Database, account: Account) {
    this.id = id;
    this.#database = database;
    this.#account = account;
    this.#base = database.forest;
    this.#forest = database.forest;
  }

  /** An operation failed half-way, or cannot be remembered: the transaction can no longer end well. */
  fail(): void {
    this.#failed = true;
  }

  /** Whether the operation that is running now touched more nodes than `transaction-nodes`. Reading resets it. */
  takeOverflow(): boolean {
    const overflowed = this.#overflowed;
    this.#overflowed = false;
    return overflowed;
  }

  node(path: string): Node | undefined {
    if (!this.#accessed.has(path)) {
      const most = this.#database.accounts.limit(this.#account, "transaction-nodes");
      if (this.#accessed.size >= most) {
        this.#overflowed = true;
        this.#failed = true;
        return undefined;
      }
      this.#catchUp();
      const node = findNode(this.#forest, path);
      this.#accessed.set(path, {
        generation: node?.generation ?? NO_GENERATION,
        permissions: node?.permissions,
        match: undefined,
      });
      this.#hold(node === undefined ? 0 : recordSize(node));
    }
    return findNode(this.#forest, path);
  }

  change(path: string, change: Change): void {
    this.#apply(path, (forest) => withChange(forest, path, change, this.#database.nextGeneration()));
    this.#hold(change.value?.length ?? 0);
  }

  add(path: string, value: Uint8Array, permissions: readonly Permission[]): void {
    const child = leaf(value, permissions, this.#database.nextGeneration());
    this.#apply(path, (forest) => withChild(forest, path, child, this.#database.nextGeneration()));
    this.#hold(recordSize(child) + path.length);
  }

  remove(path: string): void {
    this.#apply(path, (forest) => withoutNode(forest, path, this.#database.nextGeneration()));
  }

  /** Remembered for {@link commit}. That a subtree changed says more than that a node did. */
  happened({ path, match }: Happening): void {
    const accessed = this.#accessed.get(path);
    if (accessed === undefined) this.#failed = true;
    else if (accessed.match !== "subtree") accessed.match = match;
  }

  pendingNodes(owner: number): number {
    return this.#pending.get(owner)?.nodes ?? 0;
  }

  /** Makes the changes everyone's, all or none. The transaction is over either way. */
  commit(): CommitResult {
    this.discard();
    if (this.#failed) return "ENOMEM";
    if (this.#forest !== this.#base) {
      const account = this.#account;
      const grown = this.pendingNodes(account.domain);
      if (grown > 0 && account.nodes + grown > this.#database.accounts.limit(account, "nodes")) return "ENOSPC";
    }
    if (this.#conflicts()) return "EAGAIN";

    this.#database.forest = merge(this.#base, this.#forest, this.#database.forest);
    for (const [owner, { nodes, bytes }] of this.#pending) this.#database.charge(owner, nodes, bytes);
    for (const [path, { match, permissions }] of this.#accessed) {
      if (match === undefined) continue;
      this.#database.happened(permissions === undefined ? { path, match } : { path, match, permissions });
    }
    return "committed";
  }

  /** Ends the transaction as if it had never been. */
  discard(): void {
    this.#account.memory -= this.#held;
    this.#held = 0;
  }

  #apply(path: string, change: (forest: Node) => Node): void {
    this.#forest = charged(this.#forest, path, this.#charge, change);
  }

  readonly #charge: Charge = (owner, nodes, bytes) => {
    const pending = this.#pending.get(owner) ?? { nodes: 0, bytes: 0 };
    this.#pending.set(owner, { nodes: pending.nodes + nodes, bytes: pending.bytes + bytes });
  };

  #hold(bytes: number): void {
    this.#held += bytes;
    this.#account.memory += bytes;
  }

  /** Whether a record that was looked at has changed outside. */
  #conflicts(): boolean {
    const current = this.#database.forest;
    if (current === this.#base) return false;
    for (const [path, { generation }] of this.#accessed) {
      if ((findNode(current, path)?.generation ?? NO_GENERATION) !== generation) return true;
    }
    return false;
  }

  /** A record is first seen as it is then, not as it was when the transaction began: fewer conflicts. */
  #catchUp(): void {
    const current = this.#database.forest;
    if (current === this.#base || this.#conflicts()) return;
    this.#forest = merge(this.#base, this.#forest, current);
    this.#base = current;
  }
}
