/** What passes between a vCPU and whoever translates for it: nothing but numbers and bytes, so that it may be another thread. */

import type { SlowFunctions } from "../lower/lowering.ts";
import { describeForm } from "../forms.ts";
import type { Routine } from "../../ir/node.ts";
import { regionType, routineType } from "../linker.ts";
import { fetchFrame } from "../mmu/fetch.ts";
import { notePage } from "../mmu/tlb.ts";
import { meetsCode, slowLoad, slowProbe, slowStore } from "../mmu/slow-access.ts";
import { slowFunctionName, slowFunctions } from "../mmu/slow-functions.ts";
import { recordBytes } from "../record.ts";
import { ModuleBuilder } from "../../wasm/module.ts";
import type { Row } from "../../x86/decode/opcode-map.ts";
import { RegionEmitter } from "./emit.ts";
import { exitRecordBytes } from "./exit-word.ts";
import type { PendingFlags } from "./fused.ts";
import { pageGuardBytes } from "./guard.ts";
import { KnownInstructions, passageOf } from "./known-instructions.ts";
import type { KnownInstruction } from "./known-instructions.ts";
import type { Passage } from "./passage.ts";
import { Recorder } from "./recorder.ts";
import { formBlocks, readInstruction } from "./region.ts";
import type { RegionInstruction } from "./region.ts";

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

/** Makes modules of jobs. It keeps what it learns about forms. */
export class RegionCompiler {
  readonly #rows: readonly Row[];
  readonly #instructions = new Map<number, KnownInstructions>();
  readonly #flags = new Map<number, Passage>();
  readonly #recorder = new Recorder(slow);

  constructor(rows: readonly Row[]) {
    this.#rows = rows;
  }

  #known(key: number): KnownInstructions {
    let known = this.#instructions.get(key);
    if (known === undefined) {
      known = new KnownInstructions(describeForm(this.#rows, key));
      this.#instructions.set(key, known);
    }
    return known;
  }
  #computation(pending: PendingFlags): Passage {
    let passage = this.#flags.get(pending.key);
    if (passage === undefined) {
      passage = this.#recorder.flags(pending);
      this.#flags.set(pending.key, passage);
    }
    return passage;
  }
  compile({ number, memoryPages, regions }: TranslationJob): TranslationResult {
    const module = new ModuleBuilder();
    module.importMemory("env", "memory", { minimum: memoryPages, maximum: memoryPages, shared: true });
    module.importTable("env", "table", { minimum: 1 });
    const recordsGlobal = module.importGlobal("constant", "records", "i32");
    // Code knows them by their numbers: they come first.
    for (const { name, type } of slowFunctions) module.importFunction("slow", name, type);
    // Instructions are found once, in the order of their records.
    const forms = regions.map((job) => Array.from(job.forms, (key) => this.#known(key)));
    const called = new Set(regionRoutines);
    for (const each of new Set(forms.flat())) for (const routine of each.routines) called.add(routine);
    const routines = new Map<Routine, number>();
    for (const routine of called)
      routines.set(routine, module.importFunction("routine", routine.name, routineType(routine)));
    const callees = {
      module,
      routine(routine: Routine): number {
        const index = routines.get(routine);
        if (index === undefined) throw new Error(`${routine.name} was not collected`);
        return index;
      },
    };
    let at = 0;
    const results: RegionResult[] = [];
    for (const [position, job] of regions.entries()) {
      const view = new DataView(job.records.buffer, job.records.byteOffset, job.records.byteLength);
      const instructions: RegionInstruction[] = [];
      const known: KnownInstruction[] = [];
      forms[position]!.forEach((each, index) => {
        const record = index * recordBytes;
        instructions.push(readInstruction(view, record, job.pages[index]!, each.form));
        known.push(each.find(view, record));
      });
      const pages = [...new Set(job.pages)];
      const region = {
        mode: job.mode,
        blocks: formBlocks(new Map(instructions.map((each) => [each.offset, each])), job.leaders),
        entries: [...job.entries],
        pages,
      };
      const guard = at;
      const exitsAt = at + pageGuardBytes(pages.length);
      let exits: readonly RegionInstruction[] = [];
      const index = module.function(regionType, (code) => {
        exits = new RegionEmitter(code, region, {
          callees,
          view,
          known: ({ record }) => known[record / recordBytes]!,
          passage: ({ record }, pending) =>
            passageOf(known[record / recordBytes]!, this.#recorder, pending, view, record),
          flags: (pending) => this.#computation(pending),
          recordsGlobal,
          recordsOffset: exitsAt,
          pagesOffset: guard,
        }).emit();
      });
      module.elements(job.slot, [index]);
      results.push({ pages, guard, exitsAt, exits: exits.map(({ record }) => record / recordBytes) });
      at = exitsAt + exits.length * exitRecordBytes;
    }
    return {
      number,
      bytes: module.finish(),
      recordBytes: at,
      routines: [...routines.keys()].map(({ name }) => name),
      regions: results,
    };
  }
}

const slowIndex = new Map(slowFunctions.map(({ name }, index) => [name, index]));
const slow: SlowFunctions = {
  load: (type, access) => slowIndex.get(slowFunctionName("load", type, access) ?? ""),
  store: (type, access) => slowIndex.get(slowFunctionName("store", type, access) ?? ""),
};

/** What any region may call. */
export const regionRoutines: readonly Routine[] = [fetchFrame, notePage, slowLoad, slowProbe, slowStore, meetsCode];
