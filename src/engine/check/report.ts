/** The report of a difference between the tiers, for people. */

import { print } from "../../ir/print.ts";
import { buildForm, describeForm } from "../forms.ts";
import type { FormDescription } from "../forms.ts";
import { theOpcodeMap } from "../opcodes.ts";
import { RecordField, recordBytes } from "../record.ts";
import type { RegionJob } from "../translate/job.ts";
import type { Entry } from "./difference.ts";
import type { CheckStatistics } from "./options.ts";
import { VcpuState } from "./vcpu-state.ts";

/** Forms of which the IR is printed: those of the instructions executed last. */
const mostForms = 24;
/** Instructions that a trace has at most, from its end. */
const mostTraced = 120;

export interface Findings {
  readonly entry: Entry;
  readonly job: RegionJob | undefined;
  /** Copies of the state: before, behind the region and behind the interpreter. */
  readonly start: Uint8Array;
  readonly region: Uint8Array | undefined;
  readonly interpreter: Uint8Array | undefined;
  readonly difference: readonly string[];
  readonly ending: string;
  /** Where the interpreter was, instruction by instruction. */
  readonly trace: readonly bigint[];
  /** Linear memory, and the frame's byte address behind a linear address of code; 0: unknown. */
  readonly view: DataView;
  readonly frameOf: (linear: bigint) => number;
  readonly statistics: CheckStatistics;
}

interface Line {
  readonly rip: bigint;
  readonly bytes: number;
  readonly form: FormDescription;
}

export function reportDifference(findings: Findings): string {
  const { entry, job, start, region, interpreter, difference, ending, trace, statistics } = findings;
  const lines = job === undefined ? [] : listing(job, entry);
  const byRip = new Map(lines.map((line) => [line.rip, line]));
  const executed = new Set(trace);
  const last = trace.slice(-mostTraced);
  const forms = new Map(
    last.toReversed().flatMap((rip) => {
      const form = byRip.get(rip)?.form;
      return form === undefined ? [] : [[form.key, form] as const];
    }),
  );
  return [
    `the tiers differ: region in slot ${entry.slot}, entry ${entry.entry}, at ${hex(entry.rip)}; the region: ${ending}`,
    ...difference.map((each) => `  ${each}`),
    `compared before it: ${statistics.entries} entries of ${statistics.regions} regions`,
    "",
    "before:",
    VcpuState.text(start),
    ...(region === undefined ? [] : ["behind the region:", VcpuState.text(region)]),
    ...(interpreter === undefined ? [] : ["behind the interpreter:", VcpuState.text(interpreter)]),
    "",
    `the region's ${lines.length} instructions (* executed; leaders: ${job === undefined ? "" : [...job.leaders].join(" ")}):`,
    ...lines.map((line) => `${executed.has(line.rip) ? "*" : " "} ${describe(line, findings)}`),
    "",
    `executed by the interpreter, the last ${last.length} of ${trace.length}:`,
    ...last.map((rip) => {
      const line = byRip.get(rip);
      return `  ${line === undefined ? hex(rip) : describe(line, findings)}`;
    }),
    "",
    "IR of the forms executed last:",
    ...[...forms.values()].slice(0, mostForms).flatMap(({ row, form }) => [
      `${text(row.instruction.mnemonic, row.encoding.row)} ${JSON.stringify(form)}`,
      ...print(buildForm(row, form))
        .split("\n")
        .map((each) => `    ${each}`),
    ]),
  ].join("\n");
}

/** The region's instructions in the order of their addresses. */
function listing(job: RegionJob, { entry, rip }: Entry): Line[] {
  const { rows } = theOpcodeMap();
  const view = new DataView(job.records.buffer, job.records.byteOffset, job.records.byteLength);
  const base = rip - BigInt(job.entries[entry] ?? 0);
  return Array.from(job.forms, (key, index) => {
    const record = index * recordBytes;
    const start = view.getUint16(record + RecordField.start, true);
    return {
      rip: BigInt.asUintN(64, base + BigInt(job.pages[index]! * 4096 + start)),
      bytes: view.getUint16(record + RecordField.next, true) - start,
      form: describeForm(rows, key),
    };
  }).toSorted((a, b) => (a.rip < b.rip ? -1 : 1));
}

function describe({ rip, bytes, form: { row, form } }: Line, { frameOf, view }: Findings): string {
  const frame = frameOf(rip);
  const code = Array.from({ length: frame === 0 ? 0 : bytes }, (_, index) =>
    view
      .getUint8(frame + Number(rip & 0xfffn) + index)
      .toString(16)
      .padStart(2, "0"),
  ).join("");
  const prefixes = `${form.lock ? "lock " : ""}${form.repeat === "none" ? "" : `${form.repeat} `}`;
  return `${hex(rip)} ${code.padEnd(24)} ${prefixes}${text(row.instruction.mnemonic, row.encoding.row)} (${form.operandSize})`;
}

function text(mnemonic: string, row: string): string {
  return `${mnemonic.padEnd(8)} ${row}`;
}
function hex(value: bigint): string {
  return value.toString(16);
}
