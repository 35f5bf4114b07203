import { directCalls } from "../calls.ts";
import { Ending } from "../../ir/node.ts";
import type { Routine } from "../../ir/node.ts";
import type { Code } from "../../wasm/code.ts";
import { State } from "../../x86/state.ts";
import type { CodeCache } from "../code-cache.ts";
import { Handler, firstRegionSlot } from "../dispatch.ts";
import type { FormLibrary } from "../form-library.ts";
import { buildForm } from "../forms.ts";
import type { FormDescription } from "../forms.ts";
import type { Linker } from "../linker.ts";
import { fetchFrame } from "../mmu/fetch.ts";
import { slowFunctions } from "../mmu/slow-functions.ts";
import { dropJumps } from "../mmu/tlb.ts";
import { RecordField, recordBytes } from "../record.ts";
import { exitRecordBytes } from "./exit-word.ts";
import { PageGuard } from "./page-guard.ts";
import { gather, jobOf } from "./gather.ts";
import { HotCode } from "./hot-code.ts";
import type { Wanted } from "./hot-code.ts";
import { regionRoutines } from "./compiler.ts";
import type { RegionJob, RegionResult, TranslationJob, TranslationResult } from "./job.ts";
import { Recipes } from "./recipe.ts";
import type { Recipe } from "./recipe.ts";
import type { RegionInstruction } from "./region.ts";

const frameBytes = 4096;
/** Pages to either side of the base page that a region may have. */
const reach = 2;
/** Regions that one module has at most, and modules that may be in the making. */
const batch = 24;
const underWay = 2;

/** Whoever translates: here and now, or another thread. */
export interface TranslationService {
  submit(job: TranslationJob): void;
  /** @returns a result that has come in, each once. */
  poll(): TranslationResult | undefined;
  /**
   * Where translations outlast the process: the recipes (recipe.ts) of those that are there, once they have come, each time.
   * Jobs bring recipes then.
   */
  readonly recipes?: () => Uint8Array | undefined;
}

/** A region that is being translated, or in use. */
interface Tracked {
  readonly slot: number;
  readonly frames: readonly number[];
  readonly heads: readonly Head[];
  state: "wanted" | "installed" | "dropped";
}
interface Head {
  readonly head: number;
  /** What the head said before: the byte address of its code. */
  readonly at: number;
  /** Its number among the region's entries. */
  readonly entry: number;
  taken: boolean;
}
interface Pending {
  readonly tracked: Tracked;
  readonly job: RegionJob;
  readonly instructions: readonly RegionInstruction[];
  readonly framesOf: ReadonlyMap<number, number>;
}

export interface TranslatorStatistics {
  /** Regions asked for, and those in use since; guest instructions in them, and bytes of WebAssembly. */
  wanted: number;
  regions: number;
  instructions: number;
  bytes: number;
  /** Regions in use that had been translated before: earlier, or by another process. */
  known: number;
  /** Modules, and milliseconds that their instantiation took here. */
  modules: number;
  milliseconds: number;
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
  readonly service: TranslationService;
}

/** Has hot code translated, puts it in place, and takes it back when the code changes. */
export class Translator {
  readonly #processor: Processor;
  readonly #byFrame = new Map<number, Set<Tracked>>();
  readonly #runtime: Readonly<Record<string, unknown>>;
  readonly #slow: Record<string, unknown>;
  readonly #routines = new Map<string, Routine>(regionRoutines.map((each) => [each.name, each]));
  readonly #hot: HotCode;
  readonly #jobs = new Map<number, readonly Pending[]>();
  #recipes: Recipes | undefined;
  /** Heads whose recipe was of no use. */
  readonly #unfit = new Set<number>();
  #number = 0;
  #fresh = firstRegionSlot;
  #free: number[] = [];
  /** Slots of dropped regions, to which jump caches may still lead. */
  #retired: number[] = [];
  readonly statistics: TranslatorStatistics = {
    wanted: 0, regions: 0, instructions: 0, bytes: 0, modules: 0, milliseconds: 0, dropped: 0, known: 0,
  }; // prettier-ignore

  /** @param runtime Exports of the runtime module: "stub", and the slow functions. */
  constructor(processor: Processor, runtime: Readonly<Record<string, unknown>>) {
    this.#processor = processor;
    this.#hot = new HotCode(processor.view);
    this.#runtime = runtime;
    this.#slow = Object.fromEntries(slowFunctions.map(({ name }) => [name, runtime[name]]));
  }

