/**
 * Our interpreter as a machine that executes cases: a domain of a few pages, in long mode with a user process like
 * native.c's. Everything lies at native.c's addresses. Exceptions are really delivered, through an IDT to a CPL 0
 * handler that halts; INT3 behind the code ends an execution as it does natively.
 */
import { allocateDomainMemory, openDomainMemory } from "../../src/engine/domain-memory.ts";
import {
  Exit,
  P2mType,
  type DomainMemory,
  type Platform,
  type SegmentState,
  type Vcpu,
  type VcpuContext,
} from "../../src/engine/engine.ts";
import { WasmEngine } from "../../src/engine/wasm-engine.ts";
import { endOf } from "./results.ts";
import { encodeDescriptor, GDT, GDT_ENTRIES, KERNEL_CODE, LDT_SELECTOR, segmentsOf, TSS_SELECTOR } from "./segments.ts";
import {
  Access,
  CODE,
  CODE_SIZE,
  DESCRIPTORS,
  FX_SIZE,
  INITIAL_FX,
  WINDOW,
  WINDOW_SIZE,
  windowPattern,
  type Case,
  type Outcome,
  type Patch,
} from "./wire.ts";

/** Whatever can execute cases. */
export interface Machine {
  run(cases: readonly Case[]): Outcome[];
}

/** Guest-physical pages. */
const Page = { pml4: 1, code: 2, window: 3, idt: 5, tables: 6, stack: 7, handlers: 8, firstPageTable: 16 } as const;
const FRAMES = 64;

/** Kernel pages are in the upper half, where user mode sees nothing that Linux would not have there. */
const KERNEL = 0xffff_8000_0000_0000n;
const HANDLERS = KERNEL + BigInt(Page.handlers * 0x1000);
const TABLES = KERNEL + BigInt(Page.tables * 0x1000);
const STACK_TOP = KERNEL + BigInt(Page.stack * 0x1000 + 0x1000);
const TSS_OFFSET = 0x400;
const LDT_OFFSET = 0x800;

const PRESENT = 1n;
const WRITABLE = 2n;
const USER = 4n;
const ACCESSED_DIRTY = 0x60n;
const NO_EXECUTE = 1n << 63n;

/** As Linux has them: PE MP ET NE WP AM PG; PAE PGE OSFXSR OSXMMEXCPT UMIP FSGSBASE OSXSAVE; SCE LME LMA NXE. */
const CR0 = 0x8005_0033n;
const CR4 = 0x5_0ea0n;
const EFER = 0xd01n;

const BUDGET = 20_000;
const HIT_LIMIT = 10;

/** @param translation After how many entries code is translated; 0: never. */
export function interpreterMachine(translation = Number(process.env["TEST_TRANSLATION"] ?? 0)): Machine {
  const memory = openDomainMemory(allocateDomainMemory(FRAMES));
  for (let gfn = 0; gfn < FRAMES; gfn++) memory.setP2m(gfn, P2mType.ram, memory.firstFrame + gfn);
  const pageTables = buildPageTables(memory);
  buildTables(memory);
  buildHandlers(memory);
  const vcpu = new WasmEngine(memory, { translation }).createVcpu(0, silentPlatform);
  const code = memory.frame(Page.code)!;
  code.fill(0xcc);
  const window = [memory.frame(Page.window)!, memory.frame(Page.window + 1)!] as const;
  const pattern = windowPattern();
  const initial = pattern.slice();
  window.forEach((page, i) => page.set(pattern.subarray(i * 0x1000, (i + 1) * 0x1000)));

  function execute(request: Case): Outcome {
    memory.write(Page.code * 0x1000 + request.codeOffset, request.code);
    for (const { offset, bytes } of request.patches) initial.set(bytes, offset);
    window.forEach((page, i) => page.set(initial.subarray(i * 0x1000, (i + 1) * 0x1000)));
    request.pages.forEach((access, i) => pageTables.protect(i as 0 | 1, access));
    vcpu.setContext(contextOf(request));
    const halted = runToHalt(vcpu);
    const outcome = readOutcome(request, vcpu.context(), halted, memory.frame(Page.stack)!, changesOf(initial, window));
    for (const { offset, bytes } of request.patches)
      initial.set(pattern.subarray(offset, offset + bytes.length), offset);
    memory.write(Page.code * 0x1000 + request.codeOffset, new Uint8Array(request.code.length).fill(0xcc));
    return outcome;
  }
  return { run: (cases) => cases.map(execute) };
}

