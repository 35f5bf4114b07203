/**
 * Which registers a region loads where it is entered, and which it has to store where it is left.
 *
 * A register that was written is stored when control leaves the code that follows it alone: at an edge to a place that others
 * reach as well. Inside a loop it stays in its local, and everything that may be unwritten in the loop counts as such there.
 */

import type { ControlFlow, Region, RegionInstruction } from "./region.ts";
import type { Shape } from "./structure.ts";
import type { Usage } from "./usage.ts";

export interface RegisterFlow {
  /** By block: registers that may differ from memory when control comes over a lazy edge. */
  dirtyAt(block: number): ReadonlySet<number>;
  /** By block: registers that have to be in their locals there. */
  liveAt(block: number): ReadonlySet<number>;
  /** Whether an edge leaves registers as they are, to be stored later. */
  isLazy(from: number, to: number): boolean;
}

type Sets = Map<number, Set<number>>;

/** The innermost loop of each block, named by its head. */
function innermostLoops(
  region: Region,
  shape: Shape,
  successors: ReadonlyMap<number, readonly number[]>,
): Map<number, number> {
  const predecessors = new Map<number, number[]>();
  for (const [from, following] of successors) {
    for (const to of following) predecessors.set(to, [...(predecessors.get(to) ?? []), from]);
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
  const innermost = new Map<number, number>();
  for (const { head, body } of bodies) for (const node of body) if (region.blocks.has(node)) innermost.set(node, head);
  return innermost;
}

export function registerFlow(
  region: Region,
  shape: Shape,
  control: ControlFlow,
  usage: (instruction: RegionInstruction) => Usage,
): RegisterFlow {
  const loops = innermostLoops(region, shape, control.successors());
  const isLazy = (from: number, to: number): boolean => {
    const kind = shape.edge(from, to);
    if (kind === "inline") return true;
    return kind !== "dispatch" && loops.has(from) && loops.get(from) === loops.get(to);
  };
  const dirty: Sets = new Map();
  const live: Sets = new Map();
  for (const block of region.blocks.keys()) {
    dirty.set(block, new Set());
    live.set(block, new Set());
  }
  const addAll = (to: Set<number>, from: Iterable<number>): boolean => {
    const before = to.size;
    for (const each of from) to.add(each);
    return to.size > before;
  };
  // Forward: what may be dirty at the beginning of each block.
  for (let changed = true; changed;) {
    changed = false;
    for (const [block, { instructions, next }] of region.blocks) {
      const now = new Set(dirty.get(block));
      const flow = (to: number | undefined) => {
        if (to !== undefined && region.blocks.has(to) && isLazy(block, to))
          changed = addAll(dirty.get(to)!, now) || changed;
      };
      for (const instruction of instructions) {
        // What it writes before it branches is dirty there.
        addAll(now, usage(instruction).writes);
        control.targets(instruction).forEach(flow);
      }
      flow(next);
    }
  }
  // Backward: what has to be there. A register that may be dirty has to be, since it will be stored.
  const order = [...region.blocks].toReversed();
  for (let changed = true; changed;) {
    changed = false;
    for (const [block, { instructions, next }] of order) {
      const now = new Set(next === undefined ? [] : live.get(next));
      for (const instruction of instructions.toReversed()) {
        for (const target of control.targets(instruction)) addAll(now, live.get(target)!);
        const { reads, replaces } = usage(instruction);
        for (const each of replaces) now.delete(each);
        addAll(now, reads);
      }
      addAll(now, dirty.get(block)!);
      changed = addAll(live.get(block)!, now) || changed;
    }
  }
  return { dirtyAt: (block) => dirty.get(block)!, liveAt: (block) => live.get(block)!, isLazy };
}
