/** What a pCPU's thread does: puts an engine and a vCPU together, and runs it until its domain ends. */

import type { DomainId } from "../abi/types.ts";
import { assert } from "../bits/errors.ts";
import { TierDifference } from "../engine/check/options.ts";
import type { CheckStatistics } from "../engine/check/options.ts";
import { attentionOf, openDomainMemory } from "../engine/domain-memory.ts";
import { Exit } from "../engine/engine.ts";
import type { Attention, DomainMemory } from "../engine/engine.ts";
import type { TranslationService } from "../engine/translate/translator.ts";
import type { WasmVcpu } from "../engine/wasm-engine.ts";
import { WasmEngine } from "../engine/wasm-engine.ts";
import { HVM_PARAM } from "../abi/hvm/params.ts";
import { SHUTDOWN } from "../abi/sched.ts";
import { attachDomain, Hypervisor } from "../hypervisor/domain.ts";
import type { Domain } from "../hypervisor/domain.ts";
import { DomainState, Heap } from "../hypervisor/heap.ts";
import type { World } from "../hypervisor/inputs.ts";
import { runVcpu } from "../hypervisor/vcpu-loop.ts";
import type { CrashReport } from "../hypervisor/vcpu-loop.ts";
import { VirtualCpu } from "../hypervisor/virtual-cpu.ts";
import { consoleGate } from "./console-gate.ts";
import { Counter } from "./pcpu.ts";
import type { MemoryReply, PcpuAssignment, PcpuMessage } from "./pcpu.ts";
import { formatRegisters } from "./registers.ts";

/** A thread's way to the control thread. */
export interface ControlLine {
  post(message: PcpuMessage): void;
  /** Waits for the answer to "memory-wanted". */
  receive(): MemoryReply;
}

/** Entries after which code is wanted translated. Fewer do not help: the translator takes what is hottest, and is busy as it is. */
const defaultThreshold = 1000;

/**
 * Runs a vCPU to its domain's end. Blocks the calling thread.
 * @param translator Who translates hot code; without one, this thread.
 * @param processorSeconds Processor time that the calling thread has used, for the domain's counters.
 */
export function runPcpu(
  assignment: PcpuAssignment,
  world: World,
  control: ControlLine,
  translator?: TranslationService,
  processorSeconds: () => number = () => 0,
): void {
  const { config, context, counters, domain: id, vcpu: index } = assignment;
  // Two domains' memories meet only in a thread whose guest maps or copies a page of the other's.
  const findMemory = (wanted: DomainId): DomainMemory | undefined => {
    control.post({ kind: "memory-wanted", domain: wanted });
    const { memory } = control.receive();
    return memory === undefined ? undefined : openDomainMemory(memory);
  };
  const hypervisor = new Hypervisor(new Heap(assignment.heap), () => world.monotonic(), findMemory);
  const memory = openDomainMemory(assignment.memory);
  const domain = attachDomain(hypervisor, id, memory, (vcpu) => attentionOf(assignment.memory, vcpu));
  assert(domain !== undefined, `domain ${id} is gone before its thread began`);

  const gate = consoleGate(assignment.consoleGate);
  const cpu = new VirtualCpu(domain, index, config, {
    world,
    console(bytes) {
      gate.enter(bytes.length, () => domain.state === DomainState.running);
      control.post({ kind: "console", bytes });
    },
  });
  const { check, countForms = false, translation = defaultThreshold } = assignment;
  assert(check === undefined || config.vcpus === 1, "tiers are compared for a domain of one vCPU");
  const engine = new WasmEngine(memory, {
    sampledTime: config.vcpus === 1,
    counting: countForms,
    translation: countForms ? 0 : translation,
    now: () => world.monotonic() / 1e6,
    ...(translator === undefined ? {} : { translator }),
    ...(check === undefined ? {} : { check: { ...check, isShared: sharedFrames(domain) } }),
  });
  const vcpu = engine.createVcpu(index, cpu.platform);
  const attention = attentionOf(assignment.memory, index);
  cpu.attach(vcpu, attention);
  if (context !== undefined) vcpu.setContext(context);
  countRuns(vcpu, new Float64Array(counters), processorSeconds);

  const crash = runToEnd(cpu, vcpu, attention, control);
  if (crash === "tiers-differ") return;
  const why = crash?.what === "triple fault" ? "triple-fault" : "shutdown";
  const registers = formatRegisters(index, crash?.context ?? vcpu.context());
  control.post({ kind: "stopped", why, registers, ...(countForms ? { formCounts: vcpu.formCounts() } : {}) });
}

/** Runs a vCPU to its domain's end; a difference between the tiers is one. */
function runToEnd(
  cpu: VirtualCpu,
  vcpu: WasmVcpu,
  attention: Attention,
  control: ControlLine,
): CrashReport | undefined | "tiers-differ" {
  try {
    return runVcpu(cpu, vcpu, attention).crash;
  } catch (error) {
    if (!(error instanceof TierDifference)) throw error;
    const registers = formatRegisters(cpu.index, vcpu.context());
    control.post({ kind: "stopped", why: "tiers-differ", registers, report: error.message });
    cpu.domain.shutdown(SHUTDOWN.crash);
    return "tiers-differ";
  }
}

/** The frames of a domain that domain 0 writes to while it runs: its rings. */
function sharedFrames(domain: Domain): (frame: number) => boolean {
  const rings = [HVM_PARAM.STORE_PFN, HVM_PARAM.CONSOLE_PFN].map((name) => Number(domain.param(name)));
  // The guest may put other memory there.
  return (frame) => rings.some((gfn) => domain.memory.findFrame(gfn) === frame);
}

const COUNTED: Readonly<Record<Exit, number>> = {
  [Exit.budget]: Counter.budget,
  [Exit.hypercall]: Counter.hypercall,
  [Exit.halt]: Counter.halt,
  [Exit.interruptWindow]: Counter.interruptWindow,
  [Exit.tripleFault]: Counter.tripleFault,
};

/** Keeps the counters that other threads read. */
function countRuns(vcpu: WasmVcpu, counters: Float64Array, processorSeconds: () => number): void {
  const run = vcpu.run.bind(vcpu);
  vcpu.run = (budget) => {
    const exit = run(budget);
    const at = COUNTED[exit];
    counters[at] = (counters[at] ?? 0) + 1;
    counters[Counter.instructions] = vcpu.retired;
    counters[Counter.transitions] = vcpu.transitions;
    counters[Counter.translated] = vcpu.translated;
    counters[Counter.regionEntries] = vcpu.regionEntries;
    counters[Counter.processorSeconds] = processorSeconds();
    const { translation } = vcpu;
    if (translation !== undefined) {
      counters[Counter.regions] = translation.regions;
      counters[Counter.regionInstructions] = translation.instructions;
      counters[Counter.regionBytes] = translation.bytes;
      counters[Counter.regionsDropped] = translation.dropped;
      counters[Counter.regionsKnown] = translation.known;
    }
    if (vcpu.checks !== undefined) countChecks(vcpu.checks, counters);
    return exit;
  };
}

function countChecks(checks: CheckStatistics, counters: Float64Array): void {
  counters[Counter.checkedRegions] = checks.regions;
  counters[Counter.checkedEntries] = checks.entries;
  counters[Counter.checkedInstructions] = checks.instructions;
  counters[Counter.uncheckedEmpty] = checks.empty;
  counters[Counter.uncheckedShared] = checks.shared;
  counters[Counter.uncheckedRefused] = checks.refused;
  counters[Counter.uncheckedUnsteady] = checks.unsteady;
}
