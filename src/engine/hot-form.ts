/** Forms that stand in the dispatcher itself, as the dispatcher sees them. */

import type { Block } from "../ir/node.ts";
import type { Code, Label } from "../wasm/code.ts";
import type { ValueType } from "../wasm/types.ts";
import type { Callees } from "./linker.ts";

/** A form whose code stands in the dispatcher itself. */
export interface HotForm {
  readonly body: Block;
  /** Emits the case. It ends by branching to one of the labels. */
  emit(code: Code, callees: Callees, around: HotSurroundings, pool: LocalPool): void;
}
export interface HotSurroundings {
  readonly vcpu: number;
  readonly record: number;
  readonly status: number;
  /** Goes on with the record behind this one. */
  readonly next: Label;
  /** Goes on with what `status` says. */
  readonly ended: Label;
  /** Takes a branch to the page offset in the immediate; the record's displacement field links to its target. */
  readonly branch: Label;
}

/** Locals that the hot forms share: each takes from the beginning, since none outlives its form. */
export class LocalPool {
  readonly #code: Code;
  readonly #locals = new Map<ValueType, number[]>();
  readonly #used = new Map<ValueType, number>();

  constructor(code: Code) {
    this.#code = code;
  }
  take(type: ValueType): number {
    const locals = this.#locals.get(type) ?? [];
    this.#locals.set(type, locals);
    const used = this.#used.get(type) ?? 0;
    this.#used.set(type, used + 1);
    return locals[used] ?? locals[locals.push(this.#code.local(type)) - 1]!;
  }
  reset(): void {
    this.#used.clear();
  }
}
