import assert from "node:assert/strict";
import { evaluate } from "../src/ir/evaluate.ts";
import type { Machine } from "../src/ir/evaluate.ts";
import type { Routine } from "../src/ir/node.ts";

const nothing = (): never => {
  throw new Error("a pure routine touches neither state nor memory");
};
const machine: Machine = {
  get: nothing,
  set: nothing,
  field: nothing,
  load: nothing,
  store: nothing,
  probe: nothing,
  host: nothing,
  hostLoad: nothing,
  hostStore: nothing,
};

/** Evaluates a routine that computes and does nothing else. @returns its results. */
export function callPure(routine: Routine, ...parameters: bigint[]): readonly bigint[] {
  const outcome = evaluate(routine.body(), machine, parameters);
  assert.ok(outcome.kind === "return", `${routine.name} did not return`);
  return outcome.values;
}
