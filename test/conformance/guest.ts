/** A conformance guest, as a test drives it: every hypercall is a VMCALL of the guest's own code. */
import assert from "node:assert/strict";
import type { DualStruct } from "../../src/abi/types.ts";
import type { Struct } from "../../src/bits/struct.ts";
import { attentionOf } from "../../src/engine/domain-memory.ts";
import type { Attention, DomainMemory, VcpuContext } from "../../src/engine/engine.ts";
import type { WasmVcpu } from "../../src/engine/wasm-engine.ts";
import type { Domain, DomainConfig } from "../../src/hypervisor/domain.ts";
import type { World } from "../../src/hypervisor/inputs.ts";
import { runVcpu } from "../../src/hypervisor/vcpu-loop.ts";
import { VirtualCpu } from "../../src/hypervisor/virtual-cpu.ts";
import type { Bits, Kernel } from "./kernel.ts";
import { Mailbox, Memory } from "./layout.ts";
import type { Processors } from "./processors.ts";

/** What a guest is put together from. */
export interface GuestParts {
  readonly bits: Bits;
  readonly domain: Domain;
  readonly config: DomainConfig;
  readonly kernel: Kernel;
  readonly processors: Processors;
  readonly world: World;
  readonly context: VcpuContext;
  readonly sleep: (nanoseconds: number) => void;
}

/** When a guest is held to go on for ever. */
export interface Patience {
  /** Sleeps in one turn without an instruction in between. */
  readonly sleeps: number;
  /** Instructions in one turn. */
  readonly instructions: number;
}

const PATIENCE: Patience = { sleeps: 3000, instructions: 50_000_000 };

/** What is the guest's own doing, or the test's: not the hypervisor's. */
export class GuestFailure extends Error {}

/** An argument: a number, which 64-bit guests may have wider. */
export type Argument = number | bigint;

/** A domain with a kernel that waits for what the test wants it to do. */
export class Guest implements Disposable {
  readonly bits: Bits;
  readonly domain: Domain;
  readonly memory: DomainMemory;
  readonly cpu: VirtualCpu;
  /** What the guest put out: console_io and port 0xe9. */
  console = "";
  readonly parts: GuestParts;
  patience = PATIENCE;
  readonly #vcpu: WasmVcpu;
  readonly #attention: Attention;
  readonly #born: number;
  readonly #view: DataView;
  #data: number = Memory.data;
  #sleeps = 0;
  #turn = 0;

  constructor(parts: GuestParts) {
    const { bits, config, domain, processors, world } = parts;
    this.parts = parts;
    this.bits = bits;
    this.domain = domain;
    this.memory = processors.memory;
    this.#view = new DataView(this.memory.bytes.buffer);
    const console = (bytes: Uint8Array): void => void (this.console += String.fromCharCode(...bytes));
    this.cpu = new VirtualCpu(domain, 0, config, { world, console });
    this.#vcpu = processors.vcpu(0, this.cpu.platform);
    this.#born = this.#vcpu.retired;
    const words = attentionOf(processors.wasm, 0);
    this.#attention = {
      request: words.request,
      take: words.take,
      wait: (milliseconds) => {
        if (words.take()) words.request();
        else this.#sleep(milliseconds);
      },
    };
    this.cpu.attach(this.#vcpu, this.#attention);
    this.#vcpu.setContext(parts.context);
  }

  /** Instructions that the guest has executed. */
  get executed(): number {
    return this.#vcpu.retired - this.#born;
  }

  /** The processor's registers. */
  context(): VcpuContext {
    return this.#vcpu.context();
  }

  #sleep(milliseconds: number): void {
    this.#sleeps = this.executed === this.#turn ? this.#sleeps + 1 : 0;
    if (this.#sleeps > this.patience.sleeps) throw new GuestFailure(`the guest sleeps for ever, ${this.#where()}`);
    this.#turn = this.executed;
    this.parts.sleep(milliseconds * 1e6);
  }

