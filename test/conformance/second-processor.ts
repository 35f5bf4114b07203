/**
 * vCPU 1 of a conformance guest, run in turns with vCPU 0. Its kernel is one page in low memory, where a start-up
 * interrupt leads: from real mode to 32-bit code, which counts how often it has run and takes itself down each time.
 */
import { VCPUOP } from "../../src/abi/vcpu.ts";
import { HYPERVISOR } from "../../src/abi/xen.ts";
import { attentionOf } from "../../src/engine/domain-memory.ts";
import type { Attention } from "../../src/engine/engine.ts";
import { theOpcodeMap } from "../../src/engine/wasm-engine.ts";
import type { WasmVcpu } from "../../src/engine/wasm-engine.ts";
import { runVcpu } from "../../src/hypervisor/vcpu-loop.ts";
import { VirtualCpu } from "../../src/hypervisor/virtual-cpu.ts";
import { assemble } from "../../src/x86/assemble/assemble.ts";
import type { Guest } from "./guest.ts";
import { hypercallSource } from "./kernel.ts";
import { Memory } from "./layout.ts";

const PAGE = 8;
const ORIGIN = PAGE * 4096;
/** Where it counts. */
const COUNTER = 0x9000;
/** ICR of the local APIC: its low and its high half. Intel SDM Vol. 3A, "Interrupt Command Register (ICR)". */
const ICR = { low: 0x300, high: 0x310 } as const;
const INIT = 0x4500;
const STARTUP = 0x4600;
/** The local APIC of vCPU 1: ids are even. */
const APIC_ID = 2;

/** The first instructions are for 16-bit code: CLI, LGDT, CR0.PE, a far jump. */
const source = `
.bits 32
.byte 0xfa
.byte 0x2e, 0x66, 0x0f, 0x01, 0x16
.word table_pointer - ${ORIGIN}
.byte 0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0
.byte 0x66, 0xea
.long protected
.word 8
protected:
  mov eax, 0x10
  mov ds, ax
again:
  inc dword [${COUNTER}]
${hypercallSource(32, HYPERVISOR.vcpu_op, VCPUOP.down, 1, 0)}
  jmp again
.align 8
table:
.quad 0
.quad 0x00cf9b000000ffff
.quad 0x00cf93000000ffff
table_pointer:
.word 23
.long table
`;

/** Thrown where the processor would sleep. */
class Asleep extends Error {}

/** The second processor of a guest with two. */
export class SecondProcessor {
  readonly #guest: Guest;
  readonly #cpu: VirtualCpu;
  readonly #vcpu: WasmVcpu;
  readonly #attention: Attention;

  constructor(guest: Guest) {
    const { config, domain, processors, world } = guest.parts;
    this.#guest = guest;
    this.#cpu = new VirtualCpu(domain, 1, config, { world });
    this.#vcpu = processors.vcpu(1, this.#cpu.platform);
    const words = attentionOf(processors.wasm, 1);
    const wait = (): void => {
      if (!words.take()) throw new Asleep();
      words.request();
    };
    this.#attention = { request: words.request, take: words.take, wait };
    this.#cpu.attach(this.#vcpu, this.#attention);
    guest.write(ORIGIN, assemble(theOpcodeMap(), source, BigInt(ORIGIN)).bytes);
  }

  /** How often it has run. */
  get count(): number {
    return this.#guest.u32(COUNTER);
  }

  /** Has the first processor send INIT and a start-up interrupt. */
  start(): void {
    const send = (command: number): void => {
      this.#guest.store(Memory.lapic + ICR.high, APIC_ID << 24);
      this.#guest.store(Memory.lapic + ICR.low, command);
    };
    send(INIT);
    this.run();
    send(STARTUP | PAGE);
    this.run();
  }

  /** Runs it until it sleeps, as it does when it is down. */
  run(): void {
    this.#guest.domain.resume();
    try {
      runVcpu(this.#cpu, this.#vcpu, this.#attention);
    } catch (error) {
      if (!(error instanceof Asleep)) throw error;
    }
  }
}
