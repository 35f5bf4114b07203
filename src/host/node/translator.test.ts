import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import type { RegionJob, TranslationJob } from "../../engine/translate/job.ts";
import { translatorLine } from "./translator.ts";
import type { TranslatorAnswer } from "./translator.ts";

test(
  "translator: a job that cannot be translated is answered, and those behind it too",
  { timeout: 60_000 },
  async () => {
    const line = translatorLine();
    const region: RegionJob = {
      slot: 1 << 14,
      mode: 2,
      records: new Uint8Array(32),
      pages: Int8Array.of(0),
      // No row has such a number.
      forms: Float64Array.of(2 ** 50),
      leaders: Int32Array.of(0),
      entries: Int32Array.of(0),
    };
    for (const [number, regions] of [
      [1, [region]],
      [2, []],
    ] as const) {
      const job: TranslationJob = { number, memoryPages: 1, regions };
      line.postMessage(job);
      const [answer] = (await once(line, "message")) as [TranslatorAnswer];
      assert(answer.kind === "result");
      const { result } = answer;
      assert.deepEqual([result.number, result.regions.length, result.bytes.length > 0], [number, 0, number === 2]);
    }
    line.close();
  },
);
