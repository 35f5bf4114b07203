/** The compiler of regions: makes modules of jobs. */

import { Code, fillCall, openCallees } from "../../wasm/code.ts";
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
import type { BodyStore } from "./body-store.ts";
import { pageGuardBytes } from "./page-guard.ts";
import { KnownInstructions, passageOf } from "./known-instructions.ts";
import type { KnownInstruction } from "./known-instructions.ts";
import type { Passage } from "./passage.ts";
import { Recorder } from "./recorder.ts";
import type { RegionBody } from "./region-body.ts";
import { formBlocks, readInstruction } from "./region.ts";
import type { RegionInstruction } from "./region.ts";
import { namedTypes } from "./types.ts";
import type { RegionJob, RegionResult, TranslationJob, TranslationResult } from "./job.ts";

/** Makes modules of jobs. It keeps what it learns about forms. */
export class RegionCompiler {
  readonly #rows: readonly Row[];
  readonly #instructions = new Map<number, KnownInstructions>();
  readonly #flags = new Map<number, Passage>();
  readonly #recorder = new Recorder(slow);
  readonly #code = new Code(0);

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

  /** @param store Where translations are kept. */
  compile({ number, memoryPages, regions }: TranslationJob, store?: BodyStore): TranslationResult {
    const module = new ModuleBuilder();
    for (const type of namedTypes) module.type(type);
    module.importMemory("env", "memory", { minimum: memoryPages, maximum: memoryPages, shared: true });
    module.importTable("env", "table", { minimum: 1 });
    // Code knows them by their numbers: they come first.
    for (const { name, type } of slowFunctions) module.importFunction("slow", name, type);
    const bodies = regions.map((job) => this.#body(job, store));
    const routines = new Map<string, number>();
    for (const { body } of bodies) {
      for (const { name, type } of body.callees)
        if (!routines.has(name)) routines.set(name, module.importFunction("routine", name, type));
    }
    if (slowFunctions.length + routines.size > openCallees) throw new Error("a module imports too many functions");
    let at = 0;
    const results: RegionResult[] = [];
    for (const [position, { body, known }] of bodies.entries()) {
      body.openCalls.forEach((call, index) => fillCall(body.bytes, call, routines.get(body.callees[index]!.name)!));
      const job = regions[position]!;
      const pages = [...new Set(job.pages)];
      const guard = at;
      const exitsAt = at + pageGuardBytes(pages.length);
      module.elements(job.slot, [module.finished(regionType, body)]);
      results.push({ pages, guard, exitsAt, exits: body.exits, known });
      at = exitsAt + body.exits.length * exitRecordBytes;
    }
    return { number, bytes: module.finish(), recordBytes: at, routines: [...routines.keys()], regions: results };
  }

  #body(job: RegionJob, store: BodyStore | undefined): { readonly body: RegionBody; readonly known: boolean } {
    const key = store?.key(job);
    const found = key === undefined ? undefined : store?.find(key);
    if (found !== undefined) return { body: found, known: true };
    const body = this.#translate(job);
    if (key !== undefined) store?.keep(key, body, job.recipe);
    return { body, known: false };
  }

  #translate(job: RegionJob): RegionBody {
    const view = new DataView(job.records.buffer, job.records.byteOffset, job.records.byteLength);
    const instructions: RegionInstruction[] = [];
    const known: KnownInstruction[] = [];
    job.forms.forEach((key, index) => {
      const record = index * recordBytes;
      const form = this.#known(key);
      instructions.push(readInstruction(view, record, job.pages[index]!, form.form));
      known.push(form.find(view, record));
    });
    const region = {
      mode: job.mode,
      blocks: formBlocks(new Map(instructions.map((each) => [each.offset, each])), job.leaders),
      entries: [...job.entries],
      pages: [...new Set(job.pages)],
    };
    this.#code.clear(regionType.parameters.length);
    const emitter = new RegionEmitter(this.#code, region, {
      view,
      known: ({ record }) => known[record / recordBytes]!,
      passage: ({ record }, pending) => passageOf(known[record / recordBytes]!, this.#recorder, pending, view, record),
      flags: (pending) => this.#computation(pending),
    });
    const exits = emitter.emit().map(({ record }) => record / recordBytes);
    const callees = emitter.calls.map((routine) => ({ name: routine.name, type: routineType(routine) }));
    return { ...this.#code.finish(), callees, exits };
  }
}

const slowIndex = new Map(slowFunctions.map(({ name }, index) => [name, index]));
const slow: SlowFunctions = {
  load: (type, access) => slowIndex.get(slowFunctionName("load", type, access) ?? ""),
  store: (type, access) => slowIndex.get(slowFunctionName("store", type, access) ?? ""),
};

/** What any region may call. */
export const regionRoutines: readonly Routine[] = [fetchFrame, notePage, slowLoad, slowProbe, slowStore, meetsCode];
