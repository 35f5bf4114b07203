/** What is asked of the comparison of the tiers, and what comes of it. */

/** How much is compared. */
export interface CheckSampling {
  /** Entries of each region that are compared from its first on, and of the later ones each so many-th. */
  readonly first: number;
  readonly every: number;
}

/** The same, with what the engine cannot know. */
export interface CheckOptions extends CheckSampling {
  /** Whether other threads write to a frame while the guest runs: what reads or writes it is not compared. */
  readonly isShared?: (frame: number) => boolean;
}

/** What was compared, and what could not be. */
export interface CheckStatistics {
  /** Regions of which an entry was compared, entries, and the instructions executed in them. */
  regions: number;
  entries: number;
  instructions: number;
  /** Entries that were not compared: the region left at once; */
  empty: number;
  /** a frame was touched that others write to; */
  shared: number;
  /** a model-specific register was written; */
  refused: number;
  /** the first comparison found a difference that the second did not. */
  unsteady: number;
}

/** The tiers did not do the same. The message is the report, of several lines. */
export class TierDifference extends Error {
  constructor(report: string) {
    super(report);
    this.name = "TierDifference";
  }
}
