/** Conditions said in terms of what set the flags, against the canonical form, both evaluated in BigInts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { integer, randomFrom } from "../../../test/differential/values.ts";
import { Builder } from "../../ir/builder.ts";
import { evaluate } from "../../ir/evaluate.ts";
import type { Machine } from "../../ir/evaluate.ts";
import type { Block, Value } from "../../ir/node.ts";
import { bitsOf } from "../../ir/types.ts";
import type { Type } from "../../ir/types.ts";
import { condition, flagForms } from "../../x86/flags.ts";
import type { FlagForm } from "../../x86/flags.ts";
import { canonicalFlags, flagKey, fusedCondition, rotationOperand } from "./fused.ts";
import type { FlagSource } from "./fused.ts";

const forbidden = (): never => {
  throw new Error("flags are computed from registers alone");
};

function machineWith(state: Map<number, bigint>): Machine {
  return {
    get: (type, slot) => BigInt.asUintN(bitsOf[type], state.get(slot) ?? 0n),
    set: (_, slot, value) => void state.set(slot, value),
    field: forbidden, load: forbidden, store: forbidden, probe: forbidden, host: forbidden,
    hostLoad: forbidden, hostStore: forbidden,
  }; // prettier-ignore
}

function valueOf(body: Block, value: Value, state: Map<number, bigint>, operands: readonly bigint[]): bigint {
  const outcome = evaluate([...body, { kind: "return", values: [value] }], machineWith(state), operands);
  assert.equal(outcome.kind, "return");
  return outcome.kind === "return" ? outcome.values[0]! : -1n;
}

const conditions = Array.from({ length: 8 }, (_, half) => {
  const ir = new Builder();
  let value: Value | undefined;
  const body = ir.block(() => (value = condition(ir, half * 2)));
  return { code: half * 2, body, value: value! };
});

const integers = ["i8", "i16", "i32", "i64"] as const satisfies readonly Type[];

/** Whatever sets flags: its types, and operands as an instruction gives them. */
function sources(form: FlagForm, type: Type): FlagSource[] {
  switch (form) {
    case "add":
    case "sub":
      return [
        { form, types: [type, type, type], exact: false },
        { form, types: [type, type], exact: true },
      ];
    case "logic":
      return [{ form, types: [type], exact: false }];
    case "inc":
    case "dec":
      return [{ form, types: [type, type], exact: false }];
    case "shift":
      return [{ form, types: ["i1", "i1", type], exact: false }];
    case "rol":
    case "ror":
      return [];
    case "mul":
      return [{ form, types: [type, type], exact: false }];
    case "imul":
      return [{ form, types: [type, type, type], exact: false }];
    case "explicit":
      return [{ form, types: ["i32"], exact: false }];
  }
}

/** The results that belong to operands: of additions and subtractions with and without a carry. */
function completed({ form, types, exact }: FlagSource, operands: bigint[], carry: bigint): bigint[] {
  const bits = bitsOf[types[0]!];
  const [a = 0n, b = 0n] = operands;
  if (form === "add" && !exact) return [a, b, BigInt.asUintN(bits, a + b + carry)];
  if (form === "sub" && !exact) return [a, b, BigInt.asUintN(bits, a - b - carry)];
  if (form === "imul") return [a, b, BigInt.asUintN(bits, a * b)];
  if (form === "inc") return [a, BigInt.asUintN(bits, a + 1n)];
  if (form === "dec") return [a, BigInt.asUintN(bits, a - 1n)];
  return operands;
}

/** With a rotation behind them, where there is a place for its result. */
function rotated(source: FlagSource): FlagSource[] {
  if (source.types.length > rotationOperand) return [];
  const rotations = integers.flatMap((type) => (["rol", "ror"] as const).map((form) => ({ form, type })));
  return rotations.map((rotation) => ({ ...source, rotation }));
}

const plain = (Object.keys(flagForms) as FlagForm[]).flatMap((form) => {
  const found = integers.flatMap((type) => sources(form, type));
  return form === "explicit" ? found.slice(0, 1) : found;
});
const all = [...plain, ...[...plain, { form: "kept", types: [], exact: false } as const].flatMap(rotated)];

for (const source of all) {
  const rotation = source.rotation === undefined ? "" : `, ${source.rotation.form} of ${source.rotation.type}`;
  test(`fused: ${source.form} of ${source.types.join(", ")}${source.exact ? " without its result" : ""}${rotation}`, () => {
    const random = randomFrom(flagKey(source));
    for (let each = 0; each < 200; each++) {
      const drawn = source.types.map((type) => BigInt.asUintN(bitsOf[type], integer(random)));
      // Equal operands, now and then: comparisons are about them.
      if (random.oneIn(4) && source.types.length > 1) drawn[1] = BigInt.asUintN(bitsOf[source.types[1]!], drawn[0]!);
      const operands = completed(source, drawn, BigInt(random.below(2)));
      if (source.rotation !== undefined)
        operands[rotationOperand] = BigInt.asUintN(bitsOf[source.rotation.type], integer(random));
      const state = new Map<number, bigint>();
      evaluate(canonicalFlags(source), machineWith(state), operands);
      for (const { code, body, value } of conditions) {
        const fused = fusedCondition(source, code);
        if (fused === undefined) continue;
        const expected = valueOf(body, value, state, []);
        assert.equal(
          valueOf(fused.body, fused.value, new Map(), operands),
          expected,
          `condition ${code} of ${operands.join()}`,
        );
      }
    }
  });
}

test("fused: what comparisons and tests are followed by is said without the canonical form", () => {
  for (const type of integers) {
    for (const code of [2, 4, 6, 8, 10, 12, 14])
      assert.ok(fusedCondition({ form: "sub", types: [type, type], exact: true }, code), `sub ${type} ${code}`);
    for (const code of [0, 2, 4, 6, 8, 10, 12, 14])
      assert.ok(fusedCondition({ form: "logic", types: [type], exact: false }, code), `logic ${type} ${code}`);
    // Chains of carries.
    for (const form of ["add", "sub"] as const)
      assert.ok(fusedCondition({ form, types: [type, type, type], exact: false }, 2), `${form} ${type}`);
    assert.ok(fusedCondition({ form: "add", types: [type, type], exact: true }, 2), `exact add ${type}`);
  }
});

test("fused: sources that differ have keys that differ", () => {
  assert.equal(new Set(all.map(flagKey)).size, all.length);
});
