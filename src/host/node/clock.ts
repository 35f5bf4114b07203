/** The host's clocks and random numbers, which enter domains through the hypervisor's seam. */

import { randomFillSync } from "node:crypto";
import type { World } from "../../hypervisor/inputs.ts";

/** The moment that all threads of a hypervisor count from, to be handed to each: process.hrtime's nanoseconds. */
export function now(): bigint {
  return process.hrtime.bigint();
}

/**
 * This thread's view of the host. `performance.now()` is the fastest clock there is, but its origin differs between
 * threads; hrtime's does not, and tells once how far they are apart.
 * @param origin the hypervisor's {@link now}, at which its clock is 0.
 */
export function hostWorld(origin: bigint): World {
  const offset = Number(process.hrtime.bigint() - origin) - performance.now() * 1e6;
  let last = 0;
  return {
    monotonic() {
      last = Math.max(last, performance.now() * 1e6 + offset);
      return last;
    },
    wallclock: () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e3)) * 1000n,
    entropy: (into) => void randomFillSync(into),
  };
}
