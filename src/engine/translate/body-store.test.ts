import assert from "node:assert/strict";
import { test } from "node:test";
import { TierMachine } from "../../../test/tiers/machine.ts";
import { compareTiers } from "../../../test/tiers/compare.ts";
import { generate } from "../../../test/tiers/generate.ts";
import { place } from "../../../test/tiers/program.ts";
import { decode } from "../../x86/decode/decode.ts";
import { formKey, formOf } from "../forms.ts";
import { theOpcodeMap } from "../opcodes.ts";
import { RecordField, recordBytes, writeRecord } from "../record.ts";
import { BodyStore } from "./body-store.ts";
import type { SavedBodies } from "./body-store.ts";
import { RegionCompiler } from "./compiler.ts";
import type { RegionJob, TranslationResult } from "./job.ts";
import { encodeRecipe, decodeRecipe, hashPage } from "./recipe.ts";
import { decodeBody, encodeBody } from "./region-body.ts";
import type { TranslationService } from "./translator.ts";

const map = theOpcodeMap();

/** The content itself is its digest. */
const exact = (content: Uint8Array): string => content.join();

/** A region: mov [rip+8], eax; add eax, 5; jnz back; ret. */
function region(change: Partial<RegionJob> = {}): RegionJob {
  const code = [0x89, 0x05, 8, 0, 0, 0, 0x83, 0xc0, 5, 0x75, 0xf5, 0xc3, ...Array.from({ length: 16 }, () => 0x90)];
  const starts = [0, 6, 9, 11];
  const records = new Uint8Array(starts.length * recordBytes);
  const view = new DataView(records.buffer);
  const forms = starts.map((start, index) => {
    const decoded = decode(map, Uint8Array.from(code.slice(start)), 0, 64);
    assert.ok(typeof decoded !== "string");
    writeRecord(view, index * recordBytes, decoded, start, { handler: 0, form: 3 });
    return formKey(decoded.row, formOf(decoded, 64));
  });
  return {
    slot: 1 << 14,
    mode: 2,
    records,
    pages: new Int8Array(starts.length),
    forms: Float64Array.from(forms),
    leaders: Int32Array.of(0, 11),
    entries: Int32Array.of(0),
    ...change,
  };
}

/** The region with one byte of its records changed. */
function changed(instruction: number, field: number): RegionJob {
  const job = region();
  const records = job.records.slice();
  records[instruction * recordBytes + field]! ^= 1;
  return { ...job, records };
}

test("body store: a region's key is its content, and nothing of this process's", () => {
  const store = new BodyStore(map.rows, exact);
  const key = store.key(region());
  const branch = 2;
  const same = [
    region({ slot: 7 }),
    changed(0, RecordField.handler),
    changed(0, RecordField.form + 1),
    ...[0, 1, 2, 3].map((byte) => changed(branch, RecordField.displacement + byte)),
  ];
  for (const job of same) assert.equal(store.key(job), key);
  const others = [
    region({ mode: 10 }),
    region({ entries: Int32Array.of(0, 11) }),
    region({ leaders: Int32Array.of(0) }),
    region({ pages: new Int8Array(4).fill(1) }),
    region({ forms: region().forms.map((form, index) => form + Number(index === 1)) }),
    changed(0, RecordField.displacement),
    ...Array.from({ length: recordBytes - RecordField.start }, (_, byte) => changed(1, RecordField.start + byte)),
    ...Array.from({ length: 8 }, (_, byte) => changed(branch, RecordField.immediate + byte)),
  ];
  const keys = others.map((job) => store.key(job));
  assert.ok(!keys.includes(key));
  assert.equal(new Set(keys).size, others.length);
});

/** Bodies that outlast a store, in memory. */
class Saved implements SavedBodies {
  readonly bodies = new Map<string, Uint8Array>();
  readonly recipes: Uint8Array[] = [];
  readonly find = (key: string) => this.bodies.get(key);
  save(key: string, body: Uint8Array, recipe: Uint8Array | undefined): void {
    this.bodies.set(key, body);
    if (recipe !== undefined) this.recipes.push(recipe);
  }
}

