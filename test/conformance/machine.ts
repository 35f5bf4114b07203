/**
 * A machine for conformance guests: the hypervisor and the engine as they are, on one thread, with a clock that goes on
 * as instructions are executed and jumps while everything sleeps, so that a test takes milliseconds and always the same way.
 */
import { layOutPvh } from "../../src/boot/pvh.ts";
import { loadKernel } from "../../src/boot/kernel.ts";
import { decompressors } from "../../src/host/node/decompressors.ts";
import { destroyDomain } from "../../src/hypervisor/control.ts";
import { createControlDomain, createDomain, Hypervisor } from "../../src/hypervisor/domain.ts";
import type { Domain, DomainConfig } from "../../src/hypervisor/domain.ts";
import { createHeap } from "../../src/hypervisor/heap.ts";
import type { World } from "../../src/hypervisor/inputs.ts";
import { LOW_RAM_END, populate, populateDomain, SPECIAL_PAGE } from "../../src/hypervisor/p2m.ts";
import { attentionOf } from "../../src/engine/domain-memory.ts";
import { Guest } from "./guest.ts";
import { conformanceKernel } from "./kernel.ts";
import type { Bits } from "./kernel.ts";
import { Memory } from "./layout.ts";
import { takeProcessors } from "./processors.ts";

/** Nanoseconds that an instruction takes. */
const INSTRUCTION = 10;
/** UTC when the machine's clock shows 0. */
const BIG_BANG = 1_700_000_000_000_000_000n;

/** What is special about a guest. */
export interface GuestOptions {
  readonly bits: Bits;
  /** Virtual processors of the domain; only the first one runs. */
  readonly vcpus?: number;
  /** Routines of the test's own, in assembler. */
  readonly routines?: string;
  readonly config?: Partial<DomainConfig>;
}

/** A hypervisor with domain 0, and guests that run one at a time. */
export class Machine implements Disposable {
  readonly hypervisor: Hypervisor;
  /** Domain 0, which has no guest: tests act in its name. */
  readonly control: Domain;
  readonly #guests: Guest[] = [];
  #slept = 0;

  constructor() {
    this.hypervisor = new Hypervisor(createHeap(4), () => this.now());
    this.control = createControlDomain(this.hypervisor);
  }

  /** Nanoseconds since the machine was switched on. */
  now(): number {
    return this.#guests.reduce((time, guest) => time + guest.executed * INSTRUCTION, this.#slept);
  }

  /** UTC, in nanoseconds since 1970. */
  utc(): bigint {
    return BIG_BANG + BigInt(this.now());
  }

  /** Lets time go by. */
  sleep(nanoseconds: number): void {
    this.#slept += nanoseconds;
  }

  /** Makes a domain and runs its kernel until it first waits for the test. */
  guest(options: GuestOptions): Guest {
    const kernel = conformanceKernel(options.bits, options.routines);
    const vcpus = options.vcpus ?? 1;
    const layout = layOutPvh({
      kernel: loadKernel(kernel.file, "conformance", decompressors),
      memoryBytes: Memory.ram,
      commandLine: "",
      processors: { online: vcpus, maximum: vcpus },
    });
    const config: DomainConfig = {
      vcpus,
      ram: Memory.ram,
      memoryMap: layout.memoryMap.map(({ address, bytes, type }) => ({ address, size: bytes, type })),
      handle: Array.from({ length: 16 }, (_, i) => 0xa0 + i),
      ...options.config,
    };
    const processors = takeProcessors();
    const { memory, wasm } = processors;
    const domain = createDomain(this.hypervisor, config, memory, (vcpu) => attentionOf(wasm, vcpu));
    populateDomain(domain, Memory.ram);
    for (const { address, bytes } of layout.populated) {
      // RAM and the special pages are in place; what is left are the ACPI tables.
      if (address < LOW_RAM_END || address >= SPECIAL_PAGE.first * 4096) continue;
      populate(domain, address / 4096, Math.ceil(bytes / 4096));
    }
    for (const { address, bytes } of layout.writes) memory.write(address, bytes);
    const world: World = {
      monotonic: () => this.now(),
      wallclock: () => this.utc(),
      entropy: (into) => void into.fill(7),
    };
    const guest = new Guest({
      bits: options.bits,
      domain,
      config,
      kernel,
      processors,
      world,
      context: layout.context,
      sleep: (nanoseconds) => this.sleep(nanoseconds),
    });
    this.#guests.push(guest);
    domain.unpause();
    guest.start();
    return guest;
  }

  /** Ends a domain, and forgets its guest. */
  destroy(guest: Guest): void {
    this.#slept += guest.executed * INSTRUCTION;
    this.#guests.splice(this.#guests.indexOf(guest), 1);
    destroyDomain(this.hypervisor, guest.domain);
    guest[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    for (const guest of this.#guests) guest[Symbol.dispose]();
  }
}
