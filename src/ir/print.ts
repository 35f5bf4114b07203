import { Ending } from "./node.ts";
import type { Block, Slot, Statement, Value } from "./node.ts";

const endings = Object.fromEntries(Object.entries(Ending).map(([name, value]) => [value, name]));

function slotText(slot: Slot): string {
  return typeof slot === "number" ? `0x${slot.toString(16)}` : text(slot);
}

/** A value as an expression. What is defined by a statement is named by its number. */
function text(value: Value): string {
  switch (value.kind) {
    case "const":
      return `${value.value < 1024n ? value.value : `0x${value.value.toString(16)}`}:${value.type}`;
    case "parameter":
      return `p${value.index}`;
    case "vcpu":
      return "vcpu";
    case "field":
      return `field.${value.name}`;
    case "operation":
      return `${value.name}${value.name.includes("lane") ? `[${value.lane}]` : ""}(${value.operands.map(text).join(", ")})`;
    case "convert":
      return `${value.name}.${value.type}(${text(value.operand)})`;
    case "condition":
      return `condition.${value.code}(${text(value.value)})`;
    case "shuffle":
      return `shuffle(${value.operands.map(text).join(", ")}, [${value.lanes.join(" ")}])`;
    default:
      return `%${value.id}`;
  }
}

function definition(value: Value): string {
  switch (value.kind) {
    case "get":
      return `get ${slotText(value.slot)}`;
    case "read":
      return `read v${value.variable.number}`;
    case "load":
      return `load ${text(value.address)} ${Object.keys(value.access).join(" ")}`.trimEnd();
    case "hostLoad":
      return `host load ${text(value.address)} + ${value.offset}`;
    case "hostExchange":
      return `host exchange ${text(value.address)}, ${text(value.expected)} → ${text(value.replacement)}`;
    default:
      return text(value);
  }
}

function lines(statement: Statement): string[] {
  const nested = (block: Block) => block.flatMap(lines).map((line) => `  ${line}`);
  switch (statement.kind) {
    case "define":
      return [`%${statement.value.id}:${statement.value.type} = ${definition(statement.value)}`];
    case "set":
      return [`set ${slotText(statement.slot)}:${statement.value.type} ← ${text(statement.value)}`];
    case "assign":
      return [`v${statement.variable.number} ← ${text(statement.value)}`];
    case "store":
      return [`store ${text(statement.address)} ← ${text(statement.value)}:${statement.value.type}`];
    case "probeWrite":
      return [`probe write ${text(statement.address)}, ${statement.bytes}`];
    case "update":
      return [
        `update ${text(statement.address)}${statement.lock ? " lock" : ""} %${statement.before.id}:${statement.before.type} {`,
        ...nested(statement.body),
        `} → ${text(statement.after)}`,
      ];
    case "if":
      return [
        `if ${text(statement.condition)} {`,
        ...nested(statement.then),
        ...(statement.otherwise.length > 0 ? ["} else {", ...nested(statement.otherwise)] : []),
        "}",
      ];
    case "loop":
      return [`loop l${statement.loop.number} {`, ...nested(statement.body), "}"];
    case "break":
    case "continue":
      return [`${statement.kind} l${statement.loop.number}`];
    case "fault":
      return [`fault ${statement.vector}${statement.errorCode === undefined ? "" : ` (${text(statement.errorCode)})`}`];
    case "end":
      return [`end ${endings[statement.ending]}`];
    case "return":
      return [`return ${statement.values.map(text).join(", ")}`.trimEnd()];
    case "call":
      return [
        `${statement.results.map(({ id }) => `%${id}`).join(", ")} = call ${statement.routine.name}(${statement.arguments.map(text).join(", ")})`,
      ];
    case "host":
      return [`%${statement.result.id} = host ${statement.name}(${statement.arguments.map(text).join(", ")})`];
    case "hostStore":
      return [
        `host store ${text(statement.address)} + ${statement.offset} ← ${text(statement.value)}:${statement.value.type}`,
      ];
    case "hostFill":
      return [`host fill ${text(statement.address)}, ${text(statement.bytes)} × ${statement.byte}`];
    case "hostCopy":
      return [`host copy ${text(statement.to)} ← ${text(statement.from)}, ${text(statement.bytes)}`];
    case "memoryFence":
      return ["memory fence"];
    case "flags":
      return [`flags.${statement.form}(${statement.operands.map(text).join(", ")})`];
  }
}

/** IR as text, for people and golden files. */
export function print(block: Block): string {
  return block.flatMap(lines).join("\n");
}
