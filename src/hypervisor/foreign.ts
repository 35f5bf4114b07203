/** Pages of other domains in a guest's p2m: not memory to the engine, but served here access by access. */

/** The live bytes of a granted frame, and whether they may be written. */
export interface ForeignPage {
  readonly bytes: Uint8Array;
  readonly writable: boolean;
}

/** Which guest frames of a domain lead to pages of others. One for each worker that has other domains' memory. */
export class ForeignMemory {
  readonly #pages = new Map<number, ForeignPage>();

  map(gfn: number, page: ForeignPage): void {
    this.#pages.set(gfn, page);
  }

  /** @returns whether the frame led to another domain's page. */
  unmap(gfn: number): boolean {
    return this.#pages.delete(gfn);
  }

  has(gfn: number): boolean {
    return this.#pages.has(gfn);
  }

  /** @returns undefined where no foreign page is. */
  read(gfn: number, offset: number, size: number): bigint | undefined {
    const page = this.#pages.get(gfn);
    if (page === undefined) return undefined;
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(page.bytes[offset + i] ?? 0xff);
    return value;
  }

  /** Drops writes to pages that may only be read. */
  write(gfn: number, offset: number, size: number, value: bigint): void {
    const page = this.#pages.get(gfn);
    if (page === undefined || !page.writable) return;
    for (let i = 0; i < size && offset + i < page.bytes.length; i++) {
      page.bytes[offset + i] = Number((value >> BigInt(i * 8)) & 0xffn);
    }
  }
}
