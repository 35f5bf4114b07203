/** Random single instructions for the programs: any row of the tables that does not leave the program. */

import type { Instruction } from "../../src/x86/instruction.ts";
import { instructions } from "../../src/x86/instructions/index.ts";
import { encode, formsOf, immediateBytes, operandBytes, regOperand, rmOperand } from "../differential/encode.ts";
import type { Address, Form, Parts } from "../differential/encode.ts";
import { whyExcluded } from "../differential/excluded.ts";
import { integer } from "../differential/values.ts";
import type { Random } from "../differential/values.ts";
import { Data } from "./layout.ts";
import type { Item } from "./program.ts";

interface Subject {
  readonly instruction: Instruction;
  readonly form: Form;
}

/** What loads segments, leaves the program for good, or asks the machine. */
const left =
  /^(l[defgs]s|lss|enter|leave|popf|popa|pusha|pushf|push|pop|xsave|xrstor|fxrstor|callf|retf|jmpf|bound|stac|clac|jrcxz|loop.*|ud[012]|int[13]?|into)$/;

function isUsual({ mnemonic, flow }: Instruction): boolean {
  return flow === "on" && whyExcluded(mnemonic) === undefined && !left.test(mnemonic);
}

const subjects: readonly Subject[] = instructions.filter(isUsual).flatMap((instruction) =>
  instruction.encodings
    .filter(
      ({ options, operands, vex }) =>
        !vex &&
        !options.has("system") &&
        !options.has("cpl0") &&
        !operands.some(({ kind }) => kind === "J" || kind === "O" || kind === "A" || kind === "S"),
    )
    .flatMap((encoding) => formsOf(encoding))
    .filter(({ mode }) => mode === 64)
    .map((form) => ({ instruction, form })),
);

const named = (pattern: RegExp) => subjects.filter(({ instruction: { mnemonic } }) => pattern.test(mnemonic));

/** Groups of instructions, each drawn as often as the others of its list. */
export const groups = {
  /** Set flags in all the ways there are. */
  flags: named(/^(add|sub|adc|sbb|cmp|inc|dec|neg|and|or|xor|test)$/),
  shifts: named(/^(shl|shr|sar|rol|ror|rcl|rcr|shld|shrd)$/),
  bits: named(/^(bt|bts|btr|btc|bsf|bsr|popcnt|lzcnt|tzcnt|adcx|adox|lahf|sahf|clc|stc|cmc)$/),
  consumers: named(/^(setcc|cmovcc|adc|sbb|rcl|rcr|salc|lahf)$/),
  moves: named(/^(mov|movzx|movsx|movsxd|lea|xchg|bswap|movbe|cbw|cwd|not|nop|xlat)$/),
  products: named(/^(mul|imul|div|idiv|crc32)$/),
  locked: named(/^(xchg|xadd|cmpxchg|cmpxchg8b|cmpxchg16b|add|sub|and|or|xor|inc|dec|neg|not|bts|btr|btc|adc|sbb)$/).filter(
    ({ form }) => form.operand === "memory",
  ),
  vectors: named(/^(mov([ahlu]|dq|ss|sd|d$|q$|mskp|n|sh|sl|dd)|p|add[ps]|sub[ps]|mul[ps]|div[ps]|min|max|sqrt|cvt|u?comis|and|or|xor|shufp|unpck|blend|round|cmp[ps]|haddp|hsubp)/),
  any: subjects,
} as const; // prettier-ignore
export type Group = keyof typeof groups;

const RSP = 4;

/** A register that an instruction may change: not the stack's, not the data's. */
function anyRegister(random: Random): number {
  for (;;) {
    const register = random.oneIn(2) ? random.below(4) : random.below(16);
    if (register !== RSP && register !== Data.anchorRegister) return register;
  }
}

/** An address in the data, or now and then wherever a register points. */
function anyAddress(random: Random, bytes: number): Address {
  const plain = { size: 64, index: undefined, scale: 1, ripRelative: false, segment: undefined } as const;
  if (random.oneIn(40)) return { ...plain, base: anyRegister(random), displacement: 0n, displacementSize: 4 };
  const aligned = random.oneIn(2);
  const align = (offset: number) => (aligned ? Math.floor(offset / 16) * 16 : offset);
  const segment = random.oneIn(20) ? random.pick([0x64, 0x65, 0x2e, 0x36]) : undefined;
  if (random.oneIn(6)) {
    const index = random.oneIn(2) ? anyRegister(random) : undefined;
    const scale = random.pick([1, 2, 4, 8] as const);
    const [base, displacement] = [Data.anchorRegister, BigInt(align(random.below(256) - 128))];
    return { ...plain, base, index, scale, displacement, displacementSize: 4, segment };
  }
  const pages = random.oneIn(6) ? Data.pages : 3;
  // Near the end of a page one in eight times.
  const offset = random.oneIn(8)
    ? 4096 * random.below(pages) + 4096 - random.below(bytes + 1)
    : 4096 * random.below(pages) + align(random.below(200));
  const displacement = BigInt(offset - (pages > 3 ? 4096 * 4 : 4096));
  if (random.oneIn(8)) {
    const target = BigInt(Data.anchor) + displacement;
    return { ...plain, base: undefined, displacement: target, displacementSize: 4, ripRelative: true, segment };
  }
  return {
    ...plain,
    size: random.oneIn(16) ? 32 : 64,
    base: Data.anchorRegister,
    displacement,
    displacementSize: 4,
    segment,
  };
}

/** One instruction of a group. */
export function randomInstruction(random: Random, group: Group): Item {
  const { instruction, form } = random.pick(groups[group]);
  const { encoding } = form;
  const { mnemonic } = instruction;
  const wide = (kinds: string) => encoding.operands.some(({ kind }) => kinds.includes(kind));
  const parts: Parts = {
    reg:
      wide("P") && !wide("GV") ? random.below(8) : random.oneIn(3) || wide("V") ? random.below(6) : anyRegister(random),
    rm: wide("NFQ") ? random.below(8) : wide("WU") ? random.below(6) : anyRegister(random),
    address: undefined,
    immediates: [],
    prefixes: [],
    vvvv: 0,
    forceRex: random.oneIn(4),
    opcodeIndex: encoding.span === 16 ? random.below(16) : 0,
  };
  if (parts.reg === RSP && regOperand(encoding)?.kind === "G") parts.reg = 0;
  if (encoding.options.has("b0")) parts.rm &= 7;
  // An 8-bit register 4 to 7 without REX is AH to BH.
  for (const operand of encoding.operands)
    if (immediateBytes(operand, form, 64) > 0) parts.immediates.push(integer(random));
  const rm = rmOperand(encoding);
  if (form.operand === "memory") {
    parts.address = anyAddress(random, (rm === undefined ? undefined : operandBytes(rm, form.operandSize)) ?? 16);
    if (encoding.options.has("lock") && (group === "locked" || random.oneIn(8))) parts.prefixes.push(0xf0);
  }
  if (encoding.options.has("rep") && random.oneIn(2)) parts.prefixes.push(random.pick([0xf2, 0xf3]));
  const { address } = parts;
  const length = encode(form, parts).length;
  return {
    text: `${mnemonic}  ${encoding.row.replaceAll(/ +/g, " ")}, size ${form.operandSize}`,
    bytes(at) {
      if (address?.ripRelative === true)
        parts.address = { ...address, displacement: address.displacement - BigInt(at + length) };
      return encode(form, parts);
    },
  };
}
