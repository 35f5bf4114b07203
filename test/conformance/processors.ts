/** Processors of the real engine for conformance guests. Making one takes long, so they are used again, one guest after another. */
import { attentionOf, allocateDomainMemory, openDomainMemory } from "../../src/engine/domain-memory.ts";
import type { DomainMemory, Platform } from "../../src/engine/engine.ts";
import { DomainLayout } from "../../src/engine/layout.ts";
import { WasmEngine } from "../../src/engine/wasm-engine.ts";
import type { WasmVcpu } from "../../src/engine/wasm-engine.ts";
import { OVERHEAD_FRAMES } from "../../src/hypervisor/p2m.ts";
import { Memory } from "./layout.ts";

const PAGE = 4096;
/** Frames behind RAM: the hypervisor's own, ACPI tables, and some that a guest with a bug of ours could take. */
const FRAMES = Memory.ram / PAGE + OVERHEAD_FRAMES + 64;

/** Memory with processors over it. */
export interface Processors extends Disposable {
  readonly wasm: WebAssembly.Memory;
  readonly memory: DomainMemory;
  /** A processor in this memory, which asks `platform`. */
  vcpu(index: number, platform: Platform): WasmVcpu;
}

/** A platform that can be exchanged under a processor. */
class Switchboard {
  behind: Platform | undefined;
  readonly platform: Platform = {
    cpuid: (leaf, subleaf) => this.#there.cpuid(leaf, subleaf),
    rdmsr: (index) => this.#there.rdmsr(index),
    wrmsr: (index, value) => this.#there.wrmsr(index, value),
    portIn: (port, size) => this.#there.portIn(port, size),
    portOut: (port, size, value) => this.#there.portOut(port, size, value),
    mmioRead: (address, size) => this.#there.mmioRead(address, size),
    mmioWrite: (address, size, value) => this.#there.mmioWrite(address, size, value),
    timestamp: () => this.#there.timestamp(),
  };

  get #there(): Platform {
    if (this.behind === undefined) throw new Error("a processor runs that belongs to no guest");
    return this.behind;
  }
}

class PooledProcessors implements Processors {
  readonly wasm = allocateDomainMemory(Math.ceil(FRAMES / 16) * 16);
  readonly memory = openDomainMemory(this.wasm);
  readonly #vcpus = new Map<number, { readonly vcpu: WasmVcpu; readonly switchboard: Switchboard }>();

  /** Translates after as many entries as TEST_TRANSLATION says; 0: never. */
  #engine(): WasmEngine {
    return new WasmEngine(this.memory, { translation: Number(process.env["TEST_TRANSLATION"] ?? 0) });
  }

  vcpu(index: number, platform: Platform): WasmVcpu {
    let made = this.#vcpus.get(index);
    if (made === undefined) {
      const switchboard = new Switchboard();
      made = { switchboard, vcpu: this.#engine().createVcpu(index, switchboard.platform) };
      this.#vcpus.set(index, made);
    }
    made.switchboard.behind = platform;
    made.vcpu.interruptPending = false;
    attentionOf(this.wasm, index).take();
    return made.vcpu;
  }

  /** Empties the memory for the next guest. What was decoded from it is stale. */
  [Symbol.dispose](): void {
    const { memory } = this;
    const used = Math.max(Memory.mapped, Memory.ram) / PAGE;
    for (let gfn = 0; gfn < used; gfn++) memory.externallyWritten(gfn);
    new Uint32Array(memory.bytes.buffer, DomainLayout.p2m, DomainLayout.p2mFrames).fill(0);
    memory.bytes.fill(0, memory.firstFrame * PAGE);
    for (const { switchboard } of this.#vcpus.values()) switchboard.behind = undefined;
    free.push(this);
  }
}

const free: PooledProcessors[] = [];

/** Processors for one guest. Disposing of them gives them back. */
export function takeProcessors(): Processors {
  return free.pop() ?? new PooledProcessors();
}
