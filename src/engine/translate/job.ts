/** What passes between a vCPU and whoever translates for it: nothing but numbers and bytes, so that it may be another thread. */

/** A region to be translated. */
export interface RegionJob {
  /** The slot of the function table that it is for. */
  readonly slot: number;
  readonly mode: number;
  /** Copies of the instructions' records, the pages that they are in, and the numbers of their forms. */
  readonly records: Uint8Array<ArrayBuffer>;
  readonly pages: Int8Array;
  readonly forms: Float64Array;
  /** Offsets at which blocks begin, and at which the region can be entered. */
  readonly leaders: Int32Array;
  readonly entries: Int32Array;
  /** What is to be kept with the translation, where those are kept: see recipe.ts. */
  readonly recipe?: Uint8Array<ArrayBuffer>;
}

/** Regions that become one module. */
export interface TranslationJob {
  readonly number: number;
  /** 64 KiB pages of the memory that the module is for. */
  readonly memoryPages: number;
  readonly regions: readonly RegionJob[];
}

/** Where in the module's exit records a region has its own, and of which instructions they are copies. */
export interface RegionResult {
  /** The pages that it compares, and where it does: see guard.ts. */
  readonly pages: readonly number[];
  readonly guard: number;
  readonly exitsAt: number;
  readonly exits: readonly number[];
  /** It had been translated before. */
  readonly known: boolean;
}

export interface TranslationResult {
  readonly number: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Bytes that the exit records take. */
  readonly recordBytes: number;
  /** Names of the routines that the module imports. */
  readonly routines: readonly string[];
  /** In the order of the job's; none where it could not be translated, whose code stays interpreted. */
  readonly regions: readonly RegionResult[];
}

/** The answer to a job that could not be translated. */
export function untranslated(number: number): TranslationResult {
  return { number, bytes: new Uint8Array(), recordBytes: 0, routines: [], regions: [] };
}
