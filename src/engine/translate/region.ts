/** Which instructions make up a region: those reachable from an entry without leaving a few pages (engine.md §D). */

import type { FormDescription } from "../form-library.ts";

/** One instruction of a region. Offsets count from byte 0 of the region's base page. */
export interface RegionInstruction {
  /** The address of its record. */
  readonly record: number;
  readonly offset: number;
  readonly next: number;
  readonly form: FormDescription;
  /** Where a direct branch leads. */
  readonly target: number | undefined;
}

/** Instructions that are entered at the first only; they may branch away in their midst. */
export interface RegionBlock {
  readonly instructions: readonly RegionInstruction[];
  /** Offset behind the last instruction, if control goes on there. */
  readonly next: number | undefined;
}

export interface Region {
  readonly mode: number;
  /** By offset of their first instruction. */
  readonly blocks: ReadonlyMap<number, RegionBlock>;
  /** Offsets at which the region can be entered, with their heads. */
  readonly entries: readonly { readonly offset: number; readonly head: number }[];
  /** Frames' byte addresses, by page of the region: 0 is the base page. */
  readonly pages: ReadonlyMap<number, number>;
}

/** What region discovery asks about code that has been decoded. */
export interface CodeSource {
  /** @returns the instruction at an offset from the base page, if it has been decoded. */
  instruction(offset: number): RegionInstruction | undefined;
  /** @returns the head at an offset that no region has taken. */
  freeHead(offset: number): number | undefined;
}

/** Instructions that a region has at most. */
export const regionLimit = 400;

/** Collects a region from the code at `entry`, breadth first, so that what is near comes before what is far. */
export function discover(
  source: CodeSource,
  mode: number,
  entry: { readonly offset: number; readonly head: number },
  pages: ReadonlyMap<number, number>,
): Region {
  const found = new Map<number, RegionInstruction>();
  const leaders = new Set<number>([entry.offset]);
  const entries = new Map<number, number>([[entry.offset, entry.head]]);
  const work = [entry.offset];
  for (let at = work.shift(); at !== undefined; at = work.shift()) {
    for (let offset = at; ; ) {
      if (found.has(offset)) {
        leaders.add(offset);
        break;
      }
      if (found.size >= regionLimit) break;
      const instruction = source.instruction(offset);
      if (instruction === undefined) break;
      found.set(offset, instruction);
      const { flow } = instruction.form.row.instruction;
      if (flow === "call") {
        // What is behind a call is entered by the return.
        const head = source.freeHead(instruction.next);
        if (head === undefined) break;
        entries.set(instruction.next, head);
        leaders.add(instruction.next);
        work.push(instruction.next);
        break;
      }
      if (instruction.target !== undefined) {
        leaders.add(instruction.target);
        work.push(instruction.target);
      }
      if (flow === "away") break;
      offset = instruction.next;
    }
  }
  const blocks = new Map<number, RegionBlock>();
  for (const leader of leaders) {
    const instructions: RegionInstruction[] = [];
    let next: number | undefined = leader;
    while (next !== undefined) {
      const instruction: RegionInstruction | undefined = found.get(next);
      if (instruction === undefined) break;
      instructions.push(instruction);
      next = instruction.form.row.instruction.flow === "on" ? instruction.next : undefined;
      if (next !== undefined && leaders.has(next)) break;
    }
    if (instructions.length > 0) blocks.set(leader, { instructions, next });
  }
  return {
    mode,
    blocks,
    entries: [...entries].filter(([offset]) => blocks.has(offset)).map(([offset, head]) => ({ offset, head })),
    pages,
  };
}
