/** The registers of a local APIC. Intel SDM Vol. 3A, "Local APIC Register Address Map". */

/** Offsets in the xAPIC page; divided by 16, of the x2APIC MSRs from 0x800 on. */
export const REGISTER = {
  ID: 0x20,
  LVR: 0x30,
  TPR: 0x80,
  APR: 0x90,
  PPR: 0xa0,
  EOI: 0xb0,
  LDR: 0xd0,
  DFR: 0xe0,
  SPIV: 0xf0,
  ISR: 0x100,
  TMR: 0x180,
  IRR: 0x200,
  ESR: 0x280,
  ICR: 0x300,
  ICR2: 0x310,
  LVTT: 0x320,
  LVTTHMR: 0x330,
  LVTPC: 0x340,
  LVT0: 0x350,
  LVT1: 0x360,
  LVTERR: 0x370,
  TMICT: 0x380,
  TMCCT: 0x390,
  TDCR: 0x3e0,
  SELF_IPI: 0x3f0,
} as const;

/** Version 0x14 with 6 local vectors, as Xen's. */
export const LVR = 0x00050014;
/** The mask bit of a local vector. */
export const MASKED = 1 << 16;
/** The enable bit of the spurious vector register. */
export const SOFTWARE_ENABLE = 1 << 8;
/** Bits of IA32_APIC_BASE, and the only address it can have. */
export const BASE_BSP = 1 << 8;
export const BASE_X2APIC = 1 << 10;
export const BASE_ENABLE = 1 << 11;
export const BASE_DEFAULT = 0xfee00000;
/** Xen: APIC_BUS_CYCLE_NS. The timer counts a bus of 100 MHz, divided by TDCR. */
export const BUS_CYCLE = 10;
/** Bits that software may set in each local vector. */
export const LVT_MASK: ReadonlyMap<number, number> = new Map([
  [REGISTER.LVTT, 0x710ff],
  [REGISTER.LVTTHMR, 0x107ff],
  [REGISTER.LVTPC, 0x107ff],
  [REGISTER.LVT0, 0x1a7ff],
  [REGISTER.LVT1, 0x1a7ff],
  [REGISTER.LVTERR, 0x100ff],
]);

const BANKS = [REGISTER.ISR, REGISTER.TMR, REGISTER.IRR].flatMap((bank) =>
  Array.from({ length: 8 }, (_, word) => bank + (word << 4)),
);
const TIMER = [REGISTER.TMICT, REGISTER.TDCR] as const;

/** Registers that x2APIC mode reads; the others raise #GP. Intel SDM Vol. 3A, "x2APIC Register Address Space". */
export const READABLE_MSRS: ReadonlySet<number> = new Set([
  REGISTER.ID,
  REGISTER.LVR,
  REGISTER.TPR,
  REGISTER.PPR,
  REGISTER.LDR,
  REGISTER.SPIV,
  REGISTER.ESR,
  ...LVT_MASK.keys(),
  ...TIMER,
  REGISTER.TMCCT,
  ...BANKS,
]);

/** Registers that x2APIC mode writes, apart from the interrupt command. */
export const WRITABLE_MSRS: ReadonlySet<number> = new Set([
  REGISTER.TPR,
  REGISTER.EOI,
  REGISTER.SPIV,
  REGISTER.ESR,
  ...LVT_MASK.keys(),
  ...TIMER,
]);
