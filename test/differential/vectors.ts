/**
 * Recorded native executions, for hosts that cannot execute x86-64 themselves. A file is one line of JSON, then the
 * packed requests and results of wire.ts, compressed. Only record.ts writes them, and only from native.c's answers.
 */
import { join } from "node:path";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import { readRequests, readResults } from "./results.ts";
import type { Case, Outcome } from "./wire.ts";

/** Where record.ts puts them. */
export const VECTORS = join(import.meta.dirname, "vectors.bin");

export interface Recording {
  /** The processor that executed them. */
  readonly cpuModel: string;
  /** Name of each form as suite.ts has it, and how many cases it has. */
  readonly forms: readonly (readonly [name: string, cases: number])[];
  readonly requests: Uint8Array;
  readonly results: Uint8Array;
}

interface Header {
  readonly format: 1;
  readonly cpuModel: string;
  readonly requestBytes: number;
  readonly forms: Recording["forms"];
}

/** The cases of one form with what the processor made of them. */
export interface RecordedForm {
  readonly name: string;
  readonly cases: readonly Case[];
  readonly outcomes: readonly Outcome[];
}

export function packRecording({ cpuModel, forms, requests, results }: Recording): Uint8Array {
  const header: Header = { format: 1, cpuModel, requestBytes: requests.length, forms };
  const body = brotliCompressSync(Buffer.concat([requests, results]), {
    params: { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_LGWIN]: 24 },
  });
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), body]);
}

export function unpackRecording(file: Uint8Array): { cpuModel: string; forms: RecordedForm[] } {
  const newline = file.indexOf(0x0a);
  const header = JSON.parse(Buffer.from(file.subarray(0, newline)).toString()) as Header;
  if (header.format !== 1) throw new Error(`recorded vectors: format ${String(header.format)} is not known`);
  const body = brotliDecompressSync(file.subarray(newline + 1));
  const cases = readRequests(body.subarray(0, header.requestBytes));
  const outcomes = readResults(body.subarray(header.requestBytes), cases);
  let at = 0;
  const forms = header.forms.map(([name, count]) => {
    const from = at;
    at += count;
    return { name, cases: cases.slice(from, at), outcomes: outcomes.slice(from, at) };
  });
  return { cpuModel: header.cpuModel, forms };
}
