import { Ending } from "../../ir/node.ts";
import type { Code } from "../../wasm/code.ts";
import { State } from "../../x86/state.ts";
import type { CodeCache } from "../code-cache.ts";
import { Handler } from "../dispatch.ts";
import type { FormDescription, FormLibrary } from "../form-library.ts";
import { buildForm } from "../forms.ts";
import { regionType } from "../linker.ts";
import type { Callees, Linker } from "../linker.ts";
import { fetchFrame } from "../mmu/fetch.ts";
import { meetsCode } from "../mmu/slow-access.ts";
import { dropJumps } from "../mmu/tlb.ts";
import { RecordField, recordBytes } from "../record.ts";
import { RegionEmitter, exitRecordBytes } from "./emit.ts";
import type { EmittedRegion } from "./emit.ts";
import { discover } from "./region.ts";
import type { Region, RegionInstruction } from "./region.ts";
import { analyse } from "./template.ts";
import type { Template } from "./template.ts";

const frameBytes = 4096;
/** Pages to either side of the base page that a region may have. */
const reach = 2;

/** Slots of the function table that are regions'; those below are forms'. */
export const firstRegionSlot = 1 << 13;

/** A region that is in use. */
interface Installed {
  readonly slot: number;
  readonly frames: readonly number[];
  readonly heads: readonly { readonly head: number; readonly at: number }[];
}

export interface TranslatorStatistics {
  /** Regions made, the instructions in them, and bytes of WebAssembly. */
  regions: number;
  instructions: number;
  bytes: number;
  /** Milliseconds that making them took, and of these V8's compilation. */
  milliseconds: number;
  compiling: number;
  /** Regions given up because their code changed. */
  dropped: number;
}

/** What the translator needs of the virtual processor that it works for. */
export interface Processor {
  readonly linker: Linker;
  readonly forms: FormLibrary;
  readonly cache: CodeCache;
  readonly view: DataView;
  /** Byte address of the vCPU's state. */
  readonly base: number;
  /** Milliseconds, for statistics. */
  readonly now: () => number;
  /** What a head counts down from. */
  readonly threshold: number;
}

/** Makes WebAssembly of code that has become hot, and takes it back when the code changes. */
export class Translator {
  readonly #processor: Processor;
  readonly #templates = new Map<FormDescription, Template>();
  readonly #byFrame = new Map<number, Set<Installed>>();
  readonly #stub: unknown;
  #fresh = firstRegionSlot;
  #free: number[] = [];
  /** Slots of dropped regions, to which jump caches may still lead. */
  #retired: number[] = [];
  readonly statistics: TranslatorStatistics = {
    regions: 0, instructions: 0, bytes: 0, milliseconds: 0, compiling: 0, dropped: 0,
  }; // prettier-ignore

  constructor(processor: Processor, stub: unknown) {
    this.#processor = processor;
    this.#stub = stub;
  }

  /** Translates the code behind a head, which has just counted to 0 at `rip`. */
  translate(head: number, rip: bigint): void {
    const { view, now } = this.#processor;
    const began = now();
    // Whatever comes of it, it is not asked for again soon.
    view.setInt32(head + RecordField.immediate, -1, true);
    const region = this.#discover(head, rip);
    if (region !== undefined && region.entries.length > 0) this.#publish([region]);
    this.statistics.milliseconds += now() - began;
  }

