/**
 * A row of the opcode map: `"<prefix and opcode>  <operands>  <options>"`, columns two or more blanks apart.
 *
 * Opcode column: VEX where the instruction has that prefix (with L = 0), an optional mandatory prefix (NP, 66, F3, F2; NP
 * means none of them), opcode bytes, then
 *   /0…/7   the reg field of ModR/M extends the opcode
 *   =C1     the whole ModR/M byte is fixed
 *   +       the low three bits of the opcode name a register (operand letter Z)
 *   +cc     the low four bits are a condition code
 * Operand column: letters as in Intel SDM Vol. 2D, "Key to Abbreviations", or "-".
 * Options: see {@link Option}.
 */

/** What a row allows or demands beside its operands. */
export const options = {
  /** May carry LOCK when its destination is memory. */
  lock: "LOCK is allowed",
  /** REP, REPE or REPNE repeat it. */
  rep: "REP is allowed",
  /** Invalid in 64-bit mode. */
  i64: "not in 64-bit mode",
  /** Valid in 64-bit mode only. */
  x64: "only in 64-bit mode",
  /** In 64-bit mode the operand size is 64 unless 66 makes it 16. */
  d64: "default operand size 64",
  /** In 64-bit mode the operand size is always 64. */
  f64: "operand size 64",
  /** REX.W must be clear, set. */
  w0: "REX.W = 0",
  w1: "REX.W = 1",
  /** REX.B must be clear. */
  b0: "REX.B = 0",
  /** Operand size must be so. */
  o16: "operand size 16",
  o32: "operand size 32",
  o64: "operand size 64",
  /** The operation depends on the operand size though no operand letter says so. */
  osz: "sized by operand size",
  /** The operation depends on the address size though it has no ModR/M memory operand. */
  asz: "sized by address size",
  /** ModR/M must name a register though no operand letter says so. */
  mod3: "ModR/M.mod = 3",
  /** CPL must be 0. */
  cpl0: "privileged",
  /** Cannot be executed by a test in user mode for other reasons than privilege. */
  system: "not for user-mode tests",
} as const;
export type Option = keyof typeof options;

/** Operand letters that take their place in a ModR/M byte, and those that do not. */
export type OperandKind =
  | "E" | "G" | "M" | "R" | "Z" | "I" | "J" | "O" | "A" | "S" | "C" | "D" | "V" | "W" | "U" | "P" | "Q" | "N" | "F" | "B" | "fixed"; // prettier-ignore

export interface OperandSpec {
  /** As written in the row. */
  readonly text: string;
  readonly kind: OperandKind;
  /**
   * b w d q: 8 to 64 bits; v: operand size; z: operand size, at most 32; y: 32, or 64 with REX.W; x: 128; t: 80;
   * bs, ds: sign-extended to the operand size; p: far pointer; "": the address alone.
   */
  readonly size: string;
}

export type MandatoryPrefix = "NP" | "66" | "F3" | "F2";

export interface Encoding {
  readonly row: string;
  readonly prefix: MandatoryPrefix | undefined;
  /** Whether a VEX prefix says prefix and map. */
  readonly vex: boolean;
  /** 0: one byte; 1: 0F; 2: 0F 38; 3: 0F 3A. */
  readonly map: 0 | 1 | 2 | 3;
  readonly opcode: number;
  /** How many consecutive opcodes the row stands for: 1, 8 (registers) or 16 (conditions). */
  readonly span: 1 | 8 | 16;
  readonly digit: number | undefined;
  readonly modrm: number | undefined;
  readonly hasModrm: boolean;
  /** What ModR/M.mod may say: any, memory only, register only. */
  readonly form: "any" | "memory" | "register";
  readonly operands: readonly OperandSpec[];
  readonly options: ReadonlySet<Option>;
}

const fixedOperands = new Set([
  "AL",
  "CL",
  "AX",
  "DX",
  "rAX",
  "eAX",
  "1",
  "ES",
  "CS",
  "SS",
  "DS",
  "FS",
  "GS",
  "XMM0",
  "ST0",
]);

function parseOperand(text: string): OperandSpec {
  if (fixedOperands.has(text)) return { text, kind: "fixed", size: text };
  const match = /^([EGMRZIJOASCDVWUPQNFB])([a-z]*)$/.exec(text);
  if (match === null) throw new Error(`operand "${text}" is not in the key to abbreviations`);
  return { text, kind: match[1] as OperandKind, size: match[2] ?? "" };
}

/** Parses a row. Throws where it is not of the form above: the table's author is wrong. */
export function parseEncoding(row: string): Encoding {
  const [opcodeColumn = "", operandColumn = "-", ...optionColumns] = row.trim().split(/ {2,}/);
  const words = opcodeColumn.split(" ");
  const vex = words[0] === "VEX";
  if (vex) words.shift();
  let bytes: readonly number[] = words
    .filter((word) => /^[0-9A-F]{2}$/.test(word))
    .map((word) => Number.parseInt(word, 16));
  let prefix: MandatoryPrefix | undefined;
  let digit: number | undefined;
  let modrm: number | undefined;
  let span: 1 | 8 | 16 = 1;
  const prefixed =
    words[0] === "NP" || ((words[0] === "66" || words[0] === "F3" || words[0] === "F2") && bytes.length > 1);
  if (prefixed) prefix = words.shift() as MandatoryPrefix;
  if (prefixed && prefix !== "NP") bytes = bytes.slice(1);
  for (const word of words) {
    if (/^\/[0-7]$/.test(word)) digit = Number(word[1]);
    else if (/^=[0-9A-F]{2}$/.test(word)) modrm = Number.parseInt(word.slice(1), 16);
    else if (word === "+") span = 8;
    else if (word === "+cc") span = 16;
    else if (!/^[0-9A-F]{2}$/.test(word)) throw new Error(`"${word}" in row "${row}"`);
  }
  let map: 0 | 1 | 2 | 3 = 0;
  if (bytes[0] === 0x0f && bytes.length > 1) {
    const escape = bytes.length > 2 ? bytes[1] : undefined;
    map = escape === 0x38 ? 2 : escape === 0x3a ? 3 : 1;
    bytes = bytes.slice(map === 1 ? 1 : 2);
  }
  const [opcode] = bytes;
  if (opcode === undefined || bytes.length !== 1) throw new Error(`row "${row}" has no single opcode`);
  const operands = operandColumn === "-" ? [] : operandColumn.split(",").map(parseOperand);
  const kinds = new Set(operands.map(({ kind }) => kind));
  const memory = kinds.has("M");
  const given = optionColumns.flatMap((column) => column.split(" "));
  const register = given.includes("mod3") || kinds.has("R") || kinds.has("U") || kinds.has("N") || kinds.has("F");
  const either = kinds.has("E") || kinds.has("W") || kinds.has("Q");
  const hasModrm =
    digit !== undefined ||
    modrm !== undefined ||
    memory ||
    register ||
    either ||
    ["G", "S", "C", "D", "V", "P"].some((kind) => kinds.has(kind as OperandKind));
  for (const option of given) if (!(option in options)) throw new Error(`option "${option}" in row "${row}"`);
  return {
    row, prefix, vex, map, opcode, span, digit, modrm, hasModrm, operands,
    form: memory ? "memory" : register ? "register" : "any",
    options: new Set(given as Option[]),
  }; // prettier-ignore
}
