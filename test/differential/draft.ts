/** A case in the making: an encoding row's form with every free choice drawn at random. */
import {
  bytesOf,
  defaultSelectors,
  operandOffset,
  randomFlags,
  randomMemory,
  randomRegisters,
  randomVectorState,
  randomX87State,
  type Lanes,
} from "./cases.ts";
import { chooseAddress } from "./addresses.ts";
import { encode, immediateBytes, operandBytes, regOperand, rmOperand, type Form, type Parts } from "./encode.ts";
import { integer, type Random } from "./values.ts";
import {
  Access,
  CODE_SIZE,
  USER_CODE_64,
  USER_DATA,
  STACK_HIGH,
  WINDOW_SIZE,
  ldtSelector,
  type Case,
  type Mode,
  type Patch,
  type Selectors,
} from "./wire.ts";

/** Where the memory operand lies, and what is in it. */
export interface MemoryOperand {
  /** From the start of the window; may reach past its end, into the guard page. */
  offset: number;
  size: number;
  content: Uint8Array;
}

/** What the adjustments of adjust.ts may change before the bytes are made. */
export interface Draft {
  readonly random: Random;
  readonly form: Form;
  readonly mnemonic: string;
  readonly gpr: BigUint64Array;
  rflags: number;
  fx: Uint8Array | undefined;
  readonly parts: Parts;
  memory: MemoryOperand | undefined;
  /** Registers that the address must not be made in, because the instruction uses them otherwise. */
  readonly keep: Set<number>;
  readonly patches: Patch[];
  selectors: Selectors | undefined;
  bases: readonly [bigint, bigint] | undefined;
  pages: readonly [Access, Access];
  codeOffset: number;
}

/** DS and ES with bases, which 64-bit mode ignores. */
const BASED_64: Selectors = { cs: USER_CODE_64, ss: USER_DATA, ds: ldtSelector(2), es: ldtSelector(3), fs: 0, gs: 0 };

/** Now and then a data segment that is limited, read-only, expand-down or absent, or a stack of the other size. */
function chooseSelectors(random: Random, mode: Mode): Selectors | undefined {
  const usual = defaultSelectors(mode);
  if (usual === undefined) return random.oneIn(16) ? BASED_64 : undefined;
  if (random.oneIn(12)) return { ...usual, ds: random.pick([3, 4, 5].map(ldtSelector)) };
  if (random.oneIn(12)) return { ...usual, ss: ldtSelector(mode === 32 ? 1 : 2) };
  return usual;
}

/** Bytes given to memory operands whose letter says no size: more than FXSAVE's. */
const UNSIZED = 64;

export function draftOf(random: Random, form: Form, mnemonic: string): Draft {
  const { encoding, mode, operandSize } = form;
  const registers = mode === 64 ? 16 : 8;
  const reg = regOperand(encoding);
  const parts: Parts = {
    reg:
      reg?.kind === "S"
        ? random.below(6)
        : reg?.kind === "P"
          ? random.below(8)
          : reg === undefined
            ? 0
            : random.below(registers),
    rm: encoding.operands.some(({ kind }) => kind === "N" || kind === "F" || kind === "Q")
      ? random.below(8)
      : random.below(registers),
    address: undefined,
    immediates: [],
    prefixes: [],
    vvvv: encoding.vex ? random.below(registers) : 0,
    forceRex: mode === 64 && random.oneIn(4),
    opcodeIndex: encoding.span === 16 ? random.below(16) : 0,
  };
  if (encoding.options.has("b0")) parts.rm &= 7;
  for (const operand of encoding.operands)
    if (immediateBytes(operand, form, mode) > 0) parts.immediates.push(integer(random));
  const inMemory = form.operand === "memory";
  const selectors = chooseSelectors(random, mode);
  const rm = rmOperand(encoding);
  const size = (rm === undefined ? undefined : operandBytes(rm, operandSize)) ?? UNSIZED;
  return {
    random, form, mnemonic, parts,
    gpr: registersFor(random, mode, selectors),
    rflags: randomFlags(random),
    fx: stateFor(random, form, mnemonic),
    memory: inMemory ? memoryOperand(random, form, mnemonic, size) : undefined,
    keep: new Set(),
    patches: [],
    selectors,
    bases: undefined,
    pages: [Access.write, Access.write],
    codeOffset: 0x100,
  }; // prettier-ignore
}

