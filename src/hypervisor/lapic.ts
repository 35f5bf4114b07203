/**
 * A local APIC: the xAPIC page, the x2APIC registers, its timer, and interrupts between processors.
 * Intel SDM Vol. 3A, "Advanced Programmable Interrupt Controller (APIC)"; xen/arch/x86/hvm/vlapic.c.
 */

import {
  BASE_BSP,
  BASE_DEFAULT,
  BASE_ENABLE,
  BASE_X2APIC,
  BUS_CYCLE,
  LVR,
  LVT_MASK,
  MASKED,
  READABLE_MSRS,
  REGISTER,
  SOFTWARE_ENABLE,
  WRITABLE_MSRS,
} from "./lapic-registers.ts";

/** Interrupts that one processor sends to another. */
export type Delivery =
  | { readonly kind: "fixed"; readonly vector: number }
  | { readonly kind: "nmi" }
  | { readonly kind: "init" }
  | { readonly kind: "startup"; readonly page: number };

/** Whom an interrupt is for. APIC ids are a vCPU's number doubled, as Xen's. */
export type Destination =
  | { readonly kind: "self" | "all" | "others" }
  | { readonly kind: "physical" | "logical"; readonly id: number };

/** What a local APIC needs of the machine. Times are in nanoseconds of system time, which the guest's TSC equals. */
export interface LapicHost {
  now(): number;
  timestamp(): number;
  send(to: Destination, delivery: Delivery): void;
  /** LDR, DFR or the mode changed: senders look at them. */
  addressChanged(logicalId: number, format: number, x2apic: boolean): void;
  /** The APIC was enabled in software while it had been off: events that wait are to be raised again. */
  enabled(): void;
}

/** A local APIC of one vCPU. Only that vCPU's worker touches it. */
export class Lapic {
  readonly #id: number;
  readonly #host: LapicHost;
  readonly #registers = new Uint32Array(0x400 / 16);
  #base = BASE_DEFAULT | BASE_ENABLE;
  #esrPending = 0;
  /** When the count reaches zero, or Infinity; and how long it counts. */
  #deadline = Infinity;
  #period = Infinity;
  /** IA32_TSC_DEADLINE. */
  #tscDeadline = 0n;

  constructor(vcpu: number, host: LapicHost) {
    this.#id = vcpu * 2;
    this.#host = host;
    if (vcpu === 0) this.#base |= BASE_BSP;
    this.reset();
  }

  /** The state after INIT: everything but the base address and the id. */
  reset(): void {
    this.#registers.fill(0);
    for (const at of LVT_MASK.keys()) this.#set(at, MASKED);
    this.#set(REGISTER.SPIV, 0xff);
    this.#set(REGISTER.DFR, 0xffffffff);
    this.#deadline = Infinity;
    this.#tscDeadline = 0n;
    this.#tellAddress();
  }

