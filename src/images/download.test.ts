import assert from "node:assert/strict";
import { test } from "node:test";
import { XenError } from "../bits/errors.ts";
import { downloadVerified, sha256 } from "./download.ts";

const whole = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
const url = "http://mirror/file";

/** A mirror that gives these answers, one a request. @returns the ranges that were asked for, too. */
function answering(...answers: readonly (() => Response)[]) {
  const ranges: (string | null)[] = [];
  const left = [...answers];
  const fetch: typeof globalThis.fetch = async (_, init) => {
    ranges.push(new Headers(init?.headers).get("range"));
    const answer = left.shift();
    assert.ok(answer, "more requests than answers");
    return answer();
  };
  return { ranges, downloader: { fetch, sleep: async () => {} } };
}
const part = (from: number, to: number, status: number) => () => new Response(whole.slice(from, to), { status });

test("download: an answer that ends early, though in good order, is gone on with", async () => {
  const { ranges, downloader } = answering(part(0, 400, 200), part(400, 1000, 206));
  const expected = { bytes: 1000, sha256: await sha256(whole) };
  assert.deepEqual(await downloadVerified(url, expected, downloader, () => {}), whole);
  assert.deepEqual(ranges, [null, "bytes=400-"]);
});

test("download: the right number of wrong bytes is fetched once more, then refused", async () => {
  const wrong = () => new Response(whole.toReversed());
  const { ranges, downloader } = answering(wrong, wrong);
  const expected = { bytes: 1000, sha256: await sha256(whole) };
  await assert.rejects(
    downloadVerified(url, expected, downloader, () => {}),
    (error) => error instanceof XenError && error.code === "bad-checksum",
  );
  assert.deepEqual(ranges, [null, null]);
});

test("download: a file that is longer than it should be is not read to its end", async () => {
  let chunks = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      chunks++;
      controller.enqueue(whole);
    },
  });
  const { downloader } = answering(() => new Response(endless as ReadableStream<Uint8Array<ArrayBuffer>>));
  await assert.rejects(
    downloadVerified(url, { bytes: 1500, sha256: "" }, downloader, () => {}),
    (error) => error instanceof XenError && error.code === "bad-checksum",
  );
  assert.ok(chunks < 10);
});
