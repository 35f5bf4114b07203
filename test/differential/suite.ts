/** The cases of an encoding row: every form, each with its own stream of random numbers, so that they never depend on other rows. */
import type { Instruction } from "../../src/x86/instruction.ts";
import { adjust } from "./adjust.ts";
import { draftOf, finish } from "./draft.ts";
import { formsOf, type Form } from "./encode.ts";
import { whyExcluded } from "./excluded.ts";
import { undefinedDestination } from "./undefined-results.ts";
import { randomFrom, seedOf } from "./values.ts";
import type { Case } from "./wire.ts";

/** One form of one row, and how it is called in reports. */
export interface Subject {
  readonly instruction: Instruction;
  readonly form: Form;
  readonly name: string;
}

/** Every form that native execution can judge, in the order of the tables. */
export function subjectsOf(instructions: readonly Instruction[]): Subject[] {
  return instructions
    .filter(({ mnemonic }) => whyExcluded(mnemonic) === undefined)
    .flatMap((instruction) =>
      instruction.encodings.flatMap((encoding) =>
        formsOf(encoding).map((form) => ({ instruction, form, name: nameOf(instruction, form) })),
      ),
    );
}

export function nameOf({ mnemonic }: Instruction, { encoding, mode, operandSize, operand }: Form): string {
  return `${mnemonic} | ${encoding.row.replaceAll(/ +/g, " ")} | ${mode}-bit, size ${operandSize}, ${operand}`;
}

/** `count` cases of a form; the same ones for the same `seed`. Undefined destinations are left out. */
export function casesOf({ instruction, form, name }: Subject, count: number, seed = 0): Case[] {
  const random = randomFrom(seedOf(name) + seed);
  const cases: Case[] = [];
  for (let tries = 0; cases.length < count && tries < count * 4; tries++) {
    const draft = draftOf(random, form, instruction.mnemonic);
    adjust(draft);
    const request = finish(draft);
    if (!undefinedDestination(instruction.mnemonic, form, request)) cases.push(request);
  }
  return cases;
}
