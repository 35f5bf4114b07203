/** A machine that runs the programs: on the interpreter alone, or with the translator. */

import type { VcpuContext } from "../../src/engine/engine.ts";
import type { EngineOptions } from "../../src/engine/wasm-engine.ts";
import { Exit, Layout, Selector, createMachine } from "../engine-harness.ts";
import type { Machine } from "../engine-harness.ts";
import { randomVectorState, randomX87State } from "../differential/cases.ts";
import { integer, vector } from "../differential/values.ts";
import type { Random } from "../differential/values.ts";
import { setCodeEntries } from "./generate.ts";
import { Code, Counters, Data, Stack, pageBytes } from "./layout.ts";
import type { PageAccess } from "./program.ts";

/** Interrupts arrive on a stack of their own: the program's may be anywhere. */
const handlerStack = 0x1_8000;
const handlerTable = 1;
const errorVectors = new Set([8, 10, 11, 12, 13, 14, 17]);

/** Below are the machine's own tables. */
const tablesEnd = 0x4_0000;

/** `seen` are A and D: those of code are set, because whoever looks ahead may set A. */
const Pte = { present: 1n, writable: 2n, user: 4n, seen: 0x60n } as const;

/** What memory is compared, physically, as offset and length. */
const compared: readonly (readonly [number, number])[] = [
  [Data.linear, Data.pages * pageBytes],
  [Counters.linear, pageBytes],
  [Stack.linear, Stack.pages * pageBytes],
  [Code.physical, Code.pages * pageBytes],
  [Code.physical + Code.otherVersion, Code.pages * pageBytes],
  [handlerStack - pageBytes, pageBytes],
];

/** What the processor pushed for a handler. */
export interface Frame {
  readonly vector: number;
  readonly errorCode: number | undefined;
  readonly rip: bigint;
  readonly rflags: bigint;
  readonly rsp: bigint;
}

export class TierMachine {
  readonly machine: Machine;
  readonly #ram: Uint8Array;
  /** The machine's own tables as they are when a program begins. */
  readonly #tables: Uint8Array;
  readonly #entries = new Map<bigint, number>();

  /** @param translation, options As for createMachine. */
  constructor(translation: number, options: EngineOptions = {}) {
    this.machine = createMachine("long", 0, {}, translation, options);
    const { ram } = this.machine;
    this.#ram = new Uint8Array(ram.buffer, ram.byteOffset, ram.byteLength);
    ram.setBigUint64(Layout.tss + 0x24, BigInt(handlerStack), true);
    for (let each = 0; each < 256; each++) {
      ram.setUint8(Layout.idt + each * 16 + 4, handlerTable);
      // hlt; and on: past the error code, back.
      const back = errorVectors.has(each) ? [0x48, 0x83, 0xc4, 0x08, 0x48, 0xcf] : [0x48, 0xcf];
      this.#ram.set([0xf4, ...back], Layout.handlers + each * 16);
    }
    // The machine's own tables cannot be written by chance, but for the page with the entries of the code.
    const entries = this.machine.entryAddress(BigInt(Code.kernel));
    const writable = [entries, handlerStack - 1].map((at) => Math.floor(at / pageBytes) * pageBytes);
    for (let page = 0; page < Layout.free; page += pageBytes)
      if (!writable.includes(page)) this.machine.remap(BigInt(page), page, Pte.present);
    this.#mapAll();
    this.#tables = this.#ram.slice(0, tablesEnd);
    setCodeEntries(entries);
  }

