/** Which instructions make up a region: those reachable from an entry without leaving a few pages (engine.md §D). */

import type { FormDescription } from "../forms.ts";
import { RecordField } from "../record.ts";
import { mostEntries } from "./page-guard.ts";

/** One instruction of a region. Offsets count from byte 0 of the region's base page. */
export interface RegionInstruction {
  /** The address of its record. */
  readonly record: number;
  readonly offset: number;
  readonly next: number;
  readonly form: FormDescription;
  /** Where a direct branch leads. */
  readonly target: number | undefined;
  /** It is a branch inside its page that has never led there. */
  readonly untaken: boolean;
}

/** Instructions that are entered at the first only; they may branch away in their midst. */
export interface RegionBlock {
  readonly instructions: readonly RegionInstruction[];
  /** Offset behind the last instruction, if control goes on there. */
  readonly next: number | undefined;
}

/** A region as it is emitted. */
export interface Region {
  readonly mode: number;
  /** By offset of their first instruction. */
  readonly blocks: ReadonlyMap<number, RegionBlock>;
  /** Offsets at which it can be entered; an entry's number is its place here. */
  readonly entries: readonly number[];
  /** The pages that it has instructions in: 0 is the base page. */
  readonly pages: readonly number[];
}

/** Instructions that a region is to be made of. */
export interface Collected {
  readonly instructions: ReadonlyMap<number, RegionInstruction>;
  /** Offsets at which blocks begin, if there is an instruction. */
  readonly leaders: ReadonlySet<number>;
  /** Offsets at which the region can be entered, with their heads. */
  readonly entries: ReadonlyMap<number, number>;
}

/** What is asked about code that has been decoded. */
export interface CodeSource {
  /** @returns the instruction at an offset from the base page, if it has been decoded. */
  find(offset: number): RegionInstruction | undefined;
  /** @returns the head at an offset that no region has taken. */
  freeHead(offset: number): number | undefined;
}

/** Instructions that a region has at most. */
export const regionLimit = 400;

/** Collects a region from the code at `entry`, breadth first, so that what is near comes before what is far. */
export function collect(source: CodeSource, entry: { readonly offset: number; readonly head: number }): Collected {
  const instructions = new Map<number, RegionInstruction>();
  const leaders = new Set<number>([entry.offset]);
  const entries = new Map<number, number>([[entry.offset, entry.head]]);
  const work = [entry.offset];
  // What is called comes when there is nothing nearer.
  const called: number[] = [];
  for (let at = work.shift() ?? called.shift(); at !== undefined; at = work.shift() ?? called.shift()) {
    for (let offset = at; ;) {
      if (instructions.has(offset)) {
        leaders.add(offset);
        break;
      }
      if (instructions.size >= regionLimit) break;
      const instruction = source.find(offset);
      if (instruction === undefined) break;
      instructions.set(offset, instruction);
      const { flow } = instruction.form.row.instruction;
      if (flow === "call") {
        if (instruction.target !== undefined) {
          leaders.add(instruction.target);
          called.push(instruction.target);
        }
        // What is behind a call is entered by the return.
        const head = entries.size < mostEntries ? source.freeHead(instruction.next) : undefined;
        if (head === undefined) break;
        entries.set(instruction.next, head);
        leaders.add(instruction.next);
        work.push(instruction.next);
        break;
      }
      if (instruction.target !== undefined) {
        leaders.add(instruction.target);
        // What thousands of passes did not lead to is not worth its translation.
        if (!instruction.untaken) work.push(instruction.target);
      }
      if (flow !== "on") break;
      offset = instruction.next;
    }
  }
  for (const offset of entries.keys()) if (!instructions.has(offset)) entries.delete(offset);
  return { instructions, leaders, entries };
}

/** Cuts instructions into blocks. */
export function formBlocks(
  found: ReadonlyMap<number, RegionInstruction>,
  leaders: Iterable<number>,
): Map<number, RegionBlock> {
  const begins = new Set(leaders);
  const blocks = new Map<number, RegionBlock>();
  for (const leader of begins) {
    const instructions: RegionInstruction[] = [];
    let next: number | undefined = leader;
    while (next !== undefined) {
      const instruction: RegionInstruction | undefined = found.get(next);
      if (instruction === undefined) break;
      instructions.push(instruction);
      next = instruction.form.row.instruction.flow === "on" ? instruction.next : undefined;
      if (next !== undefined && begins.has(next)) break;
    }
    if (instructions.length > 0) blocks.set(leader, { instructions, next });
  }
  return blocks;
}

/** An i64 of 53 bits at most. */
function readTarget(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}

/** The instruction whose record is at `record` of `view`, in page `page` of its region. */
export function readInstruction(
  view: DataView,
  record: number,
  page: number,
  form: FormDescription,
): RegionInstruction {
  const base = page * 4096;
  const branch = form.row.branch ? readTarget(view, record + RecordField.immediate) : undefined;
  const inPage = branch !== undefined && branch >= 0 && branch < 4096;
  return {
    record,
    offset: base + view.getUint16(record + RecordField.start, true),
    next: base + view.getUint16(record + RecordField.next, true),
    form,
    target: branch === undefined ? undefined : base + branch,
    // Interpreted branches remember the record that they led to.
    untaken: inPage && view.getInt32(record + RecordField.displacement, true) === 0,
  };
}

/** Return points that a return is compared with before it leaves its region. */
const comparedReturns = 4;

const nowhere: readonly number[] = [];

/** Where control may go from each block, inside the region: a target for each branch, in the order of the instructions. */
export class ControlFlow {
  readonly #region: Region;
  readonly returnPoints: readonly number[];
  /** By block, in the order of its instructions. */
  readonly successors: ReadonlyMap<number, readonly number[]>;

  constructor(region: Region) {
    this.#region = region;
    const behindCalls = [...region.blocks.values()].flatMap(({ instructions }) => {
      const last = instructions.at(-1)!;
      const { target, form, next } = last;
      const inside = form.row.instruction.flow === "call" && target !== undefined && region.blocks.has(target);
      return inside && region.blocks.has(next) ? [next] : [];
    });
    this.returnPoints = [...new Set(behindCalls)].slice(0, comparedReturns);
    const successors = new Map<number, readonly number[]>();
    for (const [offset, { instructions, next }] of region.blocks) {
      const all: number[] = [];
      for (const instruction of instructions) for (const to of this.targets(instruction)) all.push(to);
      if (next !== undefined && region.blocks.has(next)) all.push(next);
      successors.set(offset, all);
    }
    this.successors = successors;
  }

  /** Blocks to which an instruction may branch. */
  targets({ target, form }: RegionInstruction): readonly number[] {
    if (form.row.instruction.flow === "return") return this.returnPoints;
    return target !== undefined && this.#region.blocks.has(target) ? [target] : nowhere;
  }
}
