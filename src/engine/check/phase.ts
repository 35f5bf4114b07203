/** What the parts of the comparison agree on: what State.checking says, and where regions count down to their next one. */

import { DomainLayout } from "../layout.ts";

/** Values of State.checking. */
export const Phase = {
  /** Nothing is being compared. */
  none: 0,
  /** A region runs. */
  region: 1,
  /** The interpreter runs the same instructions: it enters no region, stops at State.checkStop, and delivers no exception. */
  interpreter: 2,
  /** The interpreter executes what a region has left to it: as before, but exceptions are delivered. */
  step: 3,
  /** The exception that is written down in the state is to be delivered; then as above. */
  deliver: 4,
} as const;

/**
 * i32 a slot of the function table: entries of its region that go by before one is compared. Forms are not counted where
 * tiers are compared, and this takes the place of their counts.
 */
export const countdowns = DomainLayout.formCounts;
export const countdownSlots = 1 << 17;