test("body store: a body that was kept makes the same module, in any company", () => {
  const saved = new Saved();
  const one = region();
  const two = region({ mode: 10, entries: Int32Array.of(0, 11), slot: 5 });
  const compile = (regions: readonly RegionJob[], store?: BodyStore): TranslationResult =>
    new RegionCompiler(map.rows).compile({ number: 1, memoryPages: 1, regions }, store);
  compile([one], new BodyStore(map.rows, exact, saved));
  compile([two], new BodyStore(map.rows, exact, saved));
  const again = compile([two, one, two], new BodyStore(map.rows, exact, saved));
  assert.deepEqual(
    again.regions.map(({ known }) => known),
    [true, true, true],
  );
  const fresh = compile([two, one, two]);
  assert.deepEqual({ ...again, regions: [] }, { ...fresh, regions: [] });
  assert.ok(WebAssembly.validate(again.bytes));
});

test("body store: a body is read as it was written, or not at all", () => {
  const saved = new Saved();
  const store = new BodyStore(map.rows, exact, saved);
  new RegionCompiler(map.rows).compile({ number: 1, memoryPages: 1, regions: [region()] }, store);
  const [bytes] = saved.bodies.values();
  const body = decodeBody(bytes!);
  assert.ok(body.exits.length > 0 && body.hints.length > 0);
  assert.deepEqual(encodeBody(body), bytes);
  for (let length = 0; length < bytes!.length; length++) assert.throws(() => decodeBody(bytes!.subarray(0, length)));
});

test("recipe: it is read as it was written, and pages that differ have other hashes", () => {
  const pages = [
    { page: 0, hash: 2 ** 53 - 1 },
    { page: -2, hash: 5 },
  ];
  const recipe = { mode: 10, pages, entries: [4095, -8192], leaders: [0, 8191], instructions: [-1, 0, 1] };
  assert.deepEqual(decodeRecipe(encodeRecipe(recipe)), recipe);
  const words = new Int32Array(1024);
  const hashes = new Set([hashPage(words)]);
  for (let word = 0; word < 1024; word++) {
    for (const bit of [0, 13, 31]) {
      words[word] = 1 << bit;
      hashes.add(hashPage(words));
      words[word] = 0;
    }
  }
  assert.equal(hashes.size, 1 + 1024 * 3);
});

/** Translation here, with a cache that outlasts it. */
function cachedTranslation(saved: Saved): TranslationService {
  const compiler = new RegionCompiler(map.rows);
  const store = new BodyStore(map.rows, exact, saved);
  const before = saved.recipes.flatMap((recipe) => [recipe.length & 0xff, recipe.length >> 8, 0, 0, ...recipe]);
  const results: TranslationResult[] = [];
  return {
    submit: (job) => void results.push(compiler.compile(job, store)),
    poll: () => results.shift(),
    recipes: () => Uint8Array.from(before),
  };
}

for (const changesCode of [false, true]) {
  const what = changesCode ? "programs that change their code and its mappings" : "programs";
  test(`warm start: random ${what} do what they do without; translations come from the first run`, (t) => {
    const saved = new Saved();
    const programs = Array.from({ length: 40 }, (_, seed) => generate(8_000_000 + seed, { changesCode }));
    const run = (threshold: number) => {
      const translating = new TierMachine(threshold, { translator: cachedTranslation(saved) });
      const pair = { plain: new TierMachine(0), translating };
      for (const program of programs)
        if (place(program) !== undefined) assert.equal(compareTiers(pair, program), undefined, `seed ${program.seed}`);
      return translating.machine.vcpu;
    };
    const cold = run(12);
    const warm = run(12);
    const { regions, known } = warm.translation!;
    t.diagnostic(`${cold.translation!.regions} regions, then ${regions}, of which ${known} were known`);
    assert.ok(known > regions * 0.8 && regions >= cold.translation!.regions * 0.8);
    // What is known to become hot is translated earlier.
    assert.ok(warm.translated > cold.translated);
  });
}
