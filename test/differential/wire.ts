/**
 * What one native execution starts from and ends with, and how both travel to and from native.c. The addresses and
 * segments here are native.c's; the interpreter is given the same ones (machine.ts), so that even addresses that end
 * up in registers can be compared.
 *
 * Request:  u16 size, u8 code length, u8 mode, u16 code offset, u8 pages, u8 contents, u32 rflags, u16 gpr mask,
 *           u64 gpr…, code, [u64 fx mask, u64 fx…], [6 × u16 selector], [2 × u64 base],
 *           u8 patches, {u16 offset, u8 length, bytes}…
 * Result:   u16 size, u8 vector, u8 0, u32 error code, u64 rip, u64 fault address, u32 rflags,
 *           u16 gpr mask, u64 changed gpr…, u64 fx mask, u64 changed fx…, 6 × u16 selector, 2 × u64 base,
 *           u16 changes, {u16 offset, u16 length, bytes}…
 */

/** Two pages of data at a fixed address, unmapped pages around them. */
export const WINDOW = 0x1000_0000;
export const WINDOW_SIZE = 0x2000;
/** One page of code, readable and executable; unmapped pages around it. */
export const CODE = 0x2000_0000;
export const CODE_SIZE = 0x1000;
/** IRET to a 16-bit stack segment loads only SP: bits 16–31 of ESP are those of the trampoline's own stack. */
export const STACK_HIGH = 0x7000;

/** Selectors of Linux's GDT, the same on every x86-64 kernel. */
export const USER_CODE_32 = 0x23;
export const USER_DATA = 0x2b;
export const USER_CODE_64 = 0x33;

/** A descriptor of the LDT; attributes as in engine.ts's SegmentState. Accessed bits are set, DPL is 3. */
export interface Descriptor {
  readonly base: number;
  readonly limit: number;
  readonly attributes: number;
}

const LDT_TI_RPL = 7;
/** The selector of entry `index` of {@link DESCRIPTORS}. */
export function ldtSelector(index: number): number {
  return (index << 3) | LDT_TI_RPL;
}

/** The LDT. 0: 16-bit code. 1: 16-bit data and stack. 2: 32-bit, based. 3: limited. 4: read-only. 5: expand-down. 6: absent. 7: execute-only. */
export const DESCRIPTORS: readonly Descriptor[] = [
  { base: CODE, limit: 0xffff, attributes: 0x0fb },
  { base: WINDOW - 0x1000, limit: 0xffff, attributes: 0x0f3 },
  { base: WINDOW - 0x1000, limit: 0xffff_ffff, attributes: 0xcf3 },
  { base: WINDOW, limit: 0x17ff, attributes: 0x4f3 },
  { base: WINDOW, limit: 0xffff_ffff, attributes: 0xcf1 },
  { base: WINDOW - 0x1000, limit: 0x17ff, attributes: 0x0f7 },
  { base: WINDOW, limit: 0xffff, attributes: 0x473 },
  { base: CODE, limit: 0xffff, attributes: 0x4f9 },
];

/** What a page of the window allows. The values are native.c's. */
export const Access = { none: 0, read: 1, write: 2 } as const;
export type Access = (typeof Access)[keyof typeof Access];

export type Mode = 16 | 32 | 64;

export interface Selectors {
  readonly cs: number;
  readonly ss: number;
  readonly ds: number;
  readonly es: number;
  readonly fs: number;
  readonly gs: number;
}

export interface Patch {
  /** From the start of the window. */
  readonly offset: number;
  /** At most 255. */
  readonly bytes: Uint8Array;
}

/** Everything that an execution may depend on. */
export interface Case {
  readonly mode: Mode;
  /** At most 64 bytes. */
  readonly code: Uint8Array;
  /** Where in the code page it lies. Code that ends less than 8 bytes before the page's end runs into the guard page. */
  readonly codeOffset: number;
  /** In the order of the ModR/M encoding: rax, rcx, rdx, rbx, rsp, … Outside 64-bit mode below 2^32. */
  readonly gpr: BigUint64Array;
  /** Status flags, DF, TF, AC, ID. */
  readonly rflags: number;
  /** The first 416 bytes of an FXSAVE64 image, or undefined for {@link INITIAL_FX}. */
  readonly fx: Uint8Array | undefined;
  readonly selectors: Selectors | undefined;
  /** FS and GS base in 64-bit mode. */
  readonly bases: readonly [fs: bigint, gs: bigint] | undefined;
  readonly pages: readonly [Access, Access];
  readonly patches: readonly Patch[];
}

