import type { OpcodeMap, Row } from "../decode/opcode-map.ts";
import { encodeRow, matchesRow } from "./encode.ts";
import type { EncodedInstruction, Fixup } from "./encode.ts";
import { AssemblyError, parseExpression, parseLine, splitOperands } from "./source.ts";
import type { SourceLine, SourceOperand } from "./source.ts";

export { AssemblyError } from "./source.ts";

/** A program's bytes, and where its labels are. */
export interface Assembled {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly labels: ReadonlyMap<string, bigint>;
}

/** Condition names by code, in pairs of synonyms. Intel SDM Vol. 1, "EFLAGS Condition Codes". */
const conditions = [
  "o",
  "no",
  "b c nae",
  "nb nc ae",
  "z e",
  "nz ne",
  "be na",
  "nbe a",
  "s",
  "ns",
  "p pe",
  "np po",
  "l nge",
  "nl ge",
  "le ng",
  "nle g",
];
const conditionCodes = new Map(
  conditions.flatMap((names, code) => names.split(" ").map((name) => [name, code] as const)),
);
const prefixBytes: Readonly<Record<string, number>> = { lock: 0xf0, rep: 0xf3, repe: 0xf3, repne: 0xf2 };

/** The rows of a mnemonic and the condition code in it: "jnz" is row "jcc" with code 5. */
function rowsOf(map: OpcodeMap, mnemonic: string): { rows: readonly Row[]; low: number } {
  const named = (name: string) => map.rows.filter(({ instruction }) => instruction.mnemonic === name);
  const plain = named(mnemonic);
  if (plain.length > 0) return { rows: plain, low: 0 };
  for (const stem of ["j", "set", "cmov"]) {
    const code = mnemonic.startsWith(stem) ? conditionCodes.get(mnemonic.slice(stem.length)) : undefined;
    if (code !== undefined) return { rows: named(`${stem}cc`), low: code };
  }
  throw new AssemblyError(`there is no instruction "${mnemonic}"`);
}

/** Operand sizes to try: what the operands say, or the mode's own. */
function candidateSizes(operands: readonly SourceOperand[], codeSize: 32 | 64): (16 | 32 | 64)[] {
  for (const operand of operands) {
    const bits =
      operand.kind === "register" && operand.register.kind === "general"
        ? operand.register.bits
        : operand.kind === "memory"
          ? operand.bits
          : undefined;
    if (bits === 16 || bits === 32 || bits === 64) return [bits];
    if (bits === 8) return [32];
  }
  return codeSize === 64 ? [64, 32] : [32];
}

function encodeInstruction(
  map: OpcodeMap,
  line: SourceLine & { kind: "instruction" },
  codeSize: 32 | 64,
): EncodedInstruction {
  const { rows, low } = rowsOf(map, line.mnemonic);
  const prefixes = line.prefixes.map((name) => prefixBytes[name] ?? 0);
  let best: EncodedInstruction | undefined;
  const better = (encoded: EncodedInstruction, row: Row) => {
    // A relative branch takes its long form, so that sizes do not depend on where labels are.
    const near = row.encoding.operands.some(({ kind, size }) => kind === "J" && size === "b") && rows.length > 1;
    return best === undefined
      ? !near || rows.every((each) => each.encoding.operands.some(({ size }) => size === "b"))
      : encoded.bytes.length < best.bytes.length && !near;
  };
  for (const size of candidateSizes(line.operands, codeSize)) {
    for (const row of rows) {
      if (!matchesRow(row.encoding, line.operands, size, codeSize)) continue;
      const encoded = encodeRow(row.encoding, line.operands, size, codeSize, low, prefixes);
      if (better(encoded, row)) best = encoded;
    }
    if (best !== undefined) return best;
  }
  throw new AssemblyError(`no form of "${line.mnemonic}" takes these operands`);
}

const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", "0": "\0", e: "\u001b" };

function stringBytes(text: string): number[] {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(text);
  if (quoted === null) throw new AssemblyError(`${text} is no string`);
  const plain = (quoted[1] ?? "").replace(/\\(.)/g, (_, character: string) => escapes[character] ?? character);
  return Array.from(plain, (character) => character.charCodeAt(0));
}

class Assembly {
  readonly #map: OpcodeMap;
  readonly #origin: bigint;
  readonly #bytes: number[] = [];
  readonly #labels = new Map<string, bigint>();
  readonly #constants = new Map<string, bigint>();
  readonly #fixups: { readonly start: number; readonly fixup: Fixup; readonly line: number }[] = [];
  #codeSize: 32 | 64 = 64;
  #line = 0;

