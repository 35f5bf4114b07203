/** Where things are in the memory of a conformance guest. Guest-physical addresses, which are linear ones too, unless it says otherwise. */

/** The guest's memory. */
export const Memory = {
  /** RAM ends here; everything up to `mapped` has a translation, so that pages can be put there. */
  ram: 0x80_0000,
  mapped: 0x100_0000,
  /** Physical: never backed by anything. */
  hole: 0xff_0000,
  /** The kernel's file begins here. */
  image: 0x10_0000,
  pageTables: 0x14_0000,
  idt: 0x15_0000,
  tss: 0x15_2000,
  mailbox: 0x16_0000,
  /** 256 words: how often each vector came. */
  counts: 0x16_1000,
  imageEnd: 0x16_2000,
  /** Hypercalls for the kernel to make one after the other. */
  script: 0x1b_0000,
  stack: 0x1f_0000,
  userStack: 0x1f_8000,
  /** Arguments of hypercalls, from here on. */
  data: 0x20_0000,
  dataEnd: 0x2e_0000,
  /** Frames that the window leads to. */
  windowFrames: 0x2f_0000,
  /** Frame numbers of RAM that the tests may use up, from this one on. */
  freeFrame: 0x300,
  lapic: 0xfee0_0000,
} as const;

/** Linear addresses of pages that are out of the ordinary, below 4 GiB so that both modes have them. */
export const Window = {
  base: 0x4000_0000,
  /** Two pages whose frames do not follow each other; then nothing. */
  first: 0x4000_0000,
  second: 0x4000_1000,
  absent: 0x4000_2000,
  /** A page that may only be read. */
  readOnly: 0x4000_3000,
  /** A translation to where there is no memory. */
  hole: 0x4000_4000,
  /** A page, and behind it one that may only be read. */
  beforeReadOnly: 0x4000_5000,
  afterWritable: 0x4000_6000,
  /** The page table's last entries, free for tests. */
  free: 0x4000_8000,
} as const;

/** The frames behind {@link Window}, and whether they may be written. */
export const windowPages: readonly (readonly [linear: number, physical: number, writable: boolean])[] = [
  [Window.first, Memory.windowFrames + 0x1000, true],
  [Window.second, Memory.windowFrames, true],
  [Window.readOnly, Memory.windowFrames + 0x2000, false],
  [Window.hole, Memory.hole, true],
  [Window.beforeReadOnly, Memory.windowFrames + 0x4000, true],
  [Window.afterWritable, Memory.windowFrames + 0x3000, false],
];

/** In 64-bit mode all that is mapped is mapped here, too: addresses that do not fit in 32 bits. */
export const HIGH = 0xffff_8000_0000_0000n;

/** Words of the mailbox between test and guest: byte offsets, 8 bytes each. */
export const Mailbox = {
  /** 1 while the guest waits for the test. */
  waiting: 0x00,
  /** The routine that the guest calls next. */
  routine: 0x08,
  number: 0x10,
  arguments: 0x18,
  result: 0x40,
  /** For routines that look at memory. */
  address: 0x48,
  value: 0x50,
  /** The last exception: its vector plus one, error code, where, CR2. */
  faultVector: 0x58,
  faultCode: 0x60,
  faultAddress: 0x68,
  faultCr2: 0x70,
  /** Where the interrupt handler clears a byte, or 0: the upcall flag, which would interrupt again. */
  upcallFlag: 0x78,
  /** Whether the handler tells the local APIC that it is done. */
  endOfInterrupt: 0x80,
  /** EBX at the entry point. */
  startInfo: 0x88,
  /** The stack pointer that user mode is left with. */
  kernelStack: 0x90,
  suspend: 0x98,
} as const;
