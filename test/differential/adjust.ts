/**
 * What instructions want of their operands beyond random values: pointers that point into the window, divisors that
 * divide, selectors that exist. Without this most executions would end in the same fault.
 */
import { bytesOf, randomEnvironment, randomX87State, stackPointer, windowAddress } from "./cases.ts";
import type { Draft } from "./draft.ts";
import { adjustFarPointer, returnFrame, SELECTORS } from "./far.ts";
import { integer, mxcsr } from "./values.ts";
import { Access, CODE, CODE_SIZE, WINDOW, WINDOW_SIZE, ldtSelector } from "./wire.ts";

const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
/** Where the areas of FXSAVE and its like usually lie, for comparisons that must leave out parts of them. */
export const STATE_OFFSET = 0x200;

const TRAP_FLAG = 0x100;
const ALIGNMENT_CHECK = 0x40000;

/** Changes a draft in place. */
export function adjust(draft: Draft): void {
  const { random, form, parts, mnemonic } = draft;
  const { options } = form.encoding;
  if (options.has("lock") && draft.memory !== undefined && random.oneIn(4)) parts.prefixes.push(0xf0);
  if (options.has("rep") && random.oneIn(2)) parts.prefixes.push(random.pick([0xf2, 0xf3]));
  if (draft.memory !== undefined && random.oneIn(40)) draft.rflags |= ALIGNMENT_CHECK;
  adjustLimit(draft);
  if (usesMemory(draft) && random.oneIn(40)) draft.pages = random.pick(PROTECTED);
  for (const [names, change] of ADJUSTMENTS) if (names.test(mnemonic)) change(draft);
  if (isString(draft)) adjustString(draft);
  adjustBranch(draft);
  adjustSelectors(draft);
  if (draft.memory !== undefined && !/^(fx|x[sr])/.test(mnemonic) && random.oneIn(40))
    draft.memory.offset = random.oneIn(2) ? WINDOW_SIZE - 1 : -1;
}

function usesMemory(draft: Draft): boolean {
  return (
    draft.memory !== undefined ||
    isString(draft) ||
    /^(push|pop|call$|ret$|enter|leave|xlat|maskmov)/.test(draft.mnemonic)
  );
}

const PROTECTED: readonly (readonly [Access, Access])[] = [
  [Access.none, Access.write],
  [Access.read, Access.write],
  [Access.write, Access.none],
  [Access.write, Access.read],
];

function setLow(draft: Draft, register: number, value: bigint, bits: number): void {
  const above = (draft.gpr[register]! >> BigInt(bits)) << BigInt(bits);
  draft.gpr[register] = above | BigInt.asUintN(bits, value);
}

function setContent(draft: Draft, bytes: Uint8Array): void {
  if (draft.memory === undefined) return;
  const content = new Uint8Array(Math.max(draft.memory.content.length, bytes.length));
  content.set(draft.memory.content);
  content.set(bytes);
  draft.memory.content = content;
}

/** Puts a value into the r/m operand, wherever it is. */
function setRm(draft: Draft, value: bigint, bits: number): void {
  if (draft.memory !== undefined) setContent(draft, bytesOf(value, bits / 8));
  else setLow(draft, draft.parts.rm, value, bits);
}

/** What lies on the stack's top. */
function setStack(draft: Draft, bytes: Uint8Array): void {
  const { gpr, form, selectors } = draft;
  const based = form.mode === 16 || selectors?.ss === ldtSelector(1);
  const offset = Number(based ? (gpr[RSP]! & 0xffffn) - 0x1000n : BigInt.asUintN(32, gpr[RSP]!) - BigInt(WINDOW));
  draft.patches.push({ offset, bytes });
}