  constructor(map: OpcodeMap, origin: bigint, constants: Readonly<Record<string, number | bigint>>) {
    this.#map = map;
    this.#origin = origin;
    for (const [name, value] of Object.entries(constants)) this.#constants.set(name, BigInt(value));
  }

  run(source: string): Assembled {
    for (const line of source.split("\n")) {
      this.#line += 1;
      this.#located(this.#line, () => {
        for (const parsed of parseLine(line, this.#constants)) this.#add(parsed);
      });
    }
    for (const { start, fixup, line } of this.#fixups) this.#located(line, () => this.#resolve(start, fixup));
    return { bytes: Uint8Array.from(this.#bytes), labels: this.#labels };
  }

  #located(line: number, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof AssemblyError) throw new AssemblyError(`line ${line}: ${error.message}`, { cause: error });
      throw error;
    }
  }

  #add(line: SourceLine): void {
    switch (line.kind) {
      case "label":
        if (this.#labels.has(line.name)) throw new AssemblyError(`label "${line.name}" is there already`);
        this.#labels.set(line.name, this.#origin + BigInt(this.#bytes.length));
        return;
      case "directive":
        this.#directive(line.name, line.text);
        return;
      case "instruction": {
        const encoded = encodeInstruction(this.#map, line, this.#codeSize);
        for (const fixup of encoded.fixups) this.#fixups.push({ start: this.#bytes.length, fixup, line: this.#line });
        this.#bytes.push(...encoded.bytes);
        return;
      }
    }
  }

  #directive(name: string, text: string): void {
    switch (name) {
      case "bits":
        this.#codeSize = text === "32" ? 32 : 64;
        return;
      case "equ": {
        const [symbol = "", value = ""] = splitOperands(text);
        this.#constants.set(symbol, parseExpression(value, this.#constants).offset);
        return;
      }
      case "align":
        while (this.#bytes.length % Number(text) !== 0) this.#bytes.push(0);
        return;
      case "zero":
        for (let count = Number(parseExpression(text, this.#constants).offset); count > 0; count--) this.#bytes.push(0);
        return;
      case "ascii":
        this.#bytes.push(...stringBytes(text));
        return;
      case "asciz":
        this.#bytes.push(...stringBytes(text), 0);
        return;
      case "byte":
      case "word":
      case "long":
      case "quad": {
        const bytes = { byte: 1, word: 2, long: 4, quad: 8 } as const;
        for (const item of splitOperands(text)) this.#number(item, bytes[name]);
        return;
      }
      default:
        throw new AssemblyError(`there is no directive ".${name}"`);
    }
  }

  #number(text: string, bytes: 1 | 2 | 4 | 8): void {
    const expression = parseExpression(text, this.#constants);
    if (expression.label !== undefined) {
      this.#fixups.push({
        start: this.#bytes.length,
        fixup: { at: 0, bytes, expression, relativeTo: undefined },
        line: this.#line,
      });
    }
    for (let index = 0n; index < bytes; index++) this.#bytes.push(Number((expression.offset >> (index * 8n)) & 0xffn));
  }

  #resolve(start: number, { at, bytes, expression, relativeTo }: Fixup): void {
    const base = expression.label === undefined ? 0n : this.#labels.get(expression.label);
    if (base === undefined) throw new AssemblyError(`label "${expression.label}" is nowhere`);
    const target = base + expression.offset;
    const value = relativeTo === undefined ? target : target - (this.#origin + BigInt(start + relativeTo));
    const limit = 1n << BigInt(bytes * 8 - 1);
    const fits = relativeTo === undefined ? value < limit * 2n : value >= -limit && value < limit;
    if (!fits) throw new AssemblyError(`${expression.label ?? "the target"} is out of reach`);
    for (let index = 0; index < bytes; index++)
      this.#bytes[start + at + index] = Number((value >> BigInt(index * 8)) & 0xffn);
  }
}

/**
 * Assembles a program in the manual's notation, from the same encoding rows that the decoder reads. Directives: .bits 32|64
 * .equ NAME, VALUE  .align N  .zero N  .byte .word .long .quad  .ascii .asciz. `[rip + label]` and `[label]` address data.
 * @param origin The address of the first byte. @param constants Symbols that the source may use.
 * @throws AssemblyError with the line.
 */
export function assemble(
  map: OpcodeMap,
  source: string,
  origin: bigint,
  constants: Readonly<Record<string, number | bigint>> = {},
): Assembled {
  return new Assembly(map, origin, constants).run(source);
}
