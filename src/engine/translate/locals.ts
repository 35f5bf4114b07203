import type { ValueType } from "../../wasm/types.ts";
import { State } from "../../x86/state.ts";

/** Parameters of a region's function: linker.ts `regionType`. */
export const parameter = { vcpu: 0, remaining: 1, rip: 2, entry: 3 } as const;

/** Pairs of an i32 and an i64 for what an instruction computes, in front of the vector registers. */
const pairs = 12;
/** Vectors that a region can have in locals because several of its instructions have them as constants. */
export const constantVectors = 4;

/**
 * The locals of a region's function. They have the same numbers in all regions, so that an instruction's code, once made, can
 * be copied. A function declares them up to the last that it uses.
 */
export const Local = {
  /** i64: the general registers, the lazy status flags. */
  gpr: 4,
  ccAux: 20,
  ccResult: 21,
  /** RIP of byte 0 of the base page; where to go on. */
  page: 22,
  target: 23,
  /** Which registers to store on the way out, a bit each. */
  exitMask: 24,
  /** Three operands each of pending flags. */
  flags64: 25,
  /** i32. */
  flags32: 28,
  /** State.tlbBank and State.tlbMask. */
  tlbBank: 31,
  tlbMask: 32,
  /** How the region is left. */
  status: 33,
  exitWord: 34,
  /** The dispatching loop's case. */
  dispatchCase: 35,
  /** MXCSR, for settled reads. */
  mxcsr: 36,
  /** Where the region's guard and exit records are. */
  base: 37,
  /** i32 and i64 by turns. */
  temporaries: 38,
  xmm: 38 + 2 * pairs,
  /** Vectors that are constants. */
  vectors: 38 + 2 * pairs + 16,
  /** More temporaries: i32, i64 and v128 by turns. */
  more: 38 + 2 * pairs + 16 + constantVectors,
} as const;

/** Locals that every region declares. */
export const fixedLocals: number = Local.temporaries;

const turns = ["i32", "i64", "v128"] as const satisfies readonly ValueType[];

export function localType(local: number): ValueType {
  if (local < Local.flags32) return "i64";
  if (local < Local.temporaries) return "i32";
  if (local < Local.xmm) return turns[(local - Local.temporaries) % 2]!;
  return local < Local.more ? "v128" : turns[(local - Local.more) % 3]!;
}

/** The local of a register, by its slot. */
export function registerLocal(base: number): number {
  if (base === State.ccAux) return Local.ccAux;
  if (base === State.ccResult) return Local.ccResult;
  return base >= State.xmm && base < State.xmm + 16 * 16
    ? Local.xmm + (base - State.xmm) / 16
    : Local.gpr + (base - State.gpr) / 8;
}

/** The local that holds an operand of pending flags. */
export function flagLocal(position: number, type: ValueType): number {
  return (type === "i64" ? Local.flags64 : Local.flags32) + position;
}

/** Locals that one instruction after another uses for what it computes. */
export class TemporaryLocals {
  #i32 = 0;
  #i64 = 0;
  #v128 = 0;
  /** How many locals a function that uses these has. */
  end = 0;

  take(type: ValueType): number {
    const local = this.#next(type);
    this.end = Math.max(this.end, local + 1);
    return local;
  }
  #next(type: ValueType): number {
    if (type === "v128") return Local.more + 3 * this.#v128++ + 2;
    const turn = type === "i32" ? 0 : 1;
    const number = type === "i32" ? this.#i32++ : this.#i64++;
    return number < pairs ? Local.temporaries + 2 * number + turn : Local.more + 3 * (number - pairs) + turn;
  }

  /** Whether a local is one of these. */
  owns(local: number): boolean {
    return (local >= Local.temporaries && local < Local.xmm) || local >= Local.more;
  }

  /** Makes all locals free again. */
  reset(): void {
    this.#i32 = 0;
    this.#i64 = 0;
    this.#v128 = 0;
    this.end = 0;
  }
}
