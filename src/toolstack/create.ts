/** How a domain comes into being: the order of libxl's domain_create, for PVH. */

import { SHUTDOWN } from "../abi/sched.ts";
import { HVM_PARAM } from "../abi/hvm/params.ts";
import { EVTCHNSTAT } from "../abi/event_channel.ts";
import { GNTTAB } from "../abi/grant_table.ts";
import { domainId, eventPort } from "../abi/types.ts";
import type { EventPort } from "../abi/types.ts";
import { assert, XenError } from "../bits/errors.ts";
import { loadKernel } from "../boot/kernel.ts";
import { layOutPvh } from "../boot/pvh.ts";
import type { PvhDomain } from "../boot/pvh.ts";
import { allocateDomainMemory, attentionOf, openDomainMemory } from "../engine/domain-memory.ts";
import { createDomain } from "../hypervisor/domain.ts";
import type { Domain, DomainConfig as HypervisorConfig, Hypervisor } from "../hypervisor/domain.ts";
import { allocatePort } from "../hypervisor/event-table.ts";
import { seedGrant } from "../hypervisor/grant-table.ts";
import { LOW_RAM_END, OVERHEAD_FRAMES, populate, populateDomain } from "../hypervisor/p2m.ts";
import type { DomainConfig } from "./domain-config.ts";
import type { Machine } from "./machine.ts";
import type { ShutdownReason } from "./guest.ts";

const PAGE = 4096;
/** Frames of a domain's memory come in multiples of a WebAssembly page. */
const FRAMES_A_PAGE = 16;
/** A 32-bit WebAssembly memory ends at 4 GiB, and its first part is the engine's. */
const MOST_MEMORY = 0xe000_0000;

/** A domain with its memory filled and its channels offered, which has not run yet. */
export interface BuiltDomain {
  readonly domain: Domain;
  readonly memory: WebAssembly.Memory;
  readonly config: HypervisorConfig;
  /** See PcpuAssignment.kernel. */
  readonly kernelName: string;
  /** The state that vCPU 0 starts in. */
  readonly context: PvhDomain["context"];
  readonly storePort: EventPort;
  readonly consolePort: EventPort;
  readonly storeFrame: number;
  readonly consoleFrame: number;
}

/**
 * Builds a domain. Nothing of it is left when this throws.
 * @param uuid 16 bytes.
 * @throws XenError: what is wrong with the kernel, the initrd, the memory size, or how many domains there are.
 */
