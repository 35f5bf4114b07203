import { P2mType } from "../src/engine/engine.ts";
import type { Platform, SegmentState, VcpuContext } from "../src/engine/engine.ts";
import { Exit } from "../src/engine/engine.ts";
import { allocateDomainMemory, openDomainMemory } from "../src/engine/domain-memory.ts";
import { WasmEngine } from "../src/engine/wasm-engine.ts";
import type { EngineOptions } from "../src/engine/wasm-engine.ts";
import { recordRuns, watchPlatform } from "./system/record.ts";

export { Exit };

/**
 * A bare machine for tests: 16 MiB of RAM, descriptor tables, page tables, and an interrupt table whose every handler is a
 * HLT, so that an exception shows as a halt at a known address. Physical layout below; code and data go where the test says.
 */
export const Layout = {
  gdt: 0x1000,
  idt: 0x2000,
  tss: 0x3000,
  /** Handler of vector n: one HLT at handlers + n × 16. */
  handlers: 0x4000,
  /** Top of the stack that exceptions arrive on. */
  stackTop: 0x9000,
  pageTables: 0x20000,
  /** Free for tests from here to 16 MiB. */
  free: 0x100000,
  ram: 0x1000000,
} as const;

export const Selector = {
  code64: 0x08,
  data: 0x10,
  code32: 0x18,
  code16: 0x20,
  userCode64: 0x2b,
  userData: 0x33,
  userCode32: 0x3b,
  tss: 0x40,
} as const;

export interface RaisedException {
  readonly vector: number;
  readonly errorCode: number | undefined;
  /** The return address that was pushed. */
  readonly rip: bigint;
  readonly cr2: bigint;
}

/** Compare every entry of every region. */
export const checkAll = { first: Infinity, every: 1 } as const;

const errorVectors = new Set([8, 10, 11, 12, 13, 14, 17]);

const quietPlatform: Platform = {
  cpuid: () => [0, 0, 0, 0],
  rdmsr: () => undefined,
  wrmsr: () => false,
  portIn: (_, size) => 2 ** (size * 8) - 1,
  portOut: () => {},
  mmioRead: (_, size) => (1n << BigInt(size * 8)) - 1n,
  mmioWrite: () => {},
  timestamp: () => 0,
};

export type MachineMode = "long" | "compatibility" | "protected" | "protected16" | "real";

/**
 * @param translation After how many entries code is translated; 0: never. TEST_TRANSLATION says it for whole test files.
 * @param options More that the engine is told. With TEST_CHECK what is translated is compared with the interpreter.
 */
