import { seeded } from "../mutation.ts";
import type { Mutation } from "../mutation.ts";

const checks = ["src/engine/check/checker.test.ts"];

/** Bugs in the comparison of the tiers. */
export const check: readonly Mutation[] = [
  ...seeded("src/engine/check/pages.ts", checks, [
    [
      "what a region wrote is there when the interpreter begins",
      "this.#after.set(frame, this.#copy(frame));\n      this.#restore(frame, before, rewritten);",
      "this.#after.set(frame, this.#copy(frame));",
    ],
    ["what only the interpreter wrote is no difference", "if (this.#differs(frame, before)) return false;", ""],
  ]),
  ...seeded("src/engine/check/vcpu-state.ts", checks, [
    [
      "flags are not compared",
      "return rflags(this.#view) === rflags(new DataView(other.buffer, other.byteOffset));",
      "return true;",
    ],
    [
      "the state that the interpreter begins with is that behind the region",
      "this.#bytes.set(before.subarray(0, State.attention));",
      "",
    ],
  ]),
  ...seeded("src/engine/check/answers.ts", checks, [
    [
      "the platform is asked by both",
      'if (this.#mode === "repeat") return this.#repeat(name, parameters);',
      'if (this.#mode === "repeat") return answer(vcpu, ...parameters);',
    ],
  ]),
  ...seeded("src/engine/check/checker.ts", checks, [
    [
      "a request for attention is lost",
      "if (this.#attention !== 0) Atomics.store(",
      "if (this.#attention === 7) Atomics.store(",
    ],
    ["every entry is compared", "region.entries < first ? 0 : every - 1", "0"],
    [
      "what others write to is compared",
      "if (this.#options.isShared?.(frame) === true) this.#touchedShared = true;",
      "",
    ],
  ]),
  ...seeded("src/engine/check/dispatch.ts", checks, [
    ["the interpreter is not stopped within a block", 'code.op("i32.le_s");', 'code.op("i32.lt_s");'],
  ]),
  ...seeded("src/engine/mmu/slow-access.ts", checks, [
    [
      "a page that was read first is not seen to be written to",
      'ir.assign(writable, ir.const("i1", 0))',
      'ir.assign(writable, ir.const("i1", 1))',
    ],
  ]),
];