export function buildDomain(
  hypervisor: Hypervisor,
  config: DomainConfig,
  uuid: Uint8Array,
  machine: Machine,
): BuiltDomain {
  const { memoryBytes, vcpus } = config;
  if (memoryBytes > Math.min(MOST_MEMORY, LOW_RAM_END)) {
    const most = Math.floor(MOST_MEMORY / (1 << 20));
    throw new XenError(
      "invalid-argument",
      `memory: ${memoryBytes / (1 << 20)} MiB is more than a domain can have, ${most} MiB`,
    );
  }
  const kernel = loadKernel(config.kernel, config.kernelName, machine.decompressors);
  const layout = layOutPvh({
    kernel,
    memoryBytes,
    initrd: config.initrd,
    commandLine: config.commandLine,
    processors: { online: vcpus, maximum: vcpus },
  });

  const extra =
    layout.populated.reduce((frames, { bytes }) => frames + Math.ceil(bytes / PAGE), 0) - memoryBytes / PAGE;
  const frames = memoryBytes / PAGE + Math.max(extra, 0) + OVERHEAD_FRAMES;
  const memory = memoryOf(Math.ceil(frames / FRAMES_A_PAGE) * FRAMES_A_PAGE, memoryBytes);
  const shape: HypervisorConfig = {
    vcpus,
    ram: memoryBytes,
    memoryMap: layout.memoryMap.map(({ address, bytes, type }) => ({ address, size: bytes, type })),
    handle: [...uuid],
  };
  const view = openDomainMemory(memory);
  const domain = createDomain(hypervisor, shape, view, (vcpu) => attentionOf(memory, vcpu));
  populateDomain(domain, memoryBytes);
  for (const { address, bytes } of layout.populated) {
    // RAM and the special pages are in place; what is left are the ACPI tables.
    if (address < LOW_RAM_END || address >= SPECIAL_START) continue;
    populate(domain, address / PAGE, Math.ceil(bytes / PAGE));
  }
  for (const { address, bytes } of layout.writes) {
    assert(view.write(address, bytes), `boot: 0x${address.toString(16)} is outside of the domain's memory`);
  }
  const storePort = offerPort(domain);
  const consolePort = offerPort(domain);
  domain.setParam(HVM_PARAM.STORE_EVTCHN, BigInt(storePort));
  domain.setParam(HVM_PARAM.CONSOLE_EVTCHN, BigInt(consolePort));
  const storeFrame = Number(domain.param(HVM_PARAM.STORE_PFN));
  const consoleFrame = Number(domain.param(HVM_PARAM.CONSOLE_PFN));
  grantToControl(domain, GNTTAB.RESERVED_XENSTORE, storeFrame);
  grantToControl(domain, GNTTAB.RESERVED_CONSOLE, consoleFrame);
  return {
    domain,
    memory,
    config: shape,
    kernelName: shortName(config.kernel),
    context: layout.context,
    storePort,
    consolePort,
    storeFrame,
    consoleFrame,
  };
}

/** How much is looked at for a short name. */
const SAMPLES = 4096;

/** A name for an image of a kernel, by its length and samples of its bytes: another kernel may have it, but will hardly. */
function shortName(image: Uint8Array): string {
  let low = image.length;
  let high = 0x811c9dc5;
  for (let index = 0; index < SAMPLES; index++) {
    const byte = image[Math.floor((index * image.length) / SAMPLES)] ?? 0;
    low = Math.imul(low ^ byte, 0x01000193);
    high = Math.imul(high + byte, 0x2c1b3c6d) ^ (high >>> 15);
  }
  return [low, high].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

/** The special pages begin here: X86_HVM_END_SPECIAL_REGION - X86_HVM_NR_SPECIAL_PAGES. */
const SPECIAL_START = 0xfeff8 * PAGE;

function memoryOf(frames: number, memoryBytes: number): WebAssembly.Memory {
  try {
    return allocateDomainMemory(frames);
  } catch (cause) {
    const size = memoryBytes / (1 << 20);
    throw new XenError(
      "not-enough-memory",
      `memory: this machine has no room for a domain of ${size} MiB; give less with -m`,
      {
        cause,
      },
    );
  }
}

/** A port of the new domain that domain 0 may bind. */
function offerPort(domain: Domain): EventPort {
  const port = allocatePort(domain, { state: EVTCHNSTAT.unbound, remote: domainId(0) });
  assert(port > 0, `domain ${domain.id}: no event channel is free`);
  return eventPort(port);
}

/** An entry by which back ends in domain 0 map a page that the domain has not granted itself. Xen: xc_dom_gnttab_init() */
function grantToControl(domain: Domain, ref: number, gfn: number): void {
  assert(seedGrant(domain, ref, domainId(0), gfn), `domain ${domain.id}: no memory for its grant table`);
}

/** A SHUTDOWN reason by its name. */
export function shutdownReason(reason: number): ShutdownReason {
  const names: Readonly<Record<number, ShutdownReason>> = {
    [SHUTDOWN.poweroff]: "poweroff",
    [SHUTDOWN.reboot]: "reboot",
    [SHUTDOWN.suspend]: "suspend",
    [SHUTDOWN.crash]: "crash",
    [SHUTDOWN.watchdog]: "watchdog",
    [SHUTDOWN.soft_reset]: "soft-reset",
  };
  return names[reason] ?? "crash";
}
