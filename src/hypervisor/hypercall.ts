/**
 * How a hypercall travels: registers to arguments, the argument structure copied in once, the handler on that private
 * copy, what it changed copied out, the result to RAX. xen/arch/x86/hvm/hypercall.c.
 */

import type { DualStruct } from "../abi/types.ts";
import { DOMID } from "../abi/xen.ts";
import { Errno } from "../abi/errno.ts";
import type { DomainId } from "../abi/types.ts";
import type { Struct } from "../bits/struct.ts";
import type { Domain } from "./domain.ts";
import { copyFromGuest, copyToGuest } from "./guest-access.ts";
import { VCPU } from "./heap.ts";
import type { VirtualCpu } from "./virtual-cpu.ts";

/**
 * What a hypercall answers: zero or a count, or a negated {@link Errno}. "continue" makes the guest issue the call again
 * with {@link Caller.args} as the handler left them, so that a long one can be interrupted.
 */
export type HypercallResult = number | "continue";

/** The vCPU that makes a hypercall, as handlers see it. */
export interface Caller {
  readonly cpu: VirtualCpu;
  readonly domain: Domain;
  readonly vcpu: number;
  /** Whether the call came from 32-bit code: structures are then laid out for that. */
  readonly compat: boolean;
  /** The arguments; a handler that continues changes them. No hypercall has more than three, in a multicall six fit. */
  readonly args: bigint[];
  /** The same caller with other arguments: a call of a multicall. */
  with(args: bigint[]): Caller;
  /** Copies from a linear address. @returns undefined where that cannot be read: -EFAULT. */
  copyIn(address: bigint, length: number): Uint8Array<ArrayBuffer> | undefined;
  /** @returns false where the address cannot be written: -EFAULT. */
  copyOut(address: bigint, bytes: Uint8Array): boolean;
  /** The domain of this id; DOMID_SELF is the caller's. */
  findDomain(id: DomainId): Domain | undefined;
  /** Whether the caller may change things of this domain: its own, or any for domain 0. */
  mayControl(domain: Domain): boolean;
}

/** Translations that led to frames which are gone are dropped on every vCPU before the guest runs on. */
export function flushAll({ cpu, domain, vcpu: caller }: Caller): void {
  cpu.vcpu.flushTlb();
  for (let vcpu = 0; vcpu < domain.vcpus; vcpu++) {
    if (vcpu === caller) continue;
    domain.vcpuSet(vcpu, VCPU.flush, 1);
    domain.kick(vcpu);
  }
}

/** What is done about one sub-operation. Ends up in docs/hypercalls.md. */
export type Operation =
  | {
      readonly kind: "implemented";
      readonly run: (caller: Caller, argument: bigint) => HypercallResult;
    }
  /** Known, and answered with an error on purpose. */
  | { readonly kind: "refused"; readonly errno: number; readonly why: string };

/** One row of the hypercall table. */
export interface Hypercall {
  readonly name: string;
  /** Sub-operations by name, if it has any. */
  readonly operations: Readonly<Record<string, Operation>>;
  readonly run: (caller: Caller) => HypercallResult;
}

/** A sub-operation that works on its argument pointer itself. */
export function operation(run: (caller: Caller, argument: bigint) => HypercallResult): Operation {
  return { kind: "implemented", run };
}

/** The layout of a structure for the caller's code. */
export function layout<T>(caller: Caller, type: Struct<T> | DualStruct<T>): Struct<T> {
  return caller.compat && "compat" in type ? type.compat : type;
}

/**
 * A sub-operation with a structure: copied in (-EFAULT), handled, and copied out if the handler succeeded and changed it.
 * @param direction "in" for a structure that the handler never changes.
 */
export function subcommand<T>(
  type: Struct<T> | DualStruct<T>,
  handler: (caller: Caller, argument: T) => HypercallResult,
  direction: "in" | "inout" = "inout",
): Operation {
  return operation((caller, address) => {
    const codec = layout(caller, type);
    const before = caller.copyIn(address, codec.sizeof);
    if (before === undefined) return -Errno.EFAULT;
    const value = codec.read(before);
    const result = handler(caller, value);
    if (direction === "in" || result === "continue" || result < 0) return result;
    const after = before.slice();
    codec.write(after, 0, value);
    const changed = after.some((byte, i) => byte !== before[i]);
    return changed && !caller.copyOut(address, after) ? -Errno.EFAULT : result;
  });
}

/** A sub-operation that Xen knows and this hypervisor answers with an error, and why. */
export function refused(errno: number, why: string): Operation {
  return { kind: "refused", errno, why };
}

