/** HYPERVISOR_vcpu_op(cmd, vcpuid, extra_args). xen/include/public/vcpu.h; xen/common/domain.c. */

import { Errno } from "../../abi/errno.ts";
import {
  vcpu_register_runstate_memory_area,
  vcpu_register_time_memory_area,
  vcpu_register_vcpu_info,
  vcpu_runstate_info,
  vcpu_set_periodic_timer,
  vcpu_set_singleshot_timer,
  VCPU_SSHOTTMR_future,
  VCPUOP,
} from "../../abi/vcpu.ts";
import { XEN_PAGE_SIZE } from "../../abi/xen.ts";
import { VCPU } from "../heap.ts";
import { absent, hypercall, layout, operation, refused, subcommand } from "../hypercall.ts";
import type { Caller, Hypercall, HypercallResult, Operation } from "../hypercall.ts";
import { Request } from "../interrupts.ts";
import { AreaKind, registerVcpuInfo, runstateOf, writeRunstateArea, writeTimeArea } from "../shared-areas.ts";
import { bringUp, takeDown } from "../virtual-cpu.ts";

const operations: Readonly<Record<keyof typeof VCPUOP, Operation>> = {
  initialise: absent("PVH processors start with INIT and a start-up interrupt"),
  up: operation(up),
  down: operation(down),
  is_up: operation((caller) => caller.domain.vcpuGet(target(caller), VCPU.online)),
  get_runstate_info: operation(getRunstate),
  register_runstate_memory_area: subcommand(vcpu_register_runstate_memory_area, (caller, op) =>
    registerRunstate(caller, op.addr, AreaKind.linear),
  ),
  set_periodic_timer: subcommand(vcpu_set_periodic_timer, setPeriodic),
  stop_periodic_timer: operation((caller) => {
    if (target(caller) !== caller.vcpu) return -Errno.EINVAL;
    caller.cpu.timers.stopPeriodic();
    return 0;
  }),
  set_singleshot_timer: onlyOwn(subcommand(vcpu_set_singleshot_timer, setSingleshot, "in")),
  stop_singleshot_timer: onlyOwn(
    operation((caller) => {
      caller.cpu.timers.singleshot = Infinity;
      return 0;
    }),
  ),
  register_vcpu_info: subcommand(vcpu_register_vcpu_info, (caller, op) => {
    const { domain, cpu } = caller;
    const tscOffset = target(caller) === caller.vcpu ? cpu.tscOffset : 0;
    return registerVcpuInfo(domain, target(caller), op.mfn, op.offset, tscOffset, cpu.upcall);
  }),
  send_nmi: operation((caller, argument) => {
    if (argument !== 0n) return -Errno.EINVAL;
    const at = caller.domain.heap.vcpu(caller.domain.slot, target(caller)) + VCPU.requests;
    Atomics.or(caller.domain.heap.words, at, Request.nmi);
    caller.domain.kick(target(caller));
    return 0;
  }),
  get_physid: refused(Errno.EINVAL, "no vCPU is pinned to a pCPU for a guest to see"),
  register_vcpu_time_memory_area: subcommand(vcpu_register_time_memory_area, (caller, op) =>
    registerTime(caller, op.addr, AreaKind.linear),
  ),
  register_runstate_phys_area: subcommand(vcpu_register_runstate_memory_area, (caller, op) => {
    const size = layout(caller, vcpu_runstate_info).sizeof;
    return registerPhysical(caller, op.addr, size, (address) => registerRunstate(caller, address, AreaKind.physical));
  }),
  register_vcpu_time_phys_area: subcommand(vcpu_register_time_memory_area, (caller, op) =>
    registerPhysical(caller, op.addr, 32, (address) => registerTime(caller, address, AreaKind.physical)),
  ),
};

const byCommand = hypercall("vcpu_op", VCPUOP, operations, { argument: 2 });

/** Operations on a vCPU of the caller's domain, which the second argument names. -ENOENT: there is no such one. */
export const vcpu_op: Hypercall = {
  ...byCommand,
  run: (caller) => (target(caller) >= caller.domain.vcpus ? -Errno.ENOENT : byCommand.run(caller)),
};

/** An operation that a vCPU does on itself alone. -EINVAL for another, before anything is looked at. */
function onlyOwn(wanted: Operation): Operation {
  if (wanted.kind !== "implemented") return wanted;
  return operation((caller, argument) =>
    target(caller) === caller.vcpu ? wanted.run(caller, argument) : -Errno.EINVAL,
  );
}

