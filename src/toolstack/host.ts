/** The SDK's entry: a hypervisor in this process, with domain 0's part of the work. */

import { createHeap } from "../hypervisor/heap.ts";
import { createControlDomain, Hypervisor } from "../hypervisor/domain.ts";
import type { Domain } from "../hypervisor/domain.ts";
import { bindInterdomain, closePort, send, takeRaised } from "../hypervisor/event-table.ts";
import { domainId } from "../abi/types.ts";
import type { DomainId } from "../abi/types.ts";
import { GNTTAB } from "../abi/grant_table.ts";
import { mapGrant } from "../hypervisor/control.ts";
import { ringTransport } from "../xenstore/ring.ts";
import type { Transport } from "../xenstore/ring.ts";
import { Xenstore } from "../xenstore/server.ts";
import type { StoreClient } from "../xenstore/client.ts";
import type { Channel } from "../backends/backend.ts";
import { buildDomain } from "./create.ts";
import type { DomainConfig } from "./domain-config.ts";
import { DomainGuest } from "./domain-guest.ts";
import type { Guest } from "./guest.ts";
import type { Machine } from "./machine.ts";

/** Domains at once. Each that is not used costs address space only. */
const MOST_DOMAINS = 64;
/** How often xenstored drops events that nobody takes. */
const EXPIRE_MS = 5000;

/**
 * A hypervisor, its xenstore and its back ends. They run on the thread that opened it; guests run on threads of their own.
 */
export class Host implements AsyncDisposable {
  readonly #machine: Machine;
  readonly #hypervisor: Hypervisor;
  readonly #control: Domain;
  readonly #xenstore: Xenstore;
  readonly #guests = new Map<DomainId, DomainGuest>();
  /** What domain 0's event channels lead to. */
  readonly #ports = new Map<number, () => void>();
  readonly #timer: Disposable;
  #open = true;

  private constructor(machine: Machine) {
    this.#machine = machine;
    const { world } = machine;
    this.#hypervisor = new Hypervisor(createHeap(MOST_DOMAINS), () => world.monotonic());
    this.#control = createControlDomain(this.#hypervisor);
    this.#xenstore = new Xenstore({
      exists: (domain) => this.#hypervisor.find(domainId(domain)) !== undefined,
      // The frame that INTRODUCE names is the granted one, as in xenstored: it maps the grant.
      connect: (domain, _frame, port) => this.#connectStore(domainId(domain), port),
      now: () => world.monotonic() / 1e6,
      defer: (work) => machine.defer(work),
      log: (line) => machine.log(line),
    });
    this.#timer = machine.every(EXPIRE_MS, () => this.#xenstore.expire());
    void this.#attend();
  }

  /** Starts a hypervisor on a machine. */
  static open(machine: Machine): Promise<Host> {
    return Promise.resolve(new Host(machine));
  }

  /** The domains that exist. */
  get guests(): ReadonlyMap<DomainId, Guest> {
    return this.#guests;
  }

  /** Domain 0's use of xenstore. */
  get store(): StoreClient {
    return this.#xenstore.client;
  }

  /**
   * Builds a domain and, unless it is to be paused, lets it run.
   * @throws XenError when it cannot be built; see buildDomain.
   */
  create(config: DomainConfig): Promise<Guest> {
    const uuid = new Uint8Array(16);
    this.#machine.world.entropy(uuid);
    const text = formatUuid(uuid);
    const built = buildDomain(this.#hypervisor, config, uuid, this.#machine);
    const { id } = built.domain;
    const guest = new DomainGuest({
      name: config.name,
      check: config.engineCheck,
      uuid: text,
      built,
      hypervisor: this.#hypervisor,
      xenstore: this.#xenstore,
      machine: this.#machine,
      bind: (port, onEvent) => this.bind(id, port, onEvent),
      memoryOf: (other) => this.#guests.get(other)?.memory,
      forget: () => void this.#guests.delete(id),
    });
    this.#guests.set(id, guest);
    guest.start();
    if (!config.paused) guest.unpause();
    // The caller's files and what was unpacked of them are large, and gone when he has been answered.
    this.#machine.defer(() => this.#machine.collectGarbage());
    return Promise.resolve(guest);
  }

  /** Binds an event channel that a domain offers to domain 0. */
  bind(domain: DomainId, remotePort: number, onEvent: () => void): Channel | undefined {
    const remote = this.#hypervisor.find(domain);
    const port = remote === undefined ? -1 : bindInterdomain(this.#control, remote, remotePort);
    if (port < 0) return undefined;
    this.#ports.set(port, onEvent);
    return {
      notify: () => void send(this.#control, port),
      [Symbol.dispose]: () => {
        if (this.#ports.delete(port)) closePort(this.#control, port);
      },
    };
  }

  /** A domain's xenstore page, by the grant that the toolstack made, and its event channel. */
  #connectStore(id: DomainId, port: number): Transport | undefined {
    const domain = this.#hypervisor.find(id);
    const page = domain === undefined ? undefined : mapGrant(domain, GNTTAB.RESERVED_XENSTORE, "write");
    if (page === undefined || typeof page === "number") return undefined;
    const channel = this.bind(id, port, () => this.#xenstore.service(id));
    const release = (): void => {
      channel?.[Symbol.dispose]();
      page[Symbol.dispose]();
    };
    if (channel !== undefined) return ringTransport(page.bytes, () => channel.notify(), release);
    release();
    return undefined;
  }

  /** Destroys all domains. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#guests.values()].map((guest) => guest.destroy()));
    this.#open = false;
    this.#timer[Symbol.dispose]();
    this.#hypervisor.heap.ringDoorbell();
  }

  /** Domain 0's main loop: events on its channels, domains that shut down, vCPUs that others want woken. */
  async #attend(): Promise<void> {
    const { heap } = this.#hypervisor;
    while (this.#open) {
      const seen = heap.doorbell();
      takeRaised(this.#control, (port) => this.#ports.get(port)?.());
      for (const guest of this.#guests.values()) guest.look();
      await heap.waitForDoorbell(seen);
    }
  }
}

/** RFC 9562's text form, version 4. Sets the bits that say so. */
function formatUuid(bytes: Uint8Array): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
