import type { Builder } from "../../ir/builder.ts";
import type { Value } from "../../ir/node.ts";
import type { Gpr, Segment } from "../state.ts";

/**
 * The two formats of a task-state segment: where its fields are. Intel SDM Vol. 3A, "Task-State Segment (TSS)",
 * "16-Bit Task-State Segment (TSS)".
 */
export interface TaskFormat {
  readonly word: "i16" | "i32";
  /** The least limit that a TSS may have. */
  readonly limit: number;
  readonly cr3: number | undefined;
  readonly eip: number;
  readonly eflags: number;
  readonly registers: number;
  readonly segments: number;
  /** In the order of their fields. */
  readonly segmentNames: readonly Segment[];
  readonly ldt: number;
  readonly trap: number | undefined;
}

export const task32: TaskFormat = {
  word: "i32",
  limit: 0x67,
  cr3: 0x1c,
  eip: 0x20,
  eflags: 0x24,
  registers: 0x28,
  segments: 0x48,
  segmentNames: ["es", "cs", "ss", "ds", "fs", "gs"],
  ldt: 0x60,
  trap: 0x64,
};
export const task16: TaskFormat = {
  word: "i16",
  limit: 0x2b,
  cr3: undefined,
  eip: 0x0e,
  eflags: 0x10,
  registers: 0x12,
  segments: 0x22,
  segmentNames: ["es", "cs", "ss", "ds"],
  ldt: 0x2a,
  trap: undefined,
};

/** Registers in the order of a TSS. */
export const taskRegisters: readonly Gpr[] = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"];

const system = { system: true } as const;

/** The address of the `index`th field from `offset` on. */
function field(ir: Builder, format: TaskFormat, base: Value, offset: number, index = 0): Value {
  return ir.add(base, offset + index * (format.word === "i16" ? 2 : 4));
}
/** Stores an i32 in a field of the format's width. */
export function storeField(
  ir: Builder,
  format: TaskFormat,
  base: Value,
  offset: number,
  index: number,
  value: Value,
): void {
  ir.store(field(ir, format, base, offset, index), ir.resize(value, format.word), system);
}
/** A selector: 16 bits in either format, and nothing else of the field is written. */
export function storeSelector(
  ir: Builder,
  format: TaskFormat,
  base: Value,
  offset: number,
  index: number,
  value: Value,
): void {
  ir.store(field(ir, format, base, offset, index), ir.trunc(value, "i16"), system);
}
/** Loads a field, zero-extended to i32. */
export function loadField(ir: Builder, format: TaskFormat, base: Value, offset: number, index = 0): Value {
  return ir.zext(ir.load(format.word, field(ir, format, base, offset, index), system), "i32");
}
export function loadSelector(ir: Builder, format: TaskFormat, base: Value, offset: number, index = 0): Value {
  return ir.zext(ir.load("i16", field(ir, format, base, offset, index), system), "i32");
}
