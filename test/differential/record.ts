/**
 * Writes vectors.bin: a few cases of every form, executed by this host's processor. `node test/differential/record.ts [cases]`.
 * To be run again when descriptions are added; needs x86-64 Linux and gcc.
 */
import { writeFileSync } from "node:fs";
import { instructions } from "../../src/x86/instructions/index.ts";
import { compileNative } from "./native.ts";
import { casesOf, subjectsOf } from "./suite.ts";
import { packRecording, VECTORS } from "./vectors.ts";
import { RequestWriter } from "./wire.ts";

const count = Number(process.argv[2] ?? 4);
using native = openNative();
const writer = new RequestWriter();
const forms = subjectsOf(instructions).map((subject) => {
  const cases = casesOf(subject, count);
  for (const request of cases) writer.write(request);
  return [subject.name, cases.length] as const;
});
const requests = writer.bytes();
const file = packRecording({ cpuModel: native.cpuModel, forms, requests, results: native.runPacked(requests) });
writeFileSync(VECTORS, file);
process.stdout.write(
  `${VECTORS}: ${forms.length} forms, ${count} cases each, ${file.length} bytes, ${native.cpuModel}\n`,
);

function openNative() {
  const compiled = compileNative();
  if ("unavailable" in compiled) throw new Error(compiled.unavailable);
  return compiled;
}