  /** Wants the code behind a head translated, which has just counted to 0 at `rip`. */
  want(head: number, rip: bigint): void {
    const { view } = this.#processor;
    // Whatever comes of it, it is not asked for again soon.
    view.setInt32(head + RecordField.immediate, -1, true);
    const at = view.getUint32(head + RecordField.displacement, true);
    const mode = view.getUint16(head + RecordField.immediate2, true);
    // Regions are of 64-bit code, and not of instructions that are executed alone.
    if ((mode & 7) !== 2 || !this.#hot.isFree(head)) return;
    this.statistics.wanted += 1;
    const frames = this.#framesAround(rip, at);
    const recipe = this.#recipeFor(at, mode);
    if (recipe !== undefined && !this.#fits(recipe, frames) && !this.#unfit.has(head)) {
      this.#postpone(head);
      return;
    }
    this.#hot.add({ head, at, mode, frames, recipe: this.#unfit.has(head) ? undefined : recipe });
  }

  #recipeFor(at: number, mode: number): Recipe | undefined {
    const recipes = this.#recipes;
    return recipes?.find(this.#processor.cache.contentHash(at), mode * frameBytes + (at % frameBytes));
  }
  /** Whether the pages around have the contents that a region was made of. */
  #fits({ pages }: Recipe, frames: ReadonlyMap<number, number>): boolean {
    return pages.every(({ page, hash }) => {
      const frame = frames.get(page);
      return frame !== undefined && this.#processor.cache.contentHash(frame) === hash;
    });
  }

