/** Runs a program on two machines and finds where they part. */

import type { VcpuContext } from "../../src/engine/engine.ts";
import { randomFrom } from "../differential/values.ts";
import type { Random } from "../differential/values.ts";
import { Code, Stack, endVector, pageBytes } from "./layout.ts";
import { Exit, randomContext, randomData } from "./machine.ts";
import type { TierMachine } from "./machine.ts";
import { otherVersion, place } from "./program.ts";
import type { Placed, Program } from "./program.ts";

/** Instructions and exceptions that one run of a program has at most. */
const runLimit = 4000;
const exceptionLimit = 25;
/** Instructions by which a run may be longer than its budget: a region's blocks up to the next look at it. */
const overshoot = 2000;

/** The interpreter alone, and the other. */
export interface Pair {
  readonly plain: TierMachine;
  readonly translating: TierMachine;
}

/** How much of what was found: for the tests that the tests test something. */
export interface Tally {
  instructions: number;
  exceptions: number;
  stops: number;
}

/** @returns what differs first, if anything does. */
export function compareTiers(pair: Pair, program: Program, tally?: Tally): string | undefined {
  const placed = place(program);
  if (placed === undefined) return undefined;
  const { plain, translating } = pair;
  const both = [plain, translating];
  const random = randomFrom(program.seed ^ 0x5eed);
  const other = otherVersion(program, placed);
  const state = { other: false };
  for (const machine of both) {
    machine.load(placed.bytes, other, program.offset);
    machine.mapData(program.pages);
  }
  for (let run = 0; run < program.runs; run++) {
    if (run > 0) between(both, random, placed, other, program, state);
    const data = randomData(random);
    const context = randomContext(random, plain.machine.context(), program.cpl, placed.starts[0] ?? placed.end);
    for (const machine of both) {
      machine.fillMemory(data);
      machine.start({ ...context, gpr: [...context.gpr], fxsave: context.fxsave.slice() });
    }
    const difference = compareRun(pair, placed, random, tally);
    if (difference !== undefined) return `run ${run}: ${difference}`;
  }
  return undefined;
}

/** What happens to the code between runs. */
function between(
  both: readonly TierMachine[],
  random: Random,
  placed: Placed,
  other: Uint8Array,
  program: Program,
  state: { other: boolean },
): void {
  const what = random.below(6);
  const page = random.below(Code.pages);
  for (const machine of both) {
    // The first version is the other now, in memory; then a page leads to the other.
    if (what === 0) {
      machine.loadVersion(state.other ? placed.bytes : other, program.offset, false);
      machine.loadVersion(state.other ? other : placed.bytes, program.offset, true);
    }
    if (what === 1) machine.mapCode(page, true);
    if (what === 2) for (let each = 0; each < Code.pages; each++) machine.mapCode(each, false);
  }
  if (what === 0) state.other = !state.other;
}

