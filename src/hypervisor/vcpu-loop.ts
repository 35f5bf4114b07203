/**
 * What the worker of a pCPU does for a vCPU: let it run, handle what it asked, tell it what has come, and sleep when it
 * has nothing to do. xen/arch/x86/hvm/vmx/vmx.c: vmx_vmexit_handler(), vmx_asm_do_vmentry.
 */

import { HVM_PARAM } from "../abi/hvm/params.ts";
import { SHUTDOWN } from "../abi/sched.ts";
import { RUNSTATE } from "../abi/vcpu.ts";
import { Exit } from "../engine/engine.ts";
import type { Attention, Vcpu, VcpuContext } from "../engine/engine.ts";
import { DOMAIN, DomainState, VCPU } from "./heap.ts";
import { handleHypercall } from "./hypercall.ts";
import { hypercalls } from "./hypercalls/index.ts";
import { isPending } from "./event-channels.ts";
import { Request } from "./interrupts.ts";
import { setRunstate, startRunstate, writeTime, writeWallclock } from "./shared-areas.ts";
import { resetContext, startupContext } from "./startup.ts";
import type { VirtualCpu } from "./virtual-cpu.ts";

/** How a vCPU's run ended. */
export interface RunOutcome {
  /** The domain shut down, with this SHUTDOWN reason; or it was destroyed. */
  readonly kind: "shutdown" | "destroyed";
  readonly reason: number | undefined;
  /** Why, if this vCPU was the cause of a crash. */
  readonly crash: CrashReport | undefined;
}

/** What is known about a vCPU that ended its domain by a fault. */
export interface CrashReport {
  readonly vcpu: number;
  readonly what: "triple fault";
  readonly message: string;
  readonly context: VcpuContext;
}

/** Nanoseconds that a vCPU runs before timers are looked at again, about. */
const SLICE = 100_000;
/** Guest instructions in a slice: the first guess, and the bounds of later ones. */
const BUDGET = { first: 20_000, least: 1_000, most: 1_000_000 } as const;
/** The longest sleep, in milliseconds: a lost wake-up costs no more than this. */
const LONGEST_SLEEP = 1000;
const NMI = 2;

/**
 * Runs a vCPU until its domain shuts down or is destroyed. Blocks the calling worker. What it throws is a mistake of
 * ours, never the guest's doing: the caller pauses the domain and reports it.
 * @param cpu joined by {@link VirtualCpu.attach} with `vcpu`, whose registers are set for vCPU 0.
 */
export function runVcpu(cpu: VirtualCpu, vcpu: Vcpu, attention: Attention): RunOutcome {
  const { domain, index } = cpu;
  const slice = new Slice();
  let started = false;
  for (;;) {
    if (attention.take()) takeRequests(cpu, vcpu);
    const { state } = domain;
    if (state === DomainState.shutdown) {
      if (started) setRunstate(domain, index, vcpu, RUNSTATE.offline, cpu.inputs.time());
      return { kind: "shutdown", reason: domain.get(DOMAIN.shutdownReason), crash: undefined };
    }
    if (state === DomainState.dying || state === DomainState.free) {
      return { kind: "destroyed", reason: undefined, crash: undefined };
    }
    if (domain.paused) {
      if (started) setRunstate(domain, index, vcpu, RUNSTATE.runnable, cpu.inputs.time());
      attention.wait(LONGEST_SLEEP);
      continue;
    }
    if (!started) {
      cpu.start();
      startRunstate(domain, index, cpu.inputs.time());
      writeTime(domain, index, cpu.tscOffset);
      if (index === 0) writeWallclock(domain, cpu.inputs.wallclockAtStart());
      started = true;
    }
    if (domain.vcpuGet(index, VCPU.online) === 0) {
      setRunstate(domain, index, vcpu, RUNSTATE.offline, cpu.inputs.time());
      attention.wait(LONGEST_SLEEP);
      takeRequests(cpu, vcpu);
      continue;
    }

    const now = cpu.inputs.time();
    cpu.deliverRaised();
    cpu.checkTimers(now);
    if (cpu.blocked && !isAwake(cpu)) {
      setRunstate(domain, index, vcpu, RUNSTATE.blocked, now);
      sleep(cpu, attention);
      slice.restart(cpu.inputs.time(), vcpu.retired);
      continue;
    }
    cpu.blocked = false;
    cpu.pollPorts = [];
    cpu.timers.poll = Infinity;
    domain.vcpuSet(index, VCPU.polling, 0);
    setRunstate(domain, index, vcpu, RUNSTATE.running, now);
    offerInterrupt(cpu, vcpu);

    const budget = slice.budget(now, cpu.nextDeadline(), vcpu.retired);
    switch (vcpu.run(budget)) {
      case Exit.hypercall:
        handleHypercall(cpu, hypercalls);
        if (cpu.pollPorts.length > 0) domain.vcpuSet(index, VCPU.polling, 1);
        cpu.yielded = false;
        break;
      case Exit.halt:
        halt(cpu, vcpu);
        break;
      case Exit.tripleFault:
        return tripleFault(cpu, vcpu);
      case Exit.budget:
      case Exit.interruptWindow:
        break;
    }
  }
}