/** @returns whether a handler halted; false if the tested code went on for too long. */
function runToHalt(vcpu: Vcpu): boolean {
  for (let turns = 0; turns < HIT_LIMIT; turns++) {
    const exit = vcpu.run(BUDGET);
    if (exit === Exit.halt) return true;
    if (exit !== Exit.budget) throw new Error(`the tested code ended with exit ${exit}, rip ${vcpu.rip.toString(16)}`);
  }
  return false;
}

function readOutcome(
  request: Case,
  context: VcpuContext,
  halted: boolean,
  stack: Uint8Array,
  changes: Patch[],
): Outcome {
  const { segments } = context;
  const gpr = BigUint64Array.from(context.gpr);
  const fx = context.fxsave.slice(0, FX_SIZE);
  fx.fill(0, 28, 32);
  const selectors = Uint16Array.from(["es", "cs", "ss", "ds", "fs", "gs"] as const, (name) => segments[name].selector);
  const bases = [segments.fs.base, segments.gs.base] as const;
  if (!halted) {
    const hang = { kind: "hang", vector: 0, errorCode: 0, faultAddress: 0n, rip: context.rip } as const;
    return { ...hang, rflags: Number(context.rflags), gpr, fx, selectors, bases, changes };
  }
  const vector = Number(context.rip - HANDLERS - 1n) >> 4;
  const frame = new DataView(stack.buffer, stack.byteOffset + 0x1000 - 40, 40);
  const at = (index: number): bigint => frame.getBigUint64(index * 8, true);
  const errorCode = WITH_ERROR_CODE.has(vector)
    ? new DataView(stack.buffer, stack.byteOffset + 0x1000 - 48).getUint32(0, true)
    : 0;
  selectors[1] = Number(at(1));
  selectors[2] = Number(at(4));
  gpr[4] = at(3);
  if (request.mode !== 64) for (let i = 0; i < 16; i++) gpr[i] = BigInt.asUintN(32, gpr[i]!);
  const end = endOf({ vector, errorCode, rip: at(0), cr2: context.cr2 }, request);
  return { ...end, rflags: Number(at(2)), gpr, fx, selectors, bases, changes };
}

const WITH_ERROR_CODE = new Set([8, 10, 11, 12, 13, 14, 17, 21]);

/** Aligned qwords of the window that differ, joined where they touch. */
function changesOf(initial: Uint8Array, window: readonly [Uint8Array, Uint8Array]): Patch[] {
  const before = new BigUint64Array(initial.buffer);
  const pages = window.map((page) => new BigUint64Array(page.buffer, page.byteOffset, 512));
  const changes: { offset: number; end: number }[] = [];
  for (let i = 0; i < WINDOW_SIZE / 8; i++) {
    if (pages[i >> 9]![i & 511] === before[i]) continue;
    const last = changes.at(-1);
    if (last?.end === i * 8) last.end += 8;
    else changes.push({ offset: i * 8, end: i * 8 + 8 });
  }
  const byteAt = (at: number): number => window[at >> 12]![at & 0xfff]!;
  return changes.map(({ offset, end }) => ({
    offset,
    bytes: Uint8Array.from({ length: end - offset }, (_, i) => byteAt(offset + i)),
  }));
}

const SYSTEM_SEGMENTS = {
  ldtr: {
    selector: LDT_SELECTOR,
    base: TABLES + BigInt(LDT_OFFSET),
    limit: DESCRIPTORS.length * 8 - 1,
    attributes: 0x82,
  },
  tr: { selector: TSS_SELECTOR, base: TABLES + BigInt(TSS_OFFSET), limit: 0x67, attributes: 0x8b },
} satisfies Record<string, SegmentState>;

function contextOf(request: Case): VcpuContext {
  const fxsave = new Uint8Array(512);
  fxsave.set(request.fx ?? INITIAL_FX);
  return {
    gpr: Array.from(request.gpr),
    rip: BigInt(request.codeOffset + (request.mode === 16 ? 0 : CODE)),
    rflags: BigInt(request.rflags | 0x202),
    segments: { ...segmentsOf(request), ...SYSTEM_SEGMENTS },
    gdtr: { base: TABLES, limit: GDT_ENTRIES * 8 - 1 },
    idtr: { base: KERNEL + BigInt(Page.idt * 0x1000), limit: 0xfff },
    cr0: CR0,
    cr2: 0n,
    cr3: BigInt(Page.pml4 * 0x1000),
    cr4: CR4,
    efer: EFER,
    dr: [0n, 0n, 0n, 0n, 0n, 0n, 0xffff_0ff0n, 0x400n],
    xcr0: 3n,
    msrs: new Map(),
    fxsave,
  };
}