const ADJUSTMENTS: readonly (readonly [RegExp, (draft: Draft) => void])[] = [
  [/^i?div$/, adjustDivision],
  [/^bt[src]?$/, adjustBitOffset],
  [/^cmpxchg$/, (draft) => {
    draft.keep.add(RAX);
    const size = Math.max(8, draft.form.operandSize);
    if (draft.random.oneIn(2)) setRm(draft, BigInt.asUintN(size, draft.gpr[RAX]!), size);
  }],
  [/^cmpxchg(8|16)b$/, (draft) => {
    const bits = draft.mnemonic === "cmpxchg8b" ? 32 : 64;
    const [low, high] = [RAX, RDX].map((register) => BigInt.asUintN(bits, draft.gpr[register]!)) as [bigint, bigint];
    for (const register of [RAX, RCX, RDX, RBX]) draft.keep.add(register);
    if (draft.random.oneIn(2)) setContent(draft, bytesOf(low | (high << BigInt(bits)), bits / 4));
  }],
  [/^xlatb?$/, (draft) => {
    const { random, gpr, form } = draft;
    gpr[RBX] = windowAddress(form.mode, random.below(WINDOW_SIZE - 0x80));
  }],
  [/^(leave|enter)$/, (draft) => {
    const { random, gpr, parts } = draft;
    gpr[RBP] = gpr[RSP]! + BigInt(8 * random.below(0x180)) - 0x400n;
    parts.immediates = [BigInt(random.oneIn(8) ? 0x4000 : random.below(0x400)), BigInt(random.oneIn(4) ? random.below(256) : random.below(4))];
  }],
  [/^popf/, (draft) => setStack(draft, bytesOf(integer(draft.random) & ~BigInt(TRAP_FLAG), 8))],
  [/^(jmpf|callf)$/, adjustFarPointer],
  [/^(retf|iret)$/, (draft) => {
    setStack(draft, returnFrame(draft));
    draft.parts.immediates = [BigInt(draft.random.below(0x40))];
  }],
  [/^(rd|wr)[fg]sbase$/, (draft) => {
    const base = (): bigint => BigInt.asUintN(64, BigInt.asIntN(47, draft.random.u64()));
    draft.bases = [base(), base()];
  }],
  [/^(fxsave|fxrstor)$/, (draft) => {
    if (draft.memory === undefined) return;
    draft.memory.offset = STATE_OFFSET + (draft.random.oneIn(8) ? draft.random.below(16) : 0);
    const image = new Uint8Array(512);
    image.set(randomX87State(draft.random, "any"));
    if (draft.random.oneIn(8)) image[26] = 1; // a reserved bit of MXCSR
    draft.memory.content = image;
  }],
  [/^x(save|rstor)/, (draft) => {
    if (draft.memory === undefined) return;
    const { random, gpr, memory } = draft;
    memory.offset = STATE_OFFSET + (random.oneIn(8) ? random.below(64) : 0);
    // x87 and SSE, the components that every processor has.
    gpr[RAX] = BigInt(random.below(4));
    gpr[RDX] = 0n;
    draft.keep.add(RAX).add(RDX);
    const area = new Uint8Array(576);
    area.set(randomX87State(random, "any"));
    area[512] = random.below(4);
    if (random.oneIn(8)) area[520 + random.below(16)] = 1; // what must be 0 in the standard form
    if (random.oneIn(8)) area[26] = 1;
    memory.content = area;
  }],
  [/^f(n?stenv|n?save|ldenv|rstor)$/, ({ random, memory, form, mnemonic }) => {
    if (memory === undefined) return;
    memory.offset = STATE_OFFSET;
    const size = (form.operandSize === 0 ? form.mode : form.operandSize) === 16 ? 16 : 32;
    memory.content = randomEnvironment(random, size, mnemonic.endsWith("env") ? "none" : "all");
  }],
  [/^f2xm1$/, (draft) => limitExponent(draft, 0x3ffe)],
  [/^fyl2xp1$/, (draft) => limitExponent(draft, 0x3ffc)],
  [/^maskmov/, (draft) => {
    draft.gpr[RDI] = windowAddress(draft.form.mode, 0x100 + draft.random.below(0x1e00));
  }],
  [/^int$/, ({ parts }) => {
    if ((parts.immediates[0]! & 0xffn) === 0x80n) parts.immediates[0] = 0x81n;
  }],
  [/^ldmxcsr$/, (draft) => {
    const reserved = draft.random.oneIn(8) ? 0x10000 << (2 * draft.random.below(8)) : 0;
    setContent(draft, bytesOf(BigInt((mxcsr(draft.random) | reserved) >>> 0), 4));
  }],
  [/^fldcw$/, (draft) => setContent(draft, bytesOf(integer(draft.random) | (draft.random.oneIn(4) ? 0n : 0x3fn), 2))],
  [/^pcmp[ei]str[im]$/, adjustStringCompare],
  [/^wr[fg]sbase$/, (draft) => {
    const { random, parts } = draft;
    if (!random.oneIn(4)) setLow(draft, parts.rm, BigInt.asUintN(64, BigInt.asIntN(47, random.u64())), 64);
  }],
  [/^bound$/, (draft) => {
    const bits = draft.form.operandSize;
    const value = BigInt.asIntN(bits, draft.gpr[draft.parts.reg]!);
    draft.keep.add(draft.parts.reg);
    const near = (): bigint => BigInt.asUintN(bits, value + BigInt(draft.random.below(5) - 2));
    setContent(draft, Uint8Array.from([...bytesOf(near(), bits / 8), ...bytesOf(near(), bits / 8)]));
  }],
  [/^(loop|j[re]?cxz)/, (draft) => setLow(draft, RCX, draft.random.pick([0n, 1n, 2n, integer(draft.random)]), draft.form.mode)],
  [/^mov$/, (draft) => {
    if (draft.form.encoding.operands.some(({ kind }) => kind === "O"))
      draft.parts.immediates = [windowAddress(draft.form.mode, 8 * draft.random.below(0x3ff))];
  }],
]; // prettier-ignore