/** Looks at what other threads asked of this vCPU. */
function takeRequests(cpu: VirtualCpu, vcpu: Vcpu): void {
  const { domain, index } = cpu;
  const at = domain.heap.vcpu(domain.slot, index);
  if (Atomics.exchange(domain.heap.words, at + VCPU.flush, 0) !== 0) vcpu.flushTlb();
  cpu.foreign.settle();
  cpu.takeInterrupts();
  const requests = Atomics.exchange(domain.heap.words, at + VCPU.requests, 0);
  if (requests === 0) return;
  const online = domain.vcpuGet(index, VCPU.online) !== 0;
  if ((requests & Request.nmi) !== 0 && online) {
    vcpu.injectException(NMI);
    cpu.blocked = false;
  }
  if ((requests & Request.init) !== 0) {
    // INIT stops a processor until a start-up interrupt comes, which processors that run ignore.
    cpu.lapic.reset();
    vcpu.setContext(resetContext());
    domain.vcpuSet(index, VCPU.initialised, 0);
    if (online) cpu.goDown();
  }
  if ((requests & Request.startup) !== 0 && domain.vcpuGet(index, VCPU.online) === 0) {
    vcpu.setContext(startupContext(domain.vcpuGet(index, VCPU.startVector)));
    cpu.blocked = false;
    cpu.comeUp();
  }
}

/** Whether there is reason to end a sleep. */
function isAwake(cpu: VirtualCpu): boolean {
  if (cpu.pendingVector() !== undefined) return true;
  return cpu.pollPorts.some((port) => isPending(cpu.domain, port));
}

/** Sleeps until attention is asked for or the next timer is due. */
function sleep(cpu: VirtualCpu, attention: Attention): void {
  const nanoseconds = cpu.nextDeadline() - cpu.inputs.time();
  if (nanoseconds > 0) attention.wait(Math.min(LONGEST_SLEEP, nanoseconds / 1e6));
}

/**
 * Interrupts the guest now if it can take it, otherwise as soon as it can. The callback vector is a level: it comes
 * again as long as the upcall flag stays set, but the engine is not asked to report each chance before the next exit,
 * since nearly every guest clears the flag first thing.
 */
function offerInterrupt(cpu: VirtualCpu, vcpu: Vcpu): void {
  const pending = cpu.pendingVector();
  if (pending === undefined || !vcpu.interruptible) {
    vcpu.interruptPending = pending !== undefined;
    return;
  }
  if (pending.lapic) cpu.lapic.acknowledge(pending.vector);
  vcpu.injectInterrupt(pending.vector);
  vcpu.interruptPending = pending.lapic && cpu.pendingVector() !== undefined;
}

/** HLT. Without the interrupt flag nothing can wake the processor: it goes down. Xen: hvm_hlt() */
function halt(cpu: VirtualCpu, vcpu: Vcpu): void {
  if (vcpu.interruptFlag) cpu.blocked = true;
  else cpu.goDown();
}

/** Ends the domain for the reason that the toolstack chose. Xen: hvm_triple_fault() */
function tripleFault(cpu: VirtualCpu, vcpu: Vcpu): RunOutcome {
  const { domain, index } = cpu;
  const wanted = Number(domain.param(HVM_PARAM.TRIPLE_FAULT_REASON));
  const context = vcpu.context();
  const at = `rip 0x${context.rip.toString(16)}, cr2 0x${context.cr2.toString(16)}`;
  const message = `domain ${domain.id} vCPU ${index}: triple fault at ${at}`;
  domain.shutdown(wanted <= SHUTDOWN.MAX ? wanted : SHUTDOWN.crash);
  return {
    kind: "shutdown",
    reason: domain.shutdownReason,
    crash: { vcpu: index, what: "triple fault", message, context },
  };
}

/** How many instructions to run: what the vCPU did in a slice of late, or up to the next timer. */
class Slice {
  #rate = BUDGET.first / SLICE;
  #since = 0;
  #retired = 0;

  /** Begins to measure anew: what lies before, for instance a sleep, says nothing about speed. */
  restart(now: number, retired: number): void {
    this.#since = now;
    this.#retired = retired;
  }

  budget(now: number, deadline: number, retired: number): number {
    const elapsed = now - this.#since;
    if (elapsed >= SLICE / 4) {
      const rate = (retired - this.#retired) / elapsed;
      this.#rate = Math.max(this.#rate / 2, Math.min(this.#rate * 4, rate), BUDGET.least / SLICE);
      this.restart(now, retired);
    }
    const time = Math.min(SLICE, Math.max(0, deadline - now));
    return Math.max(BUDGET.least, Math.min(BUDGET.most, Math.floor(this.#rate * time)));
  }
}
