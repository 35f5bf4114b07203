/** One vCPU with everything of the machine around it: local APIC, MSRs, timers, inputs, the way to its events. */

import { assert } from "../bits/errors.ts";
import { SHUTDOWN } from "../abi/sched.ts";
import { VIRQ, XEN_PAGE_SHIFT, XEN_PAGE_SIZE } from "../abi/xen.ts";
import { HVM_PARAM, HVM_PARAM_CALLBACK_TYPE } from "../abi/hvm/params.ts";
import type { Attention, Platform, Vcpu } from "../engine/engine.ts";
import { cpuid } from "./cpuid-policy.ts";
import type { CpuidPolicy } from "./cpuid-policy.ts";
import type { Domain, DomainConfig } from "./domain.ts";
import { deliver, markEventsPending, upcallPending } from "./event-channels.ts";
import type { Upcall } from "./event-channels.ts";
import { takeRaised, virqPort } from "./event-table.ts";
import { ForeignMemory } from "./foreign.ts";
import { DOMAIN, VCPU } from "./heap.ts";
import { fillHypercallPage } from "./hypercall-page.ts";
import { liveInputs } from "./inputs.ts";
import type { Inputs, Recorder, World } from "./inputs.ts";
import { deliverInterrupt } from "./interrupts.ts";
import { Lapic } from "./lapic.ts";
import { PlatformMsrs } from "./msr.ts";
import { writeTime, writeTimeArea, writeWallclock } from "./shared-areas.ts";
import { Timers } from "./timers.ts";

/** What the worker that runs a vCPU supplies. */
export interface VcpuHost {
  readonly world: World;
  readonly record?: Recorder;
  /** Bytes for the hypervisor's console: console_io, and port 0xe9. */
  readonly console?: (bytes: Uint8Array) => void;
}

/** The port of the debug console. Reading it returns its number, by which guests find it. */
const DEBUG_PORT = 0xe9;
const ALL_ONES = { 1: 0xff, 2: 0xffff, 4: 0xffffffff } as const;
/** CR4.OSXSAVE */
const CR4_OSXSAVE = 1n << 18n;

/** A vCPU of a domain, on the worker that runs it. */
export class VirtualCpu {
  readonly domain: Domain;
  readonly index: number;
  readonly config: DomainConfig;
  readonly host: VcpuHost;
  readonly timers = new Timers();
  readonly lapic: Lapic;
  readonly msrs: PlatformMsrs;
  #inputs: Inputs;
  readonly platform: Platform;
  /** What IA32_TSC_ADJUST has added to the time-stamp counter. */
  tscOffset = 0;
  /** Set by SCHEDOP_block and SCHEDOP_poll: the vCPU is to sleep after this hypercall. */
  blocked = false;
  /** Ports that end a SCHEDOP_poll. */
  pollPorts: readonly number[] = [];
  /** Granted pages in the guest's p2m. */
  readonly foreign: ForeignMemory;
  /** The guest has asked to give way. */
  yielded = false;
  #vcpu: Vcpu | undefined;
  #attention: Attention | undefined;

  constructor(domain: Domain, index: number, config: DomainConfig, host: VcpuHost) {
    this.domain = domain;
    this.index = index;
    this.config = config;
    this.host = host;
    this.foreign = new ForeignMemory(domain);
    domain.heap.holder = domain.heap.holderOf(domain.slot);
    this.#inputs = this.#live();
    this.lapic = new Lapic(index, {
      now: () => this.inputs.time(),
      timestamp: () => this.timestamp(),
      send: (to, delivery) => deliverInterrupt(domain, this, to, delivery),
      addressChanged(logicalId, format, x2apic) {
        domain.vcpuSet(index, VCPU.logicalId, logicalId);
        domain.vcpuSet(index, VCPU.destinationFormat, format);
        domain.vcpuSet(index, VCPU.x2apic, x2apic ? 1 : 0);
      },
      enabled: () => {
        // Events that came while the APIC was off have raised no vector. Xen: hvm_assert_evtchn_irq() on SPIV.
        if (upcallPending(domain, index)) this.upcall(index);
      },
    });
    const physicalBits = physicalAddressBits(domain.memory.p2mFrames);
    this.msrs = new PlatformMsrs(
      {
        lapic: this.lapic,
        writeHypercallPage: (value) => this.#writeHypercallPage(value),
        tscAdjust: () => BigInt(this.tscOffset),
        setTscAdjust: (value) => {
          this.tscOffset = Number(BigInt.asIntN(53, value));
          writeTime(domain, index, this.tscOffset);
          writeTimeArea(domain, index, this.vcpu, this.tscOffset);
        },
      },
      physicalBits,
    );
    this.platform = this.#createPlatform({ domain: domain.id, vcpus: config.vcpus, physicalBits });
  }

