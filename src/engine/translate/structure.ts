/**
 * The shape of a region's control flow, as WebAssembly can have it: nested blocks and loops along the dominator tree (Ramsey,
 * "Beyond Relooper", 2022). What does not fit, entries from outside and loops with several, goes through a dispatching loop
 * at the root.
 */

/** A node is a block's offset; the root is the dispatcher. */
export const root = -1;

export interface Shape {
  /** Nodes that the root's table leads to, in the order of its cases. */
  readonly dispatched: readonly number[];
  /** Children in the dominator tree that need a label, the last in reverse postorder first. */
  readonly merges: ReadonlyMap<number, readonly number[]>;
  readonly loopHeads: ReadonlySet<number>;
  /** How an edge is to be taken. */
  edge(from: number, to: number): "inline" | "forward" | "backward" | "dispatch";
}

export function shapeOf(successors: ReadonlyMap<number, readonly number[]>, entries: readonly number[]): Shape {
  const dispatched = [...entries];
  for (;;) {
    const following = (node: number) => (node === root ? dispatched : (successors.get(node) ?? []));
    const order = reversePostorder(following);
    const number = new Map(order.map((node, index) => [node, index]));
    const predecessors = new Map<number, number[]>();
    for (const node of order) {
      for (const next of following(node)) {
        const known = predecessors.get(next);
        if (known === undefined) predecessors.set(next, [node]);
        else known.push(node);
      }
    }
    const parent = dominators(order, number, predecessors);
    const dominates = (a: number, b: number): boolean => {
      for (let node = b; ; node = parent.get(node)!) {
        if (node === a) return true;
        if (node === root) return false;
      }
    };
    const isBack = (from: number, to: number) => number.get(to)! <= number.get(from)!;
    const loopHeads = new Set<number>();
    const strays = new Set<number>();
    for (const from of order) {
      for (const to of following(from)) {
        if (!isBack(from, to)) continue;
        if (dominates(to, from)) loopHeads.add(to);
        else if (!dispatched.includes(to)) strays.add(to);
      }
    }
    // The root now leads to these too, which may change what dominates what.
    if (strays.size > 0) {
      dispatched.push(...strays);
      continue;
    }
    const isMerge = (node: number) =>
      dispatched.includes(node) ||
      predecessors.get(node)!.filter((from) => !isBack(from, node)).length > 1 ||
      // The same block may branch there twice.
      new Set(predecessors.get(node)).size !== predecessors.get(node)!.length;
    const merges = new Map<number, number[]>();
    for (const node of order.toReversed()) {
      if (node === root || !isMerge(node)) continue;
      const above = parent.get(node)!;
      const known = merges.get(above);
      if (known === undefined) merges.set(above, [node]);
      else known.push(node);
    }
    const merging = new Set([...merges.values()].flat());
    return {
      dispatched,
      merges,
      loopHeads,
      edge(from, to) {
        if (isBack(from, to)) return dominates(to, from) ? "backward" : "dispatch";
        return merging.has(to) ? "forward" : "inline";
      },
    };
  }
}

function reversePostorder(following: (node: number) => readonly number[]): number[] {
  const seen = new Set<number>([root]);
  const order: number[] = [];
  const stack: { readonly node: number; next: number }[] = [{ node: root, next: 0 }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const to = following(top.node)[top.next];
    top.next += 1;
    if (to === undefined) {
      order.push(top.node);
      stack.pop();
    } else if (!seen.has(to)) {
      seen.add(to);
      stack.push({ node: to, next: 0 });
    }
  }
  return order.toReversed();
}

/** Immediate dominators, by Cooper, Harvey and Kennedy's iteration. */
function dominators(
  order: readonly number[],
  number: ReadonlyMap<number, number>,
  predecessors: ReadonlyMap<number, readonly number[]>,
): Map<number, number> {
  const parent = new Map<number, number>([[root, root]]);
  const meet = (a: number, b: number): number => {
    let [left, right] = [a, b];
    while (left !== right) {
      while (number.get(left)! > number.get(right)!) left = parent.get(left)!;
      while (number.get(right)! > number.get(left)!) right = parent.get(right)!;
    }
    return left;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (const node of order) {
      if (node === root) continue;
      const known = (predecessors.get(node) ?? []).filter((each) => parent.has(each));
      const above = known.reduce(meet);
      if (parent.get(node) === above) continue;
      parent.set(node, above);
      changed = true;
    }
  }
  return parent;
}
