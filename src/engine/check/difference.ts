/** In what two runs of the same instructions differ. */

import { Ending } from "../../ir/node.ts";
import { State } from "../../x86/state.ts";
import { interpret } from "../dispatch.ts";
import type { PageLog } from "./pages.ts";
import { VcpuState } from "./vcpu-state.ts";

/** Where a region is entered. */
export interface Entry {
  readonly slot: number;
  /** What was in the slot: it stays the same where the region is given up meanwhile. */
  readonly code: (vcpu: number, budget: number, rip: bigint, entry: number) => number;
  readonly entry: number;
  readonly rip: bigint;
}

/** How a run of instructions ended. */
export interface Run {
  /** An {@link Ending}, `interpret`, or −1 where the interpreter ended otherwise than by any of them. */
  readonly ending: number;
  /** The budget left, and the instructions that retired. */
  readonly left: number;
  readonly retired: number;
  readonly state: Uint8Array;
}

/** Bytes of memory of which a report says how they differ. */
const mostBytes = 24;

/**
 * How the interpreter's run differs from the region's.
 * @param state the vCPU as the interpreter has left it, and so the pages.
 * @param asked what the interpreter asked the platform otherwise.
 * @returns undefined where it does not.
 */
export function differenceOf(
  region: Run,
  interpreter: Run,
  state: VcpuState,
  pages: PageLog,
  asked: string | undefined,
): string[] | undefined {
  const { ending } = region;
  const sameEnd =
    ending === interpreter.ending && region.retired === interpreter.retired && region.left === interpreter.left;
  const agree = (...slots: number[]) =>
    slots.every((slot) => wordOf(region.state, slot) === wordOf(interpreter.state, slot));
  const sameFault = ending !== Ending.fault || agree(State.faultVector, State.faultCode);
  const sameExit = ending !== Ending.exit || agree(State.exitReason);
  if (asked === undefined && sameEnd && sameFault && sameExit && state.same(region.state) && pages.same())
    return undefined;
  return [
    ...(asked === undefined ? [] : [`the interpreter asked the platform otherwise: ${asked}`]),
    ...(sameEnd ? [] : [`they ended differently: ${describeEnd(region)}; ${describeEnd(interpreter)}`]),
    ...(sameFault ? [] : [`another exception: ${describeFault(region)}; ${describeFault(interpreter)}`]),
    ...(sameExit ? [] : ["another exit"]),
    ...VcpuState.differences(region.state, interpreter.state).map(
      (each) => `${each.name}: region ${each.region.toString(16)}, interpreter ${each.interpreter.toString(16)}`,
    ),
    ...memoryDifferences(pages),
  ];
}

function memoryDifferences(pages: PageLog): string[] {
  const hex = (value: number) => value.toString(16).padStart(2, "0");
  const all = [...pages.differences()];
  const lines = all
    .slice(0, mostBytes)
    .map(
      ({ at, before, region, interpreter }) =>
        `memory ${at.toString(16)}: before ${hex(before)}, region ${hex(region)}, interpreter ${hex(interpreter)}`,
    );
  return all.length > mostBytes ? [...lines, `${all.length} bytes of memory differ in all`] : lines;
}

function wordOf(state: Uint8Array, slot: number): number {
  return new DataView(state.buffer, state.byteOffset).getInt32(slot, true);
}

const endingNames: Readonly<Record<number, string>> = {
  ...Object.fromEntries(Object.entries(Ending).map(([name, value]) => [value, name])),
  [interpret]: "interpret",
};

/** How a run ended, for people. */
export function describeEnd({ ending, left, retired }: Run): string {
  return `${endingNames[ending] ?? "unknown"} after ${retired} instructions, budget left ${left}`;
}
function describeFault({ state }: Run): string {
  return `vector ${wordOf(state, State.faultVector)}, error code ${wordOf(state, State.faultCode)}`;
}