/** What an execution ended with. */
export interface Outcome {
  /** `reached`: the instruction is complete, rip tells where. `hang`: it did not end within 200 ms. */
  readonly kind: "reached" | "fault" | "hang";
  /** For a fault. Error code and fault address are 0 for exceptions that have none. */
  readonly vector: number;
  readonly errorCode: number;
  readonly faultAddress: bigint;
  /** Linear in 64- and 32-bit mode, the offset in CS in 16-bit mode. */
  readonly rip: bigint;
  readonly rflags: number;
  readonly gpr: BigUint64Array;
  readonly fx: Uint8Array;
  /** es, cs, ss, ds, fs, gs. */
  readonly selectors: Uint16Array;
  readonly bases: readonly [bigint, bigint];
  /** What differs from the window's initial content, in whole aligned qwords. */
  readonly changes: readonly Patch[];
}

export const FX_SIZE = 416;

/** After FNINIT and LDMXCSR 1F80h, with zeros in the registers. */
export const INITIAL_FX: Uint8Array = initialFx();

function initialFx(): Uint8Array {
  const fx = new Uint8Array(FX_SIZE);
  const view = new DataView(fx.buffer);
  view.setUint16(0, 0x37f, true);
  view.setUint32(24, 0x1f80, true);
  return fx;
}

/** The value of a register that a case says nothing about: recognisable in a listing. */
export function unsetRegister(index: number): bigint {
  return UNSET[index]!;
}

const UNSET = BigUint64Array.from({ length: 16 }, (_, index) => 0x0101_0101_0101_0101n * BigInt(0xa0 + index));

const PATTERN = Uint8Array.from({ length: WINDOW_SIZE }, (_, i) => i * 167 + (i >> 8) * 13 + 29);

/** The window's content before the patches. */
export function windowPattern(): Uint8Array<ArrayBuffer> {
  return PATTERN.slice();
}

/** The flags that user mode sets and that executions are compared by: CF PF AF ZF SF TF DF OF AC ID. */
export const RFLAGS_COMPARED = 0x24_0dd5;

const MODE_NUMBER = { 64: 0, 32: 1, 16: 2 } as const;
const Contents = { fx: 1, selectors: 2, bases: 4 } as const;

/** Packs requests one behind the other. */
export class RequestWriter {
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** @returns what was written so far; valid until the next write. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  write(request: Case): void {
    const start = this.#length;
    this.#reserve(4096 + request.patches.length * 260);
    this.#put(0, 2);
    this.#put(request.code.length, 1);
    this.#put(MODE_NUMBER[request.mode], 1);
    this.#put(request.codeOffset, 2);
    this.#put(request.pages[0] | (request.pages[1] << 2), 1);
    const contents =
      (request.fx === undefined ? 0 : Contents.fx) |
      (request.selectors === undefined ? 0 : Contents.selectors) |
      (request.bases === undefined ? 0 : Contents.bases);
    this.#put(contents, 1);
    this.#put(request.rflags, 4);
    this.#putGeneral(request.gpr);
    this.#putBytes(request.code);
    if (request.fx !== undefined) this.#putFx(request.fx);
    if (request.selectors !== undefined) {
      const { cs, ss, ds, es, fs, gs } = request.selectors;
      for (const selector of [cs, ss, ds, es, fs, gs]) this.#put(selector, 2);
    }
    for (const base of request.bases ?? []) this.#putQword(base);
    this.#put(request.patches.length, 1);
    for (const { offset, bytes } of request.patches) {
      this.#put(offset, 2);
      this.#put(bytes.length, 1);
      this.#putBytes(bytes);
    }
    this.#view.setUint16(start, this.#length - start, true);
  }

  #putGeneral(gpr: BigUint64Array): void {
    const at = this.#length;
    let mask = 0;
    this.#put(0, 2);
    for (let index = 0; index < 16; index++) {
      const value = gpr[index]!;
      if (value === UNSET[index]) continue;
      mask |= 1 << index;
      this.#putQword(value);
    }
    this.#view.setUint16(at, mask, true);
  }

  #putFx(fx: Uint8Array): void {
    const view = new DataView(fx.buffer, fx.byteOffset, FX_SIZE);
    const unset = new DataView(INITIAL_FX.buffer);
    const at = this.#length;
    const mask = [0, 0];
    this.#putQword(0n);
    for (let i = 0; i < FX_SIZE / 8; i++) {
      const value = view.getBigUint64(i * 8, true);
      if (value === unset.getBigUint64(i * 8, true)) continue;
      mask[i >> 5]! |= 1 << (i & 31);
      this.#putQword(value);
    }
    this.#view.setInt32(at, mask[0]!, true);
    this.#view.setInt32(at + 4, mask[1]!, true);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array((this.#length + bytes) * 2);
    grown.set(this.bytes());
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  #put(value: number, size: 1 | 2 | 4): void {
    if (size === 1) this.#view.setUint8(this.#length, value);
    else if (size === 2) this.#view.setUint16(this.#length, value, true);
    else this.#view.setUint32(this.#length, value, true);
    this.#length += size;
  }

  #putQword(value: bigint): void {
    this.#view.setBigUint64(this.#length, value, true);
    this.#length += 8;
  }

  #putBytes(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }
}
