import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { gunzipSync, gzipSync } from "node:zlib";
import { test } from "node:test";
import { XenError } from "../bits/errors.ts";
import * as samples from "./compression-samples.ts";
import { decompress, findCompression } from "./compression.ts";
import { decodeLz4Legacy } from "./lz4.ts";
import { decodeLzma } from "./lzma.ts";
import { decodeXz } from "./xz.ts";

const LIMIT = 1 << 20;
const text = samples.sampleText(1500);
const code = samples.sampleCode(1500);
const noise = samples.sampleCode(200);

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof XenError && error.code === code;
}

test("xz: LZMA2 with a CRC64", () => assert.deepEqual(decodeXz(samples.textXzCrc64, LIMIT), text));
test("xz: the x86 filter, and literal contexts other than the default", () =>
  assert.deepEqual(decodeXz(samples.codeXzX86, LIMIT), code));
test("xz: small and stored chunks", () => assert.deepEqual(decodeXz(samples.noiseXzStored, LIMIT), noise));
test("xz: several blocks, streams and padding", () =>
  assert.deepEqual(Buffer.from(decodeXz(samples.textTwiceXzStreams, LIMIT)), Buffer.concat([text, text])));
test("lzma: with an end marker", () => assert.deepEqual(decodeLzma(samples.textLzmaEndMarker, LIMIT), text));
test("lzma: with a known size", () => assert.deepEqual(decodeLzma(samples.textLzmaKnownSize, LIMIT), text));
test("lz4: legacy frames", () => {
  assert.deepEqual(decodeLz4Legacy(samples.textLz4, LIMIT), text);
  assert.deepEqual(decodeLz4Legacy(samples.noiseLz4, LIMIT), noise);
});

test("xz: any byte changed in any sample is noticed", () => {
  for (const sample of [samples.textXzCrc64, samples.codeXzX86, samples.noiseXzStored]) {
    for (let at = 0; at < sample.length; at++) {
      const damaged = sample.slice();
      damaged[at]! ^= 0x41;
      assert.throws(
        () => decodeXz(damaged, LIMIT),
        (error) => hasCode("bad-archive")(error) || hasCode("unsupported-compression")(error),
        `byte ${at}`,
      );
    }
  }
});

test("xz, lzma, lz4: data that ends anywhere before its end is refused", () => {
  const cases = [
    [decodeXz, samples.codeXzX86],
    [decodeLzma, samples.textLzmaKnownSize.subarray(0, -6)],
    [decodeLz4Legacy, samples.textLz4],
  ] as const;
  for (const [decode, sample] of cases) {
    for (let end = decode === decodeLz4Legacy ? 5 : 0; end < sample.length; end++) {
      assert.throws(() => decode(sample.subarray(0, end), LIMIT), hasCode("bad-archive"), `${decode.name} to ${end}`);
    }
  }
});

test("lzma, lz4: damaged data is refused or decodes to something, and never runs past the limit", () => {
  for (const [decode, sample] of [
    [decodeLzma, samples.textLzmaEndMarker],
    [decodeLzma, samples.textLzmaKnownSize],
    [decodeLz4Legacy, samples.textLz4],
  ] as const) {
    for (let at = 0; at < sample.length; at++) {
      const damaged = sample.slice();
      damaged[at]! ^= 0x15;
      try {
        assert.ok(decode(damaged, 4096).length <= 4096);
      } catch (error) {
        assert.ok(hasCode("bad-archive")(error), `byte ${at}: ${String(error)}`);
      }
    }
  }
});

test("a limit on the output holds", () => {
  assert.equal(decodeXz(samples.textXzCrc64, 1500).length, 1500);
  assert.throws(() => decodeXz(samples.textXzCrc64, 1499), hasCode("bad-archive"));
  assert.throws(() => decodeLzma(samples.textLzmaEndMarker, 1499), hasCode("bad-archive"));
  assert.throws(() => decodeLzma(samples.textLzmaKnownSize, 1499), hasCode("bad-archive"));
  assert.throws(() => decodeLz4Legacy(samples.textLz4, 1499), hasCode("bad-archive"));
});

test("xz: decoding can stop when enough is there", () => {
  const lengths: number[] = [];
  const decoded = decodeXz(samples.textTwiceXzStreams, LIMIT, (soFar) => {
    lengths.push(soFar.length);
    return soFar.length >= 600;
  });
  assert.deepEqual(decoded, text.slice(0, 600));
  assert.ok(lengths.length > 1);
});

test("compression: found by what the data begins with", () => {
  assert.equal(findCompression(samples.textXzCrc64), "xz");
  assert.equal(findCompression(samples.textLzmaEndMarker), "lzma");
  assert.equal(findCompression(samples.textLz4), "lz4");
  assert.equal(findCompression(gzipSync("x")), "gzip");
  assert.equal(findCompression(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd)), "zstd");
  assert.equal(findCompression(text), undefined);
});

test("decompress: uses the host's decoders, and says which data is at fault", () => {
  const gzip = (bytes: Uint8Array, limit: number): Uint8Array => gunzipSync(bytes, { maxOutputLength: limit });
  assert.deepEqual(Buffer.from(decompress("gzip", gzipSync(text), LIMIT, { gzip }, "it")), Buffer.from(text));
  assert.throws(() => decompress("gzip", gzipSync(text), LIMIT, {}, "kernel"), hasCode("unsupported-compression"));
  assert.throws(() => decompress("lzo", text, LIMIT, { gzip }, "kernel"), hasCode("unsupported-compression"));
  assert.throws(
    () => decompress("gzip", gzipSync(text).subarray(0, 90), LIMIT, { gzip }, 'kernel "k"'),
    (error) => hasCode("bad-archive")(error) && error instanceof Error && error.message.includes('kernel "k"'),
  );
});

test("xz: agrees with the xz program on larger data", (t) => {
  if (spawnSync("xz", ["--version"]).error !== undefined) return t.skip("xz is not installed");
  const data = Buffer.concat([samples.sampleText(700_000), samples.sampleCode(700_000), samples.sampleText(700_000)]);
  for (const options of [
    ["--x86", "--lzma2=preset=1,dict=64KiB"],
    ["-6", "--block-size=300000"],
    ["-0", "--check=sha256"],
  ]) {
    const { stdout } = spawnSync("xz", ["-c", ...options], { input: data, maxBuffer: 1 << 26 });
    assert.equal(Buffer.compare(Buffer.from(decodeXz(stdout, 1 << 26)), data), 0, options.join(" "));
  }
});