/** Half of the accesses through a limited or expand-down segment are right at its limit, 0x17ff in both. */
function adjustLimit({ random, memory, selectors }: Draft): void {
  if (memory === undefined || random.oneIn(2)) return;
  const near = random.below(5) - 2;
  if (selectors?.ds === ldtSelector(3)) memory.offset = 0x1800 - memory.size + near;
  if (selectors?.ds === ldtSelector(5)) memory.offset = 0x800 + near;
}

/** Keeps ST0 inside the domain of an approximation; zeros, infinities and NaNs stay. */
function limitExponent({ fx, random }: Draft, limit: number): void {
  if (fx === undefined) return;
  const view = new DataView(fx.buffer);
  const head = view.getUint16(40, true);
  const exponent = head & 0x7fff;
  if (exponent > limit && exponent < 0x7fff) view.setUint16(40, (head & 0x8000) | (limit - random.below(70)), true);
}

/** Half of the quotients fit: the high half of the dividend is small, or the low one's sign. */
function adjustDivision(draft: Draft): void {
  const { random, gpr, mnemonic, form } = draft;
  const byte = form.encoding.operands[0]?.size === "b";
  const bits = byte ? 8 : form.operandSize;
  draft.keep.add(RAX).add(RDX);
  if (random.oneIn(2)) return;
  const negative = mnemonic === "idiv" && ((gpr[RAX]! >> BigInt(bits - 1)) & 1n) !== 0n;
  const high = random.oneIn(4) ? BigInt(random.below(8)) : negative ? -1n : 0n;
  if (byte) gpr[RAX] = (gpr[RAX]! & ~0xff00n) | (BigInt.asUintN(8, high) << 8n);
  else setLow(draft, RDX, high, bits);
}

/** A bit offset in a register reaches far from the operand's address; keep it inside the window. */
function adjustBitOffset(draft: Draft): void {
  const { random, memory, parts, form } = draft;
  if (memory === undefined || form.encoding.digit !== undefined) return;
  memory.offset = 0x1000 + 8 * random.below(0x100);
  draft.keep.add(parts.reg);
  setLow(draft, parts.reg, BigInt(random.below(0x7000) - 0x4000), form.operandSize);
}

/** Short alphabets, so that substrings and ranges match; lengths around 16 and negative. */
function adjustStringCompare(draft: Draft): void {
  const { random, gpr, fx } = draft;
  for (const register of [RAX, RDX])
    gpr[register] = BigInt.asUintN(draft.form.mode === 64 ? 64 : 32, BigInt(random.below(44) - 22));
  draft.keep.add(RAX).add(RDX);
  if (random.oneIn(4)) return;
  const letter = (): number => random.pick([0, 1, 2, 3, 0x61, 0x62, 0x7f, 0x80, 0xff]);
  if (fx !== undefined) for (let i = 160; i < 416; i++) fx[i] = letter();
  if (draft.memory !== undefined) setContent(draft, Uint8Array.from({ length: 16 }, letter));
}

/** String instructions have no ModR/M, which tells them from MOVSD and CMPSD of SSE2. */
function isString({ mnemonic, form }: Draft): boolean {
  return form.encoding.map === 0 && /^(movs|stos|lods|scas|cmps|ins|outs)[bwdq]?$/.test(mnemonic);
}

