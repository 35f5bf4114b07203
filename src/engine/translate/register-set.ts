/** Sets of the registers that a region keeps in locals: a bit each, in two words. */

import { State } from "../../x86/state.ts";

/** Bits of the first word: the lazy status flags, then the general registers. The second word has the vector registers. */
const generalBits = 18;

export interface RegisterSet {
  readonly general: number;
  readonly vector: number;
}

export const noRegisters: RegisterSet = { general: 0, vector: 0 };

/** The set of one register, by its slot. */
export function singleRegister(base: number): RegisterSet {
  if (base === State.ccAux) return { general: 1, vector: 0 };
  if (base === State.ccResult) return { general: 2, vector: 0 };
  return base >= State.xmm && base < State.xmm + 16 * 16
    ? { general: 0, vector: 1 << ((base - State.xmm) / 16) }
    : { general: 4 << ((base - State.gpr) / 8), vector: 0 };
}

/** The lazy status flags. */
export const flagRegisters: RegisterSet = { general: 3, vector: 0 };

export function union(a: RegisterSet, b: RegisterSet): RegisterSet {
  if (includesAll(a, b)) return a;
  return { general: a.general | b.general, vector: a.vector | b.vector };
}
export function without(a: RegisterSet, b: RegisterSet): RegisterSet {
  if (!intersects(a, b)) return a;
  return { general: a.general & ~b.general, vector: a.vector & ~b.vector };
}
export function common(a: RegisterSet, b: RegisterSet): RegisterSet {
  return { general: a.general & b.general, vector: a.vector & b.vector };
}
export function intersects(a: RegisterSet, b: RegisterSet): boolean {
  return ((a.general & b.general) | (a.vector & b.vector)) !== 0;
}
export function includesAll(a: RegisterSet, b: RegisterSet): boolean {
  return ((b.general & ~a.general) | (b.vector & ~a.vector)) === 0;
}

/** A number with a bit for each register: at most 34 bits, so that it is exact. */
export function maskOf({ general, vector }: RegisterSet): number {
  return general + vector * 2 ** generalBits;
}

/** Calls `each` with the slot of every register, and its bit in {@link maskOf}. */
export function forEachRegister({ general, vector }: RegisterSet, each: (base: number, bit: number) => void): void {
  for (let rest = general; rest !== 0; rest &= rest - 1) {
    const bit = 31 - Math.clz32(rest & -rest);
    each(bit === 0 ? State.ccAux : bit === 1 ? State.ccResult : State.gpr + (bit - 2) * 8, bit);
  }
  for (let rest = vector; rest !== 0; rest &= rest - 1) {
    const bit = 31 - Math.clz32(rest & -rest);
    each(State.xmm + bit * 16, generalBits + bit);
  }
}
