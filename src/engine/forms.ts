import type { Block } from "../ir/node.ts";
import type { Decoded } from "../x86/decode/decode.ts";
import { bindOperands } from "../x86/bind.ts";
import { Semantics } from "../x86/semantics.ts";
import type { Form, Numbers } from "../x86/semantics.ts";
import type { Row } from "../x86/decode/opcode-map.ts";

/** Operand numbers as a record holds them. */
const recordNumbers: Numbers = {
  slot: (ir, name) => ir.field("i32", name),
  value: (ir, type, name) => ir.field(type, name),
};

/** A form, with the number that {@link formKey} gives it. */
export interface FormDescription {
  readonly key: number;
  readonly row: Row;
  readonly form: Form;
}

/** The form that a decoded instruction takes: everything that its code depends on, and nothing else. */
export function formOf(decoded: Decoded, codeSize: 16 | 32 | 64): Form {
  const { encoding } = decoded.row;
  const addresses = decoded.memory || encoding.options.has("asz") || encoding.operands.some(({ kind }) => kind === "O");
  const long = codeSize === 64;
  const addressSize = encoding.options.has("asz") ? decoded.addressSize : long ? 64 : 32;
  return {
    operandSize: decoded.row.sized ? decoded.operandSize : 32,
    addressing: !long ? "legacy" : addresses && decoded.addressSize === 32 ? "long32" : "long",
    addressSize,
    lock: decoded.lock,
    repeat: decoded.repeat,
    low: encoding.span === 16 ? decoded.low : 0,
    memory: decoded.memory,
  };
}

const addressings = { long: 0, long32: 1, legacy: 2 } as const;
const repeats = { none: 0, rep: 1, repne: 2 } as const;

/** A number for a form of a row: different forms, different numbers. */
export function formKey(row: Row, form: Form): number {
  const size = (bits: number) => bits / 32;
  let key = row.number;
  key = key * 3 + Math.floor(size(form.operandSize));
  key = key * 3 + addressings[form.addressing];
  key = key * 3 + Math.floor(size(form.addressSize));
  key = key * 2 + Number(form.lock);
  key = key * 3 + repeats[form.repeat];
  key = key * 16 + form.low;
  return key * 2 + Number(form.memory);
}

/** The row and form that {@link formKey} made a number of. */
export function describeForm(rows: readonly Row[], key: number): FormDescription {
  let rest = key;
  const take = (base: number): number => {
    const digit = rest % base;
    rest = Math.floor(rest / base);
    return digit;
  };
  const size = (): 16 | 32 | 64 => ([16, 32, 64] as const)[take(3)]!;
  const memory = take(2) === 1;
  const low = take(16);
  const repeat = (["none", "rep", "repne"] as const)[take(3)]!;
  const lock = take(2) === 1;
  const addressSize = size();
  const addressing = (["long", "long32", "legacy"] as const)[take(3)]!;
  const operandSize = size();
  const row = rows[rest];
  if (row === undefined || row.number !== rest) throw new Error(`no row has number ${rest}`);
  return { key, row, form: { operandSize, addressing, addressSize, lock, repeat, low, memory } };
}

/** Builds an instruction's IR for one form, with its numbers from wherever `numbers` finds them. */
export function buildForm(row: Row, form: Form, numbers: Numbers = recordNumbers): Block {
  const ir = new Semantics(form, numbers);
  return ir.block(() => {
    if (row.encoding.options.has("cpl0")) ir.requirePrivilege();
    row.instruction.semantics(ir, ...bindOperands(ir, row.encoding));
  });
}

/** How the dispatcher's profile names a form; empty for one that cannot stand in the dispatcher. */
export function formName(row: Row, form: Form): string {
  if (form.addressing !== "long" || form.lock || form.repeat !== "none" || form.addressSize !== 64) return "";
  return `${row.instruction.mnemonic}: ${row.encoding.row} | ${form.operandSize} | ${form.memory ? "m" : "r"} | ${form.low}`;
}
