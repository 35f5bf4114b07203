/**
 * The tree. It is immutable: a change makes new nodes on the way from the root and shares all others, so that a
 * transaction is a saved root, and committing one a three-way merge.
 */

import { assert } from "../bits/errors.ts";
import { baseName, childPath, parentPath, steps } from "./path.ts";
import type { Permission } from "./permissions.ts";

/** A node: what xenstored keeps as one record, and the nodes below it. */
export interface Node {
  readonly value: Uint8Array;
  readonly permissions: readonly Permission[];
  /** In the order of creation, as DIRECTORY lists them. */
  readonly children: ReadonlyMap<string, Node>;
  /** Changes with the value, the permissions and the list of children's names, but not with what a child holds. */
  readonly generation: number;
}

/** What stands for the generation of a node that does not exist. */
export const NO_GENERATION = -1;

/** The parts of a node that one write changes. */
export interface Change {
  readonly value?: Uint8Array;
  readonly permissions?: readonly Permission[];
}

/** A node without children. */
export function leaf(value: Uint8Array, permissions: readonly Permission[], generation: number): Node {
  return { value, permissions, children: new Map(), generation };
}

/** The node at a canonical path. */
export function findNode(forest: Node, path: string): Node | undefined {
  let node: Node | undefined = forest;
  for (const step of steps(path)) {
    node = node.children.get(step);
    if (node === undefined) return undefined;
  }
  return node;
}

/** The forest with another value or other permissions for a node, which must exist. */
export function withChange(forest: Node, path: string, change: Change, generation: number): Node {
  return rebuild(forest, steps(path), (node) => ({ ...node, ...change, generation }));
}

/** The forest with one more node, whose parent must exist. The parent's generation changes too. */
export function withChild(forest: Node, path: string, child: Node, generation: number): Node {
  return rebuild(forest, steps(parentPath(path)), (parent) => {
    const children = new Map(parent.children);
    children.set(baseName(path), child);
    return { ...parent, children, generation };
  });
}

/** The forest without a node and all below it. The node must exist. */
export function withoutNode(forest: Node, path: string, generation: number): Node {
  return rebuild(forest, steps(path).slice(0, -1), (parent) => {
    const children = new Map(parent.children);
    children.delete(baseName(path));
    return { ...parent, children, generation };
  });
}

function rebuild(node: Node, way: readonly string[], change: (node: Node) => Node): Node {
  const [step, ...rest] = way;
  if (step === undefined) return change(node);
  const child = node.children.get(step);
  assert(child !== undefined, `xenstore: no node at step ${step}`);
  const children = new Map(node.children);
  children.set(step, rebuild(child, rest, change));
  return { ...node, children };
}

/**
 * The current forest with what a transaction changed. Called when every record that the transaction looked at is still
 * as it was in `base`, so that a record changed on both sides cannot occur.
 * @param base the forest as the transaction first saw it.
 * @param changed what it made of it.
 * @param current what others made of it meanwhile.
 */
export function merge(base: Node, changed: Node, current: Node): Node {
  if (changed === base) return current;
  if (current === base) return changed;
  const children = new Map(current.children);
  for (const name of new Set([...base.children.keys(), ...changed.children.keys()])) {
    const [before, ours, theirs] = [base, changed, current].map((node) => node.children.get(name));
    if (ours === before) continue;
    if (ours === undefined) children.delete(name);
    else if (before === undefined || theirs === undefined) children.set(name, ours);
    else children.set(name, merge(before, ours, theirs));
  }
  const { value, permissions, generation } = changed.generation === base.generation ? current : changed;
  return { value, permissions, generation, children };
}

/** Visits a node and all below it, parents first. */
export function* walk(node: Node, path: string): Generator<{ readonly path: string; readonly node: Node }> {
  yield { path, node };
  for (const [name, child] of node.children) yield* walk(child, childPath(path, name));
}

/** Visits a node and all below it, children first. */
export function* walkLeavesFirst(node: Node, path: string): Generator<{ readonly path: string; readonly node: Node }> {
  for (const [name, child] of node.children) yield* walkLeavesFirst(child, childPath(path, name));
  yield { path, node };
}

/** What a node's record takes of the quota `node-size`: header, permissions, value, names. Xen: calc_node_acc_size(). */
export function recordSize(node: Node): number {
  let names = 0;
  for (const name of node.children.keys()) names += name.length + 1;
  return 16 + 8 * node.permissions.length + node.value.length + names;
}

/** The domain that a node belongs to and is counted against. */
export function ownerOf(node: Node): number {
  return node.permissions[0]?.domain ?? 0;
}
