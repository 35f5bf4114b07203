import assert from "node:assert/strict";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { openTranslations } from "./translation-file.ts";
import type { TranslationFile } from "./translation-file.ts";

const key = (number: number): string => number.toString(16).padStart(32, "0");
const body = (number: number): Uint8Array => new Uint8Array(100 + number).fill(number);
const recipe = (number: number): Uint8Array => Uint8Array.of(number, number, number);
const NAME = "v1-kernel.translations";

function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "xenolith-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "translations");
}

function open(directory: string, version = "v1", mostBytes?: number): TranslationFile {
  const file = openTranslations(directory, version, "kernel", mostBytes);
  assert.ok(file !== undefined);
  return file;
}

/** Makes a file with bodies from 1 to `count`. @returns its path. */
function fill(directory: string, count: number): string {
  using file = open(directory);
  for (let number = 1; number <= count; number++) file.save(key(number), body(number), recipe(number));
  return join(directory, NAME);
}

/** The numbers of the bodies from 1 to `count` that a new process finds, all of which must be right. */
function found(directory: string, count: number): number[] {
  using file = open(directory);
  const numbers: number[] = [];
  for (let number = 1; number <= count; number++) {
    const saved = file.find(key(number));
    if (saved === undefined) continue;
    assert.deepEqual([...saved], [...body(number)]);
    numbers.push(number);
  }
  const recipes = numbers.flatMap((number) => [3, 0, 0, 0, ...recipe(number)]);
  assert.deepEqual([...file.recipes], recipes);
  return numbers;
}

test("translation file: what is saved is found by the next process, and nobody else can read or write it", (t) => {
  const directory = scratch(t);
  const path = fill(directory, 3);
  assert.deepEqual(found(directory, 4), [1, 2, 3]);
  assert.deepEqual([statSync(path).mode & 0o777, statSync(directory).mode & 0o777], [0o600, 0o700]);
  assert.deepEqual(readdirSync(directory), [NAME]);
});

test("translation file: a body without a recipe brings none", (t) => {
  const directory = scratch(t);
  open(directory).save(key(1), body(1), undefined);
  using file = open(directory);
  file.save(key(1), body(1), undefined);
  file.flush();
  using next = open(directory);
  assert.deepEqual([next.find(key(1))?.length, next.recipes.length], [101, 0]);
});

test("translation file: a torn end is cut off, wherever it is torn, and what comes then is found", (t) => {
  for (const torn of [1, 20, 90, 120]) {
    const directory = scratch(t);
    const path = fill(directory, 3);
    truncateSync(path, statSync(path).size - torn);
    assert.deepEqual(found(directory, 3), [1, 2], `${torn} bytes`);
    using file = open(directory);
    file.save(key(3), body(3), recipe(3));
    file.flush();
    assert.deepEqual(found(directory, 3), [1, 2, 3], `${torn} bytes`);
  }
});

test("translation file: nothing is found in or behind an entry with a wrong byte, wherever that is", (t) => {
  const directory = scratch(t);
  const path = fill(directory, 2);
  const whole = readFileSync(path);
  const second = whole.indexOf(Buffer.from(key(2), "hex"));
  for (let at = whole.indexOf(10) + 1; at < whole.length; at += 5) {
    const broken = Buffer.from(whole);
    broken[at]! ^= 0x10;
    writeFileSync(path, broken);
    assert.deepEqual(found(directory, 2), at < second - 16 ? [] : [1], `byte ${at}`);
  }
});

test("translation file: what changes under a process that has it open is not used", (t) => {
  const directory = scratch(t);
  const path = fill(directory, 2);
  using file = open(directory);
  const bytes = readFileSync(path);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(path, bytes);
  assert.deepEqual([file.find(key(1))?.length, file.find(key(2))], [101, undefined]);
  truncateSync(path, 40);
  assert.equal(file.find(key(1)), undefined);
});

test("translation file: each version of the translator has its own; a file that says another is begun anew", (t) => {
  const directory = scratch(t);
  const path = fill(directory, 1);
  using other = open(directory, "v2");
  assert.equal(other.find(key(1)), undefined);
  writeFileSync(path, readFileSync(join(directory, "v2-kernel.translations")));
  appendFileSync(path, "rest");
  assert.deepEqual(found(directory, 1), []);
  fill(directory, 1);
  assert.deepEqual(found(directory, 1), [1]);
});

test("translation file: one that others may write is refused, and left as it is", (t) => {
  const directory = scratch(t);
  const path = fill(directory, 1);
  for (const mode of [0o620, 0o602]) {
    chmodSync(path, mode);
    assert.equal(openTranslations(directory, "v1", "kernel"), undefined);
  }
  chmodSync(path, 0o644);
  assert.deepEqual(found(directory, 1), [1]);
});

const root = process.getuid?.() === 0;
test("translation file: one that another user owns is refused", { skip: root ? false : "needs root" }, (t) => {
  const directory = scratch(t);
  chownSync(fill(directory, 1), 12345, 12345);
  assert.equal(openTranslations(directory, "v1", "kernel"), undefined);
});

test("translation file: where there can be none, there is none", (t) => {
  const directory = scratch(t);
  fill(directory, 1);
  assert.equal(openTranslations(join(directory, NAME, "x"), "v1", "kernel"), undefined);
  assert.equal(openTranslations("/proc/xenolith/translations", "v1", "kernel"), undefined);
});

test("translation file: two processes append to one, and each finds what both have saved", (t) => {
  const directory = scratch(t);
  using one = open(directory);
  using two = open(directory);
  for (let number = 1; number <= 20; number++) {
    const writer = number % 3 === 0 ? one : two;
    writer.save(key(number), body(number), recipe(number));
    if (number % 4 === 0) writer.flush();
  }
  one.flush();
  two.flush();
  using file = open(directory);
  for (let number = 1; number <= 20; number++) assert.deepEqual([...file.find(key(number))!], [...body(number)]);
});

test("translation file: it does not grow beyond its limit, and is begun anew when it is full", (t) => {
  const directory = scratch(t);
  {
    using file = open(directory, "v1", 500);
    for (let number = 1; number <= 9; number++) file.save(key(number), body(number), recipe(number));
  }
  const { size } = statSync(join(directory, NAME));
  assert.ok(size > 300 && size <= 500, `${size} bytes`);
  using file = open(directory, "v1", size);
  assert.equal(file.find(key(1)), undefined);
  assert.ok(statSync(join(directory, NAME)).size < 100);
});

test("translation file: those of other versions go when they have not been used for a month", (t) => {
  const directory = scratch(t);
  const path = fill(directory, 1);
  const stranger = join(directory, "notes");
  writeFileSync(stranger, "");
  const before = (days: number): Date => new Date(Date.now() - days * 24 * 3600 * 1000);
  for (const each of [path, stranger]) utimesSync(each, before(29), before(29));
  open(directory, "v2")[Symbol.dispose]();
  assert.ok(readdirSync(directory).includes(NAME));
  for (const each of [path, stranger]) utimesSync(each, before(31), before(31));
  open(directory, "v2")[Symbol.dispose]();
  assert.deepEqual(readdirSync(directory).toSorted(), ["notes", "v2-kernel.translations"]);
});
