import { Segment, SegmentField, State, gprSlot, segmentSlot, xmmSlot } from "../x86/state.ts";
import { Flag, statusFlagsMask } from "../x86/flags.ts";
import type { SegmentState, VcpuContext } from "./engine.ts";

/** MSRs that are fields of the state. Intel SDM Vol. 4, "Model-Specific Registers". */
export const stateMsrs: readonly (readonly [index: number, slot: number])[] = [
  [0xc0000081, State.star], [0xc0000082, State.lstar], [0xc0000083, State.cstar], [0xc0000084, State.fmask],
  [0xc0000102, State.kernelGsBase], [0xc0000103, State.tscAux], [0x174, State.sysenterCs], [0x175, State.sysenterEsp],
  [0x176, State.sysenterEip], [0x277, State.pat],
]; // prettier-ignore

const wide64 = (1n << 64n) - 1n;

/** The canonical lazy form (x86/flags.ts) as flag bits, and back. */
export function statusOf(result: bigint, aux: bigint): number {
  const cf = Number((aux >> 63n) & 1n);
  const low = Number((result ^ (aux >> 8n)) & 0xffn);
  let parity = low ^ (low >> 4);
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  const sf = Number(((result >> 63n) ^ aux) & 1n);
  return (
    (cf << Flag.cf) |
    (((parity & 1) ^ 1) << Flag.pf) |
    (Number((aux >> 3n) & 1n) << Flag.af) |
    (Number(result === 0n) << Flag.zf) |
    (sf << Flag.sf) |
    ((cf ^ Number((aux >> 62n) & 1n)) << Flag.of)
  );
}
export function lazyOf(flags: number): { result: bigint; aux: bigint } {
  const bit = (flag: keyof typeof Flag) => BigInt((flags >> Flag[flag]) & 1);
  const aux =
    (bit("cf") << 63n) | ((bit("cf") ^ bit("of")) << 62n) | (bit("af") << 3n) | ((bit("pf") ^ 1n) << 8n) | bit("sf");
  return { result: (bit("zf") ^ 1n) << 8n, aux };
}

/** Architectural state in and out of a vCPU's slots, seen through a view at the vCPU's base. */
export class ContextView {
  readonly #view: DataView;
  constructor(view: DataView) {
    this.#view = view;
  }

  u64(slot: number): bigint {
    return this.#view.getBigUint64(slot, true);
  }
  setU64(slot: number, value: bigint): void {
    this.#view.setBigUint64(slot, BigInt.asUintN(64, value), true);
  }
  u32(slot: number): number {
    return this.#view.getUint32(slot, true);
  }
  setU32(slot: number, value: number): void {
    this.#view.setUint32(slot, value, true);
  }

  rflags(): bigint {
    return BigInt(this.u32(State.flags) | statusOf(this.u64(State.ccResult), this.u64(State.ccAux)));
  }
  setRflags(value: bigint): void {
    const flags = Number(value & 0x3fffffn);
    this.setU32(State.flags, (flags & ~statusFlagsMask) | 2);
    const { result, aux } = lazyOf(flags);
    this.setU64(State.ccResult, result);
    this.setU64(State.ccAux, aux);
  }

  segment(name: Segment): SegmentState {
    const at = segmentSlot(name);
    return {
      base: this.u64(at + SegmentField.base),
      limit: this.u32(at + SegmentField.limit),
      selector: this.#view.getUint16(at + SegmentField.selector, true),
      attributes: this.#view.getUint16(at + SegmentField.attributes, true),
    };
  }
  setSegment(name: Segment, state: SegmentState): void {
    const at = segmentSlot(name);
    this.setU64(at + SegmentField.base, state.base);
    this.setU32(at + SegmentField.limit, state.limit);
    this.#view.setUint16(at + SegmentField.selector, state.selector, true);
    this.#view.setUint16(at + SegmentField.attributes, state.attributes, true);
  }

