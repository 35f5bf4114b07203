/** Code that was made for one instruction and is copied for others must be what would have been made for them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { randomFrom } from "../../../test/differential/values.ts";
import type { Random } from "../../../test/differential/values.ts";
import { decode } from "../../x86/decode/decode.ts";
import { formKey, formOf } from "../forms.ts";
import { recordBytes, writeRecord } from "../record.ts";
import { theOpcodeMap } from "../wasm-engine.ts";
import { RegionCompiler } from "./compiler.ts";
import type { RegionJob } from "./job.ts";

const register = (random: Random) => random.below(8);
const byte = (random: Random) => random.pick([0, 0xff, 1, 0x7f, 0x80, random.below(256)]);
const word = (random: Random) =>
  random.pick([[0, 0, 0, 0], [0xff, 0xff, 0xff, 0xff], [byte(random), byte(random), byte(random), byte(random)]]); // prettier-ignore
const direct = (random: Random, reg: number) => 0xc0 | (reg << 3) | register(random);
/** [RIP + disp32], or [register + disp8]. */
const memory = (random: Random, reg: number) =>
  random.oneIn(3)
    ? [(reg << 3) | 5, ...word(random)]
    : [0x40 | (reg << 3) | random.pick([0, 1, 2, 3, 5, 6, 7]), byte(random)];
const operand = (random: Random, reg: number) => (random.oneIn(2) ? [direct(random, reg)] : memory(random, reg));
const prefix = (random: Random) => random.pick([[], [0x48], [0x66], [0x41], [0x44]]);

/** Machine code of one instruction that goes on behind itself. */
const encodings: readonly ((random: Random) => readonly number[])[] = [
  (random) => [...prefix(random), random.pick([0x01, 0x29, 0x31, 0x39, 0x89, 0x8b, 0x85]), ...operand(random, register(random))],
  (random) => [...prefix(random), 0x8d, ...memory(random, register(random))],
  (random) => [...prefix(random), 0x83, ...operand(random, register(random)), byte(random)],
  (random) => [0x48, 0x81, ...operand(random, register(random)), ...word(random)],
  (random) => [0x48, 0xc7, ...operand(random, 0), ...word(random)],
  (random) => [0x48, 0xb8 + register(random), ...word(random), ...word(random)],
  (random) => [0xb0 + register(random), byte(random)],
  (random) => [...prefix(random), 0xc1, direct(random, random.pick([0, 1, 4, 5, 7])), byte(random)],
  (random) => [0xff, direct(random, random.below(2))],
  (random) => [0x0f, 0x90 + random.below(16), direct(random, 0)],
  (random) => [0x50 + register(random)],
  (random) => [0x66, 0x0f, 0x70, direct(random, register(random)), byte(random)],
  (random) => [0x68, ...word(random)],
]; // prettier-ignore

const nops = Array.from({ length: 16 }, () => 0x90);

/** A region of some instructions anywhere in a page, with branches among them, and a call or RET at the end. */
function randomRegion(random: Random): RegionJob {
  const map = theOpcodeMap();
  const count = 4 + random.below(20);
  const records = new Uint8Array(count * recordBytes);
  const view = new DataView(records.buffer);
  const forms = new Float64Array(count);
  const starts: number[] = [];
  const leaders: number[] = [];
  let start = random.below(2000);
  const first = start;
  leaders.push(first);
  for (let index = 0; index < count; index++) {
    const last = index === count - 1;
    const back = random.pick([first, ...starts]);
    let bytes = random.pick(encodings)(random);
    if (last) bytes = random.pick([[0xc3], [0xe8, 0, 1, 0, 0]]);
    else if (random.oneIn(6) && start + 2 - back < 128) {
      bytes = [0x70 + random.below(16), (back - start - 2) & 0xff];
      leaders.push(back);
    }
    const decoded = decode(map, Uint8Array.from([...bytes, ...nops]), 0, 64);
    assert.ok(typeof decoded !== "string", bytes.join());
    writeRecord(view, index * recordBytes, decoded, start, { handler: 0, form: 0 });
    forms[index] = formKey(decoded.row, formOf(decoded, 64));
    starts.push(start);
    start += decoded.length;
  }
  return {
    slot: 1,
    mode: random.pick([2, 10]),
    records,
    pages: new Int8Array(count).fill(random.pick([0, 1])),
    forms,
    leaders: Int32Array.from(leaders),
    entries: Int32Array.of(first),
  };
}

test("known instructions: what is copied is what would have been made", () => {
  const random = randomFrom(11);
  const { rows } = theOpcodeMap();
  const experienced = new RegionCompiler(rows);
  for (let each = 0; each < 150; each++) {
    const region = randomRegion(random);
    const page = region.pages[0]! * 4096;
    const at = {
      leaders: region.leaders.map((offset) => offset + page),
      entries: region.entries.map((entry) => entry + page),
    };
    const job = { number: 1, memoryPages: 1, regions: [{ ...region, ...at }] };
    const copied = experienced.compile(job);
    assert.deepEqual(copied, new RegionCompiler(rows).compile(job));
    if (each % 10 === 0) assert.ok(WebAssembly.validate(copied.bytes));
  }
});
