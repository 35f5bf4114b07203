/**
 * The vCPU's state as both tiers keep it in linear memory: byte offsets from the vCPU's base (design.md D4).
 * What an instruction leaves behind on any exit is exactly this.
 */

/** General registers in ModR/M order. */
export const Gpr = {
  rax: 0,
  rcx: 1,
  rdx: 2,
  rbx: 3,
  rsp: 4,
  rbp: 5,
  rsi: 6,
  rdi: 7,
  r8: 8,
  r9: 9,
  r10: 10,
  r11: 11,
  r12: 12,
  r13: 13,
  r14: 14,
  r15: 15,
} as const;
export type Gpr = keyof typeof Gpr;

/** Segment registers in Sreg order, then the two system ones. */
export const Segment = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5, ldtr: 6, tr: 7 } as const;
export type Segment = keyof typeof Segment;

let at = 0;
/** Reserves `bytes` bytes, aligned to their own size or to `alignment`. */
function reserve(bytes: number, alignment: number = Math.min(bytes, 16)): number {
  at = (at + alignment - 1) & -alignment;
  const offset = at;
  at += bytes;
  return offset;
}

export const State = {
  gpr: reserve(16 * 8),
  /** Always zero: the base, index or segment base of an operand that has none. */
  zero: reserve(8),
  /** RIP of byte 0 of the page that code runs from: a record's own page offset added to it is the RIP of its instruction. */
  ripPage: reserve(8),
  /** The next instruction's address. Current whenever the dispatcher looks, stale in between. */
  rip: reserve(8),
  /** The canonical lazy status flags: see x86/flags.ts. */
  ccResult: reserve(8),
  ccAux: reserve(8),
  /** RFLAGS without the status flags: TF, IF, DF, IOPL, NT, RF, VM, AC, VIF, VIP, ID in their places, bit 1 set. */
  flags: reserve(4),
  /** Current privilege level. */
  cpl: reserve(4),
  /** Code size 16, 32 or 64 as 0, 1, 2; bit 2: one instruction at a time; bit 3: CPL 3. Keys decoded records. */
  mode: reserve(4),
  /** Byte address of the TLB bank in use, and (entries − 1) × 32. */
  tlbBank: reserve(4),
  tlbMask: reserve(4),
  /** Count up when translations for instruction fetch change, in the kernel's half of the address space and in the user's. */
  kernelCode: reserve(4),
  userCode: reserve(4),
  /** Byte address of the jump cache in use. */
  jumpCache: reserve(4),
  /** Set while an STI or MOV SS shadow covers the next instruction. */
  shadow: reserve(4),
  /** Set by an instruction behind which TF, though set before it, does not trap: INT n and its kin, and SYSCALL. */
  noTrap: reserve(4),
  /** Non-zero: x87/SSE instructions must look at CR0 and CR4 before they run. */
  fpuTrap: reserve(4),
  /** Non-zero: CPL 3 with EFLAGS.AC and CR0.AM; misaligned accesses are #AC(0), and no access hits the TLB. */
  alignmentCheck: reserve(4),
  /** The exception that an instruction raised: vector, and error code or −1 for none. */
  faultVector: reserve(4),
  faultCode: reserve(4),
  /** What a slow access made for a region came to: 0, or an Ending. */
  slowStatus: reserve(4),
  /** Why the hypervisor is asked for: an Exit. */
  exitReason: reserve(4),
  /** Edge: somebody wants this vCPU (engine.md §E). */
  attention: reserve(4),
  /** Level: an interrupt waits for IF. */
  interruptPending: reserve(4),
  /** Values that pass to and from the platform. */
  hostValue: reserve(8),
  hostValue2: reserve(8),
  /** What the dispatcher passes back: the frame to decode in, the budget left, and how much of it REP chunks took. */
  dispatchFrame: reserve(4),
  dispatchSecond: reserve(4),
  dispatchBudget: reserve(4),
  dispatchPenalty: reserve(4),
  /** The record at which a region left off, for endings that concern it. */
  dispatchRecord: reserve(4),
  /** The budget left when a form was called: how far the vCPU has come since its run began. */
  dispatchRemaining: reserve(4),
  /** The time stamp when the run began, the budget then, and time-stamp ticks an instruction × 65536; 0: ask the platform. */
  timeBase: reserve(8),
  timeBudget: reserve(4),
  timeRate: reserve(4),
  /** Instructions that were executed in regions, for statistics. */
  translated: reserve(8),
  /** How often regions were entered otherwise than from a region. */
  regionEntries: reserve(8),
  /** Where tiers are compared (engine/check): what is under way, and the budget at which the interpreter stops; both 0 otherwise. */
  checking: reserve(4),
  checkStop: reserve(4),
  /** Whether jump caches are filled then. */
  checkJumps: reserve(4),
  /** ES … TR: base u64, limit u32 (bytes), selector u16, attributes u16 (as SegmentState). */
  segments: reserve(8 * 16, 16),
  gdtrBase: reserve(8),
  idtrBase: reserve(8),
  gdtrLimit: reserve(4),
  idtrLimit: reserve(4),
  cr0: reserve(8),
  cr2: reserve(8),
  cr3: reserve(8),
  cr4: reserve(8),
  efer: reserve(8),
  xcr0: reserve(8),
  dr: reserve(8 * 8, 8),
  star: reserve(8),
  lstar: reserve(8),
  cstar: reserve(8),
  fmask: reserve(8),
  kernelGsBase: reserve(8),
  sysenterCs: reserve(8),
  sysenterEsp: reserve(8),
  sysenterEip: reserve(8),
  tscAux: reserve(8),
  /** Added to the platform's time stamp by writes to IA32_TIME_STAMP_COUNTER. */
  tscOffset: reserve(8),
  pat: reserve(8),
  xmm: reserve(16 * 16, 16),
  /** x87 registers by physical number, 16 bytes each: significand u64, then sign and exponent u16. */
  x87: reserve(8 * 16, 16),
  fcw: reserve(4),
  /** Status word, TOP included. */
  fsw: reserve(4),
  /** Abridged tag: bit n set when physical register n is not empty. */
  ftw: reserve(4),
  fop: reserve(4),
  fip: reserve(8),
  fdp: reserve(8),
  mxcsr: reserve(4),
  /** Scratch for instructions that pass more than registers between routines. */
  scratch: reserve(64, 16),
  /** The page-walk cache, the flush logs and other state of the software MMU (engine/mmu). */
  mmu: reserve(1024, 16),
} as const;

/** Bytes of the state; what the engine keeps behind it begins at the next multiple of 4096. */
export const stateBytes = at;

export function gprSlot(number: number): number {
  return State.gpr + number * 8;
}
/** The slot of a byte register: without REX, numbers 4–7 are AH, CH, DH and BH. */
export function byteSlot(number: number, rex: boolean): number {
  return number >= 4 && number < 8 && !rex ? gprSlot(number - 4) + 1 : gprSlot(number);
}
export function segmentSlot(segment: Segment | number): number {
  return State.segments + (typeof segment === "number" ? segment : Segment[segment]) * 16;
}
/** Offsets inside a segment's 16 bytes. */
export const SegmentField = { base: 0, limit: 8, selector: 12, attributes: 14 } as const;
export function xmmSlot(number: number): number {
  return State.xmm + number * 16;
}
