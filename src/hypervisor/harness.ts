/** A machine for tests of this layer: memory and a processor that run no code, but can be told what a guest would do. */

import type { Struct } from "../bits/struct.ts";
import { HVM_PARAM } from "../abi/hvm/params.ts";
import { Exit, P2mType } from "../engine/engine.ts";
import type { Attention, DomainMemory, MachineFrame, Vcpu, VcpuContext } from "../engine/engine.ts";
import { createControlDomain, createDomain, Hypervisor } from "./domain.ts";
import type { Domain, DomainConfig } from "./domain.ts";
import { createHeap } from "./heap.ts";
import { handleHypercall } from "./hypercall.ts";
import { hypercalls } from "./hypercalls/index.ts";
import type { Input, World } from "./inputs.ts";
import { populateDomain, ramRanges } from "./p2m.ts";
import { resetContext } from "./startup.ts";
import { VirtualCpu } from "./virtual-cpu.ts";

/** Memory of `frames` frames behind a private page. */
export function fakeMemory(frames: number, p2mFrames = 0x110000): DomainMemory & { readonly written: number[] } {
  const pages = Math.ceil((frames + 1) / 16);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const bytes = new Uint8Array(memory.buffer as SharedArrayBuffer);
  const p2m = new Map<number, { type: P2mType; mfn: MachineFrame }>();
  const written: number[] = [];
  const ram = (gfn: number): number | undefined => {
    const entry = p2m.get(gfn);
    return entry?.type === P2mType.ram || entry?.type === P2mType.ramReadOnly ? entry.mfn : undefined;
  };
  const copy = (address: number, length: number, move: (at: number, from: number, to: number) => void): boolean => {
    const pieces: [number, number, number][] = [];
    for (let done = 0; done < length;) {
      const frame = ram(Math.floor((address + done) / 4096));
      if (frame === undefined) return false;
      const chunk = Math.min(length - done, 4096 - ((address + done) % 4096));
      pieces.push([frame * 4096 + ((address + done) % 4096), done, done + chunk]);
      done += chunk;
    }
    for (const piece of pieces) move(...piece);
    return true;
  };
  return {
    memory,
    bytes,
    firstFrame: 1,
    endFrame: frames + 1,
    p2mFrames,
    written,
    p2mType: (gfn) => p2m.get(gfn)?.type ?? P2mType.mmio,
    findFrame: ram,
    setP2m: (gfn, type, mfn = 0) => void p2m.set(gfn, { type, mfn }),
    read: (from, into) => copy(from, into.length, (at, a, b) => into.set(bytes.subarray(at, at + b - a), a)),
    write: (to, from) => copy(to, from.length, (at, a, b) => bytes.set(from.subarray(a, b), at)),
    frame(gfn) {
      const frame = ram(gfn);
      return frame === undefined ? undefined : bytes.subarray(frame * 4096, frame * 4096 + 4096);
    },
    externallyWritten: (gfn) => void written.push(gfn),
  };
}

/** What a fake guest does each time it runs. */
export type Step = (vcpu: FakeVcpu) => Exit;

/** A processor whose linear addresses are physical, except that nothing at and above 2^40 is mapped. */
export class FakeVcpu implements Vcpu {
  readonly gprs = Array.from({ length: 16 }, () => 0n);
  readonly steps: Step[] = [];
  readonly injected: number[] = [];
  retired = 0;
  rip = 0x1000n;
  codeSize: 16 | 32 | 64 = 64;
  cpl = 0;
  interruptFlag = true;
  interruptPending = false;
  flushes = 0;
  #context = resetContext();

  run(budget: number): Exit {
    this.retired += budget;
    return this.steps.shift()?.(this) ?? Exit.budget;
  }
  context(): VcpuContext {
    return { ...this.#context, rip: this.rip };
  }
  setContext(context: VcpuContext): void {
    this.#context = context;
    this.rip = context.rip;
  }
  gpr(index: number): bigint {
    return this.gprs[index] ?? 0n;
  }
  setGpr(index: number, value: bigint): void {
    this.gprs[index] = value;
  }
  get interruptible(): boolean {
    return this.interruptFlag;
  }
  injectInterrupt(vector: number): void {
    this.injected.push(vector);
    this.interruptFlag = false;
  }
  injectException(vector: number): void {
    this.injected.push(vector);
  }
  translate(linear: bigint): number | undefined {
    return linear < 1n << 40n ? Number(linear) : undefined;
  }
  flushTlb(): void {
    this.flushes++;
  }
}

/** An attention word without threads: waiting lets time pass instead. */
export class FakeAttention implements Attention {
  wanted = false;
  readonly #pass: (milliseconds: number) => void;

