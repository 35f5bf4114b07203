import assert from "node:assert/strict";
import { test } from "node:test";
import { verify } from "../ir/verify.ts";
import type { Row } from "../x86/decode/opcode-map.ts";
import type { Form } from "../x86/semantics.ts";
import { buildForm } from "./forms.ts";
import { theOpcodeMap } from "./wasm-engine.ts";

/** Every form that some bytes could take, give or take sizes that a row excludes. */
function* formsOf({ encoding }: Row): Iterable<Form> {
  const takesMemory = encoding.form !== "register" && encoding.hasModrm && encoding.modrm === undefined;
  const memories = encoding.form === "memory" ? [true] : takesMemory ? [false, true] : [false];
  for (const addressing of ["long", "long32", "legacy"] as const) {
    if (encoding.options.has(addressing === "legacy" ? "x64" : "i64")) continue;
    for (const operandSize of [16, 32, 64] as const) {
      if (addressing === "legacy" && operandSize === 64) continue;
      for (const memory of memories) {
        for (const repeat of encoding.options.has("rep") ? (["none", "rep", "repne"] as const) : (["none"] as const)) {
          const addressSize = addressing === "long" ? 64 : 32;
          const lock = memory && encoding.options.has("lock");
          yield { operandSize, addressing, addressSize, lock, repeat, low: 0, memory };
        }
      }
    }
  }
}

test("forms: every form of every row is well-formed IR", () => {
  for (const row of theOpcodeMap().rows) {
    for (const form of formsOf(row)) {
      const name = `${row.instruction.mnemonic}: ${row.encoding.row} ${JSON.stringify(form)}`;
      let block;
      try {
        block = buildForm(row, form);
      } catch (error) {
        throw new Error(name, { cause: error });
      }
      assert.deepEqual(verify(block), [], name);
    }
  }
});
