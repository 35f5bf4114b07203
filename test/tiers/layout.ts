/** Where the programs of these tests and their data lie: linear addresses, and the physical ones behind them. */

export const pageBytes = 4096;

/**
 * The program: four pages, of which there are two versions in memory, and a second mapping of the first. Where it runs in
 * ring 0 it is in the upper half, as a kernel is, and still within reach of the data.
 */
export const Code = {
  user: 0x40_0000,
  kernel: -0x7fc0_0000,
  pages: 4,
  physical: 0x20_0000,
  /** The other version is at the physical address with this bit. */
  otherVersion: 0x1_0000,
  alias: 0x30_0000,
} as const;

/** Data: pages of which some are read-only or absent, with a register in their midst. */
export const Data = { linear: 0x10_0000, pages: 8, anchor: 0x10_4000, anchorRegister: 14 } as const;

/** Counters of loops: nothing but RIP-relative instructions goes there. */
export const Counters = { linear: 0x11_0000, count: 16 } as const;

export const Stack = { linear: 0x12_0000, pages: 4, start: 0x12_2000 } as const;

/** The interrupt vector with which programs end. */
export const endVector = 0x30;

/** Where a program begins, signed. */
export function codeBase(cpl: 0 | 3): number {
  return cpl === 3 ? Code.user : Code.kernel;
}
