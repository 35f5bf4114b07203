/**
 * Every encoding row × mode × operand size × register or memory form, on the host's processor and on our interpreter,
 * and a part of it on the BigInt oracle. Where the host cannot execute x86-64 its place is taken by recorded vectors.
 * XENOLITH_DIFFERENTIAL_CASES sets the cases of each form, XENOLITH_SEED which ones, XENOLITH_ONLY a pattern for names;
 * XENOLITH_RECORDED asks for the recorded vectors.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, test } from "node:test";
import type { Instruction } from "../../src/x86/instruction.ts";
import { instructions } from "../../src/x86/instructions/index.ts";
import { differences, report } from "./compare.ts";
import { whyExcluded } from "./excluded.ts";
import { interpreterMachine } from "./machine.ts";
import { compileNative } from "./native.ts";
import { oracle } from "./oracle.ts";
import { casesOf, subjectsOf, type Subject } from "./suite.ts";
import { ignoredIn } from "./undefined-results.ts";
import { unpackRecording, VECTORS, type RecordedForm } from "./vectors.ts";
import type { Case, Outcome } from "./wire.ts";

const CASES = Number(process.env["XENOLITH_DIFFERENTIAL_CASES"] ?? 24);
const ORACLE_CASES = Math.min(CASES, 4);
const SEED = Number(process.env["XENOLITH_SEED"] ?? 0);
const ONLY = new RegExp(process.env["XENOLITH_ONLY"] ?? "");
const REPORTS = 3;

const native =
  process.env["XENOLITH_RECORDED"] === undefined ? compileNative() : { unavailable: "XENOLITH_RECORDED is set" };
const recorded = new Map<string, RecordedForm>();
let cpuModel = "unavailable" in native ? "" : native.cpuModel;
if ("unavailable" in native && existsSync(VECTORS)) {
  const recording = unpackRecording(readFileSync(VECTORS));
  cpuModel = recording.cpuModel;
  for (const form of recording.forms) recorded.set(form.name, form);
}
const interpreter = interpreterMachine();
const runOracle = oracle();
const subjects = subjectsOf(instructions).filter(({ name }) => ONLY.test(name));

after(() => {
  if (!("unavailable" in native)) native[Symbol.dispose]();
});

/** The host's outcomes, or recorded ones. */
function judge(subject: Subject): { cases: readonly Case[]; outcomes: readonly Outcome[] } {
  if ("unavailable" in native) return recorded.get(subject.name) ?? { cases: [], outcomes: [] };
  const cases = casesOf(subject, CASES, SEED);
  return { cases, outcomes: native.run(cases) };
}

/** What was executed of a row, and everything that was wrong. */
interface Tally {
  cases: number;
  oracle: number;
  readonly failures: string[];
}

function compareForm(subject: Subject, tally: Tally): void {
  const { cases, outcomes } = judge(subject);
  tally.cases += cases.length;
  let failed = 0;
  const check = (machine: string, request: Case, host: Outcome, ours: Outcome): void => {
    const ignored = ignoredIn(subject.instruction, subject.form, request, host, ours, cpuModel);
    if (ignored === undefined || differences(request, host, ours, ignored).length === 0) return;
    if (failed++ < REPORTS) tally.failures.push(report(`${machine}: ${subject.name}`, request, host, ours, ignored));
  };
  const ours = interpreter.run(cases);
  cases.forEach((request, i) => check("interpreter", request, outcomes[i]!, ours[i]!));
  cases.slice(0, ORACLE_CASES).forEach((request, i) => {
    const outcome = runOracle(request);
    if (outcome === undefined) return;
    tally.oracle++;
    check("oracle", request, outcomes[i]!, outcome);
  });
  if (failed > REPORTS) tally.failures.push(`… and ${failed - REPORTS} more of ${subject.name}`);
}

const skip = "unavailable" in native && recorded.size === 0 ? `${native.unavailable}; no recorded vectors` : false;

const byInstruction = new Map<Instruction, Subject[]>();
for (const subject of subjects)
  byInstruction.set(subject.instruction, [...(byInstruction.get(subject.instruction) ?? []), subject]);

for (const [instruction, forms] of byInstruction) {
  test(`${instruction.mnemonic}: every form does what the host does`, { skip }, (t) => {
    const rows = new Map<string, Tally>();
    for (const subject of forms) {
      const { row } = subject.form.encoding;
      const tally = rows.get(row) ?? { cases: 0, oracle: 0, failures: [] };
      rows.set(row, tally);
      compareForm(subject, tally);
    }
    for (const [row, { cases, oracle: evaluated }] of rows)
      t.diagnostic(`${instruction.mnemonic} ${row}: ${cases} cases, ${evaluated} by the oracle`);
    const failures = [...rows.values()].flatMap(({ failures: each }) => each);
    assert.equal(failures.length, 0, `${failures.length} reports\n${failures.slice(0, 12).join("\n\n")}`);
    for (const [row, { cases }] of rows) assert.ok(cases > 0, `no case was executed of ${instruction.mnemonic} ${row}`);
  });
}

test("every encoding row is executed, or excluded for a reason", (t) => {
  const executed = new Set(
    subjectsOf(instructions).map(({ instruction, form }) => `${instruction.mnemonic} ${form.encoding.row}`),
  );
  const missing: string[] = [];
  for (const { mnemonic, encodings } of instructions) {
    const reason = whyExcluded(mnemonic);
    for (const { row } of encodings) {
      if (executed.has(`${mnemonic} ${row}`)) continue;
      if (reason === undefined) missing.push(`${mnemonic} ${row}`);
      else t.diagnostic(`not executed: ${mnemonic} ${row}: ${reason}`);
    }
  }
  assert.deepEqual(missing, []);
});
