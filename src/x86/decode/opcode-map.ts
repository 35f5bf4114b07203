import type { Encoding, OperandKind, OperandSpec } from "../encoding.ts";
import type { Instruction } from "../instruction.ts";

/** One encoding of one instruction, with a number for the whole instruction set. */
export interface Row {
  readonly number: number;
  readonly instruction: Instruction;
  readonly encoding: Encoding;
  /** The operands that the reg and r/m numbers of the encoding stand for. */
  readonly inReg: OperandSpec | undefined;
  readonly inRm: OperandSpec | undefined;
  /** The immediate is a branch's displacement. */
  readonly branch: boolean;
  /** Operand size is part of what the row does. */
  readonly sized: boolean;
}

const regKinds: ReadonlySet<OperandKind> = new Set(["G", "V", "P", "S", "C", "D", "Z"]);
const rmKinds: ReadonlySet<OperandKind> = new Set(["E", "R", "W", "U", "Q", "N", "F"]);
const sizedLetters = new Set(["v", "z", "y", "bs", "ds", "p", "rAX", "eAX"]);
const sizingOptions = ["osz", "d64", "f64", "o16", "o32", "o64"] as const;

function makeRow(number: number, instruction: Instruction, encoding: Encoding): Row {
  const { operands, options } = encoding;
  return {
    number,
    instruction,
    encoding,
    inReg: operands.find(({ kind }) => regKinds.has(kind)),
    inRm: operands.find(({ kind }) => rmKinds.has(kind)),
    branch: operands.some(({ kind }) => kind === "J"),
    sized:
      sizingOptions.some((option) => options.has(option)) ||
      operands.some(({ kind, size }) => kind === "J" || kind === "A" || sizedLetters.has(size)),
  };
}

/** Rows by opcode map and opcode; where several share an opcode, the most particular comes first. */
export interface OpcodeMap {
  readonly rows: readonly Row[];
  /** Indexed by map × 256 + opcode; maps of VEX prefixes count from {@link vexMaps}. */
  readonly byOpcode: readonly (readonly Row[] | undefined)[];
}

/** Where the opcodes behind VEX prefixes begin. */
export const vexMaps = 4 * 256;

function particularity({ encoding }: Row): number {
  return (
    (encoding.modrm === undefined ? 0 : 4) +
    (encoding.prefix === undefined ? 0 : 2) +
    (encoding.digit === undefined ? 0 : 1)
  );
}

/** Whether some instruction would match both rows and neither is the more particular: an error in the descriptions. */
function conflict(a: Row, b: Row): boolean {
  const [x, y] = [a.encoding, b.encoding];
  if (particularity(a) !== particularity(b)) return false;
  if (x.prefix !== y.prefix || x.digit !== y.digit || x.modrm !== y.modrm) return false;
  if (x.form !== y.form && x.form !== "any" && y.form !== "any") return false;
  const apart = [["i64", "x64"], ["w0", "w1"], ["o16", "o32"], ["o16", "o64"], ["o32", "o64"]] as const; // prettier-ignore
  return !apart.some(([p, q]) => (x.options.has(p) && y.options.has(q)) || (x.options.has(q) && y.options.has(p)));
}

/** Builds the map. Throws where two rows claim the same bytes. */
export function buildOpcodeMap(instructions: readonly Instruction[]): OpcodeMap {
  const rows: Row[] = [];
  const byOpcode: Row[][] = [];
  for (const instruction of instructions) {
    for (const encoding of instruction.encodings) {
      const row = makeRow(rows.length, instruction, encoding);
      rows.push(row);
      for (let low = 0; low < encoding.span; low++)
        (byOpcode[(encoding.vex ? vexMaps : 0) + encoding.map * 256 + encoding.opcode + low] ??= []).push(row);
    }
  }
  for (const candidates of byOpcode) {
    if (candidates === undefined) continue;
    candidates.sort((a, b) => particularity(b) - particularity(a));
    candidates.forEach((a, index) => {
      for (const b of candidates.slice(index + 1)) {
        if (conflict(a, b))
          throw new Error(
            `"${a.encoding.row}" (${a.instruction.mnemonic}) and "${b.encoding.row}" (${b.instruction.mnemonic}) claim the same bytes`,
          );
      }
    });
  }
  return { rows, byOpcode };
}