  #live(): Inputs {
    const { world, record } = this.host;
    return liveInputs(world, this.domain.epoch, () => this.#vcpu?.retired ?? 0, record);
  }

  /** Time and everything else that comes from outside. */
  get inputs(): Inputs {
    return this.#inputs;
  }

  /** Begins the vCPU's life: the domain was unpaused for the first time, and its clock runs. */
  start(): void {
    this.#inputs = this.#live();
  }

  /** Counts the vCPU among those that run: it has been given a state. */
  comeUp(): void {
    this.domain.vcpuSet(this.index, VCPU.initialised, 1);
    bringUp(this.domain, this.index);
  }

  /** Takes the vCPU out of those that run; the last one powers the domain off. Xen: hvm_vcpu_down() */
  goDown(): void {
    takeDown(this.domain, this.index);
  }

  /** Joins with the processor that the engine made for {@link VirtualCpu.platform}. Once, before it runs. */
  attach(vcpu: Vcpu, attention: Attention): void {
    this.#vcpu = vcpu;
    this.#attention = attention;
  }

  get vcpu(): Vcpu {
    assert(this.#vcpu !== undefined, `domain ${this.domain.id} vCPU ${this.index}: not attached`);
    return this.#vcpu;
  }

  get attention(): Attention {
    assert(this.#attention !== undefined, `domain ${this.domain.id} vCPU ${this.index}: not attached`);
    return this.#attention;
  }

  /** The guest's time-stamp counter: system time in nanoseconds, and what the guest added. */
  timestamp(): number {
    const ticks = this.inputs.time() + this.tscOffset;
    return ticks >= 0 ? ticks : ticks + 2 ** 53;
  }

  /** A vCPU's upcall flag was set: raises its vector, or wakes its worker to look. */
  readonly upcall: Upcall = (vcpu) => {
    const vector = this.domain.vcpuGet(vcpu, VCPU.upcallVector);
    if (vcpu === this.index) {
      if (vector !== 0) this.lapic.raise(vector);
      return;
    }
    if (vector !== 0) raiseVector(this.domain, vcpu, vector);
    this.domain.kick(vcpu);
  };

  /** Moves what others raised into the guest's structures. */
  deliverRaised(): void {
    let any = false;
    takeRaised(this.domain, (port) => {
      any = true;
      this.inputs.event(port);
      deliver(this.domain, port, this.upcall);
    });
    if (!any || this.domain.vcpus === 1) return;
    for (let vcpu = 0; vcpu < this.domain.vcpus; vcpu++) {
      if (vcpu !== this.index && this.domain.vcpuGet(vcpu, VCPU.polling) !== 0) this.domain.kick(vcpu);
    }
  }

  /** Raises a virtual interrupt of this vCPU. */
  raiseVirq(virq: number): void {
    const port = virqPort(this.domain, virq, this.index);
    if (port !== 0) deliver(this.domain, port, this.upcall);
  }

  /** Takes the interrupts that other threads sent into the local APIC. */
  takeInterrupts(): void {
    const base = this.domain.heap.vcpu(this.domain.slot, this.index) + VCPU.interrupts;
    for (let word = 0; word < 8; word++) {
      let bits = Atomics.exchange(this.domain.heap.words, base + word, 0);
      for (; bits !== 0; bits &= bits - 1) this.lapic.raise(word * 32 + 31 - Math.clz32(bits & -bits));
    }
  }

  /** Handles every timer whose time has come. */
  checkTimers(now: number): void {
    if (this.timers.next() <= now) {
      const due = this.timers.take(now);
      if (due.ticks > 0) this.raiseVirq(VIRQ.TIMER);
      if (due.poll) this.blocked = false;
      if (due.watchdog !== undefined) this.domain.shutdown(due.watchdog);
    }
    this.lapic.tick(now);
  }

  /** When something is to happen next of itself: system time, or Infinity. */
  nextDeadline(): number {
    return Math.min(this.timers.next(), this.lapic.deadline);
  }

  /** The vector to interrupt the guest with: the callback's while events wait, then the local APIC's. */
  pendingVector(): { readonly vector: number; readonly lapic: boolean } | undefined {
    if (this.domain.vcpuGet(this.index, VCPU.upcallVector) === 0 && upcallPending(this.domain, this.index)) {
      const via = this.domain.param(HVM_PARAM.CALLBACK_IRQ);
      if (Number(via >> 56n) === HVM_PARAM_CALLBACK_TYPE.VECTOR) return { vector: Number(via & 0xffn), lapic: false };
    }
    const vector = this.lapic.pending();
    return vector === undefined ? undefined : { vector, lapic: true };
  }

  /**
   * Follows the mode of the code that sets events up: 32-bit code has its own layout of shared_info.
   * Xen: hvm_latch_shinfo_size()
   */
  latchLayout(): void {
    const compat = this.vcpu.codeSize === 64 ? 0 : 1;
    if (this.domain.get(DOMAIN.compat) === compat) return;
    this.domain.set(DOMAIN.compat, compat);
    writeWallclock(this.domain, this.inputs.wallclockAtStart());
  }

  /** Sets a vCPU's upcall flag. */
  markPending(vcpu: number): void {
    markEventsPending(this.domain, vcpu, this.upcall);
  }

  #writeHypercallPage(value: bigint): boolean {
    const gfn = value >> 12n;
    const { memory } = this.domain;
    // Bits 11:0 choose a page; there is one.
    if ((value & 0xfffn) !== 0n || gfn >= BigInt(memory.p2mFrames)) return false;
    const page = memory.frame(Number(gfn));
    if (page === undefined) return false;
    fillHypercallPage(page);
    memory.externallyWritten(Number(gfn));
    this.latchLayout();
    return true;
  }

  #createPlatform(policy: CpuidPolicy): Platform {
    const { foreign, lapic, msrs, host } = this;
    return {
      cpuid: (leaf, subleaf) => {
        const osxsave = leaf === 1 && (this.vcpu.context().cr4 & CR4_OSXSAVE) !== 0n;
        return cpuid(policy, this.index, leaf >>> 0, subleaf >>> 0, { osxsave, apic: lapic.present });
      },
      rdmsr: (index) => msrs.read(index >>> 0),
      wrmsr: (index, value) => msrs.write(index >>> 0, BigInt.asUintN(64, value)),
      // A PVH domain has no devices: reads are all ones, writes are dropped.
      portIn: (port, size) => (port === DEBUG_PORT && size === 1 ? DEBUG_PORT : ALL_ONES[size]),
      portOut: (port, _size, value) => {
        if (port === DEBUG_PORT) host.console?.(Uint8Array.of(value & 0xff));
      },
      mmioRead: (address, size) => {
        if (lapic.claims(address)) return BigInt(lapic.read(address % XEN_PAGE_SIZE, size));
        return foreign.read(address, size) ?? (1n << BigInt(size * 8)) - 1n;
      },
      mmioWrite: (address, size, value) => {
        if (lapic.claims(address)) lapic.write(address % XEN_PAGE_SIZE, size, Number(BigInt.asUintN(32, value)));
        else foreign.write(address, size, value);
      },
      timestamp: () => this.timestamp(),
    };
  }
}

