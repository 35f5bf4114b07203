/** What a back end is given of the domain that it serves. */

import type { DomainId, EventPort } from "../abi/types.ts";

/** A guest as its back ends see it: some of its pages, and event channels. */
export interface Guest {
  readonly domain: DomainId;
  /** The live bytes of a guest frame, or undefined where the guest has no memory. */
  frame(gfn: number): Uint8Array | undefined;
  /** Binds an event channel that the guest offers to domain 0. @returns undefined if the guest offers no such port. */
  bind(port: EventPort, onEvent: () => void): Channel | undefined;
}

/** A back end's end of an event channel. */
export interface Channel extends Disposable {
  /** Interrupts the guest. */
  notify(): void;
}

/** A back end at work. */
export interface Backend extends Disposable {
  /** Looks at the ring: something may have changed. Called on events; harmless at other times. */
  service(): void;
}