export function createMachine(
  mode: MachineMode = "long",
  cpl: 0 | 3 = 0,
  platform: Partial<Platform> = {},
  translation = Number(process.env["TEST_TRANSLATION"] ?? 0),
  options: EngineOptions = process.env["TEST_CHECK"] === undefined ? {} : { check: checkAll },
) {
  const memory = openDomainMemory(allocateDomainMemory(Layout.ram / 4096));
  for (let gfn = 0; gfn < Layout.ram / 4096; gfn++) memory.setP2m(gfn, P2mType.ram, memory.firstFrame + gfn);
  const used = { platform: false };
  const watched = watchPlatform({ ...quietPlatform, ...platform }, used);
  const vcpu = new WasmEngine(memory, { translation, ...options }).createVcpu(0, watched);
  const ram = new DataView(memory.bytes.buffer, memory.firstFrame * 4096, Layout.ram);
  recordRuns(vcpu, ram, used);
  const long = mode === "long" || mode === "compatibility";

  /** Descriptor: base 0, limit 4 GiB. */
  const descriptor = (selector: number, access: number, flags: number) =>
    ram.setBigUint64(
      Layout.gdt + (selector & ~7),
      0xffffn | (BigInt(access) << 40n) | (BigInt(0xf | (flags << 4)) << 48n),
      true,
    );
  descriptor(Selector.code64, 0x9b, 0xa);
  descriptor(Selector.data, 0x93, 0xc);
  descriptor(Selector.code32, 0x9b, 0xc);
  descriptor(Selector.code16, 0x9b, 0x0);
  descriptor(Selector.userCode64, 0xfb, 0xa);
  descriptor(Selector.userData, 0xf3, 0xc);
  descriptor(Selector.userCode32, 0xfb, 0xc);
  ram.setBigUint64(Layout.gdt + Selector.tss, 0x67n | (BigInt(Layout.tss) << 16n) | (0x8bn << 40n), true);
  if (long) ram.setBigUint64(Layout.tss + 4, BigInt(Layout.stackTop), true);
  else {
    ram.setUint32(Layout.tss + 4, Layout.stackTop, true);
    ram.setUint32(Layout.tss + 8, Selector.data, true);
  }
  for (let vector = 0; vector < 256; vector++) {
    const handler = Layout.handlers + vector * 16;
    ram.setUint8(handler, 0xf4);
    if (mode === "real") {
      // The real-mode vector table is at 0: handlers × 16 as segment, offset 0.
      ram.setUint16(vector * 4, 0, true);
      ram.setUint16(vector * 4 + 2, handler >> 4, true);
    } else if (long) {
      ram.setBigUint64(
        Layout.idt + vector * 16,
        BigInt(handler & 0xffff) | (BigInt(Selector.code64) << 16n) | (0xee00n << 32n),
        true,
      );
    } else {
      ram.setBigUint64(
        Layout.idt + vector * 8,
        BigInt(handler & 0xffff) | (BigInt(Selector.code32) << 16n) | (0xee00n << 32n),
        true,
      );
    }
  }

  let tables: number = Layout.pageTables;
  const allocateTable = () => (tables += 4096) - 4096;
  const root = allocateTable();
  /** Maps the 4 KiB page at `linear` to `physical` with entry bits `flags`; upper levels allow everything. Long modes only. */
  function map(linear: bigint, physical: number, flags: bigint): void {
    remap(linear, physical, flags);
    vcpu.flushTlb();
  }
  /** As {@link map}, but leaves cached translations alone, as a write to memory does. */
  function remap(linear: bigint, physical: number, flags: bigint): void {
    ram.setBigUint64(entryAddress(linear), BigInt(physical) | flags, true);
  }
  /** The last-level entry of a page. */
  const entry = (linear: bigint): bigint => ram.getBigUint64(entryAddress(linear), true);
  /** Where that entry is in RAM; tables above it are made as needed. */
  function entryAddress(linear: bigint): number {
    let table = root;
    for (let level = 4; level > 1; level--) {
      const at = table + Number((linear >> BigInt(12 + 9 * (level - 1))) & 511n) * 8;
      let next = ram.getBigUint64(at, true);
      if (next === 0n) {
        next = BigInt(allocateTable()) | 7n;
        ram.setBigUint64(at, next, true);
      }
      table = Number(next & 0xffffff000n);
    }
    return table + Number((linear >> 12n) & 511n) * 8;
  }
  if (long) for (let page = 0; page < Layout.free; page += 4096) map(BigInt(page), page, 3n);

  const flat = (selector: number, attributes: number): SegmentState => ({
    selector,
    base: 0n,
    limit: 0xffffffff,
    attributes,
  });
  const realSegment: SegmentState = { selector: 0, base: 0n, limit: 0xffff, attributes: 0x93 };
  const user = cpl === 3;
  function context(): VcpuContext {
    const code: Record<MachineMode, SegmentState> = {
      long: flat(user ? Selector.userCode64 : Selector.code64, user ? 0xafb : 0xa9b),
      compatibility: flat(user ? Selector.userCode32 : Selector.code32, user ? 0xcfb : 0xc9b),
      protected: flat(user ? Selector.userCode32 : Selector.code32, user ? 0xcfb : 0xc9b),
      protected16: flat(Selector.code16, 0x89b & ~0x400),
      real: { ...realSegment, attributes: 0x9b },
    };
    const data = mode === "real" ? realSegment : user ? flat(Selector.userData, 0xcf3) : flat(Selector.data, 0xc93);
    return {
      gpr: Array.from({ length: 16 }, () => 0n),
      rip: 0n,
      rflags: 2n,
      segments: {
        es: data, cs: code[mode], ss: data, ds: data, fs: data, gs: data,
        ldtr: { selector: 0, base: 0n, limit: 0, attributes: 0 },
        tr: { selector: Selector.tss, base: BigInt(Layout.tss), limit: 0x67, attributes: 0x8b },
      }, // prettier-ignore
      gdtr: { base: BigInt(Layout.gdt), limit: 0xff },
      idtr: mode === "real" ? { base: 0n, limit: 0x3ff } : { base: BigInt(Layout.idt), limit: 0xfff },
      cr0: mode === "real" ? 0x10n : long ? 0x80010033n : 0x33n,
      cr2: 0n,
      cr3: long ? BigInt(root) : 0n,
      cr4: long ? 0x6a0n : 0x600n,
      efer: long ? 0xd01n : 0n,
      dr: [0n, 0n, 0n, 0n, 0n, 0n, 0xffff0ff0n, 0x400n],
      xcr0: 3n,
      msrs: new Map(),
      fxsave: initialFxsave(),
    };
  }

  /** If the vCPU halted in a handler: which exception, with what the processor pushed. */
  function raised(): RaisedException | undefined {
    const offset =
      Number(vcpu.rip) - 1 + (mode === "real" ? Number(vcpu.context().segments.cs.base) : 0) - Layout.handlers;
    if (offset < 0 || offset >= 256 * 16 || offset % 16 !== 0) return undefined;
    const vector = offset / 16;
    const withCode = errorVectors.has(vector) && mode !== "real";
    const slot = long ? 8 : mode === "real" ? 2 : 4;
    const at = Number(vcpu.gpr(4)) + (mode === "real" ? Number(vcpu.context().segments.ss.base) : 0);
    const word = (index: number) =>
      slot === 8
        ? ram.getBigUint64(at + index * 8, true)
        : BigInt(slot === 4 ? ram.getUint32(at + index * 4, true) : ram.getUint16(at + index * 2, true));
    return {
      vector,
      errorCode: withCode ? Number(word(0)) : undefined,
      rip: word(withCode ? 1 : 0),
      cr2: vcpu.context().cr2,
    };
  }

  /** Runs until the vCPU exits. @returns the exit and the exception it halted in, if it did. */
  function run(budget = 100_000): { exit: Exit; exception: RaisedException | undefined } {
    const exit = vcpu.run(budget);
    return { exit, exception: exit === Exit.halt ? raised() : undefined };
  }
  /** Executes one instruction. */
  function step(): { exit: Exit; exception: RaisedException | undefined } {
    const exit = vcpu.step();
    return { exit, exception: exit === Exit.halt ? raised() : undefined };
  }
  return {
    memory,
    vcpu,
    ram,
    map,
    remap,
    entry,
    entryAddress,
    context,
    run,
    step,
    load: (at: number, bytes: Uint8Array) => memory.write(at, bytes),
  };
}
export type Machine = ReturnType<typeof createMachine>;

/** FXSAVE64 image of a processor after FNINIT with MXCSR's default. */
export function initialFxsave(): Uint8Array {
  const area = new Uint8Array(512);
  const view = new DataView(area.buffer);
  view.setUint16(0, 0x37f, true);
  view.setUint32(24, 0x1f80, true);
  return area;
}

/** Bytes from hex digits; blanks are ignored. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(text.replace(/\s+/g, "").match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
