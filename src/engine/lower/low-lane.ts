import { lowLaneOperations } from "../../ir/low-lane-operations.ts";
import type { OperationName } from "../../ir/operations.ts";
import type { Code } from "../../wasm/code.ts";
import type { Plain } from "../../wasm/opcodes.ts";

type LowLaneName = keyof typeof lowLaneOperations;

export function isLowLane(name: OperationName): name is LowLaneName {
  return name in lowLaneOperations;
}

/** Emits an operation on lowest lanes: the scalar one, between extractions that cost nothing where numbers are in vectors. */
export function lowerLowLane(code: Code, name: LowLaneName, operand: (index: 0 | 1) => void): void {
  const [, shape, operation] = /^(f\d\dx\d)\.(\w+)_low$/.exec(name) as unknown as ["", "f32x4" | "f64x2", string];
  const scalar = shape === "f64x2" ? "f64" : "f32";
  const low = (index: 0 | 1) => {
    operand(index);
    code.lane(`${shape}.extract_lane`, 0);
  };
  const compares = operation === "lt" || operation === "eq";
  if (!compares) operand(0);
  if (operation !== "sqrt") low(0);
  low(1);
  code.op(`${scalar}.${operation}` as Plain);
  if (!compares) code.lane(`${shape}.replace_lane`, 0);
}