  /** x87 and SSE state as FXSAVE64 lays it out. Intel SDM Vol. 1, "FXSAVE Area". */
  fxsave(): Uint8Array {
    const area = new Uint8Array(512);
    const to = new DataView(area.buffer);
    const fsw = this.u32(State.fsw);
    to.setUint16(0, this.u32(State.fcw), true);
    to.setUint16(2, fsw, true);
    to.setUint8(4, this.u32(State.ftw));
    to.setUint16(6, this.u32(State.fop), true);
    to.setBigUint64(8, this.u64(State.fip), true);
    to.setBigUint64(16, this.u64(State.fdp), true);
    to.setUint32(24, this.u32(State.mxcsr), true);
    to.setUint32(28, 0xffff, true);
    const top = (fsw >> 11) & 7;
    for (let index = 0; index < 8; index++) {
      const slot = State.x87 + ((top + index) & 7) * 16;
      to.setBigUint64(32 + index * 16, this.u64(slot), true);
      to.setUint16(40 + index * 16, this.#view.getUint16(slot + 8, true), true);
    }
    for (let index = 0; index < 16; index++) {
      to.setBigUint64(160 + index * 16, this.u64(xmmSlot(index)), true);
      to.setBigUint64(168 + index * 16, this.u64(xmmSlot(index) + 8), true);
    }
    return area;
  }
  setFxsave(area: Uint8Array): void {
    const from = new DataView(area.buffer, area.byteOffset, area.byteLength);
    const fsw = from.getUint16(2, true);
    this.setU32(State.fcw, from.getUint16(0, true));
    this.setU32(State.fsw, fsw);
    this.setU32(State.ftw, from.getUint8(4));
    this.setU32(State.fop, from.getUint16(6, true));
    this.setU64(State.fip, from.getBigUint64(8, true));
    this.setU64(State.fdp, from.getBigUint64(16, true));
    this.setU32(State.mxcsr, from.getUint32(24, true));
    const top = (fsw >> 11) & 7;
    for (let index = 0; index < 8; index++) {
      const slot = State.x87 + ((top + index) & 7) * 16;
      this.setU64(slot, from.getBigUint64(32 + index * 16, true));
      this.#view.setUint16(slot + 8, from.getUint16(40 + index * 16, true), true);
    }
    for (let index = 0; index < 16; index++) {
      this.setU64(xmmSlot(index), from.getBigUint64(160 + index * 16, true));
      this.setU64(xmmSlot(index) + 8, from.getBigUint64(168 + index * 16, true));
    }
  }

  context(): VcpuContext {
    const names = Object.keys(Segment) as Segment[];
    return {
      gpr: Array.from({ length: 16 }, (_, index) => this.u64(gprSlot(index))),
      rip: this.u64(State.rip),
      rflags: this.rflags(),
      segments: Object.fromEntries(names.map((name) => [name, this.segment(name)])) as VcpuContext["segments"],
      gdtr: { base: this.u64(State.gdtrBase), limit: this.u32(State.gdtrLimit) },
      idtr: { base: this.u64(State.idtrBase), limit: this.u32(State.idtrLimit) },
      cr0: this.u64(State.cr0),
      cr2: this.u64(State.cr2),
      cr3: this.u64(State.cr3),
      cr4: this.u64(State.cr4),
      efer: this.u64(State.efer),
      xcr0: this.u64(State.xcr0),
      dr: Array.from({ length: 8 }, (_, index) => this.u64(State.dr + index * 8)),
      msrs: new Map(stateMsrs.map(([index, slot]) => [index, this.u64(slot)])),
      fxsave: this.fxsave(),
    };
  }

  setContext(context: VcpuContext): void {
    context.gpr.forEach((value, index) => this.setU64(gprSlot(index), value));
    this.setU64(State.rip, context.rip & wide64);
    this.setRflags(context.rflags);
    for (const name of Object.keys(Segment) as Segment[]) this.setSegment(name, context.segments[name]);
    const { attributes } = context.segments.ss;
    // SS.DPL is the current privilege level, except in real mode, where it is 0.
    this.setU32(State.cpl, (context.cr0 & 1n) === 0n ? 0 : (attributes >> 5) & 3);
    this.setU64(State.gdtrBase, context.gdtr.base);
    this.setU32(State.gdtrLimit, context.gdtr.limit);
    this.setU64(State.idtrBase, context.idtr.base);
    this.setU32(State.idtrLimit, context.idtr.limit);
    for (const name of ["cr0", "cr2", "cr3", "cr4", "efer", "xcr0"] as const) this.setU64(State[name], context[name]);
    context.dr.forEach((value, index) => this.setU64(State.dr + index * 8, value));
    for (const [index, slot] of stateMsrs) {
      const value = context.msrs.get(index);
      if (value !== undefined) this.setU64(slot, value);
    }
    this.setFxsave(context.fxsave);
  }
}
