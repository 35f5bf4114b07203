/** Gathers the code of a region for its translation: from what has been decoded, or by the recipe of an earlier boot. */

import type { CodeCache } from "../code-cache.ts";
import type { FormLibrary } from "../form-library.ts";
import { RecordField, recordBytes } from "../record.ts";
import type { HotCode, Wanted } from "./hot-code.ts";
import type { RegionJob } from "./job.ts";
import { encodeRecipe } from "./recipe.ts";
import type { Recipe } from "./recipe.ts";
import { collect, readInstruction } from "./region.ts";
import type { CodeSource, Collected, RegionInstruction } from "./region.ts";

const frameBytes = 4096;

/** Where code is found. */
export interface CodeOf {
  readonly view: DataView;
  readonly cache: CodeCache;
  readonly forms: FormLibrary;
}

/** Code that is to become a region. */
export interface Gathered {
  readonly instructions: readonly RegionInstruction[];
  /** Byte addresses of the frames that the instructions are in, by their pages. */
  readonly framesOf: ReadonlyMap<number, number>;
  /** Offsets of the entries, with the heads that are free to lead there. */
  readonly entries: ReadonlyMap<number, number | undefined>;
  readonly leaders: ReadonlySet<number>;
}

/** @returns undefined where the recipe does not fit what is there. */
export function gather(code: CodeOf, hot: HotCode, wanted: Wanted): Gathered | undefined {
  const { view, cache, forms } = code;
  const { head, at, mode, frames, recipe } = wanted;
  const byteAddress = (where: number): number | undefined => {
    const page = Math.floor(where / frameBytes);
    const frame = frames.get(page);
    return frame === undefined ? undefined : frame + (where - page * frameBytes);
  };
  const source: CodeSource = {
    find(where) {
      const byte = byteAddress(where);
      const record = byte === undefined ? undefined : cache.find(byte, mode).record;
      if (record === undefined) return undefined;
      const form = forms.describe({
        handler: view.getUint16(record + RecordField.handler, true),
        form: view.getUint16(record + RecordField.form, true),
      });
      return form && readInstruction(view, record, Math.floor(where / frameBytes), form);
    },
    freeHead(where) {
      const byte = byteAddress(where);
      const known = byte === undefined ? undefined : cache.find(byte, mode).head;
      return known !== undefined && hot.isFree(known) ? known : undefined;
    },
  };
  const decode = (where: number): boolean => {
    const byte = byteAddress(where);
    if (byte === undefined) return false;
    const { flushes } = cache.statistics;
    cache.decodeBlock(byte, mode);
    return cache.statistics.flushes === flushes;
  };
  const found =
    recipe === undefined ? collect(source, { offset: at % frameBytes, head }) : follow(recipe, source, decode);
  if (found === undefined) return undefined;
  const instructions = [...found.instructions.values()];
  const pages = new Set(instructions.map((each) => Math.floor(each.offset / frameBytes)));
  const framesOf = new Map([...pages].map((page) => [page, frames.get(page)!]));
  return { instructions, framesOf, entries: found.entries, leaders: found.leaders };
}

/** Finds the instructions of a recipe, decoding what has not been executed yet. */
function follow(
  { instructions, leaders, entries }: Recipe,
  source: CodeSource,
  decode: (offset: number) => boolean,
): (Omit<Collected, "entries"> & Pick<Gathered, "entries">) | undefined {
  const found = new Map<number, RegionInstruction>();
  for (const offset of instructions) {
    let instruction = source.find(offset);
    if (instruction === undefined && decode(offset)) instruction = source.find(offset);
    if (instruction === undefined) return undefined;
    found.set(offset, instruction);
  }
  return {
    instructions: found,
    leaders: new Set(leaders),
    entries: new Map(entries.map((offset) => [offset, source.freeHead(offset)])),
  };
}

/** The job of translating what was gathered. @param keep The translation will be kept: it is to have a recipe. */
export function jobOf(
  { view, cache }: CodeOf,
  { instructions, framesOf, entries, leaders }: Gathered,
  { mode, recipe }: Wanted,
  slot: number,
  keep: boolean,
): RegionJob {
  const records = new Uint8Array(instructions.length * recordBytes);
  instructions.forEach(({ record }, index) =>
    records.set(new Uint8Array(view.buffer, record, recordBytes), index * recordBytes),
  );
  const job = {
    slot,
    mode,
    records,
    pages: Int8Array.from(instructions, (each) => Math.floor(each.offset / frameBytes)),
    forms: Float64Array.from(instructions, ({ form }) => form.key),
    leaders: Int32Array.from(leaders),
    entries: Int32Array.from(entries.keys()),
  };
  if (!keep || recipe !== undefined) return job;
  const pages = [...framesOf].map(([page, frame]) => ({ page, hash: cache.contentHash(frame) }));
  const offsets = instructions.map((each) => each.offset);
  return {
    ...job,
    recipe: encodeRecipe({ mode, pages, entries: [...entries.keys()], leaders: [...leaders], instructions: offsets }),
  };
}
