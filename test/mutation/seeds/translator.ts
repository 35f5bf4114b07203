import { seeded } from "../mutation.ts";
import type { Mutation } from "../mutation.ts";

const tiers = ["test/tiers/tiers.test.ts"];
const fused = ["src/engine/translate/fused.test.ts"];
const known = ["src/engine/translate/known-instructions.test.ts"];
const structure = ["src/engine/translate/structure.test.ts"];

/** Bugs in the translator. */
export const translator: readonly Mutation[] = [
  ...seeded("src/engine/translate/fused.ts", fused, [
    ["below or equal is fused as below", "6: (ir, [a, b]) => ir.leu(a!, b!),", "6: (ir, [a, b]) => ir.ltu(a!, b!),"],
    [
      "an addition carries where it does not",
      "2: (ir, [a, , r]) => ir.ltu(r!, a!) };",
      "2: (ir, [a, , r]) => ir.leu(a!, r!) };",
    ],
    [
      "a rotation leaves OF as it was",
      "if (code === 0) return (ir) => of(ir, result(ir));",
      "if (code === 0) return never;",
    ],
    [
      "flags of operands of different widths are taken for the same",
      "key = key * 8 + (type === undefined ? 0 : typeNumbers[type]);",
      "key = key * 8 + (type === undefined ? 0 : 1);",
    ],
  ]),
  ...seeded("src/engine/translate/structure.ts", structure, [
    [
      "a loop with two entries does not go through the dispatcher",
      "else if (!inTable.has(to)) strays.add(order[to]!);",
      "else if (!inTable.has(to)) loopHeads.add(order[to]!);",
    ],
  ]),
  ...seeded("src/engine/translate/lower-instruction.ts", tiers, [
    [
      "what still needs a register's old value gets the new one",
      "this.#aliases.set(id, copy);",
      "this.#aliases.set(id, alias);",
    ],
  ]),
  ...seeded("src/engine/translate/emit.ts", tiers, [
    [
      "flags are pending when a loop begins",
      "this.#flush();\n      this.#loops.set(node, code.loop());",
      "this.#loops.set(node, code.loop());",
    ],
    [
      "an instruction that is given back to the interpreter is counted twice",
      "adjust: status === interpret ? left : left - 1,",
      "adjust: left - 1,",
    ],
    ["every exit is in the base page", "page: Math.floor(instruction.offset / 4096),", "page: 0,"],
    [
      "an exit with flags pending does not store them",
      "this.#pending === undefined ? this.dirty : union(this.dirty, flagRegisters)",
      "this.dirty",
    ],
    [
      "registers that are written in the midst of an instruction are not stored",
      "union(this.dirty, step.dirtied)",
      "this.dirty",
    ],
  ]),
  ...seeded("src/engine/translate/recorder.ts", tiers, [
    ["a store into code is made in the midst of it", 'this.#step({ kind: "exit", status: interpret });', ""],
  ]),
  ...seeded("src/engine/translate/known-instructions.ts", known, [
    [
      "code that is made for any immediate is made for one that is special",
      " && !(isSpecial(low) && high === low);",
      ";",
    ],
    ["instructions with other registers have the same code", "registers: word(RecordField.reg),", "registers: 0,"],
  ]),
  ...seeded("src/engine/translate/usage.ts", tiers, [
    [
      "INC and DEC find no CF where a region begins",
      ' || statement.form === "inc" || statement.form === "dec")\n',
      ' || statement.form === "inc")\n',
    ],
  ]),
  ...seeded("src/engine/translate/guard.ts", tiers, [
    [
      "a region's other pages may lead to other frames",
      'code.op("i32.ne");\n  code.if();\n  refuse(frame);',
      'code.op("i32.lt_u");\n  code.if();\n  refuse(frame);',
    ],
  ]),
  ...seeded("src/engine/translate/translator.ts", tiers, [
    [
      "a region outlives a change of its code",
      "this.#drop(tracked);\n    }\n    this.#byFrame.delete(frame);",
      "}\n    this.#byFrame.delete(frame);",
    ],
  ]),
];