  /** Frames of the pages that a region from here may have, by their distance. */
  #framesAround(rip: bigint, at: number): Map<number, number> {
    const offset = at % frameBytes;
    const base = rip - BigInt(offset);
    const frames = new Map([[0, at - offset]]);
    for (let page = -reach; page <= reach; page++) {
      const frame = page === 0 ? undefined : this.#frameAt(base + BigInt(page * frameBytes));
      if (frame !== undefined) frames.set(page, frame);
    }
    return frames;
  }

  /** Submits what is wanted, and installs what is there. To be called often; cheap where there is nothing to do. */
  work(): void {
    const { service } = this.#processor;
    if (this.#recipes === undefined && service.recipes !== undefined) {
      const recipes = service.recipes();
      if (recipes !== undefined) {
        this.#recipes = new Recipes(recipes);
        this.#processor.cache.useProfile(this.#recipes);
      }
    }
    while (this.#hot.size > 0 && this.#jobs.size < underWay) this.#submit();
    if (this.#jobs.size === 0) return;
    for (let result = service.poll(); result !== undefined; result = service.poll()) this.#take(result);
  }

  #submit(): void {
    const pending = this.#hot.take(batch).flatMap((wanted) => this.#collect(wanted) ?? []);
    if (pending.length === 0) return;
    const number = this.#number++;
    this.#jobs.set(number, pending);
    const { linker, service } = this.#processor;
    service.submit({ number, memoryPages: linker.pages, regions: pending.map(({ job }) => job) });
  }

  #collect(wanted: Wanted): Pending | undefined {
    // One that was collected before in the same go may have it.
    if (!this.#hot.isWanted(wanted)) return undefined;
    const { view, service, cache } = this.#processor;
    const { flushes } = cache.statistics;
    const gathered = gather(this.#processor, this.#hot, wanted);
    if (gathered === undefined) {
      if (cache.statistics.flushes === flushes) this.#postpone(wanted.head);
      return undefined;
    }
    if (gathered.entries.size === 0) return undefined;
    const slot = this.#takeSlot();
    const heads = [...gathered.entries.values()].flatMap((head, entry) =>
      head === undefined
        ? []
        : [{ head, at: view.getUint32(head + RecordField.displacement, true), entry, taken: false }],
    );
    const pending: Pending = {
      tracked: {
        slot,
        frames: [...gathered.framesOf.values()].map((frame) => frame / frameBytes),
        heads,
        state: "wanted",
      },
      job: jobOf(this.#processor, gathered, wanted, slot, service.recipes !== undefined),
      instructions: gathered.instructions,
      framesOf: gathered.framesOf,
    };
    this.#hot.claim(heads.map(({ head }) => head));
    this.#track(pending.tracked);
    return pending;
  }

  /** Its recipe is of no use: a head is hot when others are. */
  #postpone(head: number): void {
    const { view, threshold } = this.#processor;
    this.#unfit.add(head);
    view.setInt32(head + RecordField.immediate, threshold, true);
  }

  /** The frame that instructions at a linear address come from, as far as that can be told without a fault. */
  #frameAt(linear: bigint): number | undefined {
    const { linker, base, view } = this.#processor;
    const cr2 = view.getBigUint64(base + State.cr2, true);
    const [frame, status] = linker.routine(fetchFrame)(base, BigInt.asIntN(64, linear)) as [number, number];
    view.setBigUint64(base + State.cr2, cr2, true);
    return status !== 0 || frame === 0 ? undefined : frame;
  }

  #track(tracked: Tracked): void {
    for (const frame of tracked.frames) {
      const others = this.#byFrame.get(frame);
      if (others === undefined) this.#byFrame.set(frame, new Set([tracked]));
      else others.add(tracked);
    }
  }

  #take(result: TranslationResult): void {
    const { linker, cache, now } = this.#processor;
    const job = this.#jobs.get(result.number);
    this.#jobs.delete(result.number);
    if (job === undefined) return;
    for (const { tracked } of job) this.#hot.release(tracked.heads.map(({ head }) => head));
    if (result.regions.length === 0 || job.every(({ tracked }) => tracked.state === "dropped")) {
      this.#abandon(job);
      return;
    }
    const began = now();
    const flushes = cache.statistics.flushes;
    const records = cache.reserve(Math.ceil(result.recordBytes / recordBytes));
    // Where there was no space everything is forgotten, the code that these were made of too.
    if (cache.statistics.flushes !== flushes) {
      this.#abandon(job);
      return;
    }
    linker.instantiate(
      result.bytes,
      result.routines.map((name) => this.#routine(name, job)),
      { slow: this.#slow },
    );
    result.regions.forEach((region, index) => this.#install(job[index]!, region, records));
    this.statistics.modules += 1;
    this.statistics.bytes += result.bytes.length;
    this.statistics.milliseconds += now() - began;
  }

  /** Nothing of a job was put into the table. */
  #abandon(job: readonly Pending[]): void {
    for (const { tracked } of job) this.#retired.push(tracked.slot);
  }

  #routine(name: string, job: readonly Pending[]): Routine {
    const known = this.#routines.get(name);
    if (known !== undefined) return known;
    const forms = new Set(job.flatMap(({ instructions }) => instructions.map(({ form }) => form)));
    for (const { row, form } of forms)
      for (const routine of directCalls(buildForm(row, form)).routines) this.#routines.set(routine.name, routine);
    const found = this.#routines.get(name);
    if (found === undefined) throw new Error(`no form calls ${name}`);
    return found;
  }

  #install({ tracked, instructions, framesOf }: Pending, result: RegionResult, records: number): void {
    const { view, linker } = this.#processor;
    const guard = records + result.guard;
    view.setInt32(guard + PageGuard.generation, 0, true);
    result.pages.forEach((page, index) =>
      view.setInt32(guard + PageGuard.frames + index * 4, framesOf.get(page)!, true),
    );
    result.exits.forEach((exit, index) =>
      this.#writeExit(records + result.exitsAt + index * exitRecordBytes, instructions[exit]!),
    );
    if (tracked.state === "dropped") {
      // Instantiation has put it into the table.
      linker.table.set(tracked.slot, this.#runtime["stub"]);
      this.#retired.push(tracked.slot);
      return;
    }
    tracked.state = "installed";
    tracked.heads.forEach((each) => {
      if (view.getUint16(each.head + RecordField.handler, true) !== Handler.head) return;
      each.taken = true;
      view.setUint16(each.head + RecordField.handler, Handler.region, true);
      view.setBigInt64(each.head + RecordField.immediate, BigInt(guard | each.entry), true);
      view.setInt32(each.head + RecordField.displacement, tracked.slot, true);
    });
    this.statistics.regions += 1;
    if (result.known) this.statistics.known += 1;
    this.statistics.instructions += instructions.length;
  }

  /** A copy of an instruction's record, and behind it the way back to the code. */
  #writeExit(at: number, { record, form }: RegionInstruction): void {
    const { view } = this.#processor;
    new Uint8Array(view.buffer, at, recordBytes).set(new Uint8Array(view.buffer, record, recordBytes));
    view.setUint16(at + RecordField.form, this.#formSlot(form), true);
    const behind = at + recordBytes;
    view.setUint16(behind + RecordField.handler, Handler.lookUp, true);
    view.setUint16(behind + RecordField.start, view.getUint16(record + RecordField.next, true), true);
  }
  #formSlot(form: FormDescription): number {
    return this.#processor.forms.slot(form);
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

  #drop(tracked: Tracked): void {
    // What is still in the making keeps its slot until it comes.
    if (tracked.state === "installed") {
      this.#processor.linker.table.set(tracked.slot, this.#runtime["stub"]);
      this.#retired.push(tracked.slot);
    }
    tracked.state = "dropped";
    this.statistics.dropped += 1;
  }

  /** The code in a frame has changed, or will: what was made of it goes. */
  forgetFrame(frame: number): void {
    const { view, threshold } = this.#processor;
    for (const tracked of this.#byFrame.get(frame) ?? []) {
      for (const { head, at, taken } of tracked.heads) {
        // One that the region has not got yet is still where it was, unless its own code is gone.
        if (!taken && view.getUint16(head + RecordField.handler, true) !== Handler.head) continue;
        view.setUint16(head + RecordField.handler, Handler.head, true);
        view.setBigInt64(head + RecordField.immediate, BigInt(threshold), true);
        view.setInt32(head + RecordField.displacement, at, true);
      }
      for (const other of tracked.frames) if (other !== frame) this.#byFrame.get(other)?.delete(tracked);
      this.#drop(tracked);
    }
    this.#byFrame.delete(frame);
  }

  /** Every record is forgotten, and with them every region. */
  forgetEverything(): void {
    this.#hot.clear();
    this.#unfit.clear();
    for (const tracked of new Set([...this.#byFrame.values()].flatMap((each) => [...each]))) this.#drop(tracked);
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
