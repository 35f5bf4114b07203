/** Builds cases: one by hand for tests that know the answer, and random machine states around an instruction. */
import { controlWord, float, flags, integer, mxcsr, vector, type Random } from "./values.ts";
import {
  Access,
  INITIAL_FX,
  STACK_HIGH,
  unsetRegister,
  USER_CODE_32,
  USER_DATA,
  WINDOW,
  WINDOW_SIZE,
  ldtSelector,
  type Case,
  type Mode,
  type Selectors,
} from "./wire.ts";

export const REGISTERS = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split(" ");

/** Segments as 32-bit programs have them: flat. */
export const FLAT_32: Selectors = {
  cs: USER_CODE_32,
  ss: USER_DATA,
  ds: USER_DATA,
  es: USER_DATA,
  fs: ldtSelector(2),
  gs: ldtSelector(3),
};

/** 16-bit segments: offset 0x1000 is the window's first byte. */
export const SEGMENTS_16: Selectors = {
  cs: ldtSelector(0),
  ss: ldtSelector(1),
  ds: ldtSelector(1),
  es: ldtSelector(1),
  fs: ldtSelector(2),
  gs: ldtSelector(3),
};

/** A case of which only what matters is said; the stack pointer is in the window's middle. */
export function caseOf(
  code: readonly number[] | Uint8Array,
  registers: Readonly<Record<string, bigint>> = {},
  rest: Partial<Case> = {},
): Case {
  const mode = rest.mode ?? 64;
  const gpr = BigUint64Array.from({ length: 16 }, (_, index) =>
    mode === 64 ? unsetRegister(index) : BigInt.asUintN(32, unsetRegister(index)),
  );
  gpr[4] = stackPointer(mode, 0x1800);
  for (const [name, value] of Object.entries(registers)) gpr[REGISTERS.indexOf(name)] = value;
  return {
    mode,
    code: Uint8Array.from(code),
    codeOffset: 0x100,
    gpr,
    rflags: 0x202,
    fx: undefined,
    selectors: defaultSelectors(mode),
    bases: undefined,
    pages: [Access.write, Access.write],
    patches: [],
    ...rest,
  };
}

/** The segments that a mode is tested with unless an instruction's own operands are segments. */
export function defaultSelectors(mode: Mode): Selectors | undefined {
  return mode === 64 ? undefined : mode === 32 ? FLAT_32 : SEGMENTS_16;
}

/** A stack pointer at `offset` into the window. */
export function stackPointer(mode: Mode, offset: number): bigint {
  return BigInt(mode === 16 ? ((STACK_HIGH << 16) >>> 0) + 0x1000 + offset : WINDOW + offset);
}

/** The offset that addresses byte `offset` of the window through DS, ES or SS. */
export function windowAddress(mode: Mode, offset: number): bigint {
  return BigInt(mode === 16 ? 0x1000 + offset : WINDOW + offset);
}

/** Random registers; RSP points into the window. */
export function randomRegisters(random: Random, mode: Mode): BigUint64Array {
  const gpr = new BigUint64Array(16);
  for (let i = 0; i < 16; i++) gpr[i] = mode === 64 ? integer(random) : BigInt.asUintN(32, integer(random));
  gpr[4] = stackPointer(mode, 0x800 + 8 * random.below(0x200));
  return gpr;
}

export { flags as randomFlags };

/** What the lanes of vector operands are filled with. */
export type Lanes = "single" | "double" | "any";

function vectorOf(random: Random, lanes: Lanes): bigint {
  if (lanes === "any" || random.oneIn(8)) return vector(random);
  if (lanes === "double") return (float(random, "double") << 64n) | float(random, "double");
  let value = 0n;
  for (let i = 0; i < 4; i++) value = (value << 32n) | float(random, "single");
  return value;
}

/** A random FXSAVE image for vector instructions: XMM registers and MXCSR, an idle x87. */
export function randomVectorState(random: Random, lanes: Lanes): Uint8Array {
  const fx = INITIAL_FX.slice();
  const view = new DataView(fx.buffer);
  view.setUint32(24, mxcsr(random), true);
  for (let i = 0; i < 16; i++) setWide(view, 160 + 16 * i, vectorOf(random, lanes), 128);
  return fx;
}

