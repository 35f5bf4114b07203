/** What a pCPU's thread does: puts an engine and a vCPU together, and runs it until its domain ends. */

import type { DomainId } from "../abi/types.ts";
import { assert } from "../bits/errors.ts";
import { attentionOf, openDomainMemory } from "../engine/domain-memory.ts";
import { Exit } from "../engine/engine.ts";
import type { DomainMemory } from "../engine/engine.ts";
import type { TranslationService } from "../engine/translate/translator.ts";
import type { WasmVcpu } from "../engine/wasm-engine.ts";
import { WasmEngine } from "../engine/wasm-engine.ts";
import { attachDomain, Hypervisor } from "../hypervisor/domain.ts";
import { DomainState, Heap } from "../hypervisor/heap.ts";
import type { World } from "../hypervisor/inputs.ts";
import { runVcpu } from "../hypervisor/vcpu-loop.ts";
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

/** Entries after which code is worth translating: what that costs is earned back by then. */
const defaultThreshold = 4000;

/**
 * Runs a vCPU to its domain's end. Blocks the calling thread.
 * @param translator Who translates hot code; without one, this thread.
 */
export function runPcpu(
  assignment: PcpuAssignment,
  world: World,
  control: ControlLine,
  translator?: TranslationService,
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
  const { countForms = false, translation = defaultThreshold } = assignment;
  const engine = new WasmEngine(memory, {
    sampledTime: config.vcpus === 1,
    counting: countForms,
    translation: countForms ? 0 : translation,
    now: () => world.monotonic() / 1e6,
    ...(translator === undefined ? {} : { translator }),
  });
  const vcpu = engine.createVcpu(index, cpu.platform);
  const attention = attentionOf(assignment.memory, index);
  cpu.attach(vcpu, attention);
  if (context !== undefined) vcpu.setContext(context);
  countRuns(vcpu, new Float64Array(counters));

  const { crash } = runVcpu(cpu, vcpu, attention);
  const why = crash?.what === "triple fault" ? "triple-fault" : "shutdown";
  const registers = formatRegisters(index, crash?.context ?? vcpu.context());
  control.post({ kind: "stopped", why, registers, ...(countForms ? { formCounts: vcpu.formCounts() } : {}) });
}

const COUNTED: Readonly<Record<Exit, number>> = {
  [Exit.budget]: Counter.budget,
  [Exit.hypercall]: Counter.hypercall,
  [Exit.halt]: Counter.halt,
  [Exit.interruptWindow]: Counter.interruptWindow,
  [Exit.tripleFault]: Counter.tripleFault,
};

/** Keeps the counters that other threads read. */
function countRuns(vcpu: WasmVcpu, counters: Float64Array): void {
  const run = vcpu.run.bind(vcpu);
  vcpu.run = (budget) => {
    const exit = run(budget);
    const at = COUNTED[exit];
    counters[at] = (counters[at] ?? 0) + 1;
    counters[Counter.instructions] = vcpu.retired;
    counters[Counter.transitions] = vcpu.transitions;
    counters[Counter.translated] = vcpu.translated;
    counters[Counter.regionEntries] = vcpu.regionEntries;
    const { translation } = vcpu;
    if (translation !== undefined) {
      counters[Counter.regions] = translation.regions;
      counters[Counter.regionInstructions] = translation.instructions;
      counters[Counter.regionBytes] = translation.bytes;
      counters[Counter.regionsDropped] = translation.dropped;
    }
    return exit;
  };
}
