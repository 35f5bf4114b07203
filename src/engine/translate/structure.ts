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
    const follow = (node: number) => (node === root ? dispatched : (successors.get(node) ?? []));
    const order = reversePostorder(follow);
    const number = new Map(order.map((node, index) => [node, index]));
    // Everything below is by number; the root's is 0.
    const following = order.map((node) => follow(node).map((next) => number.get(next)!));
    const predecessors: number[][] = order.map(() => []);
    following.forEach((all, from) => all.forEach((to) => predecessors[to]!.push(from)));
    const parent = dominators(predecessors);
    const dominates = (a: number, b: number): boolean => {
      let node = b;
      while (node > a) node = parent[node]!;
      return node === a;
    };
    const inTable = new Set(dispatched.map((node) => number.get(node)!));
    const loopHeads = new Set<number>();
    const strays = new Set<number>();
    following.forEach((all, from) => {
      for (const to of all) {
        if (to > from) continue;
        if (dominates(to, from)) loopHeads.add(order[to]!);
        else if (!inTable.has(to)) strays.add(order[to]!);
      }
    });
    // The root now leads to these too, which may change what dominates what.
    if (strays.size > 0) {
      dispatched.push(...strays);
      continue;
    }
    const merging = predecessors.map((all, node) => inTable.has(node) || isMerge(all, node));
    const merges = new Map<number, number[]>();
    for (let node = order.length - 1; node > 0; node--) {
      if (!merging[node]!) continue;
      const above = order[parent[node]!]!;
      const known = merges.get(above);
      if (known === undefined) merges.set(above, [order[node]!]);
      else known.push(order[node]!);
    }
    return {
      dispatched,
      merges,
      loopHeads,
      edge(fromNode, toNode) {
        const [from, to] = [number.get(fromNode)!, number.get(toNode)!];
        if (to <= from) return dominates(to, from) ? "backward" : "dispatch";
        return merging[to]! ? "forward" : "inline";
      },
    };
  }
}

/** Whether several edges lead forward to a node, or one block branches there twice. */
function isMerge(predecessors: readonly number[], node: number): boolean {
  let forward = 0;
  for (const [index, from] of predecessors.entries()) {
    if (from < node) forward += 1;
    if (forward > 1 || predecessors.indexOf(from) !== index) return true;
  }
  return false;
}

function reversePostorder(following: (node: number) => readonly number[]): number[] {
  const seen = new Set<number>([root]);
  const order: number[] = [];
  const stack = [{ node: root, following: following(root), next: 0 }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const to = top.following[top.next];
    top.next += 1;
    if (to === undefined) {
      order.push(top.node);
      stack.pop();
    } else if (!seen.has(to)) {
      seen.add(to);
      stack.push({ node: to, following: following(to), next: 0 });
    }
  }
  return order.toReversed();
}

/** Immediate dominators of nodes in reverse postorder, by Cooper, Harvey and Kennedy's iteration. */
function dominators(predecessors: readonly (readonly number[])[]): Int32Array {
  const unknown = -1;
  const parent = new Int32Array(predecessors.length).fill(unknown);
  parent[0] = 0;
  for (let changed = true; changed;) {
    changed = false;
    for (let node = 1; node < parent.length; node++) {
      let above = unknown;
      for (const from of predecessors[node]!) {
        if (parent[from] === unknown) continue;
        let other = from;
        if (above === unknown) above = from;
        while (above !== other) {
          if (above > other) above = parent[above]!;
          else other = parent[other]!;
        }
      }
      changed ||= parent[node] !== above;
      parent[node] = above;
    }
  }
  return parent;
}
