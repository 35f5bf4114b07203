import type { Block, Value } from "../../ir/node.ts";
import { visitOperands, visitStatement } from "../../ir/visit.ts";
import { State } from "../../x86/state.ts";

/** What a form does with the numbers of its record. */
export interface NumberUse {
  /**
   * The immediate: not looked at; a number like any other, which comes into the code at the end; or what the code is made
   * for: a shift's count, a lane.
   */
  readonly immediate: "none" | "data" | "shapes";
  /** Where the instruction stands decides more than the addresses of places (passage.ts). */
  readonly positional: boolean;
}

/** Operations for which one number is as good as another, but for 0 and all ones. */
const arithmetic: ReadonlySet<string> = new Set(["add", "sub", "and", "or", "xor"]);

export function numberUse(body: Block): NumberUse {
  let immediate: NumberUse["immediate"] = "none";
  let positional = false;
  const look = (value: Value, data: boolean): void => {
    if (value.kind === "field" && value.name === "immediate") {
      if (!data) immediate = "shapes";
      else if (immediate === "none") immediate = "data";
      return;
    }
    if (placeNumber(value) !== undefined) positional = true;
    if (value.kind === "convert" && value.name === "trunc" && value.operand.kind === "field") {
      look(value.operand, data);
      return;
    }
    const inner = value.kind === "operation" && arithmetic.has(value.name) && !value.operands.every(isFixed);
    if (value.kind === "operation" && value.name === "add") {
      const [base, offset] = value.operands as [Value, Value];
      if (placeNumber(offset) !== undefined && base.kind === "get" && base.slot === State.ripPage) return;
    }
    visitOperands(value, (operand) => look(operand, inner));
  };
  const walk = (block: Block): void => {
    for (const statement of block) {
      switch (statement.kind) {
        case "define":
          look(statement.value, true);
          break;
        case "set":
          if (typeof statement.slot !== "number") look(statement.slot, false);
          look(statement.value, true);
          break;
        case "if":
          look(statement.condition, false);
          walk(statement.then);
          walk(statement.otherwise);
          break;
        case "flags":
          for (const operand of statement.operands) look(operand, true);
          break;
        default:
          visitStatement(statement, (value) => look(value, true), walk);
      }
    }
  };
  walk(body);
  return { immediate, positional };
}

/** Whether a value is a constant when the record's numbers are known. */
function isFixed(value: Value): boolean {
  if (value.kind === "operation") return value.operands.every(isFixed);
  return value.kind === "const" || value.kind === "field" || (value.kind === "convert" && isFixed(value.operand));
}

/** Numbers for which code is made that other numbers cannot have: what is added, or masked with, may vanish. */
export function isSpecial(number: bigint | number): boolean {
  return number === 0n || number === -1n || number === 0 || number === -1;
}

/** The number of a record that a value is and that places are named for. */
export function placeNumber(value: Value): "start" | "next" | "target" | undefined {
  if (value.kind === "convert" && value.name === "zext") return placeNumber(value.operand);
  if (value.kind !== "field") return undefined;
  return value.name === "start" || value.name === "next" || value.name === "target" ? value.name : undefined;
}
