/** Recorded vectors: requests and results survive their packing. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { instructions } from "../../src/x86/instructions/index.ts";
import { readRequests } from "./results.ts";
import { casesOf, subjectsOf } from "./suite.ts";
import { packRecording, unpackRecording, VECTORS } from "./vectors.ts";
import { INITIAL_FX, RequestWriter } from "./wire.ts";

test("vectors: the committed recording has cases of every form, and says whose they are", () => {
  const recording = unpackRecording(readFileSync(VECTORS));
  const names = new Set(recording.forms.filter(({ cases: each }) => each.length > 0).map(({ name }) => name));
  const missing = subjectsOf(instructions).filter(
    (subject) => !names.has(subject.name) && casesOf(subject, 1).length > 0,
  );
  assert.deepEqual(
    missing.map(({ name }) => name),
    [],
    "run node test/differential/record.ts",
  );
  assert.match(recording.cpuModel, /family \d+ model \d+ stepping \d+$/);
});

const cases = subjectsOf(instructions)
  .filter((_, i) => i % 7 === 0)
  .flatMap((subject) => casesOf(subject, 3));

test("vectors: a request is the same after packing", () => {
  const writer = new RequestWriter();
  for (const request of cases) writer.write(request);
  const again = readRequests(writer.bytes());
  assert.equal(again.length, cases.length);
  again.forEach((request, i) => assert.deepEqual(request, cases[i]));
});

test("vectors: a recording keeps forms, cases and outcomes together", () => {
  const writer = new RequestWriter();
  const [first, second] = [cases[0]!, cases.at(-1)!];
  writer.write(first);
  writer.write(second);
  // A result that says: fell through at rip 0x1234 with nothing changed.
  const result = new Uint8Array(68);
  const view = new DataView(result.buffer);
  view.setUint16(0, result.length, true);
  view.setUint8(2, 0xff);
  view.setBigUint64(8, 0x1234n, true);
  const forms = [["one", 1], ["other", 1]] as const; // prettier-ignore
  const packed = packRecording({
    cpuModel: "a processor",
    forms,
    requests: writer.bytes(),
    results: Buffer.concat([result, result]),
  });
  const recording = unpackRecording(packed);
  assert.equal(recording.cpuModel, "a processor");
  assert.deepEqual(
    recording.forms.map(({ name }) => name),
    ["one", "other"],
  );
  assert.deepEqual(recording.forms[1]?.cases, [second]);
  const [outcome] = recording.forms[0]!.outcomes;
  assert.deepEqual([outcome?.kind, outcome?.rip], ["reached", 0x1234n]);
  assert.deepEqual(outcome?.fx, first.fx ?? INITIAL_FX);
});
