/** Shapes of control flow: whatever a graph says, walks through the nested blocks and loops made of it say too. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { randomFrom } from "../../../test/differential/values.ts";
import type { Random } from "../../../test/differential/values.ts";
import { root, shapeOf } from "./structure.ts";
import type { Shape } from "./structure.ts";

type Graph = ReadonlyMap<number, readonly number[]>;

/** How control leaves a construct: to a label, round a loop, by way of the dispatcher, or for good. */
type Leave = { readonly kind: "forward" | "backward" | "dispatch"; readonly to: number } | { readonly kind: "end" };

/** Walks through the constructs that emission makes of a shape, as WebAssembly would. @returns the nodes that were met. */
function walk(graph: Graph, shape: Shape, entry: number, random: Random): { taken: number[]; expected: number[] } {
  const taken: number[] = [];
  const expected: number[] = [shape.dispatched[entry]!];
  let chosen = entry;
  const leaf = (node: number): Leave => {
    if (node === root) return { kind: "forward", to: shape.dispatched[chosen]! };
    taken.push(node);
    const following = graph.get(node) ?? [];
    if (following.length === 0 || taken.length >= 100) return { kind: "end" };
    const to = random.pick(following);
    expected.push(to);
    const kind = shape.edge(node, to);
    return kind === "inline" ? tree(to) : { kind, to };
  };
  const within = (node: number, [merge, ...rest]: readonly number[]): Leave => {
    if (merge === undefined) return leaf(node);
    const leave = within(node, rest);
    return leave.kind === "forward" && leave.to === merge ? tree(merge) : leave;
  };
  const tree = (node: number): Leave => {
    const isLoop = shape.loopHeads.has(node) && node !== root;
    for (;;) {
      const leave = within(node, shape.merges.get(node) ?? []);
      if (isLoop && leave.kind === "backward" && leave.to === node) continue;
      return leave;
    }
  };
  for (;;) {
    const leave = tree(root);
    if (leave.kind === "end") return { taken, expected };
    assert.equal(leave.kind, "dispatch", `no construct around has a label for ${JSON.stringify(leave)}`);
    chosen = shape.dispatched.indexOf(leave.to);
    assert.ok(chosen >= 0, `the dispatcher does not lead to ${leave.to}`);
  }
}

/** How often each node is emitted. */
function emissions(graph: Graph, shape: Shape): Map<number, number> {
  const counts = new Map<number, number>();
  const tree = (node: number): void => {
    counts.set(node, (counts.get(node) ?? 0) + 1);
    assert.ok(counts.get(node) === 1, `${node} is emitted twice`);
    for (const merge of shape.merges.get(node) ?? []) tree(merge);
    if (node === root) return;
    for (const to of graph.get(node) ?? []) if (shape.edge(node, to) === "inline") tree(to);
  };
  tree(root);
  counts.delete(root);
  return counts;
}

function reachable(graph: Graph, entries: readonly number[]): Set<number> {
  const seen = new Set(entries);
  for (const node of seen) for (const to of graph.get(node) ?? []) seen.add(to);
  return seen;
}

function check(graph: Graph, entries: readonly number[], random: Random): Shape {
  const shape = shapeOf(graph, entries);
  assert.deepEqual(shape.dispatched.slice(0, entries.length), entries);
  assert.deepEqual(new Set(emissions(graph, shape).keys()), reachable(graph, entries));
  for (let each = 0; each < 12; each++) {
    const { taken, expected } = walk(graph, shape, each % entries.length, random);
    assert.deepEqual(taken, expected);
  }
  return shape;
}

const named: readonly [name: string, graph: readonly (readonly [number, readonly number[]])[], entries: number[]][] = [
  ["a straight line", [[0, [4]], [4, [8]], [8, []]], [0]],
  ["a diamond", [[0, [4, 8]], [4, [12]], [8, [12]], [12, []]], [0]],
  ["a block that branches twice to the same place", [[0, [4, 4]], [4, []]], [0]],
  ["a loop of one block", [[0, [0, 4]], [4, []]], [0]],
  ["loops in a loop", [[0, [4]], [4, [4, 8]], [8, [8, 12]], [12, [0, 16]], [16, []]], [0]],
  ["a loop that is left in its midst", [[0, [4, 12]], [4, [0, 8]], [8, [0, 12]], [12, []]], [0]],
  ["an entry into a loop", [[0, [4]], [4, [8]], [8, [0, 12]], [12, []]], [0, 8]],
  ["two entries that meet", [[0, [8]], [4, [8]], [8, []]], [0, 4]],
]; // prettier-ignore

for (const [name, edges, entries] of named) {
  test(`structure: ${name}`, () => {
    check(new Map(edges), entries, randomFrom(1));
  });
}

test("structure: a loop with two entries goes through the dispatcher, one with one does not", () => {
  const irreducible = new Map([[0, [4, 8]], [4, [8]], [8, [4, 12]], [12, []]]); // prettier-ignore
  const shape = check(irreducible, [0], randomFrom(2));
  assert.equal(shape.dispatched.length, 2);
  const reducible = new Map([[0, [4]], [4, [8]], [8, [4, 12]], [12, []]]); // prettier-ignore
  const other = check(reducible, [0], randomFrom(2));
  assert.deepEqual([other.dispatched, [...other.loopHeads], other.edge(8, 4)], [[0], [4], "backward"]);
});

test("structure: random graphs with several entries", () => {
  const random = randomFrom(3);
  let dispatching = 0;
  for (let each = 0; each < 3000; each++) {
    const nodes = 1 + random.below(14);
    const graph = new Map<number, readonly number[]>();
    for (let node = 0; node < nodes; node++)
      graph.set(
        node,
        Array.from({ length: random.below(4) }, () => random.below(nodes)),
      );
    const entries = [...new Set(Array.from({ length: 1 + random.below(3) }, () => random.below(nodes)))];
    if (check(graph, entries, random).dispatched.length > entries.length) dispatching += 1;
  }
  assert.ok(dispatching > 300);
});