interface PageTables {
  /** Sets what user mode may do with a page of the window. */
  protect(page: 0 | 1, access: Access): void;
}

function buildPageTables(memory: DomainMemory): PageTables {
  let next: number = Page.firstPageTable;
  const table = (gfn: number): BigUint64Array => {
    const frame = memory.frame(gfn)!;
    return new BigUint64Array(frame.buffer, frame.byteOffset, 512);
  };
  const map = (linear: bigint, gfn: number, flags: bigint): { entries: BigUint64Array; index: number } => {
    let at: number = Page.pml4;
    for (const shift of [39n, 30n, 21n]) {
      const entries = table(at);
      const index = Number((linear >> shift) & 511n);
      if (entries[index] === 0n) entries[index] = BigInt(next++ * 0x1000) | PRESENT | WRITABLE | USER | ACCESSED_DIRTY;
      at = Number(entries[index]! >> 12n) & 0xfffff;
    }
    const index = Number((linear >> 12n) & 511n);
    table(at)[index] = BigInt(gfn * 0x1000) | flags;
    return { entries: table(at), index };
  };
  map(BigInt(CODE), Page.code, PRESENT | USER | ACCESSED_DIRTY);
  for (const gfn of [Page.idt, Page.tables, Page.stack, Page.handlers])
    map(KERNEL + BigInt(gfn * 0x1000), gfn, PRESENT | WRITABLE | ACCESSED_DIRTY);
  const window = [0, 1].map((i) => map(BigInt(WINDOW + i * CODE_SIZE), Page.window + i, 0n));
  return {
    protect(page, access) {
      const { entries, index } = window[page]!;
      const flags = access === Access.none ? 0n : PRESENT | (access === Access.write ? WRITABLE : 0n);
      entries[index] = BigInt((Page.window + page) * 0x1000) | flags | USER | ACCESSED_DIRTY | NO_EXECUTE;
    },
  };
}

/** GDT, LDT and TSS in one page. */
function buildTables(memory: DomainMemory): void {
  const frame = memory.frame(Page.tables)!;
  const view = new DataView(frame.buffer, frame.byteOffset, 0x1000);
  for (const [selector, descriptor] of GDT) view.setBigUint64(selector, encodeDescriptor(descriptor), true);
  DESCRIPTORS.forEach((descriptor, i) => view.setBigUint64(LDT_OFFSET + i * 8, encodeDescriptor(descriptor), true));
  for (const { selector, base, limit, attributes } of Object.values(SYSTEM_SEGMENTS)) {
    view.setBigUint64(selector, encodeDescriptor({ base: Number(base & 0xffff_ffffn), limit, attributes }), true);
    view.setBigUint64(selector + 8, base >> 32n, true);
  }
  view.setBigUint64(TSS_OFFSET + 4, STACK_TOP, true);
  view.setUint16(TSS_OFFSET + 0x66, 0x68, true); // no I/O permission map
}

/** Vector n's handler is HLT at n × 16. Gates as Linux has them: user mode may use INT3 and INTO. */
function buildHandlers(memory: DomainMemory): void {
  const handlers = memory.frame(Page.handlers)!;
  const frame = memory.frame(Page.idt)!;
  const view = new DataView(frame.buffer, frame.byteOffset, 0x1000);
  for (let vector = 0; vector < 256; vector++) {
    handlers[vector * 16] = 0xf4;
    const handler = HANDLERS + BigInt(vector * 16);
    const attributes = vector === 3 || vector === 4 ? 0xee00n : 0x8e00n;
    const low =
      (handler & 0xffffn) | (BigInt(KERNEL_CODE) << 16n) | (attributes << 32n) | (((handler >> 16n) & 0xffffn) << 48n);
    view.setBigUint64(vector * 16, low, true);
    view.setBigUint64(vector * 16 + 8, handler >> 32n, true);
  }
}

/** User mode reaches none of this. */
const silentPlatform: Platform = {
  cpuid: () => [0, 0, 0, 0],
  rdmsr: () => undefined,
  wrmsr: () => false,
  portIn: () => 0,
  portOut: () => {},
  mmioRead: () => 0n,
  mmioWrite: () => {},
  timestamp: () => 0,
};
