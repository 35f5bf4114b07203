/** What stands in memory for a region in use: its guard, 32-byte aligned, and behind it the exit records. */

/**
 * What a region's pages are compared with, in memory, in front of its exit records: the base page's RIP when they were last found right (i64),
 * the generation of code translations then (i32, 0: never), and the frame of each page (i32).
 */
export const PageGuard = { base: 0, generation: 8, frames: 12 } as const;

/** Bytes of the guard of a region with so many pages, aligned as records are. */
export function pageGuardBytes(pages: number): number {
  return Math.ceil((PageGuard.frames + pages * 4) / 32) * 32;
}

/** Entries that a region may have: their numbers stand below the guard's address in the word by which it is entered. */
export const mostEntries = 32;