  #template(form: FormDescription): Template {
    let template = this.#templates.get(form);
    if (template === undefined) {
      template = analyse(buildForm(form.row, form.form));
      this.#templates.set(form, template);
    }
    return template;
  }

  #discover(head: number, rip: bigint): Region | undefined {
    const { view, cache } = this.#processor;
    const at = view.getUint32(head + RecordField.displacement, true);
    const mode = view.getUint16(head + RecordField.immediate2, true);
    if ((mode & 3) !== 2) return undefined;
    const offset = at % frameBytes;
    const base = rip - BigInt(offset);
    const frames = new Map<number, number | undefined>([[0, at - offset]]);
    const pages = new Map<number, number>([[0, at - offset]]);
    const byteAddress = (where: number): number | undefined => {
      const page = Math.floor(where / frameBytes);
      if (Math.abs(page) > reach) return undefined;
      if (!frames.has(page)) frames.set(page, this.#frameAt(base + BigInt(page * frameBytes)));
      const frame = frames.get(page);
      return frame === undefined ? undefined : frame + (where - page * frameBytes);
    };
    return discover(
      {
        instruction: (where) => {
          const byte = byteAddress(where);
          const record = byte === undefined ? undefined : cache.find(byte, mode).record;
          if (record === undefined) return undefined;
          const page = Math.floor(where / frameBytes);
          pages.set(page, frames.get(page)!);
          return this.#instruction(record, page * frameBytes);
        },
        freeHead: (where) => {
          const byte = byteAddress(where);
          const known = byte === undefined ? undefined : cache.find(byte, mode).head;
          return known !== undefined && view.getUint16(known + RecordField.handler, true) === Handler.head
            ? known
            : undefined;
        },
      },
      mode,
      { offset, head },
      pages,
    );
  }

  /** The frame that instructions at a linear address come from, as far as that can be told without a fault. */
  #frameAt(linear: bigint): number | undefined {
    const { linker, base, view } = this.#processor;
    const cr2 = view.getBigUint64(base + State.cr2, true);
    const [frame, status] = linker.routine(fetchFrame)(base, BigInt.asIntN(64, linear)) as [number, number];
    view.setBigUint64(base + State.cr2, cr2, true);
    return status !== 0 || frame === 0 ? undefined : frame;
  }

  #instruction(record: number, page: number): RegionInstruction | undefined {
    const { view, forms } = this.#processor;
    const form = forms.describe({
      handler: view.getUint16(record + RecordField.handler, true),
      form: view.getUint16(record + RecordField.form, true),
    });
    if (form === undefined) return undefined;
    return {
      record,
      offset: page + view.getUint16(record + RecordField.start, true),
      next: page + view.getUint16(record + RecordField.next, true),
      form,
      target: form.row.branch ? page + Number(view.getBigInt64(record + RecordField.immediate, true)) : undefined,
    };
  }

  #publish(regions: readonly Region[]): void {
    const { linker, cache, view, now } = this.#processor;
    const flushes = cache.statistics.flushes;
    const bodies = new Set(
      regions.flatMap((region) =>
        [...region.blocks.values()].flatMap(({ instructions }) =>
          instructions.map(({ form }) => this.#template(form)).flatMap(({ inline, body }) => (inline ? [body] : [])),
        ),
      ),
    );
    const made: { readonly region: Region; readonly slot: number; readonly emitted: EmittedRegion; readonly at: number }[] =
      [];
    let bytes = 0;
    let records = 0;
    let compiling = 0;
    linker.link(
      [],
      [fetchFrame, meetsCode],
      bodies,
      (callees) => {
        for (const region of regions) {
          const slot = this.#takeSlot();
          const at = bytes;
          const recordsOffset = at + Math.ceil((region.pages.size * 4) / recordBytes) * recordBytes;
          const emitted = this.#emit(callees, region, slot, at, recordsOffset);
          made.push({ region, slot, emitted, at });
          bytes = recordsOffset + emitted.exits.length * exitRecordBytes;
        }
        compiling = now();
      },
      {
        records: () => {
          records = cache.reserve(Math.ceil(bytes / recordBytes));
          return records;
        },
      },
    );
    this.statistics.compiling += now() - compiling;
    // There was no space: everything is forgotten, the code that these were made of too.
    const forgotten = cache.statistics.flushes !== flushes;
    for (const { region, slot, emitted, at } of made) {
      [...region.pages.values()].forEach((frame, index) => view.setInt32(records + at + index * 4, frame, true));
      const first = records + at + Math.ceil((region.pages.size * 4) / recordBytes) * recordBytes;
      emitted.exits.forEach((exit, index) => this.#writeExit(first + index * exitRecordBytes, exit));
      if (forgotten) this.#retire(slot);
      else this.#install(region, slot);
    }
  }

  #emit(callees: Callees, region: Region, slot: number, framesOffset: number, recordsOffset: number): EmittedRegion {
    const { view } = this.#processor;
    let emitted: EmittedRegion = { exits: [] };
    const index = callees.module.function(regionType, (code: Code) => {
      emitted = new RegionEmitter(code, region, {
        callees,
        template: ({ form }) => this.#template(form),
        view,
        recordsGlobal: 0,
        recordsOffset,
        framesOffset,
      }).emit();
      this.statistics.bytes += code.size;
    });
    callees.module.elements(slot, [index]);
    this.statistics.regions += 1;
    for (const { instructions } of region.blocks.values()) this.statistics.instructions += instructions.length;
    return emitted;
  }

  /** A copy of an instruction's record, and behind it the way back to the code. */
  #writeExit(at: number, { record, form }: RegionInstruction): void {
    const { view, forms } = this.#processor;
    for (let byte = 0; byte < recordBytes; byte++) view.setUint8(at + byte, view.getUint8(record + byte));
    if (!this.#template(form).inline) view.setUint16(at + RecordField.form, forms.slot(form), true);
    const behind = at + recordBytes;
    view.setUint16(behind + RecordField.handler, Handler.lookUp, true);
    view.setUint16(behind + RecordField.start, view.getUint16(record + RecordField.next, true), true);
  }

  #install(region: Region, slot: number): void {
    const { view } = this.#processor;
    const heads = region.entries.map(({ offset, head }, index) => {
      const at = view.getUint32(head + RecordField.displacement, true);
      view.setUint16(head + RecordField.handler, Handler.region, true);
      view.setBigInt64(head + RecordField.immediate, BigInt(index), true);
      view.setInt32(head + RecordField.displacement, slot, true);
      return { head, at, offset };
    });
    const installed: Installed = {
      slot,
      heads,
      frames: [...region.pages.values()].map((frame) => frame / frameBytes),
    };
    for (const frame of installed.frames) {
      const others = this.#byFrame.get(frame);
      if (others === undefined) this.#byFrame.set(frame, new Set([installed]));
      else others.add(installed);
    }
  }

  #takeSlot(): number {
    const { linker, base } = this.#processor;
    if (this.#free.length === 0 && this.#retired.length > 1000) {
      linker.routine(dropJumps)(base);
      this.#free = this.#retired;
      this.#retired = [];
    }
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const slot = this.#fresh++;
    if (slot >= linker.table.length) linker.table.grow(linker.table.length);
    return slot;
  }

  #retire(slot: number): void {
    this.#processor.linker.table.set(slot, this.#stub);
    this.#retired.push(slot);
    this.statistics.dropped += 1;
  }

  /** The code in a frame has changed, or will: what was made of it goes. */
  forgetFrame(frame: number): void {
    const { view, threshold } = this.#processor;
    for (const installed of this.#byFrame.get(frame) ?? []) {
      for (const { head, at } of installed.heads) {
        view.setUint16(head + RecordField.handler, Handler.head, true);
        view.setBigInt64(head + RecordField.immediate, BigInt(threshold), true);
        view.setInt32(head + RecordField.displacement, at, true);
      }
      for (const other of installed.frames) if (other !== frame) this.#byFrame.get(other)?.delete(installed);
      this.#retire(installed.slot);
    }
    this.#byFrame.delete(frame);
  }

  /** Every record is forgotten, and with them every region. */
  forgetEverything(): void {
    for (const installed of new Set([...this.#byFrame.values()].flatMap((each) => [...each]))) this.#retire(installed.slot);
    this.#byFrame.clear();
  }
}

/** What stands in the slot of a region that has been dropped: it has the dispatcher look for the code. */
export function emitStub(code: Code): void {
  code.get(0);
  code.get(2);
  code.memory("i64.store", State.rip);
  code.get(0);
  code.get(1);
  code.memory("i32.store", State.dispatchRemaining);
  code.i32(Ending.branch);
}
