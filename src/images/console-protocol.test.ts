import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { consoleParser, encodeCommandInput, endOfCommandInput } from "./console-protocol.ts";
import type { ConsoleEvent } from "./console-protocol.ts";

const MARKER = "0123456789abcdef0123456789abcdef";
const word = (text: string): string => `\x1b]xenolith;${MARKER};${text}\x07`;

/** The events, with output that came in several pieces joined. */
function merged(events: readonly ConsoleEvent[]): ConsoleEvent[] {
  const result: ConsoleEvent[] = [];
  for (const event of events) {
    const last = result.at(-1);
    if (event.kind === "output" && last?.kind === "output") {
      result[result.length - 1] = { kind: "output", bytes: Buffer.concat([last.bytes, event.bytes]) };
    } else result.push(event);
  }
  return result.map((event) => ("bytes" in event ? { ...event, bytes: Buffer.from(event.bytes) } : event));
}

function parse(stream: Uint8Array, cuts: readonly number[] = [], queries: "keep" | "drop" = "keep"): ConsoleEvent[] {
  const parser = consoleParser(MARKER, queries);
  const edges = [0, ...cuts.toSorted((a, b) => a - b), stream.length];
  const events = edges.slice(1).flatMap((end, i) => parser.push(stream.subarray(edges[i], end)));
  return merged([...events, ...parser.flush()]);
}

const out = (text: string | Uint8Array): ConsoleEvent => ({ kind: "output", bytes: Buffer.from(text) });

test("console: words are taken out, all else passes unchanged", () => {
  const stream = Buffer.from(
    `boot\n${word("begin")}a\x1b[1mb${word("2;6f6f7073")}\0\xff${word("exit=137")}Power down`,
    "latin1",
  );
  assert.deepEqual(parse(stream), [
    out("boot\n"),
    { kind: "begin" },
    out("a\x1b[1mb"),
    { kind: "error-output", bytes: Buffer.from("oops") },
    out(Buffer.from([0, 0xff])),
    { kind: "exit", status: 137 },
    out("Power down"),
  ]);
  assert.deepEqual(parse(Buffer.from(word("ready") + word("prompt"))), [{ kind: "ready" }, { kind: "prompt" }]);
});

test("console: what looks like a word but is none passes unchanged", () => {
  for (const text of [
    "\x1b]xenolith;00000000000000000000000000000000;exit=0\x07",
    word("exit=1000"),
    word("exit="),
    word("2;6f6"),
    word("2;"),
    word("nonsense"),
    `\x1b]xenolith;${MARKER}`,
    `\x1b]xenolith;${MARKER};2;${"aa".repeat(400)}`,
    "\x1b]0;title\x07\x1b",
  ]) {
    assert.deepEqual(parse(Buffer.from(text)), [out(text)], JSON.stringify(text));
  }
  assert.deepEqual(parse(Buffer.from(`\x1b\x1b]xeno${word("exit=0")}`)), [
    out("\x1b\x1b]xeno"),
    { kind: "exit", status: 0 },
  ]);
});

test("console: an escape that is kept for the next bytes is not lost", () => {
  const parser = consoleParser(MARKER);
  assert.deepEqual(parser.push(Buffer.from("x\x1b")), [{ kind: "output", bytes: Buffer.from("x") }]);
  assert.deepEqual(merged(parser.push(Buffer.from("[A"))), [out("\x1b[A")]);
  assert.deepEqual(parser.flush(), []);
});

test("console: an unfinished word keeps no more than a word's length back", () => {
  const parser = consoleParser(MARKER);
  let passed = 0;
  const stream = Buffer.from(`\x1b]xenolith;${MARKER};${"2".repeat(10_000)}`);
  for (const byte of stream)
    for (const event of parser.push(Uint8Array.of(byte))) if ("bytes" in event) passed += event.bytes.length;
  assert.ok(passed > stream.length - 600, `${passed} of ${stream.length}`);
});

test("console: how the stream is cut makes no difference", () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom("begin", "prompt", "exit=7", "2;00ff", "bogus").map((text) => Buffer.from(word(text))),
    fc.nat({ max: 60 }).map((end) => Buffer.from(word("exit=7").slice(0, end))),
    fc.constantFrom("\x1b", "\x1b[6n", "\x1b[6", "\x07").map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 6 }),
      fc.boolean(),
      (pieces, cuts, drop) => {
        const stream = Buffer.concat(pieces);
        const queries = drop ? "drop" : "keep";
        const within = cuts.map((cut) => (stream.length === 0 ? 0 : cut % stream.length));
        assert.deepEqual(parse(stream, within, queries), parse(stream, [], queries));
      },
    ),
    { numRuns: 2000 },
  );
});

test("console: the shell's questions to the terminal can be left out", () => {
  const stream = Buffer.from(`${word("prompt")}/root # \x1b[6nls\x1b[6m`);
  assert.deepEqual(parse(stream, [], "drop"), [{ kind: "prompt" }, out("/root # ls\x1b[6m")]);
  assert.deepEqual(parse(stream, []), [{ kind: "prompt" }, out("/root # \x1b[6nls\x1b[6m")]);
});

/** Undoes the encoding as the guest's shell does: one line after the other, `printf %b` of what follows the plus sign. */
function decodeInput(encoded: Uint8Array): { bytes: Buffer; ended: boolean } {
  const bytes: Buffer[] = [];
  for (const line of Buffer.from(encoded).toString("latin1").split("\n").slice(0, -1)) {
    if (!line.startsWith("+")) return { bytes: Buffer.concat(bytes), ended: true };
    const text = line
      .slice(1)
      .replaceAll(/\\0([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
    bytes.push(Buffer.from(text, "latin1"));
  }
  return { bytes: Buffer.concat(bytes), ended: false };
}

test("console: a command's input survives its encoding, in printable lines of moderate length", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
      const encoded = encodeCommandInput(bytes);
      assert.deepEqual(decodeInput(Buffer.concat([encoded, endOfCommandInput()])), {
        bytes: Buffer.from(bytes),
        ended: true,
      });
      assert.ok(encoded.every((byte) => byte === 10 || (byte >= 0x20 && byte < 0x7f)));
      const longest = Math.max(
        ...Buffer.from(encoded)
          .toString()
          .split("\n")
          .map((line) => line.length),
      );
      assert.ok(longest < 4096);
    }),
  );
  assert.equal(decodeInput(encodeCommandInput(Buffer.from(".\n"))).ended, false);
});
