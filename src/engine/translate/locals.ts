import type { Code } from "../../wasm/code.ts";
import type { ValueType } from "../../wasm/types.ts";

/** Locals that one instruction after another uses for what it computes; a few may be kept beyond it. */
export class TemporaryLocals {
  readonly #code: Code;
  readonly #all = new Map<ValueType, number[]>();
  readonly #next = new Map<ValueType, number>();
  readonly #owned = new Set<number>();
  #pinned: ReadonlySet<number> = new Set();

  constructor(code: Code) {
    this.#code = code;
  }

  take(type: ValueType): number {
    let all = this.#all.get(type);
    if (all === undefined) {
      all = [];
      this.#all.set(type, all);
    }
    let next = this.#next.get(type) ?? 0;
    while (next < all.length && this.#pinned.has(all[next]!)) next += 1;
    if (next === all.length) {
      const local = this.#code.local(type);
      all.push(local);
      this.#owned.add(local);
    }
    this.#next.set(type, next + 1);
    return all[next]!;
  }

  /** Whether a local is one of these. */
  owns(local: number): boolean {
    return this.#owned.has(local);
  }

  /** @returns what brings back which locals are free now. */
  save(): () => void {
    const [next, pinned] = [new Map(this.#next), this.#pinned];
    return () => {
      this.#pinned = pinned;
      this.#next.clear();
      for (const [type, position] of next) this.#next.set(type, position);
    };
  }

  /** Makes all locals free again but those given. */
  reset(pinned: readonly number[]): void {
    this.#pinned = new Set(pinned);
    this.#next.clear();
  }
}