/** A sub-operation that a PVH domain has no use for: -ENOSYS. */
export function absent(why: string): Operation {
  return refused(Errno.ENOSYS, why);
}

/**
 * A hypercall whose first argument chooses a sub-operation and whose second points to its argument.
 * @param family the header's numbers; every one of them must be listed in `operations`.
 * @param options `mask`: bits of the first argument that choose, where others keep the progress; `argument`: which
 * argument points to the structure, where that is not the second.
 */
export function hypercall<const F extends Readonly<Record<string, number>>>(
  name: string,
  family: F,
  operations: Readonly<Record<keyof F & string, Operation>>,
  options: { readonly mask?: number; readonly argument?: number } = {},
): Hypercall {
  const { mask = 0xffffffff, argument = 1 } = options;
  const byNumber = new Map(Object.entries(family).map(([key, number]) => [number, operations[key]]));
  return {
    name,
    operations,
    run(caller) {
      const chosen = byNumber.get((Number(BigInt.asUintN(32, caller.args[0] ?? 0n)) & mask) >>> 0);
      if (chosen === undefined) return -Errno.ENOSYS;
      return chosen.kind === "refused" ? -chosen.errno : chosen.run(caller, caller.args[argument] ?? 0n);
    },
  };
}

/** A hypercall without sub-operations. */
export function plain(name: string, run: (caller: Caller) => HypercallResult): Hypercall {
  return { name, operations: {}, run };
}

/**
 * Registers of the arguments, by ModR/M number: rdi rsi rdx, and ebx ecx edx. The ABI goes on with r10 r8 r9 and
 * esi edi ebp, but nothing that a PVH domain can call has so many.
 */
const ARGUMENTS_64 = [7, 6, 2] as const;
const ARGUMENTS_32 = [3, 1, 2] as const;
const RAX = 0;
/** VMCALL and VMMCALL are three bytes long. */
const VMCALL_LENGTH = 3n;

/** What one vCPU asks, once. */
class Call implements Caller {
  readonly cpu: VirtualCpu;
  readonly domain: Domain;
  readonly vcpu: number;
  readonly compat: boolean;
  readonly args: bigint[];

  constructor(cpu: VirtualCpu, args: bigint[], compat: boolean) {
    this.cpu = cpu;
    this.domain = cpu.domain;
    this.vcpu = cpu.index;
    this.args = args;
    this.compat = compat;
  }

  with(args: bigint[]): Caller {
    return new Call(this.cpu, args, this.compat);
  }

  copyIn(address: bigint, length: number): Uint8Array<ArrayBuffer> | undefined {
    const bytes = new Uint8Array(length);
    const { cpu, domain } = this;
    return copyFromGuest(cpu.vcpu, domain.memory, address, bytes, cpu.foreign) ? bytes : undefined;
  }

  copyOut(address: bigint, bytes: Uint8Array): boolean {
    const { cpu, domain } = this;
    return copyToGuest(cpu.vcpu, domain.memory, address, bytes, cpu.foreign);
  }

  findDomain(id: DomainId): Domain | undefined {
    return id === DOMID.SELF || id === this.domain.id ? this.domain : this.domain.hypervisor.find(id);
  }

  mayControl(other: Domain): boolean {
    return other.id === this.domain.id || this.domain.id === 0;
  }
}

/** Handles VMCALL: looks the number in RAX up in the table, calls, and puts the result into RAX. */
export function handleHypercall(cpu: VirtualCpu, table: ReadonlyMap<number, Hypercall>): void {
  const { vcpu } = cpu;
  const compat = vcpu.codeSize !== 64;
  const bits = compat ? 32 : 64;
  const finish = (result: number): void => vcpu.setGpr(RAX, BigInt.asUintN(bits, BigInt(result)));
  // Real mode has no privilege levels to check; Xen refuses it, as it does user mode.
  if (vcpu.cpl !== 0 || (vcpu.codeSize === 16 && (vcpu.context().cr0 & 1n) === 0n)) {
    finish(-Errno.EPERM);
    return;
  }
  const registers = compat ? ARGUMENTS_32 : ARGUMENTS_64;
  const args = registers.map((register) => BigInt.asUintN(bits, vcpu.gpr(register)));
  const called = table.get(Number(BigInt.asUintN(32, vcpu.gpr(RAX))));
  if (called === undefined) {
    finish(-Errno.ENOSYS);
    return;
  }
  const caller = new Call(cpu, args, compat);
  const result = called.run(caller);
  if (result !== "continue") {
    finish(result);
    return;
  }
  args.forEach((argument, i) => vcpu.setGpr(registers[i] ?? RAX, BigInt.asUintN(bits, argument)));
  vcpu.rip -= VMCALL_LENGTH;
}