/** Random registers, with a stack pointer that suits SS. */
function registersFor(random: Random, mode: Mode, selectors: Selectors | undefined): BigUint64Array {
  const gpr = randomRegisters(random, mode);
  if (mode !== 64 && selectors?.ss !== defaultSelectors(mode)?.ss) gpr[4] = BigInt(0x1800 + 8 * random.below(0x200));
  return gpr;
}

function memoryOperand(random: Random, form: Form, mnemonic: string, size: number): MemoryOperand {
  const kind = isX87(form) ? "float" : usesVectors(form) ? "vector" : "integer";
  return { offset: operandOffset(random, size), size, content: randomMemory(random, size, kind, lanesOf(mnemonic)) };
}

function isX87({ encoding }: Form): boolean {
  return encoding.map === 0 && ((encoding.opcode >= 0xd8 && encoding.opcode <= 0xdf) || encoding.opcode === 0x9b);
}
function usesVectors({ encoding }: Form): boolean {
  return encoding.operands.some(({ kind, text }) => "VWUPQN".includes(kind) || text === "XMM0");
}
function usesMmx({ encoding }: Form): boolean {
  return encoding.operands.some(({ kind }) => "PQN".includes(kind));
}

/** What the lanes of a vector instruction hold, by the last letters of its name. */
export function lanesOf(mnemonic: string): Lanes {
  if (/^cvt(t?)(p[si]|ss|si)2/.test(mnemonic)) return /^cvtt?(ps|ss)/.test(mnemonic) ? "single" : "any";
  if (/(ps|ss)$/.test(mnemonic) || /^cvt.*ps2/.test(mnemonic)) return "single";
  if (/(pd|sd)$/.test(mnemonic) || /^cvt.*[ps]d2/.test(mnemonic)) return "double";
  return "any";
}

function stateFor(random: Random, form: Form, mnemonic: string): Uint8Array | undefined {
  if (isX87(form) || usesMmx(form) || mnemonic === "emms") return randomX87State(random, lanesOf(mnemonic));
  if (usesVectors(form) || /^(ld|st)mxcsr|^fx|^xsave|^xrstor/.test(mnemonic))
    return randomVectorState(random, lanesOf(mnemonic));
  return undefined;
}

/** Makes the case: places the memory operand, and encodes. */
export function finish(draft: Draft): Case {
  const { random, form, parts, memory, gpr } = draft;
  const { ss } = draft.selectors ?? {};
  if (ss === ldtSelector(1)) gpr[4] = BigInt((STACK_HIGH << 16) >>> 0) | BigInt.asUintN(16, gpr[4]!);
  const patches = [...draft.patches];
  if (memory !== undefined) {
    const first = Math.max(0, -memory.offset);
    const end = Math.min(memory.content.length, WINDOW_SIZE - memory.offset);
    for (let at = first; at < end; at += 128)
      patches.push({ offset: memory.offset + at, bytes: memory.content.subarray(at, Math.min(end, at + 128)) });
    chooseAddress(draft, memory);
  }
  let code = encode(form, parts);
  const { address } = parts;
  if (address?.ripRelative === true) {
    const next = BigInt(draft.codeOffset + code.length);
    parts.address = { ...address, displacement: address.displacement - next };
    code = encode(form, parts);
  }
  let codeOffset = draft.codeOffset;
  if (code.length > 1 && random.oneIn(64) && !/^ud[01]$/.test(draft.mnemonic)) {
    // The instruction goes on in the guard page. Whether UD0 and UD1 have a ModR/M byte is up to the implementation.
    code = code.subarray(0, 1 + random.below(code.length - 1));
    codeOffset = CODE_SIZE - code.length;
  }
  return {
    mode: form.mode,
    code,
    codeOffset,
    gpr: draft.gpr,
    rflags: draft.rflags,
    fx: draft.fx,
    selectors: draft.selectors,
    bases: draft.bases,
    pages: draft.pages,
    patches,
  };
}

export { bytesOf };
