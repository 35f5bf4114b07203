/** A seeded bug: one place of the source, changed. */
export interface Mutation {
  /** What the bug is, as a sentence about the code that has it; unique. */
  readonly name: string;
  /** The file it is in, from the repository's root. */
  readonly file: string;
  /** The text that is changed. It occurs in the file exactly once: when the code moves on, this list goes with it. */
  readonly find: string;
  readonly replace: string;
  /** Test files of which at least one must fail, each a matter of seconds. */
  readonly tests: readonly string[];
}

/** Mutations of one file, or of several with the same tests, without saying so each time. */
export function seeded(
  file: string,
  tests: readonly string[],
  bugs: readonly (readonly [name: string, find: string, replace: string])[],
): Mutation[] {
  return bugs.map(([name, find, replace]) => ({ name, file, find, replace, tests }));
}

/**
 * The text of a file with its bug.
 * @returns undefined when the text to change is not there exactly once, or the change changes nothing.
 */
export function mutated(text: string, { find, replace }: Mutation): string | undefined {
  const at = text.indexOf(find);
  if (at < 0 || find === replace || text.includes(find, at + 1)) return undefined;
  return text.slice(0, at) + replace + text.slice(at + find.length);
}
