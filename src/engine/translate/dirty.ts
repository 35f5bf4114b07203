/**
 * Which registers a region loads where it is entered, and which it has to store where it is left.
 *
 * A register that was written is stored when control leaves the code that follows it alone: at an edge to a place that others
 * reach as well. Inside a loop it stays in its local, and everything that may be unwritten in the loop counts as such there.
 */

import { noRegisters, union, without } from "./register-set.ts";
import type { RegisterSet } from "./register-set.ts";
import type { ControlFlow, Region, RegionInstruction } from "./region.ts";
import type { Shape } from "./structure.ts";
import type { Usage } from "./usage.ts";

export interface RegisterFlow {
  /** By block: registers that may differ from memory when control comes over a lazy edge. */
  dirtyAt(block: number): RegisterSet;
  /** By block: registers that have to be in their locals there. */
  liveAt(block: number): RegisterSet;
  /** Whether an edge leaves registers as they are, to be stored later. */
  isLazy(from: number, to: number): boolean;
}

/** The innermost loop of each block, named by its head. */
function innermostLoops(
  region: Region,
  shape: Shape,
  successors: ReadonlyMap<number, readonly number[]>,
): Map<number, number> {
  const innermost = new Map<number, number>();
  if (shape.loopHeads.size === 0) return innermost;
  const predecessors = new Map<number, number[]>();
  for (const [from, following] of successors) {
    for (const to of following) {
      const known = predecessors.get(to);
      if (known === undefined) predecessors.set(to, [from]);
      else known.push(from);
    }
  }
  const bodies = [...shape.loopHeads].map((head) => {
    const body = new Set([head]);
    const work = (predecessors.get(head) ?? []).filter((from) => shape.edge(from, head) === "backward");
    for (let node = work.pop(); node !== undefined; node = work.pop()) {
      if (body.has(node)) continue;
      body.add(node);
      work.push(...(predecessors.get(node) ?? []));
    }
    return { head, body };
  });
  bodies.sort((a, b) => b.body.size - a.body.size);
  for (const { head, body } of bodies) for (const node of body) if (region.blocks.has(node)) innermost.set(node, head);
  return innermost;
}

/** A way out of a block, and the registers that the block has written or replaced before it. */
interface Edge {
  readonly to: number;
  readonly lazy: boolean;
  readonly writes: RegisterSet;
  readonly replaces: RegisterSet;
}

interface BlockFlow {
  readonly edges: readonly Edge[];
  /** Registers whose values matter at the block's beginning, whatever follows it. */
  readonly reads: RegisterSet;
  dirty: RegisterSet;
  live: RegisterSet;
}

export function registerFlow(
  region: Region,
  shape: Shape,
  control: ControlFlow,
  usage: (instruction: RegionInstruction) => Usage,
): RegisterFlow {
  const loops = innermostLoops(region, shape, control.successors);
  const isLazy = (from: number, to: number): boolean => {
    const kind = shape.edge(from, to);
    if (kind === "inline") return true;
    return kind !== "dispatch" && loops.has(from) && loops.get(from) === loops.get(to);
  };
  const flows = new Map<number, BlockFlow>();
  for (const [block, { instructions, next }] of region.blocks) {
    let [reads, writes, replaces] = [noRegisters, noRegisters, noRegisters];
    const edges: Edge[] = [];
    for (const instruction of instructions) {
      const used = usage(instruction);
      reads = union(reads, without(used.reads, replaces));
      // What it writes before it branches is dirty there; what it replaces it may replace behind the branch.
      writes = union(writes, used.writes);
      for (const to of control.targets(instruction)) edges.push({ to, lazy: isLazy(block, to), writes, replaces });
      replaces = union(replaces, used.replaces);
    }
    if (next !== undefined && region.blocks.has(next))
      edges.push({ to: next, lazy: isLazy(block, next), writes, replaces });
    flows.set(block, { edges, reads, dirty: noRegisters, live: noRegisters });
  }
  // Forward: what may be dirty at the beginning of each block.
  for (let changed = true; changed;) {
    changed = false;
    for (const { edges, dirty } of flows.values()) {
      for (const { to, lazy, writes } of edges) {
        if (!lazy) continue;
        const flow = flows.get(to)!;
        const now = union(flow.dirty, union(dirty, writes));
        changed ||= now !== flow.dirty;
        flow.dirty = now;
      }
    }
  }
  // Backward: what has to be there. A register that may be dirty has to be, since it will be stored.
  const order = [...flows.values()].toReversed();
  for (const flow of order) flow.live = union(flow.reads, flow.dirty);
  for (let changed = true; changed;) {
    changed = false;
    for (const flow of order) {
      for (const { to, replaces } of flow.edges) {
        const now = union(flow.live, without(flows.get(to)!.live, replaces));
        changed ||= now !== flow.live;
        flow.live = now;
      }
    }
  }
  return { dirtyAt: (block) => flows.get(block)!.dirty, liveAt: (block) => flows.get(block)!.live, isLazy };
}
