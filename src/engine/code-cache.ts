import { decode } from "../x86/decode/decode.ts";
import type { Decoded } from "../x86/decode/decode.ts";
import type { OpcodeMap } from "../x86/decode/opcode-map.ts";
import { Vector } from "../x86/exceptions.ts";
import { AddressTable } from "./address-table.ts";
import { FrameContents, knownThreshold } from "./frame-contents.ts";
import type { HotPlaces } from "./frame-contents.ts";
import { Handler, hashIndex, singleBit } from "./dispatch.ts";
import type { Place } from "./dispatch.ts";
import { CodeFrame } from "./domain-memory.ts";
import { DomainLayout, HashEntry } from "./layout.ts";
import { RecordField, recordBytes, writeRecord } from "./record.ts";

/** Finds the code of instructions, compiling forms as needed. */
export interface FormSlots {
  place(block: readonly Decoded[], codeSize: 16 | 32 | 64): readonly Place[];
}

const frameBytes = 4096;
/** Instructions that one block may have. */
const blockLimit = 64;
const codeSizes = [16, 32, 64] as const;

/** A run of records of one mode, and the hash entry that leads to it. */
interface Block {
  readonly mode: number;
  readonly hash: number;
  readonly first: number;
  readonly count: number;
}

/** What was decoded in one mode, by byte address. */
interface Decoding {
  /** The record of each instruction. */
  readonly records: AddressTable;
  /** The same of heads: the records that stand before those at which code is entered. */
  readonly heads: AddressTable;
}

/** Who wants to know of code that comes and goes. */
export interface CodeWatcher {
  /** A frame has got its first code: write translations of it must go. */
  frameBecameCode(frame: number): void;
  /** What was decoded from a frame is forgotten. */
  frameForgotten(frame: number): void;
  /** Everything is forgotten. */
  flushed(): void;
}

type Tail = "goto" | "lookUp" | "undefined" | "too-long";

/**
 * Decoded instructions of a domain: records in its private area, found by the byte address of the code in linear memory
 * and the mode. A write to a frame that has any makes all of that frame's records look their instruction up again.
 */
export class CodeCache {
  readonly #map: OpcodeMap;
  readonly #forms: FormSlots;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #codeFrames: Uint8Array;
  /** Blocks by frame, for it to be forgotten. */
  readonly #frames = new Map<number, Block[]>();
  readonly #decodings = new Map<number, Decoding>();
  #next: number = DomainLayout.records;
  readonly #watcher: CodeWatcher;
  /** Entries of a piece of code after which it is hot; 0: nobody counts. */
  readonly #threshold: number;
  readonly #contents: FrameContents;
  /** Blocks and instructions decoded, and how often everything or a frame was forgotten. */
  readonly statistics = { blocks: 0, instructions: 0, invalidations: 0, flushes: 0 };

  constructor(map: OpcodeMap, forms: FormSlots, memory: WebAssembly.Memory, watcher: CodeWatcher, threshold: number) {
    this.#map = map;
    this.#forms = forms;
    this.#view = new DataView(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.#contents = new FrameContents(new Int32Array(memory.buffer), (frame) => this.#frames.has(frame));
    this.#codeFrames = new Uint8Array(memory.buffer, DomainLayout.codeFrames, memory.buffer.byteLength / frameBytes);
    this.#watcher = watcher;
    this.#threshold = threshold;
    this.flush();
  }