  #get(at: number): number {
    return this.#registers[at >> 4] ?? 0;
  }

  #set(at: number, value: number): void {
    this.#registers[at >> 4] = value;
  }

  get #x2apic(): boolean {
    return (this.#base & BASE_X2APIC) !== 0;
  }

  get #divider(): number {
    const code = this.#get(REGISTER.TDCR);
    return 1 << ((((code & 3) | ((code & 8) >> 1)) + 1) & 7);
  }

  get #timerMode(): number {
    return (this.#get(REGISTER.LVTT) >>> 17) & 3;
  }

  #tellAddress(): void {
    this.#host.addressChanged(this.#get(REGISTER.LDR), this.#get(REGISTER.DFR), this.#x2apic);
  }

  /** Whether interrupts are accepted: enabled in IA32_APIC_BASE and in the spurious vector register. */
  get enabled(): boolean {
    return (this.#base & BASE_ENABLE) !== 0 && (this.#get(REGISTER.SPIV) & SOFTWARE_ENABLE) !== 0;
  }

  /** Whether IA32_APIC_BASE has it enabled: CPUID.1:EDX.APIC. */
  get present(): boolean {
    return (this.#base & BASE_ENABLE) !== 0;
  }

  /** Whether a guest-physical address is in its page. */
  claims(address: number): boolean {
    return (
      this.present &&
      !this.#x2apic &&
      address >= (this.#base & ~0xfff) >>> 0 &&
      address < ((this.#base & ~0xfff) >>> 0) + 4096
    );
  }

  /** Reads the page. Registers are 32 bits, 16 bytes apart; narrower reads see part of one, wider the one and zero. */
  read(offset: number, size: 1 | 2 | 4 | 8): number {
    const within = offset & 0xf;
    if (within + Math.min(size, 4) > 4) return 0;
    const value = this.#readRegister(offset & 0xff0) >>> (within * 8);
    return size === 1 ? value & 0xff : size === 2 ? value & 0xffff : value;
  }

  /** Writes the page. Anything but an aligned 32-bit write is ignored, as its effect is undefined. */
  write(offset: number, size: 1 | 2 | 4 | 8, value: number): void {
    if (size === 4 && (offset & 0xf) === 0) this.#writeRegister(offset & 0xff0, value >>> 0);
  }

  #readRegister(at: number): number {
    switch (at) {
      case REGISTER.ID:
        return this.#x2apic ? this.#id : (this.#id << 24) >>> 0;
      case REGISTER.LVR:
        return LVR;
      case REGISTER.PPR:
        return this.#ppr;
      case REGISTER.TMCCT:
        return this.#currentCount;
      case REGISTER.LDR:
        return this.#x2apic ? ((this.#id >>> 4) << 16) | (1 << (this.#id & 15)) : this.#get(at);
      default:
        return at < 0x400 ? this.#get(at) : 0;
    }
  }

  #writeRegister(at: number, value: number): void {
    const lvt = LVT_MASK.get(at);
    if (lvt !== undefined) {
      const masked = (this.#get(REGISTER.SPIV) & SOFTWARE_ENABLE) === 0 ? MASKED : 0;
      const modeChanged = at === REGISTER.LVTT && ((this.#get(at) ^ value) & (3 << 17)) !== 0;
      this.#set(at, (value & lvt) | masked);
      if (modeChanged) this.#stopTimer();
      return;
    }
    switch (at) {
      case REGISTER.TPR:
        this.#set(at, value & 0xff);
        return;
      case REGISTER.EOI:
        this.#endOfInterrupt();
        return;
      case REGISTER.LDR:
        this.#set(at, value & 0xff000000);
        this.#tellAddress();
        return;
      case REGISTER.DFR:
        this.#set(at, value | 0x0fffffff);
        this.#tellAddress();
        return;
      case REGISTER.SPIV: {
        const before = this.enabled;
        this.#set(at, value & 0x3ff);
        if ((value & SOFTWARE_ENABLE) === 0) {
          for (const lvtAt of LVT_MASK.keys()) this.#set(lvtAt, this.#get(lvtAt) | MASKED);
        } else if (!before && this.enabled) this.#host.enabled();
        return;
      }
      case REGISTER.ESR:
        // A write latches what has gone wrong since the last.
        this.#set(at, this.#esrPending);
        this.#esrPending = 0;
        return;
      case REGISTER.ICR:
        this.#set(at, value & ~(1 << 12));
        this.#sendIpi(value, this.#x2apic ? this.#get(REGISTER.ICR2) : this.#get(REGISTER.ICR2) >>> 24);
        return;
      case REGISTER.ICR2:
        this.#set(at, this.#x2apic ? value : value & 0xff000000);
        return;
      case REGISTER.TMICT:
        if (this.#timerMode === 2) return;
        this.#set(at, value);
        this.#startTimer(this.#host.now());
        return;
      case REGISTER.TDCR: {
        // The count goes on from where it is, at the new speed.
        const left = this.#currentCount;
        this.#set(at, value & 0xb);
        if (this.#deadline === Infinity) return;
        this.#deadline = this.#host.now() + left * BUS_CYCLE * this.#divider;
        this.#period = this.#get(REGISTER.TMICT) * BUS_CYCLE * this.#divider;
        return;
      }
      default:
    }
  }

  #sendIpi(command: number, id: number): void {
    const vector = command & 0xff;
    const mode = (command >>> 8) & 7;
    const shorthand = (command >>> 18) & 3;
    const logical = ((command >>> 11) & 1) !== 0;
    const to: Destination =
      shorthand === 0
        ? { kind: logical ? "logical" : "physical", id }
        : { kind: shorthand === 1 ? "self" : shorthand === 2 ? "all" : "others" };
    switch (mode) {
      case 0:
      case 1:
        if (vector < 16) this.#esrPending |= 1 << 5;
        else this.#host.send(to, { kind: "fixed", vector });
        return;
      case 4:
        this.#host.send(to, { kind: "nmi" });
        return;
      case 5:
        // A de-assert only synchronises arbitration ids, of which there are none.
        if ((command & (1 << 14)) !== 0) this.#host.send(to, { kind: "init" });
        return;
      case 6:
        this.#host.send(to, { kind: "startup", page: vector });
        return;
      default:
    }
  }

  /** Accepts an edge-triggered interrupt. */
  raise(vector: number): void {
    if (!this.enabled || vector < 16) return;
    const at = REGISTER.IRR + ((vector >>> 5) << 4);
    this.#set(at, this.#get(at) | (1 << (vector & 31)));
  }

  #highest(from: number): number {
    for (let word = 7; word >= 0; word--) {
      const bits = this.#get(from + (word << 4));
      if (bits !== 0) return word * 32 + 31 - Math.clz32(bits);
    }
    return -1;
  }

  get #ppr(): number {
    const task = this.#get(REGISTER.TPR);
    const inService = Math.max(0, this.#highest(REGISTER.ISR)) & 0xf0;
    return (task & 0xf0) >= inService ? task : inService;
  }

  /** The vector that would interrupt the processor now, if it accepts interrupts. */
  pending(): number | undefined {
    if (!this.enabled) return undefined;
    const vector = this.#highest(REGISTER.IRR);
    return vector >= 0 && (vector & 0xf0) > (this.#ppr & 0xf0) ? vector : undefined;
  }

  /** The processor has taken a vector: it is in service until its end of interrupt. */
  acknowledge(vector: number): void {
    const bit = 1 << (vector & 31);
    const word = (vector >>> 5) << 4;
    this.#set(REGISTER.IRR + word, this.#get(REGISTER.IRR + word) & ~bit);
    this.#set(REGISTER.ISR + word, this.#get(REGISTER.ISR + word) | bit);
  }

  #endOfInterrupt(): void {
    const vector = this.#highest(REGISTER.ISR);
    if (vector < 0) return;
    const at = REGISTER.ISR + ((vector >>> 5) << 4);
    this.#set(at, this.#get(at) & ~(1 << (vector & 31)));
  }

  #stopTimer(): void {
    this.#deadline = Infinity;
    this.#tscDeadline = 0n;
    this.#set(REGISTER.TMICT, 0);
  }

  #startTimer(now: number): void {
    const count = this.#get(REGISTER.TMICT);
    this.#period = count === 0 ? Infinity : count * BUS_CYCLE * this.#divider;
    this.#deadline = now + this.#period;
  }

  get #currentCount(): number {
    if (this.#deadline === Infinity) return 0;
    const cycle = BUS_CYCLE * this.#divider;
    return Math.min(0xffffffff, Math.max(0, Math.ceil((this.#deadline - this.#host.now()) / cycle)));
  }

  /** When {@link Lapic.tick} has something to do next: system time, or Infinity. */
  get deadline(): number {
    return this.#timerMode === 2 ? this.#tscDeadlineTime() : this.#deadline;
  }

  #tscDeadlineTime(): number {
    if (this.#tscDeadline === 0n) return Infinity;
    return this.#host.now() + Number(this.#tscDeadline) - this.#host.timestamp();
  }

  /** Raises the timer's interrupt if its time has come. */
  tick(now: number): void {
    if (this.deadline > now) return;
    const lvt = this.#get(REGISTER.LVTT);
    if (this.#timerMode === 2) this.#tscDeadline = 0n;
    else if (this.#timerMode === 1) {
      // Periods that passed unseen, for instance while the domain was paused, are one interrupt.
      this.#deadline += Math.ceil((now - this.#deadline + 1) / this.#period) * this.#period;
    } else this.#deadline = Infinity;
    if ((lvt & MASKED) === 0) this.raise(lvt & 0xff);
  }

  /** IA32_APIC_BASE */
  get base(): bigint {
    return BigInt(this.#base >>> 0);
  }

  /** @returns false for #GP: reserved bits, another address, or a change of mode that the manual forbids. */
  setBase(value: bigint): boolean {
    if (value >> 32n !== 0n) return false;
    const next = Number(value);
    if ((next & 0x2ff) !== 0 || (next & ~0xfff) >>> 0 !== BASE_DEFAULT) return false;
    const mode = (bits: number): number => (bits >>> 10) & 3;
    const [from, to] = [mode(this.#base), mode(next)];
    // Modes: 0 off, 2 xAPIC, 3 x2APIC; 1 is not valid, and x2APIC is left and entered only by way of the right ones.
    if (to === 1 || (from === 3 && to === 2) || (from === 0 && to === 3)) return false;
    this.#base = (next & ~BASE_BSP) | (this.#base & BASE_BSP);
    if (to === 0) this.reset();
    this.#tellAddress();
    return true;
  }

  /** IA32_TSC_DEADLINE; zero when the timer is not armed by it. */
  get tscDeadline(): bigint {
    return this.#timerMode === 2 ? this.#tscDeadline : 0n;
  }

  set tscDeadline(value: bigint) {
    if (this.#timerMode === 2) this.#tscDeadline = value;
  }

  /** An x2APIC register, MSR 0x800 to 0x83f. @returns undefined for #GP. */
  readMsr(index: number): bigint | undefined {
    if (!this.#x2apic) return undefined;
    const at = (index - 0x800) << 4;
    if (at === REGISTER.ICR) return (BigInt(this.#get(REGISTER.ICR2)) << 32n) | BigInt(this.#get(REGISTER.ICR));
    if (!READABLE_MSRS.has(at)) return undefined;
    return BigInt(this.#readRegister(at));
  }

  /** @returns false for #GP. */
  writeMsr(index: number, value: bigint): boolean {
    if (!this.#x2apic) return false;
    const at = (index - 0x800) << 4;
    if (at === REGISTER.ICR) {
      this.#set(REGISTER.ICR2, Number(value >> 32n));
      this.#writeRegister(at, Number(value & 0xffffffffn));
      return true;
    }
    if (value >> 32n !== 0n) return false;
    if (at === REGISTER.SELF_IPI) {
      this.#sendIpi(Number(value & 0xffn) | (1 << 18), 0);
      return value <= 0xffn;
    }
    if (!WRITABLE_MSRS.has(at)) return false;
    if ((at === REGISTER.EOI || at === REGISTER.ESR) && value !== 0n) return false;
    this.#writeRegister(at, Number(value));
    return true;
  }
}
