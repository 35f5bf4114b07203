/** The current tree, with its generation counter and its books: what transactions start from and are merged into. */

import { DOMID } from "../abi/xen.ts";
import { baseName, parentPath, steps } from "./path.ts";
import type { Permission } from "./permissions.ts";
import type { Accounts } from "./quota.ts";
import { findNode, leaf, ownerOf, recordSize, walk, withChange, withChild, withoutNode } from "./store.ts";
import type { Change, Node } from "./store.ts";
import type { Match } from "./watches.ts";

/** Something that watches may want to know. */
export interface Happening {
  readonly path: string;
  readonly match: Match;
  /** The node's permissions before, where they differ from those that can be looked up now. */
  readonly permissions?: readonly Permission[];
}

/** Counts nodes and bytes for the domain that owns them. */
export type Charge = (owner: number, nodes: number, bytes: number) => void;

/** Where an operation reads and writes: the database itself or a transaction. Paths are canonical. */
export interface Scope {
  /** Looks a node up; a transaction remembers that it did. */
  node(path: string): Node | undefined;
  /** Changes a node that exists. */
  change(path: string, change: Change): void;
  /** Adds a node whose parent exists. */
  add(path: string, value: Uint8Array, permissions: readonly Permission[]): void;
  /** Removes a node that exists, and all below it. */
  remove(path: string): void;
  /** Tells watches, at once or when the transaction ends well. */
  happened(happening: Happening): void;
  /** Nodes that this scope has counted for a domain so far, which the accounts do not show yet. */
  pendingNodes(owner: number): number;
}

const NOTHING = new Uint8Array();

/** The nodes that exist from the start. Xen: setup_structure(). */
function firstForest(): Node {
  const root = leaf(NOTHING, [{ domain: 0, rights: "n" }], 0);
  const anyone: Permission[] = [
    { domain: 0, rights: "n" },
    { domain: DOMID.ANY, rights: "r" },
  ];
  const children = new Map([
    ["", root],
    ["@introduceDomain", root],
    ["@releaseDomain", leaf(NOTHING, anyone, 0)],
  ]);
  const forest = { ...root, children };
  return withChild(withChild(forest, "/tool", root, 0), "/tool/xenstored", root, 0);
}

/** The tree as everyone sees it. */
export class Database implements Scope {
  forest: Node = firstForest();
  readonly accounts: Accounts;
  readonly #tell: (happening: Happening) => void;
  #generation = 0;

  /** @param tell delivers to the watches of all clients. */
  constructor(accounts: Accounts, tell: (happening: Happening) => void) {
    this.accounts = accounts;
    this.#tell = tell;
  }

  /** A number that no node has had before. */
  nextGeneration(): number {
    return ++this.#generation;
  }

  /** Counts for a domain, at once. */
  readonly charge: Charge = (owner, nodes, bytes) => {
    const account = this.accounts.of(owner);
    account.nodes += nodes;
    account.memory += bytes;
  };

  node(path: string): Node | undefined {
    return findNode(this.forest, path);
  }

  change(path: string, change: Change): void {
    this.forest = charged(this.forest, path, this.charge, (forest) =>
      withChange(forest, path, change, this.nextGeneration()),
    );
  }

  add(path: string, value: Uint8Array, permissions: readonly Permission[]): void {
    this.forest = charged(this.forest, path, this.charge, (forest) =>
      withChild(forest, path, leaf(value, permissions, this.nextGeneration()), this.nextGeneration()),
    );
  }

  remove(path: string): void {
    this.forest = charged(this.forest, path, this.charge, (forest) => withoutNode(forest, path, this.nextGeneration()));
  }

  happened(happening: Happening): void {
    this.#tell(happening);
  }

  pendingNodes(): number {
    return 0;
  }
}

/** Makes a change and counts the difference that it makes for the owners of the node, of those below it, of its parent. */
export function charged(forest: Node, path: string, charge: Charge, change: (forest: Node) => Node): Node {
  const count = (from: Node, sign: 1 | -1): void => {
    const node = findNode(from, path);
    if (node === undefined) return;
    for (const { path: at, node: each } of walk(node, path)) {
      charge(ownerOf(each), sign, sign * (recordSize(each) + at.length));
    }
  };
  const before = findNode(forest, path);
  const changed = change(forest);
  const after = findNode(changed, path);
  if (before !== undefined && after !== undefined) {
    // The nodes below are the same on both sides: only the record itself counts.
    charge(ownerOf(before), -1, -(recordSize(before) + path.length));
    charge(ownerOf(after), 1, recordSize(after) + path.length);
    return changed;
  }
  count(forest, -1);
  count(changed, 1);
  const parent = steps(path).length > 1 ? findNode(changed, parentPath(path)) : undefined;
  const name = baseName(path).length + 1;
  if (parent !== undefined) charge(ownerOf(parent), 0, after === undefined ? -name : name);
  return changed;
}
