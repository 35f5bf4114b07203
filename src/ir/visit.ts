import type { Block, Statement, Value } from "./node.ts";

/** Visits the values that a statement evaluates itself, and the blocks inside it. */
export function visitStatement(
  statement: Statement,
  value: (value: Value) => void,
  block: (block: Block) => void,
): void {
  switch (statement.kind) {
    case "define":
      visitOperands(statement.value, value);
      return;
    case "set":
      if (typeof statement.slot !== "number") value(statement.slot);
      value(statement.value);
      return;
    case "assign":
      value(statement.value);
      return;
    case "store":
      value(statement.address);
      value(statement.value);
      return;
    case "probeWrite":
      value(statement.address);
      return;
    case "update":
      value(statement.address);
      block(statement.body);
      value(statement.after);
      return;
    case "if":
      value(statement.condition);
      block(statement.then);
      block(statement.otherwise);
      return;
    case "loop":
      block(statement.body);
      return;
    case "fault":
      if (statement.errorCode !== undefined) value(statement.errorCode);
      return;
    case "return":
      statement.values.forEach(value);
      return;
    case "call":
    case "host":
      statement.arguments.forEach(value);
      return;
    case "hostStore":
      value(statement.address);
      value(statement.value);
      return;
    case "hostFill":
      value(statement.address);
      value(statement.bytes);
      return;
    case "hostCopy":
      value(statement.to);
      value(statement.from);
      value(statement.bytes);
      return;
    case "flags":
      block(statement.expansion);
      return;
    case "memoryFence":
    case "break":
    case "continue":
    case "end":
      return;
  }
}

/** Visits the values that a value is computed from. */
export function visitOperands(value: Value, visit: (value: Value) => void): void {
  switch (value.kind) {
    case "operation":
    case "shuffle":
      value.operands.forEach(visit);
      return;
    case "convert":
      visit(value.operand);
      return;
    case "condition":
      visit(value.value);
      return;
    case "get":
      if (typeof value.slot !== "number") visit(value.slot);
      return;
    case "load":
    case "hostLoad":
      visit(value.address);
      return;
    case "hostExchange":
      visit(value.address);
      visit(value.expected);
      visit(value.replacement);
      return;
    default:
  }
}