function adjustString(draft: Draft): void {
  const { random, gpr, form, parts, mnemonic } = draft;
  const { mode } = form;
  const pointer = (): bigint =>
    windowAddress(mode, random.oneIn(12) ? random.below(WINDOW_SIZE) : 0x400 + random.below(0x1800));
  gpr[RSI] = pointer();
  gpr[RDI] = random.oneIn(3) ? gpr[RSI] + BigInt(random.below(33) - 16) : pointer();
  setLow(draft, RCX, BigInt(random.below(24)), mode);
  if (random.oneIn(8) && mode !== 32) parts.prefixes.push(0x67);
  if (mode === 64 && parts.prefixes.includes(0x67))
    for (const register of [RSI, RDI, RCX])
      gpr[register] = gpr[register]! | ((random.u64() << 32n) & 0xffff_ffff_0000_0000n);
  if (!/^(scas|cmps)/.test(mnemonic) || random.oneIn(4)) return;
  const repeated = new Uint8Array(128).fill(random.pick([0, 0x41, 0xff]));
  repeated[random.below(128)] = 0x42;
  const start = stackPointer(mode, 0) & 0xffffn;
  for (const register of [RSI, RDI]) {
    const offset = Math.min(WINDOW_SIZE - 128, Math.max(0, Number((gpr[register]! & 0xffffn) - start) - 64));
    draft.patches.push({ offset, bytes: repeated });
  }
  gpr[RAX] = 0x0101_0101n * BigInt(repeated[0]!) * (mode === 64 ? 0x1_0000_0001n : 1n);
}

/** Near branches go to where they can be seen arriving; half of them are single-stepped instead. */
function adjustBranch(draft: Draft): void {
  const { random, form, parts, mnemonic, codeOffset } = draft;
  const { operands } = form.encoding;
  const jumps = operands.findIndex(({ kind }) => kind === "J");
  const indirect = /^(jmp|call)$/.test(mnemonic) && operands[0]?.kind === "E";
  const returns = /^ret$/.test(mnemonic);
  if (jumps < 0 && !indirect && !returns) return;
  if (indirect && parts.rm === RSP) parts.rm = RBX; // a bad target and a bad stack at once: which counts is not defined
  // A bad target and a bad stack at once: which counts is up to the implementation.
  const wild = draft.pages.every((access) => access === Access.write) && random.oneIn(4);
  const stepped = random.oneIn(2);
  if (stepped) draft.rflags |= TRAP_FLAG;
  if (jumps >= 0) {
    if (operands[jumps]!.size === "b")
      parts.immediates[jumps] = BigInt(stepped ? random.below(256) : 0x20 + random.below(0xc0));
    else parts.immediates[jumps] = stepped && wild ? farAway(draft) : BigInt(0x200 + random.below(0x800));
    return;
  }
  const inPage = random.oneIn(2) ? codeOffset + 0x40 + random.below(0x400) : random.below(CODE_SIZE);
  const inside =
    BigInt(stepped ? inPage : codeOffset + 0x40 + random.below(0x400)) + (form.mode === 16 ? 0n : BigInt(CODE));
  const goal = stepped && wild ? integer(random) : inside;
  const bits = form.operandSize === 0 ? form.mode : form.operandSize;
  if (returns) setStack(draft, bytesOf(goal, bits / 8));
  else setRm(draft, BigInt.asUintN(bits, goal), bits);
}

/** Anywhere but where native.c itself lies. */
function farAway({ random }: Draft): bigint {
  return BigInt(random.oneIn(2) ? -random.below(0x2000_0000) : random.below(0x3000_0000));
}

const LOADS_SELECTOR = /^(mov|pop|lar|lsl|verr|verw|arpl)$/;
const LOADS_POINTER = /^l[degfs]s$|^lss$/;

function adjustSelectors(draft: Draft): void {
  const { random, form, mnemonic } = draft;
  const { operands } = form.encoding;
  const selector = BigInt(random.pick(SELECTORS));
  if (LOADS_POINTER.test(mnemonic)) {
    const size = form.operandSize / 8;
    setContent(draft, Uint8Array.from([...bytesOf(integer(random), size), ...bytesOf(selector, 2)]));
  }
  if (!LOADS_SELECTOR.test(mnemonic)) return;
  if (mnemonic === "pop") {
    if (/^[A-Z]S$/.test(operands[0]?.text ?? "")) setStack(draft, bytesOf(selector | (integer(random) << 16n), 8));
  } else if (mnemonic !== "mov" || operands[0]?.kind === "S") setRm(draft, selector, 16);
}
