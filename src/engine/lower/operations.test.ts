import assert from "node:assert/strict";
import { test } from "node:test";
import { operation, operations, conversions, evaluateOperation, resultType } from "../../ir/operations.ts";
import type { OperationName } from "../../ir/operations.ts";
import { bitsOf } from "../../ir/types.ts";
import type { Type } from "../../ir/types.ts";
import { doubleBits, doubleOf, singleBits, singleOf } from "../../ir/float-operations.ts";
import type { Code } from "../../wasm/code.ts";
import { Memory } from "../../wasm/opcodes.ts";
import { ModuleBuilder } from "../../wasm/module.ts";
import { lowerConversion, lowerOperation, wasmType } from "./operations.ts";

const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
const view = new DataView(memory.buffer);
const loads: Record<Type, Memory> = {
  i1: "i32.load8_u",
  i8: "i32.load8_u",
  i16: "i32.load16_u",
  i32: "i32.load",
  i64: "i64.load",
  v128: "v128.load",
};

/** Compiles `body` to a function that takes operands from memory (16 bytes each) and leaves its result at 256. */
function compile(result: Type, body: (code: Code) => void): () => void {
  const module = new ModuleBuilder();
  module.importMemory("env", "memory", { minimum: 1, maximum: 1, shared: true });
  const index = module.function({ parameters: [], results: [] }, (code) => {
    code.i32(256);
    body(code);
    code.memory(result === "v128" ? "v128.store" : wasmType(result) === "i64" ? "i64.store" : "i32.store", 0);
  });
  module.export("run", index);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { env: { memory } });
  return instance.exports["run"] as () => void;
}

let seed = 1n;
function random(bits: number): bigint {
  let value = 0n;
  for (let at = 0; at < bits; at += 32) {
    seed = (seed * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
    value = (value << 32n) | (seed >> 32n);
  }
  return BigInt.asUintN(bits, value);
}
const edges = (bits: number) => [
  0n,
  1n,
  2n,
  (1n << BigInt(bits)) - 1n,
  1n << BigInt(bits - 1),
  (1n << BigInt(bits - 1)) - 1n,
  31n,
  63n,
];
const doubles = [
  0,
  -0,
  1,
  -1.5,
  0.5,
  2.5,
  3.5,
  1e300,
  -1e300,
  5e-324,
  Infinity,
  -Infinity,
  Number.NaN,
  2147483648,
  -2147483649,
  9.3e18,
  16777217,
].map(doubleBits);
const singles = doubles.map((bits) => singleBits(doubleOf(bits)));

function operandValue(name: string, type: Type, round: number): bigint {
  const float =
    name.startsWith("f64.") || name === "f32.demote"
      ? doubles
      : name.startsWith("f32.") || name === "f64.promote"
        ? singles
        : undefined;
  const list = float !== undefined && !name.includes("from") ? float : edges(bitsOf[type]);
  return round % 3 !== 0 ? (list[Number(random(16)) % list.length] ?? 0n) : random(bitsOf[type]);
}

function readResult(type: Type): bigint {
  if (type === "v128") return view.getBigUint64(256, true) | (view.getBigUint64(264, true) << 64n);
  return type === "i64" ? view.getBigUint64(256, true) : BigInt(view.getUint32(256, true));
}

/** A NaN has no defined payload: any is as good as any other. */
function same(name: string, type: Type, a: bigint, b: bigint): boolean {
  if (a === b) return true;
  if (!name.startsWith("f") || type === "i1") return false;
  const of = type === "i64" ? doubleOf : singleOf;
  return Number.isNaN(of(a)) && Number.isNaN(of(b));
}

const cleanup = (bits: number, value: bigint) => BigInt.asUintN(bits, value);

function check(name: OperationName, types: readonly Type[], lane: number): void {
  const result = resultType(name, types);
  const run = compile(result, (code) =>
    lowerOperation(code, name, types, result, lane, (index) => {
      code.i32(index * 16);
      code.memory(loads[types[index]!], 0);
    }),
  );
  for (let round = 0; round < 300; round++) {
    const values = types.map((type) => cleanup(bitsOf[type], operandValue(name, type, round)));
    const divides = ["divu", "remu", "divs", "rems"].includes(name);
    if (divides && (values[1] === 0n || (values[1] === (1n << BigInt(bitsOf[types[1]!])) - 1n && name.endsWith("s"))))
      continue;
    values.forEach((value, index) => {
      view.setBigUint64(index * 16, BigInt.asUintN(64, value), true);
      view.setBigUint64(index * 16 + 8, value >> 64n, true);
    });
    run();
    const expected = evaluateOperation(name, types, values, lane);
    const found = readResult(result);
    assert.ok(
      same(name, result, found, expected),
      `${name}(${values.map((v) => v.toString(16)).join(", ")}): ${found.toString(16)} for ${expected.toString(16)}`,
    );
  }
}

test("lowering: every operation means in WebAssembly what it means to the oracle", () => {
  for (const name of Object.keys(operations) as OperationName[]) {
    const { operands } = operation(name);
    const widths: Type[] = operands.includes("any")
      ? (["i1", "i8", "i16", "i32", "i64"] as const).slice(/^(div|rem)/.test(name) ? 3 : 0)
      : ["i32"];
    for (const width of widths) {
      if (width === "i1" && !["and", "or", "xor", "eqz", "eq", "ne", "select"].includes(name)) continue;
      const types = operands.map((wanted) => (wanted === "any" || wanted === "same" ? width : wanted));
      check(name, types, name.includes("lane") ? 1 : 0);
    }
  }
});

test("lowering: changes of width", () => {
  const widths = ["i1", "i8", "i16", "i32", "i64"] as const;
  for (const name of ["zext", "sext", "trunc"] as const) {
    for (const from of widths) {
      for (const to of widths) {
        if (from === to || (name === "trunc") !== bitsOf[to] < bitsOf[from]) continue;
        const run = compile(to, (code) => {
          code.i32(0);
          code.memory(loads[from], 0);
          lowerConversion(code, name, from, to);
        });
        for (const value of [...edges(bitsOf[from]), random(64)].map((each) => cleanup(bitsOf[from], each))) {
          view.setBigUint64(0, value, true);
          run();
          assert.equal(
            readResult(to),
            conversions[name](bitsOf[from], bitsOf[to], value),
            `${name} ${from} → ${to} of ${value}`,
          );
        }
      }
    }
  }
});
