/** A domain of this process, from its first instruction to its last trace. */

import { GNTTAB } from "../abi/grant_table.ts";
import type { DomainId } from "../abi/types.ts";
import { assert } from "../bits/errors.ts";
import type { CheckSampling } from "../engine/check/options.ts";
import type { Channel } from "../backends/backend.ts";
import { consoleBackend } from "../backends/console.ts";
import type { ConsoleBackend } from "../backends/console.ts";
import { destroyDomain, mapGrant } from "../hypervisor/control.ts";
import type { MappedGrant } from "../hypervisor/control.ts";
import type { Hypervisor } from "../hypervisor/domain.ts";
import { domainPath } from "../xenstore/path.ts";
import type { Xenstore } from "../xenstore/server.ts";
import { CONSOLE_WINDOW, consoleCost, consoleGate, createConsoleGate } from "./console-gate.ts";
import { shutdownReason } from "./create.ts";
import type { BuiltDomain } from "./create.ts";
import type { Ending, Guest, GuestConsole, GuestStatistics } from "./guest.ts";
import type { Machine, PcpuThread } from "./machine.ts";
import { Counter, COUNTERS } from "./pcpu.ts";
import type { PcpuMessage } from "./pcpu.ts";
import { createNodes, removeNodes } from "./xenstore-nodes.ts";

/** How long a thread may take to notice that its domain has shut down. */
const THREAD_GRACE_MS = 2000;

/** What a guest needs of the host that made it. */
export interface GuestParts {
  readonly name: string;
  readonly check: CheckSampling | undefined;
  readonly uuid: string;
  readonly built: BuiltDomain;
  readonly hypervisor: Hypervisor;
  readonly xenstore: Xenstore;
  readonly machine: Machine;
  /** Binds a port that the guest offers to domain 0. */
  readonly bind: (port: number, onEvent: () => void) => Channel | undefined;
  /** The memory of a domain that exists. */
  readonly memoryOf: (domain: DomainId) => WebAssembly.Memory | undefined;
  /** The guest is gone. */
  readonly forget: () => void;
}

export class DomainGuest implements Guest {
  readonly id: DomainId;
  readonly name: string;
  readonly console: GuestConsole;
  readonly ended: Promise<Ending>;
  readonly #parts: GuestParts;
  readonly #end: (ending: Ending) => void;
  readonly #counters = new SharedArrayBuffer(COUNTERS * 8);
  readonly #consoleGate = createConsoleGate();
  readonly #gate = consoleGate(this.#consoleGate);
  /** What of the hypervisor's console has come and is not released, since its reader does not keep up. */
  #unreleased = 0;
  readonly #page: MappedGrant;
  readonly #backend: ConsoleBackend;
  readonly #channel: Channel | undefined;
  readonly #started: number;
  #output: ReadableStreamDefaultController<Uint8Array> | undefined;
  #thread: PcpuThread | undefined;
  #registers: string | undefined;
  #paused = true;
  #tripleFault = false;
  #difference: string | undefined;
  /** When the domain shut down, and for which of Xen's reasons. */
  #stopped: number | undefined;
  #shutdown: number | undefined;
  #grace: Disposable | undefined;
  #destroyed: Promise<void> | undefined;

