/** The registers a processor starts with: after INIT, after a start-up interrupt, and as a PVH domain's first vCPU. */

import type { SegmentState, VcpuContext } from "../engine/engine.ts";

const RBX = 3;
const RFLAGS_FIXED = 2n;
const CR0_ET = 0x10n;
const CR0_PE = 0x1n;
const CR0_CD_NW = 0x60000000n;
/** Attributes as in a VMCS: data read/write accessed; code execute/read accessed; busy TSS; LDT. */
const REAL_DATA = 0x93;
const REAL_CODE = 0x9b;
const FLAT_DATA = 0xc93;
const FLAT_CODE = 0xc9b;
const BUSY_TSS = 0x8b;
const LDT = 0x82;

function segment(selector: number, base: bigint, limit: number, attributes: number): SegmentState {
  return { selector, base, limit, attributes };
}

/** Initial x87 and SSE state in FXSAVE format: control word 0x37f, MXCSR 0x1f80. */
function initialFxsave(): Uint8Array {
  const bytes = new Uint8Array(512);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x37f, true);
  view.setUint32(24, 0x1f80, true);
  return bytes;
}

/** State after INIT. Intel SDM Vol. 3A, "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT". */
export function resetContext(): VcpuContext {
  const data = segment(0, 0n, 0xffff, REAL_DATA);
  return {
    gpr: Array.from({ length: 16 }, () => 0n),
    rip: 0xfff0n,
    rflags: RFLAGS_FIXED,
    segments: {
      es: data,
      cs: segment(0xf000, 0xffff0000n, 0xffff, REAL_CODE),
      ss: data,
      ds: data,
      fs: data,
      gs: data,
      ldtr: segment(0, 0n, 0xffff, LDT),
      tr: segment(0, 0n, 0xffff, BUSY_TSS),
    },
    gdtr: { base: 0n, limit: 0xffff },
    idtr: { base: 0n, limit: 0xffff },
    cr0: CR0_ET | CR0_CD_NW,
    cr2: 0n,
    cr3: 0n,
    cr4: 0n,
    efer: 0n,
    dr: [0n, 0n, 0n, 0n, 0xffff0ff0n, 0x400n],
    xcr0: 1n,
    msrs: new Map(),
    fxsave: initialFxsave(),
  };
}

/** State after a start-up interrupt: real mode at the page that its vector names. */
export function startupContext(page: number): VcpuContext {
  const context = resetContext();
  context.segments.cs = segment(page << 8, BigInt(page << 12), 0xffff, REAL_CODE);
  context.rip = 0n;
  return context;
}

/**
 * State in which a PVH domain starts: 32-bit protected mode without paging, flat segments, EBX pointing to the
 * start_info. xen docs/misc/pvh.pandoc; xen/tools/libs/guest/xg_dom_x86.c: vcpu_hvm().
 */
export function pvhContext(entry: number, startInfo: number): VcpuContext {
  const context = resetContext();
  const flat = segment(0, 0n, 0xffffffff, FLAT_DATA);
  const none = segment(0, 0n, 0, 0);
  context.gpr[RBX] = BigInt(startInfo);
  context.rip = BigInt(entry);
  context.segments = {
    es: flat,
    cs: segment(0, 0n, 0xffffffff, FLAT_CODE),
    ss: flat,
    ds: flat,
    fs: none,
    gs: none,
    ldtr: segment(0, 0n, 0, LDT),
    tr: segment(0, 0n, 0x67, BUSY_TSS),
  };
  context.gdtr = { base: 0n, limit: 0 };
  context.idtr = { base: 0n, limit: 0 };
  context.cr0 = CR0_PE | CR0_ET;
  return context;
}