  /** Forgets everything. */
  flush(): void {
    this.#bytes.fill(
      0xff,
      DomainLayout.recordHash,
      DomainLayout.recordHash + DomainLayout.hashEntries * HashEntry.bytes,
    );
    this.#codeFrames.fill(CodeFrame.none);
    this.#frames.clear();
    this.#contents.clear();
    this.#decodings.clear();
    this.#next = DomainLayout.records;
    this.#watcher.flushed();
    this.statistics.flushes += 1;
  }

  /**
   * Makes the code at byte address `at` of linear memory findable: by decoding it up to where the flow of control leaves
   * or what follows has been decoded before. Nothing but what is in this frame is looked at.
   */
  decodeBlock(at: number, mode: number): void {
    const codeSize = codeSizes[mode & 3]!;
    const frame = Math.floor(at / frameBytes);
    const { records, heads } = this.#decoding(mode);
    const record = records.get(at);
    const head = heads.get(at);
    if (head !== 0) {
      this.#enter(at, mode, head, 1);
      return;
    }
    if (record !== 0) {
      this.#enterKnown(at, mode, record);
      return;
    }
    const page = this.#bytes.subarray(frame * frameBytes, (frame + 1) * frameBytes);
    const single = (mode & singleBit) !== 0;
    const decoded: Decoded[] = [];
    let offset = at % frameBytes;
    let tail: Tail | "crossing" = single ? "lookUp" : "goto";
    while (decoded.length < (single ? 1 : blockLimit) && offset < frameBytes) {
      if (records.get(frame * frameBytes + offset) !== 0) break;
      const result = decode(this.#map, page, offset, codeSize);
      if (typeof result === "string") {
        tail = result === "truncated" ? "crossing" : result;
        break;
      }
      decoded.push(result);
      offset += result.length;
      const { flow } = result.row.instruction;
      if (flow === "away" || flow === "return") break;
    }
    if (tail === "crossing" && decoded.length === 0) {
      const first = this.reserve(1);
      this.#writeCrossing(first, at, -1);
      this.#enter(at, mode, first, 1);
      return;
    }
    this.#write(
      at,
      mode,
      codeSize,
      decoded,
      tail === "crossing" || (tail === "goto" && offset >= frameBytes) ? "lookUp" : tail,
    );
  }

  /** Makes a record in the midst of a block findable, by way of a head. */
  #enterKnown(at: number, mode: number, record: number): void {
    if (this.#threshold === 0 || (mode & singleBit) !== 0) {
      this.#enter(at, mode, record, 1);
      return;
    }
    const first = this.reserve(2);
    // Reserving may have made everything forgotten, the record too: the next look finds nothing and decodes.
    if (!this.#frames.has(Math.floor(at / frameBytes))) return;
    this.#writeHead(first, at, mode);
    this.#writeTail(first + recordBytes, at % frameBytes, "goto", record);
    this.#enter(at, mode, first, 2);
  }

  /** Makes code hot earlier of which it is known that it will be. */
  useProfile(profile: HotPlaces): void {
    this.#contents.use(profile);
    for (const frame of this.#frames.keys()) {
      for (const place of this.#contents.of(frame).known?.keys() ?? []) {
        const { head } = this.find(frame * frameBytes + (place % frameBytes), Math.floor(place / frameBytes));
        if (head === undefined || this.#view.getUint16(head + RecordField.handler, true) !== Handler.head) continue;
        const count = this.#view.getInt32(head + RecordField.immediate, true);
        if (count > knownThreshold) setSmall(this.#view, head + RecordField.immediate, knownThreshold);
      }
    }
  }

  /** A hash of what is in the frame at a byte address. */
  contentHash(at: number): number {
    return this.#contents.of(Math.floor(at / frameBytes)).hash;
  }

  /** Writes a head for the code at `at`, whose record stands behind it. @returns the records that it takes. */
  #writeHead(record: number, at: number, mode: number): 0 | 1 {
    if (this.#threshold === 0 || (mode & singleBit) !== 0) return 0;
    this.#view.setUint16(record + RecordField.handler, Handler.head, true);
    this.#view.setUint16(record + RecordField.start, at % frameBytes, true);
    setSmall(
      this.#view,
      record + RecordField.immediate,
      this.#contents.isKnown(at, mode) ? Math.min(knownThreshold, this.#threshold) : this.#threshold,
    );
    this.#view.setInt32(record + RecordField.displacement, at, true);
    this.#view.setUint16(record + RecordField.immediate2, mode, true);
    this.#decoding(mode).heads.set(at, record);
    return 1;
  }

  /** The head, and the record, of the instruction at `at`, where there are any. */
  find(at: number, mode: number): { readonly head: number | undefined; readonly record: number | undefined } {
    const { records, heads } = this.#decoding(mode);
    return { head: heads.get(at) || undefined, record: records.get(at) || undefined };
  }

  /** Takes space for `records` records. When there is none left, everything is forgotten first. */
  reserve(records: number): number {
    if (this.#next + records * recordBytes > DomainLayout.recordsEnd) this.flush();
    const first = this.#next;
    this.#next += records * recordBytes;
    return first;
  }

  #write(start: number, mode: number, codeSize: 16 | 32 | 64, decoded: readonly Decoded[], tail: Tail): void {
    const places = this.#forms.place(decoded, codeSize);
    const calls = decoded.filter(({ row }) => row.instruction.flow === "call").length;
    const count = decoded.length + calls + 2;
    const first = this.reserve(count);
    let record = first;
    let at = start;
    let offset = start % frameBytes;
    this.#enter(start, mode, first, count);
    record += this.#writeHead(record, at, mode) * recordBytes;
    const { records, heads } = this.#decoding(mode);
    for (const [index, instruction] of decoded.entries()) {
      writeRecord(this.#view, record, instruction, offset, places[index]!);
      records.set(at, record);
      record += recordBytes;
      offset += instruction.length;
      at += instruction.length;
      // What is behind a call will be returned to: it can be entered without being decoded again.
      const called = instruction.row.instruction.flow === "call";
      if (called && instruction !== decoded.at(-1)) {
        this.#enter(at, mode, record, 1);
        record += this.#writeHead(record, at, mode) * recordBytes;
      }
    }
    this.#writeTail(record, offset, tail, heads.get(at) || records.get(at));
    this.statistics.blocks += 1;
    this.statistics.instructions += decoded.length;
  }

  /** @param successor The record at `offset`, where a goto leads, if there is one. */
  #writeTail(record: number, offset: number, tail: Tail, successor = 0): void {
    const view = this.#view;
    const [handler, immediate, displacement] = {
      goto: [Handler.goto, offset, successor] as const,
      lookUp: [Handler.lookUp, 0, 0] as const,
      undefined: [Handler.raise, Vector.UD, -1] as const,
      "too-long": [Handler.raise, Vector.GP, 0] as const,
    }[tail];
    view.setUint16(record + RecordField.handler, handler, true);
    view.setUint16(record + RecordField.start, offset, true);
    setSmall(view, record + RecordField.immediate, immediate);
    view.setInt32(record + RecordField.displacement, displacement, true);
  }

  #enter(at: number, mode: number, first: number, count: number): Block {
    const hash = DomainLayout.recordHash + hashIndex(at, mode) * HashEntry.bytes;
    const view = this.#view;
    const low = view.getInt32(hash + HashEntry.key, true);
    const high = view.getInt32(hash + HashEntry.key + 4, true);
    // Who is here moves to the other place, where he is still found.
    const isEmpty = high === -1;
    if (!isEmpty && (low !== (at | 0) || high !== mode)) {
      const other = hash ^ HashEntry.bytes;
      view.setInt32(other + HashEntry.key, low, true);
      view.setInt32(other + HashEntry.key + 4, high, true);
      view.setInt32(other + HashEntry.record, view.getInt32(hash + HashEntry.record, true), true);
    }
    view.setInt32(hash + HashEntry.key, at, true);
    view.setInt32(hash + HashEntry.key + 4, mode, true);
    view.setInt32(hash + HashEntry.record, first, true);
    const block = { mode, hash, first, count };
    this.#own(Math.floor(at / frameBytes), block);
    return block;
  }

  /** Makes a block go when the frame is written. */
  #own(frame: number, block: Block): void {
    if (this.#codeFrames[frame] === CodeFrame.none) {
      this.#codeFrames[frame] = CodeFrame.decoded;
      this.#watcher.frameBecameCode(frame);
    }
    const blocks = this.#frames.get(frame);
    if (blocks === undefined) this.#frames.set(frame, [block]);
    else blocks.push(block);
  }

  #decoding(mode: number): Decoding {
    const known = this.#decodings.get(mode);
    if (known !== undefined) return known;
    const decoding = { records: new AddressTable(), heads: new AddressTable() };
    this.#decodings.set(mode, decoding);
    return decoding;
  }

  /** Leaves a record that asks for the second page of the instruction at `at`. @see Handler.crossing */
  #writeCrossing(record: number, at: number, second: number): void {
    this.#view.setUint16(record + RecordField.handler, Handler.crossing, true);
    this.#view.setUint16(record + RecordField.start, at % frameBytes, true);
    setSmall(this.#view, record + RecordField.immediate, second);
    this.#view.setInt32(record + RecordField.displacement, at, true);
  }

  /**
   * Decodes the one instruction at `at` whose end lies in the frame at byte address `second`. Its record is guarded: it
   * is used only while the next page leads to that frame.
   */
  decodeCrossing(at: number, mode: number, second: number): void {
    const codeSize = codeSizes[mode & 3]!;
    const bytes = new Uint8Array(32);
    const inFirst = frameBytes - (at % frameBytes);
    bytes.set(this.#bytes.subarray(at, at + inFirst), 0);
    bytes.set(this.#bytes.subarray(second, second + 32 - inFirst), inFirst);
    const result = decode(this.#map, bytes, 0, codeSize);
    const instructions = typeof result === "string" ? [] : [result];
    const places = this.#forms.place(instructions, codeSize);
    const first = this.reserve(3);
    this.#writeCrossing(first, at, second);
    let record = first + recordBytes;
    for (const [index, instruction] of instructions.entries()) {
      writeRecord(this.#view, record, instruction, at % frameBytes, places[index]!);
      record += recordBytes;
    }
    const tail = typeof result !== "string" ? "lookUp" : result === "undefined" ? "undefined" : "too-long";
    this.#writeTail(record, (at % frameBytes) + (instructions[0]?.length ?? 0), tail);
    const block = this.#enter(at, mode, first, 3);
    this.#own(Math.floor(second / frameBytes), block);
  }

  /** Forgets the code of a frame, given any byte address in it. */
  invalidate(address: number): void {
    const frame = Math.floor((address >>> 0) / frameBytes);
    this.#codeFrames[frame] = CodeFrame.none;
    const blocks = this.#frames.get(frame);
    if (blocks === undefined) return;
    this.#frames.delete(frame);
    this.#contents.forget(frame);
    this.#watcher.frameForgotten(frame);
    this.statistics.invalidations += 1;
    for (const { mode, hash, first, count } of blocks) {
      const { records, heads } = this.#decoding(mode);
      for (const place of [hash, hash ^ HashEntry.bytes]) {
        if (this.#view.getInt32(place + HashEntry.record, true) === first)
          this.#view.setBigInt64(place + HashEntry.key, -1n, true);
      }
      // Whoever is in the middle of the block goes on with what is in memory now.
      for (let record = first; record < first + count * recordBytes; record += recordBytes) {
        this.#view.setUint16(record + RecordField.handler, Handler.lookUp, true);
        const at = frame * frameBytes + this.#view.getUint16(record + RecordField.start, true);
        records.delete(at, record);
        heads.delete(at, record);
      }
    }
  }

  /** Forgets frames that another party wrote to. */
  invalidateStale(): void {
    for (
      let frame = this.#codeFrames.indexOf(CodeFrame.stale);
      frame >= 0;
      frame = this.#codeFrames.indexOf(CodeFrame.stale, frame + 1)
    ) {
      this.invalidate(frame * frameBytes);
    }
  }
}

/** Writes a number of 32 bits as one of 64. */
function setSmall(view: DataView, at: number, value: number): void {
  view.setInt32(at, value, true);
  view.setInt32(at + 4, value < 0 ? -1 : 0, true);
}
