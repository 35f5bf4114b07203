import { lowLaneOperations } from "../../ir/low-lane-operations.ts";
import type { OperationName } from "../../ir/operations.ts";
import type { Code } from "../../wasm/code.ts";
import type { Plain } from "../../wasm/opcodes.ts";

type LowLaneName = keyof typeof lowLaneOperations;

export function isLowLane(name: OperationName): name is LowLaneName {
  return name in lowLaneOperations;
}

/** Sums and products of all lanes cost as much as one, and two moves less; whatever is in the others is dropped. */
const everyLane: ReadonlySet<string> = new Set(["add", "sub", "mul"]);
/** The lowest lane of the first vector below the others of the second. */
const lowest = {
  f32x4: [0, 1, 2, 3, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31],
  f64x2: [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31],
} as const;

/** Emits an operation on lowest lanes, without a way through the integer registers. */
export function lowerLowLane(code: Code, name: LowLaneName, operand: (index: 0 | 1) => void): void {
  const [, shape, operation] = /^(f\d\dx\d)\.(\w+)_low$/.exec(name) as unknown as ["", "f32x4" | "f64x2", string];
  if (everyLane.has(operation)) {
    operand(0);
    operand(1);
    code.op(`${shape}.${operation}` as Plain);
    operand(0);
    code.shuffle(lowest[shape]);
    return;
  }
  const scalar = shape === "f64x2" ? "f64" : "f32";
  const low = (index: 0 | 1) => {
    operand(index);
    code.lane(`${shape}.extract_lane`, 0);
  };
  switch (operation) {
    case "lt":
    case "eq":
      low(0);
      low(1);
      code.op(`${scalar}.${operation}`);
      return;
    case "to_i32":
    case "to_i64":
      low(0);
      code.op(`${operation.slice(3) as "i32" | "i64"}.trunc_sat_${scalar}_s`);
      return;
    case "from_i32":
    case "from_i64":
      operand(0);
      operand(1);
      code.op(`${scalar}.convert_${operation.slice(5) as "i32" | "i64"}_s`);
      break;
    default:
      operand(0);
      if (operation === "div") low(0);
      low(1);
      code.op(`${scalar}.${operation}` as Plain);
  }
  code.lane(`${shape}.replace_lane`, 0);
}
