import { Gpr, Segment } from "../state.ts";

/** A register as source names it. */
export interface RegisterName {
  readonly kind: "general" | "vector" | "segment" | "control" | "debug";
  readonly number: number;
  readonly bits: number;
  /** AH, CH, DH, BH: never with REX. SPL, BPL, SIL, DIL and R8B up: only with REX. */
  readonly rex: "never" | "needed" | "either";
}

/** A constant, or a label plus a constant. */
export interface Expression {
  readonly label: string | undefined;
  readonly offset: bigint;
}

export type SourceOperand =
  | { readonly kind: "register"; readonly register: RegisterName }
  | { readonly kind: "expression"; readonly expression: Expression }
  | {
      readonly kind: "memory";
      /** Bits, where the source says: "dword [rbx]". */
      readonly bits: number | undefined;
      readonly base: RegisterName | undefined;
      readonly index: RegisterName | undefined;
      readonly scale: number;
      readonly displacement: Expression;
      readonly segment: number | undefined;
      readonly ripRelative: boolean;
    };

export type SourceLine =
  | { readonly kind: "label"; readonly name: string }
  | { readonly kind: "directive"; readonly name: string; readonly text: string }
  | {
      readonly kind: "instruction";
      readonly prefixes: readonly string[];
      readonly mnemonic: string;
      readonly operands: readonly SourceOperand[];
    };

/** What is wrong with a program, and where. */
export class AssemblyError extends Error {}

function makeRegisters(): Map<string, RegisterName> {
  const registers = new Map<string, RegisterName>();
  const general = (name: string, number: number, bits: number, rex: RegisterName["rex"] = "either") =>
    registers.set(name, { kind: "general", number, bits, rex });
  for (const [name, number] of Object.entries(Gpr)) {
    general(name, number, 64);
    if (number >= 8) {
      general(`${name}d`, number, 32);
      general(`${name}w`, number, 16);
      general(`${name}b`, number, 8, "needed");
      continue;
    }
    general(`e${name.slice(1)}`, number, 32);
    general(name.slice(1), number, 16);
    if (number < 4) {
      general(`${name[1]}l`, number, 8);
      general(`${name[1]}h`, number + 4, 8, "never");
    } else {
      general(`${name.slice(1)}l`, number, 8, "needed");
    }
  }
  for (let number = 0; number < 16; number++) {
    registers.set(`xmm${number}`, { kind: "vector", number, bits: 128, rex: "either" });
    registers.set(`cr${number}`, { kind: "control", number, bits: 64, rex: "either" });
    registers.set(`dr${number}`, { kind: "debug", number, bits: 64, rex: "either" });
  }
  for (const name of ["es", "cs", "ss", "ds", "fs", "gs"] as const) {
    registers.set(name, { kind: "segment", number: Segment[name], bits: 16, rex: "either" });
  }
  return registers;
}
const registers = makeRegisters();
const sizes = new Map([["byte", 8], ["word", 16], ["dword", 32], ["qword", 64], ["oword", 128]]); // prettier-ignore
const prefixNames = new Set(["lock", "rep", "repe", "repne"]);

/** Symbols with constant values, from `.equ`. */
export type Constants = ReadonlyMap<string, bigint>;

/** Parses a sum of numbers, character constants, constants and at most one label. */
export function parseExpression(text: string, constants: Constants): Expression {
  let label: string | undefined;
  let offset = 0n;
  for (const [, sign, term = ""] of text.matchAll(/([+-]?)\s*('(?:[^'])'|[\w.$]+)/g)) {
    const negative = sign === "-";
    const value = constantOf(term, constants);
    if (value !== undefined) offset += negative ? -value : value;
    else if (label === undefined && !negative && /^[A-Za-z_.]/.test(term)) label = term;
    else throw new AssemblyError(`"${text}" is no sum of numbers and one label`);
  }
  return { label, offset };
}

function constantOf(term: string, constants: Constants): bigint | undefined {
  if (term.startsWith("'")) return BigInt(term.charCodeAt(1));
  if (/^\d/.test(term)) return BigInt(term.replaceAll("_", ""));
  return constants.get(term);
}

function parseMemory(inside: string, bits: number | undefined, constants: Constants): SourceOperand {
  const segmentMatch = /^(\w\w)\s*:\s*(.*)$/.exec(inside);
  const segment = segmentMatch === null ? undefined : registers.get(segmentMatch[1] ?? "")?.number;
  let rest = segmentMatch === null ? inside : (segmentMatch[2] ?? "");
  const ripRelative = /^rip\b/.test(rest);
  if (ripRelative) rest = rest.replace(/^rip\s*\+?/, "");
  let base: RegisterName | undefined;
  let index: RegisterName | undefined;
  let scale = 0;
  const displacement: string[] = [];
  for (const term of rest
    .replaceAll("-", "+-")
    .split("+")
    .map((part) => part.trim())) {
    if (term === "") continue;
    const [name = "", factor] = term.split("*").map((part) => part.trim());
    const register = registers.get(name);
    if (register?.kind !== "general") displacement.push(term.startsWith("-") ? term : `+${term}`);
    else if (factor !== undefined || base !== undefined) {
      index = register;
      scale = Math.log2(Number(factor ?? 1));
    } else base = register;
  }
  const expression = parseExpression(displacement.join(" "), constants);
  return { kind: "memory", bits, base, index, scale, displacement: expression, segment, ripRelative };
}

function parseOperand(text: string, constants: Constants): SourceOperand {
  const memory = /^(?:(byte|word|dword|qword|oword)\s+)?\[(.*)\]$/.exec(text);
  if (memory !== null) return parseMemory(memory[2] ?? "", sizes.get(memory[1] ?? ""), constants);
  const register = registers.get(text);
  if (register !== undefined) return { kind: "register", register };
  return { kind: "expression", expression: parseExpression(text, constants) };
}

/** Splits at commas that are outside quotes and brackets. */
export function splitOperands(text: string): string[] {
  return text.trim() === ""
    ? []
    : [...text.matchAll(/(?:"(?:[^"\\]|\\.)*"|'[^']'|[^,])+/g)].map(([part]) => part.trim());
}

/** Parses one line of source: any labels, then a directive or an instruction. */
export function parseLine(line: string, constants: Constants): SourceLine[] {
  const parsed: SourceLine[] = [];
  let rest = line.replace(/^((?:"(?:[^"\\]|\\.)*"|'[^']'|[^;"'])*);.*$/, "$1").trim();
  for (let match = /^([\w.$]+):\s*/.exec(rest); match !== null; match = /^([\w.$]+):\s*/.exec(rest)) {
    parsed.push({ kind: "label", name: match[1] ?? "" });
    rest = rest.slice(match[0].length);
  }
  if (rest === "") return parsed;
  const [word = ""] = rest.split(/\s/, 1);
  if (word.startsWith(".")) {
    parsed.push({ kind: "directive", name: word.slice(1), text: rest.slice(word.length).trim() });
    return parsed;
  }
  const prefixes: string[] = [];
  let mnemonic = word;
  rest = rest.slice(word.length).trim();
  while (prefixNames.has(mnemonic)) {
    prefixes.push(mnemonic);
    [mnemonic = ""] = rest.split(/\s/, 1);
    rest = rest.slice(mnemonic.length).trim();
  }
  parsed.push({
    kind: "instruction",
    prefixes,
    mnemonic,
    operands: splitOperands(rest).map((text) => parseOperand(text, constants)),
  });
  return parsed;
}