/** The vCPU that is operated on. */
function target(caller: Caller): number {
  return Number(BigInt.asUintN(32, caller.args[1] ?? 0n));
}

/** Brings a vCPU back that went down, as it was. -EINVAL: it has yet to be started, by INIT and a start-up interrupt. */
function up(caller: Caller): HypercallResult {
  const { domain } = caller;
  const vcpu = target(caller);
  if (domain.vcpuGet(vcpu, VCPU.initialised) === 0) return -Errno.EINVAL;
  if (bringUp(domain, vcpu)) domain.kick(vcpu);
  return 0;
}

/** Xen: VCPUOP_down. The last one to go down powers the domain off. */
function down(caller: Caller): HypercallResult {
  if (takeDown(caller.domain, target(caller))) caller.domain.kick(target(caller));
  return 0;
}

function getRunstate(caller: Caller, address: bigint): HypercallResult {
  const state = runstateOf(caller.domain, target(caller), caller.cpu.inputs.time());
  return caller.copyOut(address, layout(caller, vcpu_runstate_info).encode(state)) ? 0 : -Errno.EFAULT;
}

function registerRunstate(caller: Caller, address: bigint, kind: AreaKind): HypercallResult {
  const { domain, cpu } = caller;
  const vcpu = target(caller);
  domain.setVcpuAddress(vcpu, VCPU.runstateArea, address === 0n ? undefined : address);
  domain.vcpuSet(vcpu, VCPU.runstateAreaKind, kind);
  writeRunstateArea(domain, vcpu, cpu.vcpu, cpu.inputs.time());
  return 0;
}

function registerTime(caller: Caller, address: bigint, kind: AreaKind): HypercallResult {
  const { domain, cpu } = caller;
  const vcpu = target(caller);
  domain.setVcpuAddress(vcpu, VCPU.timeArea, address === 0n ? undefined : address);
  domain.vcpuSet(vcpu, VCPU.timeAreaKind, kind);
  writeTimeArea(domain, vcpu, cpu.vcpu, vcpu === caller.vcpu ? cpu.tscOffset : 0);
  return 0;
}

/**
 * Areas by guest-physical address lie in one page of RAM, aligned as an `unsigned long`: -ENXIO, -EINVAL. ~0 stops it.
 * Xen: map_guest_area()
 */
function registerPhysical(
  caller: Caller,
  address: bigint,
  size: number,
  register: (address: bigint) => HypercallResult,
): HypercallResult {
  if (address === 0xffff_ffff_ffff_ffffn) return register(0n);
  const { memory } = caller.domain;
  const offset = Number(address & 0xfffn);
  if (offset + size > XEN_PAGE_SIZE || offset % (caller.domain.compat ? 4 : 8) !== 0) return -Errno.ENXIO;
  const gfn = address >> 12n;
  if (gfn >= BigInt(memory.p2mFrames) || memory.findFrame(Number(gfn)) === undefined) return -Errno.EINVAL;
  return register(address);
}

/** Shortest and longest period. Xen: VCPUOP_set_periodic_timer refuses less than a millisecond, and STIME_DELTA_MAX. */
const MIN_PERIOD = 1_000_000n;
const MAX_PERIOD = (1n << 62n) - 1n;

function setPeriodic(caller: Caller, op: vcpu_set_periodic_timer): HypercallResult {
  if (target(caller) !== caller.vcpu) return -Errno.EINVAL;
  if (op.period_ns < MIN_PERIOD || op.period_ns > MAX_PERIOD) return -Errno.EINVAL;
  caller.cpu.timers.startPeriodic(caller.cpu.inputs.time(), Number(op.period_ns));
  return 0;
}

/** -ETIME: the time has passed, and the guest wanted to hear of that. Otherwise VIRQ_TIMER comes at once. */
function setSingleshot(caller: Caller, op: vcpu_set_singleshot_timer): HypercallResult {
  const { cpu } = caller;
  if ((op.flags & VCPU_SSHOTTMR_future) !== 0 && Number(op.timeout_abs_ns) < cpu.inputs.time()) return -Errno.ETIME;
  // As everywhere in Xen, a time beyond 2^63 is negative, hence in the past.
  cpu.timers.singleshot = Number(BigInt.asIntN(64, op.timeout_abs_ns));
  return 0;
}
