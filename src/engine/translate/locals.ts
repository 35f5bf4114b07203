import type { Code } from "../../wasm/code.ts";
import type { ValueType } from "../../wasm/types.ts";

/** Locals that one instruction after another uses for what it computes. */
export class TemporaryLocals {
  readonly #code: Code;
  readonly #all = new Map<ValueType, number[]>();
  readonly #next = new Map<ValueType, number>();
  readonly #owned = new Set<number>();

  constructor(code: Code) {
    this.#code = code;
  }

  take(type: ValueType): number {
    let all = this.#all.get(type);
    if (all === undefined) {
      all = [];
      this.#all.set(type, all);
    }
    const next = this.#next.get(type) ?? 0;
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
    const next = new Map(this.#next);
    return () => {
      this.#next.clear();
      for (const [type, position] of next) this.#next.set(type, position);
    };
  }

  /** Makes all locals free again. */
  reset(): void {
    this.#next.clear();
  }
}
