/**
 * The seam between the hypervisor and whatever runs guest code (design.md D8). The WebAssembly engine is one
 * implementation; the hypervisor, devices and toolstack know only this file.
 */

/** Names the part of a domain's linear memory that holds a page: byte offset ÷ 4096. Zero is never a guest frame. */
export type MachineFrame = number;

/** What a guest frame number leads to. The values are the low bits of a p2m entry. */
export const P2mType = {
  /** Nothing: reads are all-ones, writes are dropped, by way of {@link Platform.mmioRead} and mmioWrite. */
  mmio: 0,
  /** Ordinary memory. */
  ram: 1,
  /** Memory that the guest cannot write; a write is dropped. */
  ramReadOnly: 2,
  /** A page of another domain, served access by access by {@link Platform.mmioRead} and mmioWrite. */
  foreign: 3,
} as const;
export type P2mType = (typeof P2mType)[keyof typeof P2mType];

/**
 * A domain's memory (design.md D5): one shared WebAssembly.Memory with a private area (vCPU state, TLBs, code caches,
 * the p2m) and then machine frames. Every thread that runs or serves the domain holds its own instance over the same
 * memory. Guest-physical addresses are plain numbers below 2^52.
 */
export interface DomainMemory {
  readonly memory: WebAssembly.Memory;
  /** The whole linear memory, private area included. Byte `mfn * 4096` is the first of frame `mfn`. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** The first machine frame that may back a guest frame, and the first past the last. */
  readonly firstFrame: MachineFrame;
  readonly endFrame: MachineFrame;
  /** Guest frame numbers at and above this are not in the p2m and always mmio. */
  readonly p2mFrames: number;
  p2mType(gfn: number): P2mType;
  /** @returns the machine frame behind a ram or ramReadOnly gfn, otherwise undefined. */
  findFrame(gfn: number): MachineFrame | undefined;
  /** Points `gfn` at `mfn`. Callers on other threads than the vCPU's follow with a TLB flush request. */
  setP2m(gfn: number, type: P2mType, mfn?: MachineFrame): void;
  /** Copies guest-physical memory across frames. @returns false, having copied nothing, if any part is not memory. */
  read(from: number, into: Uint8Array): boolean;
  write(to: number, from: Uint8Array): boolean;
  /** The 4096 live bytes of a guest frame, or undefined where the guest has no RAM. */
  frame(gfn: number): Uint8Array<SharedArrayBuffer> | undefined;
  /** Tells the engine that code in `gfn` may have been changed behind its back (grant copies, backends, loaders). */
  externallyWritten(gfn: number): void;
}

/** What the machine around a processor answers. All are called on the vCPU's thread, between or inside instructions. */
export interface Platform {
  cpuid(leaf: number, subleaf: number): readonly [eax: number, ebx: number, ecx: number, edx: number];
  /** MSRs that are not the processor's own (see x86/msr.ts). @returns undefined for #GP(0). */
  rdmsr(index: number): bigint | undefined;
  /** @returns false for #GP(0). */
  wrmsr(index: number, value: bigint): boolean;
  portIn(port: number, size: 1 | 2 | 4): number;
  portOut(port: number, size: 1 | 2 | 4, value: number): void;
  /** Guest-physical accesses that no RAM answers: the LAPIC page, foreign pages, holes. */
  mmioRead(address: number, size: 1 | 2 | 4 | 8): bigint;
  mmioWrite(address: number, size: 1 | 2 | 4 | 8, value: bigint): void;
  /** The time-stamp counter: an integer below 2^53. */
  timestamp(): number;
}

/** Why {@link Vcpu.run} came back. */
export const Exit = {
  /** The budget is used up, or the attention word was set. */
  budget: 1,
  /** VMCALL or VMMCALL at CPL 0: number and arguments are in the registers; rip is past the instruction. */
  hypercall: 2,
  /** HLT; rip is past it. The interrupt flag tells whether anything can wake it. */
  halt: 3,
  /** `interruptPending` is set and the guest can now take an interrupt. */
  interruptWindow: 4,
  /** A fault while delivering a double fault; the domain is to be shut down. */
  tripleFault: 5,
} as const;
export type Exit = (typeof Exit)[keyof typeof Exit];

/** A segment register; attributes as in a VMCS without the unusable bit: type, S, DPL, P at 0–7, AVL, L, D/B, G at 8–11. */
export interface SegmentState {
  readonly selector: number;
  readonly base: bigint;
  readonly limit: number;
  readonly attributes: number;
}

/** Architectural state, as a snapshot or a domain builder sees it. */
export interface VcpuContext {
  /** rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 … r15. */
  gpr: bigint[];
  rip: bigint;
  rflags: bigint;
  segments: Record<"es" | "cs" | "ss" | "ds" | "fs" | "gs" | "ldtr" | "tr", SegmentState>;
  gdtr: { base: bigint; limit: number };
  idtr: { base: bigint; limit: number };
  cr0: bigint;
  cr2: bigint;
  cr3: bigint;
  cr4: bigint;
  efer: bigint;
  dr: bigint[];
  xcr0: bigint;
  /** The processor's own MSRs, by index. */
  msrs: Map<number, bigint>;
  /** 512 bytes in FXSAVE64 format. */
  fxsave: Uint8Array;
}

export interface Vcpu {
  /** Runs until something needs the hypervisor, or for about `budget` guest instructions. */
  run(budget: number): Exit;
  /** Instructions retired since creation. */
  readonly retired: number;
  context(): VcpuContext;
  setContext(context: VcpuContext): void;
  /** A general register by its number in the ModR/M encoding. */
  gpr(index: number): bigint;
  setGpr(index: number, value: bigint): void;
  rip: bigint;
  /** Mode of the running code: decides the hypercall ABI. */
  readonly codeSize: 16 | 32 | 64;
  readonly cpl: number;
  /** RFLAGS.IF, and not in the shadow of STI or MOV SS. */
  readonly interruptible: boolean;
  readonly interruptFlag: boolean;
  /** Level: an interrupt waits. While set, `run` exits with interruptWindow as soon as the guest can take it. */
  interruptPending: boolean;
  /** Delivers an external interrupt through the guest's IDT before its next instruction. */
  injectInterrupt(vector: number): void;
  /** Delivers an exception (or NMI, vector 2) before its next instruction. */
  injectException(vector: number, errorCode?: number): void;
  /** Translates with the vCPU's page tables as a supervisor access. @returns undefined if that would fault. */
  translate(linear: bigint, access: "read" | "write"): number | undefined;
  /** Drops every cached translation, for instance because the p2m changed. */
  flushTlb(): void;
}

/** The two words by which other threads ask for a vCPU (engine.md §E). Usable from any thread that has the memory. */
export interface Attention {
  /** Sets the word and wakes the vCPU if it sleeps in {@link Attention.wait}. */
  request(): void;
  /** Clears the word. @returns whether it was set. */
  take(): boolean;
  /** Blocks the calling worker until the word is set or the time is over. Must not be called on a main thread. */
  wait(milliseconds: number): void;
}

export interface Engine {
  createVcpu(index: number, platform: Platform): Vcpu;
}
