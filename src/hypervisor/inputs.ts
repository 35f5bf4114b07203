/**
 * The one seam through which the world enters a domain (design.md D7). Every value that another run could see differently
 * passes here, stamped with the vCPU's instruction count, so that a recorder can note it and a player can supply it again.
 */

/** What a host supplies. */
export interface World {
  /** Nanoseconds since some moment, never going back, the same on all threads of the hypervisor. */
  monotonic(): number;
  /** UTC now, in nanoseconds since 1970. */
  wallclock(): bigint;
  /** Fills with unpredictable bytes. */
  entropy(into: Uint8Array): void;
}

/** One thing that came in. `at` is the number of instructions that the vCPU had retired. */
export type Input =
  | { readonly kind: "time"; readonly at: number; readonly value: number }
  | { readonly kind: "wallclock"; readonly at: number; readonly value: bigint }
  | { readonly kind: "entropy"; readonly at: number; readonly value: Uint8Array }
  /** A port that another domain or domain 0 had raised. */
  | { readonly kind: "event"; readonly at: number; readonly port: number };

/** Takes note of every input, in order. */
export type Recorder = (input: Input) => void;

/** What the domain side of the seam offers. */
export interface Inputs {
  /** System time: whole nanoseconds since the domain first ran. Never goes back; also the guest's time-stamp counter. */
  time(): number;
  /** UTC at system time 0, in nanoseconds since 1970. */
  wallclockAtStart(): bigint;
  entropy(length: number): Uint8Array;
  /** Says that a raised port is about to be delivered. */
  event(port: number): void;
}

/**
 * Inputs from a live host.
 * @param epoch what the host's clock showed at system time 0.
 * @param retired the vCPU's instruction count.
 */
export function liveInputs(world: World, epoch: number, retired: () => number, record?: Recorder): Inputs {
  let last = 0;
  const time = (): number => {
    last = Math.max(last, Math.floor(world.monotonic() - epoch));
    record?.({ kind: "time", at: retired(), value: last });
    return last;
  };
  return {
    time,
    wallclockAtStart() {
      const value = world.wallclock() - BigInt(Math.floor(world.monotonic() - epoch));
      record?.({ kind: "wallclock", at: retired(), value });
      return value;
    },
    entropy(length) {
      const value = new Uint8Array(length);
      world.entropy(value);
      record?.({ kind: "entropy", at: retired(), value });
      return value;
    },
    event(port) {
      record?.({ kind: "event", at: retired(), port });
    },
  };
}
