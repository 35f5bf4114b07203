/** Exception vectors. Intel SDM Vol. 3A, "Protected-Mode Exceptions and Interrupts". */
export const Vector = {
  DE: 0,
  DB: 1,
  NMI: 2,
  BP: 3,
  OF: 4,
  BR: 5,
  UD: 6,
  NM: 7,
  DF: 8,
  TS: 10,
  NP: 11,
  SS: 12,
  GP: 13,
  PF: 14,
  MF: 16,
  AC: 17,
  MC: 18,
  XM: 19,
} as const;
export type Vector = (typeof Vector)[keyof typeof Vector];

/** Vectors that push an error code: #DF, #TS, #NP, #SS, #GP, #PF, #AC. */
export const pushesErrorCode: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17]);

/**
 * Classes for double faults. Intel SDM Vol. 3A, "Interrupt 8—Double Fault Exception". A fault of the second kind while one
 * of the first is delivered makes #DF; any but a benign one during #DF is a triple fault.
 */
export const contributory: ReadonlySet<number> = new Set([0, 10, 11, 12, 13]);

/** Page-fault error code bits. Intel SDM Vol. 3A, "Page-Fault Exceptions". */
export const PageFault = { present: 1, write: 2, user: 4, reserved: 8, instruction: 16 } as const;