  #where(): string {
    return `at 0x${this.#vcpu.rip.toString(16)}`;
  }

  /** Runs the kernel's first instructions. */
  start(): void {
    this.#toTest();
  }

  /** Lets the guest run until it waits or its domain ends. @returns the SHUTDOWN reason unless it waits. */
  #go(): number | undefined {
    this.#sleeps = 0;
    const { executed } = this;
    const run = this.#vcpu.run.bind(this.#vcpu);
    const bounded = new Proxy(this.#vcpu, {
      get: (vcpu, key) => {
        const value: unknown = Reflect.get(vcpu, key, vcpu);
        if (key !== "run") return typeof value === "function" ? (value.bind(vcpu) as unknown) : value;
        if (this.executed - executed > this.patience.instructions)
          throw new GuestFailure(`the guest runs for ever, ${this.#where()}`);
        return run;
      },
      set: (vcpu, key, value) => Reflect.set(vcpu, key, value, vcpu),
    });
    const { crash, reason } = runVcpu(this.cpu, bounded, this.#attention);
    if (crash !== undefined) throw new GuestFailure(crash.message);
    return this.u32(Memory.mailbox + Mailbox.waiting) === 1 ? undefined : (reason ?? -1);
  }

  #toTest(): void {
    const reason = this.#go();
    if (reason !== undefined) throw new GuestFailure(`the domain has ended with reason ${reason}`);
    const vector = this.u32(Memory.mailbox + Mailbox.faultVector);
    if (vector === 0) return;
    this.setU32(Memory.mailbox + Mailbox.faultVector, 0);
    const [code, at, cr2] = (["faultCode", "faultAddress", "faultCr2"] as const).map((name) =>
      this.u64(Memory.mailbox + Mailbox[name]).toString(16),
    );
    throw new GuestFailure(`exception ${vector - 1} in the guest: error code 0x${code}, at 0x${at}, CR2 0x${cr2}`);
  }

  #prepare(routine: string): void {
    const at = this.parts.kernel.labels.get(routine);
    assert.ok(at !== undefined, `the guest has no routine "${routine}"`);
    this.setU64(Memory.mailbox + Mailbox.routine, at);
    this.domain.resume();
  }

  /** Enters a routine of the guest's and comes back from it. */
  run(routine: string): void {
    this.#prepare(routine);
    this.#toTest();
  }

  /** Enters a routine that ends the domain. @returns the SHUTDOWN reason. */
  runToEnd(routine: string): number {
    this.#prepare(routine);
    const reason = this.#go();
    assert.ok(reason !== undefined, "the domain goes on");
    return reason;
  }

  /** Lets a domain that suspended itself go on, back to the test. */
  resume(): void {
    this.domain.resume();
    this.#toTest();
  }

  #arguments(number: number, args: readonly Argument[]): void {
    this.setU64(Memory.mailbox + Mailbox.number, BigInt.asUintN(this.bits, BigInt(number)));
    for (let i = 0; i < 5; i++) {
      const value = BigInt.asUintN(this.bits, BigInt(args[i] ?? 0));
      this.setU64(Memory.mailbox + Mailbox.arguments + i * 8, value);
    }
  }

  /** What the last routine left in rAX, with its sign. */
  get result(): number {
    return Number(BigInt.asIntN(this.bits, this.u64(Memory.mailbox + Mailbox.result)));
  }

  /** Makes a hypercall. @returns its result. */
  call(number: number, ...args: readonly Argument[]): number {
    return this.callBy("hypercall", number, ...args);
  }

  /** Makes a hypercall in another way: "hypercall_amd", "hypercall_page" at the mailbox's address, "hypercall_user". */
  callBy(routine: string, number: number, ...args: readonly Argument[]): number {
    this.#arguments(number, args);
    this.run(routine);
    return this.result;
  }

  /** Makes a hypercall that ends the domain. @returns the SHUTDOWN reason. */
  callToEnd(number: number, ...args: readonly Argument[]): number {
    this.#arguments(number, args);
    return this.runToEnd("hypercall");
  }

  /** Makes a hypercall with a structure. @returns the result, and the structure as it is afterwards. */
  op<T>(number: number, command: number, type: Struct<T> | DualStruct<T>, value: Partial<T>, ...more: Argument[]) {
    const at = this.place(type, value);
    const result = this.call(number, command, at, ...more);
    return { result, out: this.read(type, at) };
  }

  /** The layout of a structure for the guest's code. */
  layout<T>(type: Struct<T> | DualStruct<T>): Struct<T> {
    return this.bits === 32 && "compat" in type ? type.compat : type;
  }

  /** Bytes for a test's arguments, from an address that is a multiple of 16. */
  allocate(size: number): number {
    const at = this.#data;
    this.#data += Math.ceil(size / 16) * 16;
    assert.ok(this.#data <= Memory.dataEnd, "the test has no room for more arguments");
    return at;
  }

  /** Puts a structure into the guest's memory, members that are not given zero. @returns its address. */
  place<T>(type: Struct<T> | DualStruct<T>, value: Partial<T>, at?: number): number {
    const codec = this.layout(type);
    const to = at ?? this.allocate(codec.sizeof);
    this.write(to, codec.encode({ ...codec.zero(), ...value }));
    return to;
  }

  /** Puts a list of numbers of 4 or 8 bytes into the guest's memory. @returns its address. */
  placeNumbers(size: 4 | 8, values: readonly Argument[], at = this.allocate(size * values.length)): number {
    values.forEach((value, i) => {
      if (size === 4) this.setU32(at + i * 4, Number(value));
      else this.setU64(at + i * 8, BigInt(value));
    });
    return at;
  }

  /** A list of frame numbers or lengths: `unsigned long`s of the guest's width. */
  placeLongs(values: readonly Argument[]): number {
    return this.placeNumbers(this.bits === 32 ? 4 : 8, values);
  }

  read<T>(type: Struct<T> | DualStruct<T>, at: number): T {
    const codec = this.layout(type);
    return codec.read(this.bytes(at, codec.sizeof));
  }

  /** A copy of guest-physical memory. */
  bytes(at: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    if (!this.memory.read(at, bytes)) throw new GuestFailure(`no memory at 0x${at.toString(16)}`);
    return bytes;
  }

  write(at: number, bytes: Uint8Array): void {
    if (!this.memory.write(at, bytes)) throw new GuestFailure(`no memory at 0x${at.toString(16)}`);
  }

  /** Where guest-physical bytes are in the engine's memory. */
  #locate(at: number): number {
    const frame = this.memory.findFrame(Math.floor(at / 4096));
    if (frame === undefined) throw new GuestFailure(`no memory at 0x${at.toString(16)}`);
    return frame * 4096 + (at % 4096);
  }

  u8(at: number): number {
    return this.#view.getUint8(this.#locate(at));
  }
  u32(at: number): number {
    return this.#view.getUint32(this.#locate(at), true);
  }
  u64(at: number): bigint {
    return this.#view.getBigUint64(this.#locate(at), true);
  }
  setU32(at: number, value: number): void {
    this.#view.setUint32(this.#locate(at), value, true);
  }
  setU64(at: number, value: bigint): void {
    this.#view.setBigUint64(this.#locate(at), value, true);
  }

  /** Text up to its zero byte. */
  text(at: number, limit = 1024): string {
    const bytes = this.bytes(at, limit);
    const end = bytes.indexOf(0);
    return String.fromCharCode(...bytes.subarray(0, end < 0 ? limit : end));
  }

  /** Sets what a routine of the kernel reads. */
  mail(name: keyof typeof Mailbox, value: Argument): void {
    this.setU64(Memory.mailbox + Mailbox[name], BigInt.asUintN(64, BigInt(value)));
  }

  /** What a routine of the kernel wrote. */
  mailed(name: keyof typeof Mailbox): bigint {
    return this.u64(Memory.mailbox + Mailbox[name]);
  }

  /** A 32-bit word as the guest's own load sees it, through its page tables and whatever it has cached of them. */
  load(address: Argument): number {
    this.mail("address", address);
    this.run("load");
    return Number(BigInt.asUintN(32, this.mailed("result")));
  }

  /** Stores a 32-bit word as the guest. */
  store(address: Argument, value: number): void {
    this.mail("address", address);
    this.mail("value", value);
    this.run("store");
  }

  /** System time in nanoseconds, as the guest's time-stamp counter shows it. */
  time(): number {
    this.run("clock");
    return Number(this.mailed("result"));
  }

  /** How often a vector interrupted the guest. */
  interrupts(vector: number): number {
    return this.u32(Memory.counts + vector * 4);
  }

  [Symbol.dispose](): void {
    this.parts.processors[Symbol.dispose]();
  }
}
