/** Makes a program that fails smaller, so that a report can be read. */

import type { Program } from "./program.ts";

/** Milliseconds that it may take. */
const patience = 15_000;

/** @param fails Whether the tiers still part on a program. @returns a part of it that fails too. */
export function minimise(program: Program, fails: (program: Program) => boolean): Program {
  const end = Date.now() + patience;
  let best = program;
  for (let size = Math.ceil(best.items.size / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < best.items.size && Date.now() < end;) {
      const smaller = without(best, from, size);
      if (fails(smaller)) best = smaller;
      else from += size;
    }
  }
  return best;
}

/** Leaves out `size` items from the one at `from`. */
function without(program: Program, from: number, size: number): Program {
  const kept = [...program.items].filter((_, index) => index < from || index >= from + size);
  return { ...program, items: new Map(kept) };
}