  constructor(parts: GuestParts) {
    const { built, machine } = parts;
    this.#parts = parts;
    this.id = built.domain.id;
    this.name = parts.name;
    this.#started = machine.world.monotonic();
    const { promise, resolve } = Promise.withResolvers<Ending>();
    this.ended = promise;
    this.#end = resolve;

    const readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#output = controller),
        pull: () => this.#takeMore(),
        cancel: () => {
          this.#output = undefined;
          this.#takeMore();
        },
      },
      { highWaterMark: CONSOLE_WINDOW, size: (bytes) => consoleCost(bytes.length) },
    );
    const page = mapGrant(built.domain, GNTTAB.RESERVED_CONSOLE, "write");
    assert(typeof page !== "number", `domain ${this.id}: its console is not granted`);
    this.#page = page;
    this.#backend = consoleBackend(page.bytes, () => this.#channel?.notify(), { write: (bytes) => this.#print(bytes) });
    this.#channel = parts.bind(built.consolePort, () => this.#backend.service());
    const writable = new WritableStream<Uint8Array>({ write: (bytes) => this.#backend.type(bytes) });
    this.console = { readable, writable };
  }

  get memory(): WebAssembly.Memory {
    return this.#parts.built.memory;
  }

  /** Makes the domain known in xenstore, and starts its thread, which waits until the domain is unpaused. Once. */
  start(): void {
    const { built, check, hypervisor, machine, name, uuid, xenstore } = this.#parts;
    const { config, context, memory } = built;
    createNodes(xenstore.client, {
      id: this.id,
      name,
      uuid,
      memoryBytes: config.ram,
      vcpus: config.vcpus,
      started: Number(machine.world.wallclock() / 1_000_000_000n),
      storePort: built.storePort,
      storeFrame: built.storeFrame,
      consolePort: built.consolePort,
      consoleFrame: built.consoleFrame,
    });
    xenstore.client.introduce(this.id, built.storeFrame, built.storePort);
    const assignment = {
      heap: hypervisor.heap.buffer,
      memory,
      domain: this.id,
      config,
      vcpu: 0,
      context,
      kernel: built.kernelName,
      counters: this.#counters,
      consoleGate: this.#consoleGate,
      ...(check === undefined ? {} : { check }),
    };
    this.#thread = machine.startPcpu(assignment, {
      message: (message) => this.#hear(message),
      ended: (error) => this.#threadEnded(error),
    });
  }

  unpause(): void {
    if (!this.#paused || this.#destroyed !== undefined) return;
    this.#paused = false;
    this.#parts.built.domain.unpause();
  }

  /** Looks at what the domain has become. The host calls it when the doorbell rang. */
  look(): void {
    const { domain } = this.#parts.built;
    if (this.#destroyed !== undefined) return;
    domain.forwardKicks();
    const reason = domain.shutdownReason;
    if (reason === undefined || this.#stopped !== undefined) return;
    this.#stopped = this.#parts.machine.world.monotonic();
    this.#parts.xenstore.domainShutDown(this.id);
    this.#shutdown = reason;
    // The thread ends by itself, after its last words: registers, and whether it was a triple fault.
    this.#grace = this.#parts.machine.every(THREAD_GRACE_MS, () => this.#threadEnded(undefined));
  }

  shutdown(how: "poweroff" | "reboot"): void {
    if (this.#destroyed === undefined)
      this.#parts.xenstore.client.write(`${domainPath(this.id)}/control/shutdown`, how);
  }

  resize(rows: number, columns: number): void {
    // The node is made like its parent, for the guest to read.
    if (this.#destroyed === undefined)
      this.#parts.xenstore.client.write(`${domainPath(this.id)}/control/window`, `${rows} ${columns}`);
  }

  destroy(): Promise<void> {
    return this.#finish({ kind: "destroyed" });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }

  statistics(): GuestStatistics {
    const counters = new Float64Array(this.#counters);
    const {
      instructions,
      transitions,
      translated,
      regions,
      regionInstructions,
      regionBytes,
      regionsDropped,
      regionsKnown,
      regionEntries,
      checkedRegions,
      checkedEntries,
      checkedInstructions,
      uncheckedEmpty,
      uncheckedShared,
      uncheckedRefused,
      uncheckedUnsteady,
      processorSeconds,
      ...exits
    } = Counter;
    const count = (at: number): number => counters[at] ?? 0;
    const end = this.#stopped ?? this.#parts.machine.world.monotonic();
    return {
      seconds: (end - this.#started) / 1e9,
      processorSeconds: count(processorSeconds),
      instructions: count(instructions),
      transitions: count(transitions),
      translated: count(translated),
      translation: {
        regions: count(regions),
        instructions: count(regionInstructions),
        bytes: count(regionBytes),
        known: count(regionsKnown),
        dropped: count(regionsDropped),
        entries: count(regionEntries),
      },
      check: {
        regions: count(checkedRegions),
        entries: count(checkedEntries),
        instructions: count(checkedInstructions),
        empty: count(uncheckedEmpty),
        shared: count(uncheckedShared),
        refused: count(uncheckedRefused),
        unsteady: count(uncheckedUnsteady),
      },
      exits: Object.fromEntries(Object.entries(exits).map(([name, at]) => [name, count(at)])),
    };
  }

  registers(): string | undefined {
    return this.#registers;
  }

  /** @returns whether the reader keeps up. */
  #print(bytes: Uint8Array): boolean {
    this.#output?.enqueue(bytes);
    return (this.#output?.desiredSize ?? 1) > 0;
  }

  /** The reader keeps up again, or there is none any more. */
  #takeMore(): void {
    this.#release();
    this.#backend.resume();
  }

  #release(): void {
    this.#gate.release(this.#unreleased);
    this.#unreleased = 0;
  }

  #hear(message: PcpuMessage): void {
    if (message.kind === "console") {
      this.#unreleased += consoleCost(message.bytes.length);
      if (this.#print(message.bytes)) this.#release();
      return;
    }
    if (message.kind === "memory-wanted") {
      this.#thread?.reply({ memory: this.#parts.memoryOf(message.domain) });
      return;
    }
    this.#registers = message.registers;
    if (message.why === "triple-fault") this.#tripleFault = true;
    if (message.why === "tiers-differ") this.#difference = message.report ?? "";
  }

  #threadEnded(error: Error | undefined): void {
    if (this.#destroyed !== undefined) return;
    this.look();
    if (this.#difference !== undefined) {
      void this.#finish({ kind: "tiers-differ", report: this.#difference });
      return;
    }
    if (error !== undefined || this.#shutdown === undefined) {
      void this.#finish({ kind: "failed", error: error ?? new Error("its pCPU has stopped") });
      return;
    }
    const reason = shutdownReason(this.#shutdown);
    void this.#finish(this.#tripleFault ? { kind: "triple-fault" } : { kind: "shutdown", reason });
  }

  /** Ends the domain, once: takes its last output, stops its thread, gives everything back. */
  #finish(ending: Ending): Promise<void> {
    // In a later turn, since stopping a thread may call back at once.
    this.#destroyed ??= Promise.resolve().then(() => this.#tearDown(ending));
    return this.#destroyed;
  }

  async #tearDown(ending: Ending): Promise<void> {
    const { built, forget, hypervisor, machine, uuid, xenstore } = this.#parts;
    this.#stopped ??= machine.world.monotonic();
    this.#grace?.[Symbol.dispose]();
    await this.#thread?.terminate();
    this.#backend.drain();
    this.#backend[Symbol.dispose]();
    this.#channel?.[Symbol.dispose]();
    this.#page[Symbol.dispose]();
    xenstore.domainGone(this.id);
    removeNodes(xenstore.client, this.id, uuid);
    destroyDomain(hypervisor, built.domain);
    forget();
    this.#output?.close();
    this.#output = undefined;
    this.#end(ending);
  }
}
