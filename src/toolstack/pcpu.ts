/** What a pCPU thread is told, and what it says: both can be posted between threads. */

import type { CheckSampling } from "../engine/check/options.ts";
import type { VcpuContext } from "../engine/engine.ts";
import type { DomainId } from "../abi/types.ts";
import type { DomainConfig } from "../hypervisor/domain.ts";

/** A vCPU for a thread to run. */
export interface PcpuAssignment {
  readonly heap: SharedArrayBuffer;
  readonly memory: WebAssembly.Memory;
  readonly domain: DomainId;
  readonly config: DomainConfig;
  readonly vcpu: number;
  /** The state that it starts in; undefined for one that waits for INIT and SIPI. */
  readonly context: VcpuContext | undefined;
  /** Counters that the thread keeps and others read: {@link Counter} of doubles. */
  readonly counters: SharedArrayBuffer;
  /** Holds the domain's "console" messages up when nobody reads them: see console-gate.ts. */
  readonly consoleGate: SharedArrayBuffer;
  /** A short name of the kernel, for caches: letters and digits. */
  readonly kernel?: string;
  /** Entries after which code is translated; 0: never. */
  readonly translation?: number;
  /** Count how often each form of an instruction is executed, and say so at the end: for bench/profile-forms.ts. */
  readonly countForms?: boolean;
  /** Compare translated code with the interpreter; the domain has one vCPU. */
  readonly check?: CheckSampling;
}

/** Places in {@link PcpuAssignment.counters}. */
export const Counter = {
  instructions: 0,
  budget: 1,
  hypercall: 2,
  halt: 3,
  interruptWindow: 4,
  tripleFault: 5,
  /** Calls from guest code's WebAssembly into JavaScript, and returns to it. */
  transitions: 6,
  /** Instructions executed in translated code. */
  translated: 7,
  /** How often regions were entered otherwise than from a region. */
  regionEntries: 12,
  /** Regions in use so far, guest instructions in them, bytes of WebAssembly, and regions whose code has changed. */
  regions: 8,
  regionInstructions: 9,
  regionBytes: 10,
  regionsDropped: 11,
  /** What was compared, and why some was not: engine/check/options.ts CheckStatistics. */
  checkedRegions: 13,
  checkedEntries: 14,
  checkedInstructions: 15,
  uncheckedEmpty: 16,
  uncheckedShared: 17,
  uncheckedRefused: 18,
  uncheckedUnsteady: 19,
  /** Seconds of processor time that the thread has used. */
  processorSeconds: 20,
  /** Those of the regions that had been translated before: earlier, or by another process. */
  regionsKnown: 21,
} as const;
export const COUNTERS = Object.keys(Counter).length;

/** What a thread tells the control thread. */
export type PcpuMessage =
  /** Bytes for the hypervisor's console: console_io, and port 0xE9. Only through {@link PcpuAssignment.consoleGate}. */
  | { readonly kind: "console"; readonly bytes: Uint8Array }
  /** Its guest maps or copies a page of this domain, whose memory the thread does not have. It waits for the answer. */
  | { readonly kind: "memory-wanted"; readonly domain: DomainId }
  /** The vCPU stopped for good, with its registers for people. */
  | {
      readonly kind: "stopped";
      /** "tiers-differ": what was asked for by {@link PcpuAssignment.check} has found something. */
      readonly why: "shutdown" | "triple-fault" | "tiers-differ";
      readonly registers: string;
      /** Of what was found. */
      readonly report?: string;
      readonly formCounts?: FormCounts;
    };

/** How often forms were executed, most often first; named as the dispatcher's profile names them. */
export type FormCounts = readonly { readonly name: string; readonly count: number }[];

/** What the control thread answers to "memory-wanted". */
export interface MemoryReply {
  /** Undefined where the domain is gone or has none. */
  readonly memory: WebAssembly.Memory | undefined;
}
