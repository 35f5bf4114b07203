/** The undo log: pages as they were before a run wrote to them. */

const pageBytes = 4096;
const pageWords = pageBytes / 4;
/** Bits 0 and 5 of a page-table entry: present, accessed. */
const present = 1;
const accessed = 0x20;

/** A domain's whole linear memory, in words. */
export type MemoryWords = Int32Array;

/** A byte that two runs left different. */
export interface ByteDifference {
  /** Byte address in linear memory. */
  readonly at: number;
  readonly before: number;
  readonly region: number;
  readonly interpreter: number;
}

/**
 * What two runs from the same state wrote. Before each of them every translation is dropped, so that the first write to a
 * page passes the page walk, and the page is copied there; what else is written to it goes by the TLB, as it always does.
 */
export class PageLog {
  readonly #memory: MemoryWords;
  /** Contents before the first run, by frame: of what the first run wrote to, and of what only the second did. */
  readonly #first = new Map<number, Int32Array>();
  readonly #second = new Map<number, Int32Array>();
  /** What the first run left. */
  readonly #after = new Map<number, Int32Array>();
  readonly #free: Int32Array[] = [];
  #repeating = false;

  constructor(memory: MemoryWords) {
    this.#memory = memory;
  }

  /** Begins anew; the first run follows. */
  begin(): void {
    for (const pages of [this.#first, this.#second, this.#after]) {
      this.#free.push(...pages.values());
      pages.clear();
    }
    this.#repeating = false;
  }

  /** A frame is about to be written to. */
  save(frame: number): void {
    if (this.#first.has(frame)) return;
    if (!this.#repeating) this.#first.set(frame, this.#copy(frame));
    else if (!this.#second.has(frame)) this.#second.set(frame, this.#copy(frame));
  }

  /** Keeps what the first run wrote and takes it back; the second follows. @param rewritten told of frames that changed. */
  repeat(rewritten: (frame: number) => void): void {
    for (const [frame, before] of this.#first) {
      this.#after.set(frame, this.#copy(frame));
      this.#restore(frame, before, rewritten);
    }
    this.#repeating = true;
  }

  /** Takes back what the second run wrote. */
  undo(rewritten: (frame: number) => void): void {
    for (const [frame, before] of this.#first) this.#restore(frame, before, rewritten);
    for (const [frame, before] of this.#second) this.#restore(frame, before, rewritten);
  }

  /** Whether both runs left the same bytes. */
  same(): boolean {
    for (const [frame, after] of this.#after) if (this.#differs(frame, after)) return false;
    for (const [frame, before] of this.#second) if (this.#differs(frame, before)) return false;
    return true;
  }

  /** The bytes in which they differ. */
  *differences(): Generator<ByteDifference> {
    for (const [frame, after] of this.#after) yield* this.#bytes(frame, this.#first.get(frame)!, after);
    for (const [frame, before] of this.#second) yield* this.#bytes(frame, before, before);
  }

  #copy(frame: number): Int32Array {
    const copy = this.#free.pop() ?? new Int32Array(pageWords);
    copy.set(this.#memory.subarray(frame * pageWords, (frame + 1) * pageWords));
    return copy;
  }
  #restore(frame: number, before: Int32Array, rewritten: (frame: number) => void): void {
    if (!this.#changed(frame, before)) return;
    this.#memory.set(before, frame * pageWords);
    rewritten(frame);
  }
  #changed(frame: number, other: Int32Array): boolean {
    const memory = this.#memory;
    for (let word = 0, at = frame * pageWords; word < pageWords; word++, at++)
      if (memory[at] !== other[word]) return true;
    return false;
  }
  #differs(frame: number, region: Int32Array): boolean {
    const memory = this.#memory;
    for (let word = 0, at = frame * pageWords; word < pageWords; word++, at++)
      if (memory[at] !== region[word] && !isAccessed(region[word]!, memory[at]!)) return true;
    return false;
  }
  *#bytes(frame: number, before: Int32Array, region: Int32Array): Generator<ByteDifference> {
    const now = new Uint8Array(this.#memory.buffer, frame * pageBytes, pageBytes);
    const [was, one] = [before, region].map((words) => new Uint8Array(words.buffer)) as [Uint8Array, Uint8Array];
    for (let byte = 0; byte < pageBytes; byte++) {
      const word = byte >> 2;
      if (one[byte] === now[byte]) continue;
      if (isAccessed(region[word]!, this.#memory[frame * pageWords + word]!)) continue;
      yield { at: frame * pageBytes + byte, before: was[byte]!, region: one[byte]!, interpreter: now[byte]! };
    }
  }
}

/**
 * Whether two words differ as page-table entries do of which the interpreter has set the A bit: it fetches each page that it
 * executes, and a region need not.
 */
function isAccessed(region: number, interpreter: number): boolean {
  return (region ^ interpreter) === accessed && (interpreter & accessed) !== 0 && (region & present) !== 0;
}