/** Lets a vCPU that is down run. @returns whether it was down. */
export function bringUp(domain: Domain, vcpu: number): boolean {
  const { heap, base, slot } = domain;
  if (Atomics.compareExchange(heap.words, heap.vcpu(slot, vcpu) + VCPU.online, 0, 1) !== 0) return false;
  Atomics.add(heap.words, base + DOMAIN.onlineVcpus, 1);
  return true;
}

/** Takes a vCPU out of those that run; the last one powers the domain off. @returns whether it ran. */
export function takeDown(domain: Domain, vcpu: number): boolean {
  const { heap, base, slot } = domain;
  if (Atomics.compareExchange(heap.words, heap.vcpu(slot, vcpu) + VCPU.online, 1, 0) !== 1) return false;
  if (Atomics.sub(heap.words, base + DOMAIN.onlineVcpus, 1) === 1) domain.shutdown(SHUTDOWN.poweroff);
  return true;
}

/** Sends a vector to another vCPU's local APIC. The caller kicks it. */
export function raiseVector(domain: Domain, vcpu: number, vector: number): void {
  const at = domain.heap.vcpu(domain.slot, vcpu) + VCPU.interrupts + (vector >>> 5);
  Atomics.or(domain.heap.words, at, 1 << (vector & 31));
}

/** Guest-physical address bits to advertise: room for every frame of the p2m, and 39 at least, as a small desktop has. */
function physicalAddressBits(p2mFrames: number): number {
  return Math.max(39, Math.ceil(Math.log2(p2mFrames)) + XEN_PAGE_SHIFT);
}
