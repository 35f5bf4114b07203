/** Page-table entries and control bits. Intel SDM Vol. 3A, "Paging". */

/** Physical address width that CPUID leaf 0x80000008 reports: bits from here to 51 of an entry are reserved. */
export const physicalAddressBits = 39;

export const Cr0 = {
  pe: 1,
  mp: 2,
  em: 4,
  ts: 8,
  et: 16,
  ne: 32,
  wp: 1 << 16,
  am: 1 << 18,
  nw: 1 << 29,
  cd: 1 << 30,
  pg: 0x80000000,
} as const;
export const Cr4 = {
  vme: 1, pvi: 2, tsd: 4, de: 8, pse: 16, pae: 32, mce: 64, pge: 128, pce: 256, osfxsr: 512, osxmmexcpt: 1024, umip: 2048,
  fsgsbase: 1 << 16, pcide: 1 << 17, osxsave: 1 << 18, smep: 1 << 20, smap: 1 << 21,
} as const; // prettier-ignore
export const Efer = { sce: 1, lme: 1 << 8, lma: 1 << 10, nxe: 1 << 11 } as const;

export const Pte = {
  present: 1n,
  writable: 2n,
  user: 4n,
  accessed: 0x20n,
  dirty: 0x40n,
  large: 0x80n,
  global: 0x100n,
  noExecute: 1n << 63n,
} as const;
/** Bits 12–51 of an entry. */
export const frameMask = 0x000f_ffff_ffff_f000n;
/** Bits of an entry, or of CR3, that a machine of {@link physicalAddressBits} has no use for. */
export const reservedAddress = frameMask & ~((1n << BigInt(physicalAddressBits)) - 1n);