  constructor(pass: (milliseconds: number) => void) {
    this.#pass = pass;
  }
  request(): void {
    this.wanted = true;
  }
  take(): boolean {
    const { wanted } = this;
    this.wanted = false;
    return wanted;
  }
  wait(milliseconds: number): void {
    if (!this.wanted) this.#pass(milliseconds);
  }
}

/** A domain with one processor, domain 0 beside it, and a clock that stands still until told. */
export class Machine {
  readonly hypervisor: Hypervisor;
  readonly control: Domain;
  readonly domain: Domain;
  readonly memory: ReturnType<typeof fakeMemory>;
  readonly config: DomainConfig;
  readonly cpu: VirtualCpu;
  readonly vcpu = new FakeVcpu();
  readonly attention: FakeAttention;
  readonly inputs: Input[] = [];
  console = "";
  /** Nanoseconds. The domain's system time is 1,000,000 less. */
  now = 1_000_000;

  /** @param beside a machine whose hypervisor this domain is to share. */
  constructor(options: Partial<DomainConfig> = {}, beside?: Machine) {
    const ram = 2 ** 20;
    this.config = {
      vcpus: 1,
      ram,
      memoryMap: ramRanges(ram),
      handle: Array.from({ length: 16 }, (_, i) => i),
      ...options,
    };
    this.hypervisor = beside?.hypervisor ?? new Hypervisor(createHeap(4), () => this.now);
    this.control = beside?.control ?? createControlDomain(this.hypervisor);
    this.memory = fakeMemory(ram / 4096 + 128);
    this.attention = new FakeAttention((milliseconds) => (this.now += milliseconds * 1e6));
    const attention = (vcpu: number): Attention | undefined => (vcpu === 0 ? this.attention : undefined);
    this.domain = createDomain(this.hypervisor, this.config, this.memory, attention);
    populateDomain(this.domain, ram);
    const world: World = {
      monotonic: () => this.now,
      wallclock: () => 1_700_000_000_000_000_000n,
      entropy: (into) => into.fill(7),
    };
    const console = (bytes: Uint8Array): void => void (this.console += String.fromCharCode(...bytes));
    this.domain.unpause();
    this.cpu = new VirtualCpu(this.domain, 0, this.config, {
      world,
      console,
      record: (input) => this.inputs.push(input),
    });
    this.cpu.attach(this.vcpu, this.attention);
    this.domain.setParam(HVM_PARAM.CALLBACK_IRQ, (2n << 56n) | 0xf3n);
    this.attention.take();
  }

  /** Makes a hypercall from 64-bit code, or with `vcpu.codeSize` set to 32 from 32-bit code. @returns its result. */
  call(number: number, ...args: (number | bigint)[]): number {
    const registers = this.vcpu.codeSize === 64 ? [7, 6, 2, 10, 8, 9] : [3, 1, 2, 6, 7, 5];
    const bits = this.vcpu.codeSize === 64 ? 64 : 32;
    args.forEach((argument, i) => this.vcpu.setGpr(registers[i] ?? 0, BigInt.asUintN(bits, BigInt(argument))));
    for (;;) {
      this.vcpu.setGpr(0, BigInt(number));
      const before = this.vcpu.rip;
      handleHypercall(this.cpu, hypercalls);
      if (this.vcpu.rip === before) break;
      this.vcpu.rip += 3n;
    }
    return Number(BigInt.asIntN(bits, this.vcpu.gpr(0)));
  }

  /** Puts a structure at an address, makes a hypercall with it, and reads it back. */
  op<T>(number: number, command: number, type: Struct<T>, value: Partial<T>, at = 0x8000): { result: number; out: T } {
    const size = type.sizeof;
    this.memory.write(at, type.encode({ ...type.zero(), ...value }));
    const result = this.call(number, command, at);
    const bytes = new Uint8Array(size);
    this.memory.read(at, bytes);
    return { result, out: type.read(bytes) };
  }

  /** A 32-bit word of guest-physical memory. */
  word(address: number): number {
    const bytes = new Uint8Array(4);
    this.memory.read(address, bytes);
    return new DataView(bytes.buffer).getUint32(0, true);
  }

  setWord(address: number, value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    this.memory.write(address, bytes);
  }
}
