/**
 * Pages of other domains in a guest's p2m: not memory to the engine, but served here access by access. Each access is
 * checked against the domain's mappings under its memory lock, so that none comes after the page was unmapped.
 */

import { XEN_PAGE_SIZE } from "../abi/xen.ts";
import { P2mType } from "../engine/engine.ts";
import type { Domain } from "./domain.ts";
import { DOMAIN } from "./heap.ts";
import { mappingGeneration, mappingsOf } from "./mappings.ts";
import type { ListedMapping } from "./mappings.ts";
import { frameBytes } from "./p2m.ts";

/** Where a mapped page's bytes are, once an access has wanted them. */
interface Page {
  readonly mapping: ListedMapping;
  /** Undefined while the granter lives and its memory is not fetched, and where it died before it was. */
  bytes: Uint8Array | undefined;
  /** Undefined when the granter is gone: the page stays as it was, and is no longer written. */
  granter: Domain | undefined;
}

/** One vCPU's way to the pages that its domain has mapped. */
export class ForeignMemory {
  readonly #domain: Domain;
  /** By the domain's own guest frame. */
  readonly #pages = new Map<number, Page>();
  #generation = -1;
  #departures: number;

  constructor(domain: Domain) {
    this.#domain = domain;
    this.#departures = domain.heap.departures;
  }

  /** Reads up to 8 bytes of a page; all ones where the page is lost. @returns undefined where no foreign page is. */
  read(address: number, size: number): bigint | undefined {
    const offset = address % XEN_PAGE_SIZE;
    return this.#use(address, ({ bytes }) =>
      bytes === undefined ? (1n << BigInt(size * 8)) - 1n : load(bytes, offset, size),
    );
  }

  /** Writes up to 8 bytes. Drops what is for a page that may only be read, or that is lost. */
  write(address: number, size: number, value: bigint): void {
    const offset = address % XEN_PAGE_SIZE;
    this.#use(address, (page) => {
      if (!isWritable(page)) return;
      store(page.bytes, offset, size, value);
      page.granter.memory.externallyWritten(page.mapping.granterGfn);
    });
  }

  /** Copies from within one page. @returns false where no foreign page is. */
  copyFrom(address: number, into: Uint8Array): boolean {
    const offset = address % XEN_PAGE_SIZE;
    const done = this.#use(address, ({ bytes }) => {
      if (bytes === undefined) into.fill(0xff);
      else into.set(bytes.subarray(offset, offset + into.length));
      return true;
    });
    return done ?? false;
  }

  /** Copies into one page. @returns false where no foreign page is that may be written. */
  copyTo(address: number, from: Uint8Array): boolean {
    const offset = address % XEN_PAGE_SIZE;
    const done = this.#use(address, (page) => {
      if (!isWritable(page)) return false;
      page.bytes.set(from, offset);
      page.granter.memory.externallyWritten(page.mapping.granterGfn);
      return true;
    });
    return done ?? false;
  }

  /** Keeps what is mapped of domains that are gone as it is, and lets go of their memory. */
  settle(): void {
    const { departures } = this.#domain.heap;
    if (departures === this.#departures) return;
    this.#departures = departures;
    for (const page of this.#pages.values()) if (page.granter !== undefined && !page.granter.exists) bury(page);
    this.#domain.hypervisor.forgetGone();
  }

  /** Visits a page while nobody can unmap it. @returns undefined where none is. */
  #use<T>(address: number, visit: (page: Page) => T): T | undefined {
    const domain = this.#domain;
    const gfn = Math.floor(address / XEN_PAGE_SIZE);
    while (domain.memory.p2mType(gfn) === P2mType.foreign) {
      const page = this.#find(gfn);
      if (page === undefined) return undefined;
      const visited = domain.heap.locked(domain.base + DOMAIN.memoryLock, () => {
        return mappingGeneration(domain) === this.#generation ? { result: visit(page) } : undefined;
      });
      if (visited !== undefined) return visited.result;
    }
    return undefined;
  }

  /** Follows the domain's mappings, and fetches memory. Holds no lock: the control thread may be needed. */
  #find(gfn: number): Page | undefined {
    if (mappingGeneration(this.#domain) !== this.#generation) this.#refresh();
    const page = this.#pages.get(gfn);
    if (page === undefined) return undefined;
    if (page.granter !== undefined && !page.granter.exists) bury(page);
    else if (page.bytes === undefined) fetch(page);
    return page;
  }

  #refresh(): void {
    const { generation, list } = mappingsOf(this.#domain);
    const before = new Map(this.#pages);
    this.#pages.clear();
    for (const mapping of list) {
      const known = before.get(mapping.gfn);
      const same = known?.mapping.stamp === mapping.stamp;
      this.#pages.set(mapping.gfn, same ? known : { mapping, bytes: undefined, granter: this.#granterOf(mapping) });
    }
    this.#generation = generation;
  }

  #granterOf({ granter, granterSerial }: ListedMapping): Domain | undefined {
    const found = granter === this.#domain.id ? this.#domain : this.#domain.hypervisor.find(granter);
    return found?.serial === granterSerial ? found : undefined;
  }
}

function isWritable(page: Page): page is Page & { bytes: Uint8Array; granter: Domain } {
  return page.mapping.access === "write" && page.bytes !== undefined && page.granter !== undefined;
}

function fetch(page: Page): void {
  if (page.granter?.hasMemory) page.bytes = frameBytes(page.granter, page.mapping.frame);
}

/** The granter is gone. Its whole memory would stay as long as a view on it does. */
function bury(page: Page): void {
  page.bytes = page.bytes?.slice();
  page.granter = undefined;
}

/** One access where it is aligned, as the peer expects of ring indices; otherwise byte by byte. Little-endian. */
function load(bytes: Uint8Array, offset: number, size: number): bigint {
  const at = bytes.byteOffset + offset;
  if (size === 4 && at % 4 === 0) return BigInt(Atomics.load(new Uint32Array(bytes.buffer, at, 1), 0));
  if (size === 8 && at % 8 === 0) return Atomics.load(new BigUint64Array(bytes.buffer, at, 1), 0);
  if (size === 2 && at % 2 === 0) return BigInt(Atomics.load(new Uint16Array(bytes.buffer, at, 1), 0));
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[offset + i] ?? 0xff);
  return value;
}

function store(bytes: Uint8Array, offset: number, size: number, value: bigint): void {
  const at = bytes.byteOffset + offset;
  if (size === 4 && at % 4 === 0) Atomics.store(new Uint32Array(bytes.buffer, at, 1), 0, Number(value & 0xffffffffn));
  else if (size === 8 && at % 8 === 0) Atomics.store(new BigUint64Array(bytes.buffer, at, 1), 0, value);
  else if (size === 2 && at % 2 === 0) Atomics.store(new Uint16Array(bytes.buffer, at, 1), 0, Number(value & 0xffffn));
  else {
    for (let i = 0; i < size && offset + i < XEN_PAGE_SIZE; i++)
      bytes[offset + i] = Number((value >> BigInt(i * 8)) & 0xffn);
  }
}
