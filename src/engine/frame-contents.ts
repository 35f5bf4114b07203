/** What is in frames with code, and which of that is known to become hot. */

import { hashPage } from "./translate/recipe.ts";

/** What is known to become hot: places (mode × 4096 + page offset) by the hash of their page. */
export interface HotPlaces {
  places(hash: number): ReadonlyMap<number, unknown> | undefined;
}
/** Entries after which code of which that is known is hot. */
export const knownThreshold = 8;

interface Contents {
  readonly hash: number;
  /** Heads in it that are known to become hot. */
  readonly known: ReadonlyMap<number, unknown> | undefined;
}

const frameBytes = 4096;
const frameWords = frameBytes / 4;

/** Hashes of frames, and what is known of those. */
export class FrameContents {
  readonly #words: Int32Array;
  readonly #isWatched: (frame: number) => boolean;
  readonly #contents = new Map<number, Contents>();
  #profile: HotPlaces | undefined;

  /** @param isWatched Whether {@link forget} will be called when a frame changes. */
  constructor(words: Int32Array, isWatched: (frame: number) => boolean) {
    this.#words = words;
    this.#isWatched = isWatched;
  }

  use(profile: HotPlaces): void {
    this.#profile = profile;
    this.#contents.clear();
  }
  forget(frame: number): void {
    this.#contents.delete(frame);
  }
  clear(): void {
    this.#contents.clear();
  }

  of(frame: number): Contents {
    const before = this.#contents.get(frame);
    if (before !== undefined) return before;
    const hash = hashPage(this.#words.subarray(frame * frameWords, (frame + 1) * frameWords));
    const contents = { hash, known: this.#profile?.places(hash) };
    if (this.#isWatched(frame)) this.#contents.set(frame, contents);
    return contents;
  }

  /** Whether the code at a byte address is known to become hot. */
  isKnown(at: number, mode: number): boolean {
    if (this.#profile === undefined) return false;
    return this.of(Math.floor(at / frameBytes)).known?.has(mode * frameBytes + (at % frameBytes)) === true;
  }
}
