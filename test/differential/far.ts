/** What instructions that leave their code segment want: far pointers, return frames. */
import { bytesOf, stackPointer } from "./cases.ts";
import type { Draft } from "./draft.ts";
import type { Form } from "./encode.ts";
import { flags, integer, type Random } from "./values.ts";
import { CODE, USER_CODE_32, USER_CODE_64, USER_DATA, ldtSelector, type Selectors } from "./wire.ts";

/** Selectors of every kind: null, flat, of the LDT, of the kernel, beyond the table. */
export const SELECTORS: readonly number[] = [
  0, 1, 3, USER_CODE_32, USER_DATA, USER_CODE_64, 0x28, 0x10, 0x18, ...[0, 1, 2, 3, 4, 5, 6, 7, 9].map(ldtSelector), 0xfffc,
]; // prettier-ignore

const CODE_SELECTORS = [USER_CODE_32, USER_CODE_64, ldtSelector(0), ldtSelector(7)];
const STACK_SELECTORS = [USER_DATA, USER_DATA, USER_DATA, ldtSelector(2), 0, 3, USER_CODE_32, ldtSelector(4)];

/**
 * Mostly a place in the code page, through a code segment. Behind it INT3s wait. From a 16-bit stack there is no way to
 * 64-bit mode: whether SP or RSP counts in between is up to the implementation.
 */
function farTarget(random: Random, form: Form, selectors: Selectors | undefined): { selector: number; offset: bigint } {
  let selector = random.oneIn(4) ? random.pick(SELECTORS) : random.pick(CODE_SELECTORS);
  const flatStack = selectors === undefined || (selectors.ss & 4) === 0;
  if (form.mode !== 64 && selector === USER_CODE_64 && !flatStack) selector = USER_CODE_32;
  const inPage = BigInt(0x200 + random.below(0xc00));
  const offset = (selector & 4) === 0 ? BigInt(CODE) + inPage : inPage;
  const wild = integer(random);
  const itself = (wild & 0xffffn) >= 0xf0n && (wild & 0xffffn) < 0x200n;
  return { selector, offset: random.oneIn(24) && !itself ? wild : offset };
}

/** A far pointer, its offset of the operand size. */
function farPointer({ random, form, selectors }: Draft): Uint8Array {
  const { selector, offset } = farTarget(random, form, selectors);
  const size = form.operandSize / 8;
  return Uint8Array.from([...bytesOf(offset, size), ...bytesOf(BigInt(selector), 2)]);
}

/** Puts a far pointer where JMP and CALL expect it. */
export function adjustFarPointer(draft: Draft): void {
  const { parts, memory } = draft;
  const pointer = farPointer(draft);
  if (memory !== undefined) memory.content = pointer;
  else parts.immediates = [pointer.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n)];
}

/** The frame that RETF or IRET takes off the stack, in slots as wide as operands are. */
export function returnFrame(draft: Draft): Uint8Array {
  const { random, form, mnemonic, selectors } = draft;
  const { selector, offset } = farTarget(random, form, selectors);
  const frame = [offset, BigInt(selector) | (integer(random) << 16n)];
  if (mnemonic === "iret") {
    const rsp = stackPointer(form.mode, 0x800 + 8 * random.below(0x200));
    // With a bad RIP and a bad SS at once, which counts is up to the implementation.
    const inPage = (offset & 0xffff_f000n) === BigInt((selector & 4) === 0 ? CODE : 0);
    frame.push(BigInt(flags(random)), rsp, BigInt(inPage ? random.pick(STACK_SELECTORS) : USER_DATA));
  }
  return Uint8Array.from(frame.flatMap((slot) => [...bytesOf(slot, form.operandSize / 8)]));
}
