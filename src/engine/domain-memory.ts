import { P2mType } from "./engine.ts";
import type { Attention, DomainMemory } from "./engine.ts";
import { DomainLayout, vcpuBase } from "./layout.ts";
import { State } from "../x86/state.ts";

const frameBytes = 4096;
const pageBytes = 65536;

/** 64 KiB pages of a domain memory with `frames` machine frames behind the private area. */
export function memoryPages(frames: number): number {
  return (DomainLayout.privateBytes + frames * frameBytes) / pageBytes;
}

/** Allocates a domain's memory. Only what is touched costs anything. @param frames A multiple of 16. */
export function allocateDomainMemory(frames: number): WebAssembly.Memory {
  const pages = memoryPages(frames);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/** A view on a domain's memory, for any thread that was given it. */
export function openDomainMemory(memory: WebAssembly.Memory): DomainMemory {
  const buffer = memory.buffer as SharedArrayBuffer;
  const bytes = new Uint8Array(buffer);
  const p2m = new Uint32Array(buffer, DomainLayout.p2m, DomainLayout.p2mFrames);
  const codeFrames = new Uint8Array(buffer, DomainLayout.codeFrames, buffer.byteLength / frameBytes);
  const entryOf = (gfn: number) => (gfn >= 0 && gfn < DomainLayout.p2mFrames ? Atomics.load(p2m, gfn) : 0);

  /** The machine byte address behind a guest-physical one, or −1. */
  function locate(gfn: number, access: "read" | "write"): number {
    const entry = entryOf(gfn);
    const type = entry & 0xfff;
    if (type !== P2mType.ram && !(type === P2mType.ramReadOnly && access === "read")) return -1;
    return entry - type;
  }

  function copy(
    at: number,
    length: number,
    access: "read" | "write",
    visit: (machine: number, offset: number, count: number) => void,
  ): boolean {
    const pieces: [number, number, number][] = [];
    for (let offset = 0; offset < length;) {
      const physical = at + offset;
      const inPage = physical % frameBytes;
      const count = Math.min(frameBytes - inPage, length - offset);
      const machine = locate(Math.floor(physical / frameBytes), access);
      if (machine < 0) return false;
      pieces.push([machine + inPage, offset, count]);
      offset += count;
    }
    for (const [machine, offset, count] of pieces) visit(machine, offset, count);
    return true;
  }

  return {
    memory,
    bytes,
    firstFrame: DomainLayout.privateBytes / frameBytes,
    endFrame: buffer.byteLength / frameBytes,
    p2mFrames: DomainLayout.p2mFrames,
    p2mType: (gfn) => (entryOf(gfn) & 0xfff) as P2mType,
    findFrame(gfn) {
      const machine = locate(gfn, "read");
      return machine < 0 ? undefined : machine / frameBytes;
    },
    setP2m(gfn, type, mfn = 0) {
      Atomics.store(p2m, gfn, mfn * frameBytes + type);
    },
    read: (from, into) =>
      copy(from, into.length, "read", (machine, offset, count) =>
        into.set(bytes.subarray(machine, machine + count), offset),
      ),
    write: (to, from) =>
      copy(to, from.length, "write", (machine, offset, count) => {
        bytes.set(from.subarray(offset, offset + count), machine);
        if (codeFrames[Math.floor(machine / frameBytes)] !== 0) requestInvalidation(codeFrames, machine);
      }),
    frame(gfn) {
      const machine = locate(gfn, "read");
      return machine < 0 ? undefined : bytes.subarray(machine, machine + frameBytes);
    },
    externallyWritten(gfn) {
      const machine = locate(gfn, "read");
      if (machine >= 0 && codeFrames[machine / frameBytes] !== 0) requestInvalidation(codeFrames, machine);
    },
  };
}

/** What {@link DomainLayout.codeFrames} says of a frame. */
export const CodeFrame = { none: 0, decoded: 1, stale: 2 } as const;

/** Marks a frame whose code another party changed; the vCPU drops its records before it next takes one from there. */
function requestInvalidation(codeFrames: Uint8Array, machine: number): void {
  Atomics.store(codeFrames, Math.floor(machine / frameBytes), CodeFrame.stale);
  Atomics.store(new Int32Array(codeFrames.buffer, DomainLayout.staleCode, 1), 0, 1);
}

/** The attention words of a vCPU. */
export function attentionOf(memory: WebAssembly.Memory, vcpu: number): Attention {
  const words = new Int32Array(memory.buffer as SharedArrayBuffer);
  const at = (vcpuBase(vcpu) + State.attention) / 4;
  return {
    request() {
      Atomics.store(words, at, 1);
      Atomics.notify(words, at);
    },
    take: () => Atomics.exchange(words, at, 0) !== 0,
    wait(milliseconds) {
      Atomics.wait(words, at, 0, milliseconds);
    },
  };
}