function compareRun(
  { plain, translating }: Pair,
  placed: Placed,
  random: Random,
  tally: Tally | undefined,
): string | undefined {
  const [one, two] = [plain.machine.vcpu, translating.machine.vcpu];
  const [oneBegan, twoBegan] = [one.retired, two.retired];
  let exceptions = 0;
  for (;;) {
    const budget = random.oneIn(2) ? 1 + random.below(300) : runLimit;
    const before = two.retired;
    let exit = two.run(budget);
    // The state behind the delivery of an exception is none that single steps lead to.
    if (exit === Exit.budget && translating.inHandler) exit = two.run(1);
    const goal = two.retired - twoBegan;
    if (two.retired - before > budget + overshoot)
      return `a budget of ${budget} led to ${two.retired - before} instructions`;
    const behind = (): number => goal - (one.retired - oneBegan);
    let exitPlain: Exit = Exit.budget;
    if (exit !== Exit.budget) {
      while (exitPlain === Exit.budget && behind() > -overshoot) exitPlain = one.run(Math.max(1, behind()));
    } else {
      while (exitPlain === Exit.budget && behind() > 250) exitPlain = one.run(behind() - 200);
      // Within a REP no instruction retires; nor where an exception is delivered.
      for (let tries = 0; exitPlain === Exit.budget && tries < 400; tries++) {
        if (behind() < 0 || (behind() === 0 && samePlace(one, two))) break;
        exitPlain = one.step();
      }
    }
    if (exit !== exitPlain) return `exits ${exitPlain}, ${exit}${where(one, two)}`;
    if (behind() !== 0) return `instructions ${one.retired - oneBegan}, ${goal}${where(one, two)}`;
    const difference = differenceOf(one.context(), two.context()) ?? plain.differsFrom(translating);
    if (difference !== undefined) return `after ${goal} instructions, exit ${exit}: ${difference}${where(one, two)}`;
    if (tally !== undefined) tally.stops += 1;
    if (process.env["SHOW"])
      console.log(goal, exit, budget, exit === Exit.halt ? plain.frame() : "", two.context().rflags);
    if (exit === Exit.halt) {
      const { vector, rip: pushed, rflags, rsp } = translating.frame();
      const rip = BigInt.asIntN(64, pushed);
      exceptions += 1;
      if (vector === endVector || exceptions > exceptionLimit || goal > runLimit) break;
      // Behind the instruction that faulted; from nowhere, to a place in the program.
      const index = placed.starts.findIndex((start) => BigInt(start) > rip);
      const inside = rip >= BigInt(placed.starts[0] ?? 0) && rip < BigInt(placed.end);
      const next = inside ? placed.starts[index] : placed.starts[random.below(placed.starts.length)];
      const low = BigInt(Stack.linear + pageBytes);
      const stack = rsp < low || rsp > low + BigInt(2 * pageBytes) ? BigInt(Stack.start) : rsp;
      // Single-stepping ends; a nested task too.
      const flags = rflags & ~0x4100n;
      for (const machine of [plain, translating]) machine.setFrame(BigInt(next ?? placed.end), flags, stack);
    } else if (exit !== Exit.budget || goal > runLimit) break;
  }
  if (tally !== undefined) {
    tally.instructions += two.retired - twoBegan;
    tally.exceptions += exceptions;
  }
  return undefined;
}

type Vcpu = Pair["plain"]["machine"]["vcpu"];

function samePlace(one: Vcpu, two: Vcpu): boolean {
  return one.rip === two.rip && [1, 4, 6, 7].every((register) => one.gpr(register) === two.gpr(register));
}
function where(one: Vcpu, two: Vcpu): string {
  return ` (at ${one.rip.toString(16)}, ${two.rip.toString(16)})`;
}

/** The first things in which two states differ: the interpreter's, the other's. */
function differenceOf(one: VcpuContext, two: VcpuContext): string | undefined {
  const words = ({ rip, rflags, cr2, segments, gpr }: VcpuContext) => ({
    rip, rflags, cr2,
    cs: BigInt(segments.cs.selector), ss: BigInt(segments.ss.selector),
    ...Object.fromEntries(gpr.map((value, index) => [`r${index}`, value])),
  }); // prettier-ignore
  const same =
    one.rip === two.rip &&
    one.rflags === two.rflags &&
    one.cr2 === two.cr2 &&
    one.segments.cs.selector === two.segments.cs.selector &&
    one.segments.ss.selector === two.segments.ss.selector &&
    one.gpr.every((value, index) => value === two.gpr[index]);
  if (same && Buffer.compare(one.fxsave, two.fxsave) === 0) return undefined;
  const theirs = new Map(Object.entries(words(two)));
  const found = Object.entries(words(one)).flatMap(([name, value]) =>
    value === theirs.get(name) ? [] : [`${name} ${value.toString(16)}, ${theirs.get(name)!.toString(16)}`],
  );
  one.fxsave.forEach((byte, index) => {
    if (byte !== two.fxsave[index]) found.push(`fxsave[${index}] ${byte}, ${two.fxsave[index]!}`);
  });
  return found.slice(0, 6).join("; ");
}