  /** Maps everything as it is when a program begins. */
  #mapAll(): void {
    this.#mapPage(Counters.linear, Counters.linear, 0);
    for (let page = 0; page < Stack.pages; page++) this.#mapPage(Stack.linear, Stack.linear, page);
    for (let page = 0; page < Data.pages; page++) this.#mapPage(Data.linear, Data.linear, page);
    for (let page = 0; page < Code.pages; page++) {
      this.#mapPage(Code.user, Code.physical, page);
      this.#mapPage(Code.kernel, Code.physical, page);
      this.#mapPage(Code.alias, Code.physical, page);
    }
  }
  #mapPage(linear: number, physical: number, page: number): void {
    const address = BigInt(linear + page * pageBytes);
    this.#entries.set(address, this.machine.entryAddress(address));
    const seen = linear === Code.user || linear === Code.kernel ? Pte.seen : 0n;
    this.machine.remap(address, physical + page * pageBytes, Pte.present | Pte.writable | Pte.user | seen);
  }

  /** Puts a program there, both versions, and the mappings of the code as they begin. */
  load(bytes: Uint8Array, other: Uint8Array, offset: number): void {
    const { machine } = this;
    this.#ram.set(this.#tables, 0);
    this.#mapAll();
    machine.load(Code.physical, new Uint8Array(Code.pages * pageBytes).fill(0xcc));
    machine.load(Code.physical + Code.otherVersion, new Uint8Array(Code.pages * pageBytes).fill(0xcc));
    this.loadVersion(bytes, offset, false);
    this.loadVersion(other, offset, true);
  }
  /** Writes one version of the code as a backend would: behind the processor's back. */
  loadVersion(bytes: Uint8Array, offset: number, other: boolean): void {
    this.machine.load(Code.physical + (other ? Code.otherVersion : 0) + offset, bytes);
  }
  /** Has a page of code lead to a version; the processor's translations go. */
  mapCode(page: number, other: boolean): void {
    for (const linear of [Code.user, Code.kernel])
      this.#mapPage(linear, Code.physical + (other ? Code.otherVersion : 0), page);
    this.machine.vcpu.flushTlb();
  }

  mapData(pages: readonly PageAccess[]): void {
    pages.forEach((access, page) => {
      const at = Data.linear + page * pageBytes;
      const flags = access === "absent" ? 0n : Pte.user | Pte.present | (access === "write" ? Pte.writable : 0n);
      this.machine.remap(BigInt(at), at, flags);
    });
    this.machine.vcpu.flushTlb();
  }

  fillMemory(data: Uint8Array): void {
    this.#ram.set(data, Data.linear);
    this.#ram.fill(0, Counters.linear, Counters.linear + pageBytes);
    this.#ram.fill(0, Stack.linear, Stack.linear + Stack.pages * pageBytes);
    this.#ram.fill(0, handlerStack - pageBytes, handlerStack);
  }

  start(context: VcpuContext): void {
    this.machine.vcpu.setContext(context);
  }

  /** Whether the next instruction is a handler's HLT. */
  get inHandler(): boolean {
    const offset = Number(this.machine.vcpu.rip) - Layout.handlers;
    return offset >= 0 && offset < 256 * 16 && offset % 16 === 0;
  }

  /** The frame of the handler in which the vCPU has halted. */
  frame(): Frame {
    const { vcpu, ram } = this.machine;
    const number = (Number(vcpu.rip) - 1 - Layout.handlers) / 16;
    const at = Number(vcpu.gpr(4));
    const withCode = errorVectors.has(number);
    const words = (index: number) => ram.getBigUint64(at + (index + (withCode ? 1 : 0)) * 8, true);
    return {
      vector: number,
      errorCode: withCode ? ram.getUint32(at, true) : undefined,
      rip: words(0),
      rflags: words(2),
      rsp: words(3),
    };
  }
  /** Changes what the handler will return to. */
  setFrame(rip: bigint, rflags: bigint, rsp: bigint): void {
    const { vcpu, ram } = this.machine;
    const withCode = errorVectors.has((Number(vcpu.rip) - 1 - Layout.handlers) / 16);
    const at = Number(vcpu.gpr(4)) + (withCode ? 8 : 0);
    ram.setBigInt64(at, rip, true);
    ram.setBigUint64(at + 16, rflags, true);
    ram.setBigUint64(at + 24, rsp, true);
  }

  /** The first byte that differs in the memory that programs write. */
  differsFrom(other: TierMachine): string | undefined {
    for (const [at, length] of compared) {
      const [mine, theirs] = [this.#ram.subarray(at, at + length), other.#ram.subarray(at, at + length)];
      if (Buffer.compare(mine, theirs) === 0) continue;
      const index = mine.findIndex((byte, offset) => byte !== theirs[offset]);
      return `memory at ${(at + index).toString(16)}: ${mine.subarray(index, index + 16).toHex()}, ${theirs.subarray(index, index + 16).toHex()}`;
    }
    for (const [linear, at] of this.#entries) {
      const [mine, theirs] = [this.machine.ram.getBigUint64(at, true), other.machine.ram.getBigUint64(at, true)];
      if (mine !== theirs)
        return `page table entry of ${linear.toString(16)}: ${mine.toString(16)}, ${theirs.toString(16)}`;
    }
    return undefined;
  }
}

export { Exit };

/** Random content of the data pages. */
export function randomData(random: Random): Uint8Array {
  const data = new Uint8Array(Data.pages * pageBytes);
  const view = new DataView(data.buffer);
  for (let at = 0; at < data.length; at += 256) {
    const value = vector(random);
    for (let copy = 0; copy < 256; copy += 16) {
      view.setBigUint64(at + copy, BigInt.asUintN(64, value), true);
      view.setBigUint64(at + copy + 8, (value >> 64n) ^ BigInt(copy), true);
    }
  }
  return data;
}

/** A random state with which a program begins. */
export function randomContext(random: Random, base: VcpuContext, cpl: 0 | 3, rip: number): VcpuContext {
  const gpr = Array.from({ length: 16 }, () => integer(random));
  gpr[4] = BigInt(Stack.start - random.below(16) * (random.oneIn(4) ? 1 : 8));
  gpr[Data.anchorRegister] = BigInt(Data.anchor);
  const flat = (selector: number, attributes: number) => ({ selector, base: 0n, limit: 0xffffffff, attributes });
  const data = cpl === 3 ? flat(Selector.userData, 0xcf3) : flat(Selector.data, 0xc93);
  return {
    ...base,
    gpr,
    rip: BigInt.asUintN(64, BigInt(rip)),
    rflags: 2n | BigInt(random.u32() & 0x8d5),
    segments: {
      ...base.segments,
      cs: cpl === 3 ? flat(Selector.userCode64, 0xafb) : flat(Selector.code64, 0xa9b),
      ss: data,
      ds: data,
      es: data,
      fs: { ...data, base: random.oneIn(2) ? 0x40n : 0n },
      gs: data,
    },
    fxsave: padded(random.oneIn(2) ? randomVectorState(random, "any") : randomX87State(random, "any")),
  };
}

/** An FXSAVE image in full; MXCSR without unmasked exceptions, mostly. */
function padded(fx: Uint8Array): Uint8Array {
  const area = new Uint8Array(512);
  area.set(fx);
  return area;
}