/** A random FXSAVE image for x87 and MMX: any stack top, mostly full tags, any control word, sticky flags. */
export function randomX87State(random: Random, lanes: Lanes): Uint8Array {
  const fx = randomVectorState(random, lanes);
  const view = new DataView(fx.buffer);
  const control = controlWord(random);
  const top = random.below(8);
  const sticky = random.oneIn(3) ? random.below(128) : 0;
  const conditions = random.oneIn(2) ? random.u32() & 0x4700 : 0;
  // A flag that is set and unmasked is a pending exception; keep those rare, every waiting instruction reports them.
  const flagsSet = random.oneIn(8) ? sticky : sticky & (control | 0x40);
  const summary = (flagsSet & ~control & 0x3f) !== 0 ? 0x8080 : 0;
  view.setUint16(0, control, true);
  view.setUint16(2, flagsSet | conditions | (top << 11) | summary, true);
  view.setUint8(4, random.oneIn(3) ? random.below(256) : 0xff);
  for (let i = 0; i < 8; i++) setWide(view, 32 + 16 * i, x87Register(random), 80);
  return fx;
}

/** What FLDENV or FRSTOR loads. Intel SDM Vol. 1, "Saving the x87 FPU's State with FSTENV/FNSTENV and FSAVE/FNSAVE". */
export function randomEnvironment(random: Random, operandSize: 16 | 32, registers: "none" | "all"): Uint8Array {
  const step = operandSize / 8;
  const head = 7 * step;
  const image = new Uint8Array(head + (registers === "all" ? 80 : 0));
  const view = new DataView(image.buffer);
  view.setUint16(0, controlWord(random), true);
  view.setUint16(step, random.oneIn(2) ? random.u32() & 0x7f00 : random.u32() & 0xffff, true);
  view.setUint16(2 * step, random.oneIn(2) ? 0 : random.u32() & 0xffff, true);
  for (let at = head; at < image.length; at += 10) image.set(bytesOf(x87Register(random), 10), at);
  return image;
}

/** Mostly numbers; sometimes what an MMX instruction leaves: ones in sign and exponent. */
function x87Register(random: Random): bigint {
  return random.oneIn(6) ? (0xffffn << 64n) | integer(random) : float(random, "extended");
}

function setWide(view: DataView, at: number, value: bigint, bits: 80 | 128): void {
  view.setBigUint64(at, BigInt.asUintN(64, value), true);
  if (bits === 80) view.setUint16(at + 8, Number(value >> 64n), true);
  else view.setBigUint64(at + 8, value >> 64n, true);
}

/** Little-endian bytes of `value`. */
export function bytesOf(value: bigint, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

/** Content for a memory operand of `size` bytes. */
export function randomMemory(
  random: Random,
  size: number,
  kind: "integer" | "float" | "vector",
  lanes: Lanes,
): Uint8Array {
  const integers = kind === "integer" || random.oneIn(4);
  if (size === 16 && kind === "vector") return bytesOf(vectorOf(random, lanes), 16);
  if (!integers && size === 4) return bytesOf(float(random, "single"), 4);
  if (!integers && size === 8)
    return bytesOf(lanes === "single" ? BigInt.asUintN(64, vectorOf(random, lanes)) : float(random, "double"), 8);
  if (!integers && size === 10) return bytesOf(float(random, "extended"), 10);
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 8) bytes.set(bytesOf(integer(random), Math.min(8, size - at)), at);
  return bytes;
}

/** Offsets of the window at which an access of `size` bytes is aligned, misaligned, across the pages, or partly outside. */
export function operandOffset(random: Random, size: number): number {
  switch (random.below(16)) {
    case 0:
      return 0x1000 - Math.max(1, random.below(size)); // across the two pages
    case 1:
      return WINDOW_SIZE - size; // the last that fits
    case 2:
      return random.below(0x400);
    default:
      return 0x100 + 16 * random.below(0x40);
  }
}
