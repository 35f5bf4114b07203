import assert from "node:assert/strict";
import { test } from "node:test";
import { Lane, Memory, Plain } from "./opcodes.ts";
import { ModuleBuilder } from "./module.ts";
import type { Code } from "./code.ts";

/** The operand types that each plain instruction takes are found by trial: exactly one signature must validate. */
function validates(
  body: (code: Code) => void,
  parameters: readonly ("i32" | "i64" | "f32" | "f64" | "v128")[],
): boolean {
  const module = new ModuleBuilder();
  module.importMemory("env", "memory", { minimum: 1, maximum: 1, shared: true });
  module.function({ parameters, results: [] }, (code) => {
    parameters.forEach((_, index) => code.get(index));
    body(code);
  });
  return WebAssembly.validate(module.finish());
}

const signatures: readonly (readonly ("i32" | "i64" | "f32" | "f64" | "v128")[])[] = [
  ["i32"], ["i64"], ["f32"], ["f64"], ["v128"],
  ["i32", "i32"], ["i64", "i64"], ["f32", "f32"], ["f64", "f64"], ["v128", "v128"], ["v128", "i32"], ["v128", "i64"],
  ["v128", "f32"], ["v128", "f64"], ["v128", "v128", "v128"], ["i32", "i64"], ["i32", "f32"], ["i32", "f64"], ["i32", "v128"],
  ["i32", "i32", "i32"], ["i32", "i64", "i64"], ["i32", "i32", "i64"], [],
]; // prettier-ignore

for (const [kind, table, emit] of [
  ["plain", Plain, (name: string) => (code: Code) => code.op(name as Plain)],
  ["memory", Memory, (name: string) => (code: Code) => code.memory(name as Memory, 8)],
  ["lane", Lane, (name: string) => (code: Code) => code.lane(name as Lane, 0)],
] as const) {
  test(`wasm: every ${kind} instruction is a valid one`, () => {
    for (const name of Object.keys(table)) {
      if (["unreachable", "return", "nop", "drop", "select"].includes(name)) continue;
      const found = signatures.filter(
        (signature) =>
          validates(emit(name), signature) || validates((code) => (emit(name)(code), code.op("drop")), signature),
      );
      assert.ok(found.length >= 1, `${name} has no signature`);
    }
  });
}

test("wasm: functions call each other, loop and return", () => {
  const module = new ModuleBuilder();
  const sum = module.function({ parameters: ["i32"], results: ["i32"] }, (code) => {
    const total = code.local("i32");
    const done = code.block();
    const again = code.loop();
    code.get(0);
    code.op("i32.eqz");
    code.brIf(done);
    code.get(total);
    code.get(0);
    code.op("i32.add");
    code.set(total);
    code.get(0);
    code.i32(1);
    code.op("i32.sub");
    code.set(0);
    code.br(again);
    code.end();
    code.end();
    code.get(total);
  });
  module.export("sum", sum);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.finish()));
  assert.equal((exports["sum"] as (n: number) => number)(100), 5050);
});
