/** The descriptor tables that executions see: Linux's GDT as far as user mode can tell, and the LDT of wire.ts. */
import type { SegmentState, VcpuContext } from "../../src/engine/engine.ts";
import {
  DESCRIPTORS,
  USER_CODE_32,
  USER_CODE_64,
  USER_DATA,
  type Case,
  type Descriptor,
  type Selectors,
} from "./wire.ts";

export const KERNEL_CODE = 0x10;
export const KERNEL_DATA = 0x18;
export const TSS_SELECTOR = 0x40;
export const LDT_SELECTOR = 0x50;

const flat = (attributes: number): Descriptor => ({ base: 0, limit: 0xffff_ffff, attributes });

/** By selector without RPL. Linux: arch/x86/kernel/cpu/common.c, gdt_page. */
export const GDT: ReadonlyMap<number, Descriptor> = new Map([
  [0x08, flat(0xc9b)],
  [KERNEL_CODE, flat(0xa9b)],
  [KERNEL_DATA, flat(0xc93)],
  [USER_CODE_32 & ~7, flat(0xcfb)],
  [USER_DATA & ~7, flat(0xcf3)],
  [USER_CODE_64 & ~7, flat(0xafb)],
]);
export const GDT_ENTRIES = 16;

function findDescriptor(selector: number): Descriptor | undefined {
  if ((selector & 4) !== 0) return DESCRIPTORS[selector >> 3];
  return GDT.get(selector & ~7);
}

const NULL_SEGMENT = { base: 0n, limit: 0, attributes: 0 } as const;

/** What loading `selector` leaves in a segment register. */
export function segmentOf(selector: number): SegmentState {
  const descriptor = findDescriptor(selector);
  if (descriptor === undefined) return { selector, ...NULL_SEGMENT };
  return { selector, base: BigInt(descriptor.base), limit: descriptor.limit, attributes: descriptor.attributes };
}

const FLAT_64: Selectors = { cs: USER_CODE_64, ss: USER_DATA, ds: USER_DATA, es: USER_DATA, fs: 0, gs: 0 };

/** The segment registers that a case starts with. */
export function segmentsOf(request: Case): Pick<VcpuContext["segments"], "es" | "cs" | "ss" | "ds" | "fs" | "gs"> {
  const { cs, ss, ds, es, fs, gs } = request.selectors ?? FLAT_64;
  const bases = request.bases ?? [undefined, undefined];
  const based = (selector: number, base: bigint | undefined): SegmentState => {
    const segment = segmentOf(selector);
    return base === undefined ? segment : { ...segment, base };
  };
  return {
    cs: segmentOf(cs),
    ss: segmentOf(ss),
    ds: segmentOf(ds),
    es: segmentOf(es),
    fs: based(fs, bases[0]),
    gs: based(gs, bases[1]),
  };
}

/** The eight bytes of a code or data descriptor. Intel SDM Vol. 3A, "Segment Descriptors". */
export function encodeDescriptor({ base, limit, attributes }: Descriptor): bigint {
  const granular = (attributes & 0x800) !== 0;
  const [address, size] = [BigInt(base), BigInt(granular ? limit >>> 12 : limit)];
  return (
    (size & 0xffffn) |
    ((address & 0xff_ffffn) << 16n) |
    (BigInt(attributes & 0xff) << 40n) |
    ((size >> 16n) << 48n) |
    (BigInt(attributes >> 8) << 52n) |
    ((address >> 24n) << 56n)
  );
}
