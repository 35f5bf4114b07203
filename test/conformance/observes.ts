/** Declares the guest tests of hypercalls. `docs/hypercalls.md` names them, by the first two arguments. */
import { test } from "node:test";
import { Machine } from "./machine.ts";
import type { GuestOptions } from "./machine.ts";
import type { Guest } from "./guest.ts";
import type { Bits } from "./kernel.ts";

/** What of a guest can be chosen, for each width where that differs. */
export type Options = Omit<GuestOptions, "bits" | "routines"> & { readonly routines?: (bits: Bits) => string };

/**
 * A test that a guest sees what a hypercall does, in 32-bit and in 64-bit mode.
 * @param operation the hypercall, or with its sub-operation "event_channel_op.send".
 * @param effect what is observed, as a sentence.
 */
export function observes(
  operation: string,
  effect: string,
  body: (guest: Guest, machine: Machine) => void,
  options: Options = {},
): void {
  const { routines, ...rest } = options;
  for (const bits of [32, 64] as const) {
    test(`${operation}: ${effect} (${bits}-bit)`, () => {
      using machine = new Machine();
      const source = routines === undefined ? {} : { routines: routines(bits) };
      body(machine.guest({ bits, ...rest, ...source }), machine);
    });
  }
}
