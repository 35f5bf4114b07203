import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

import fc from "fast-check";

import { encodeInput, InitProtocol } from "./init-protocol.ts";
import type { ConsolePiece } from "./init-protocol.ts";

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** Pieces as text, with neighbouring output joined. */
function read(chunks: readonly Uint8Array[], marker = "m"): string[] {
  const protocol = new InitProtocol(marker);
  const pieces: ConsolePiece[] = [...chunks.flatMap((chunk) => protocol.push(chunk)), ...protocol.end()];
  const texts: string[] = [];
  let output = "";
  for (const piece of pieces) {
    if (piece.kind === "output") {
      output += String.fromCharCode(...piece.bytes);
      continue;
    }
    if (output !== "") texts.push(output);
    output = "";
    if (piece.kind === "error-output") texts.push(`<2 ${String.fromCharCode(...piece.bytes)}>`);
    else texts.push(piece.kind === "exit" ? `<exit ${piece.status}>` : `<${piece.kind}>`);
  }
  return output === "" ? texts : [...texts, output];
}

const STREAM = "boot\x1b]xenolith;m;begin\x07out\x1b[1mput\x1b\x1b]xenolith;m;2;ZXJy\x07\x1b]xenolith;m;exit=3\x07rest\x1b]xeno";

test("init protocol: its words are told from output, wherever the stream is cut", () => {
  const expected = ["boot", "<begin>", "out\x1b[1mput\x1b", "<2 err>", "<exit 3>", "rest\x1b]xeno"];
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 }), (sizes) => {
      const chunks: Uint8Array[] = [];
      for (let at = 0, i = 0; at < STREAM.length; i++) {
        const size = sizes[i % sizes.length] ?? 1;
        chunks.push(bytesOf(STREAM.slice(at, at + size)));
        at += size;
      }
      assert.deepEqual(read(chunks), expected);
    }),
  );
});

test("init protocol: what another marker, an unknown word or an endless one says is output", () => {
  for (const text of ["\x1b]xenolith;n;ready\x07", "\x1b]xenolith;m;other\x07", "\x1b]xenolith;m;2;!!\x07"]) {
    assert.deepEqual(read([bytesOf(text)]), [text]);
  }
  const endless = `\x1b]xenolith;m;${"x".repeat(20_000)}`;
  assert.deepEqual(read([bytesOf(endless)]), [endless]);
});

test("init protocol: arbitrary bytes pass unchanged, and none is held back that cannot become a word", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), (chunks) => {
      const all = chunks.flatMap((chunk) => [...chunk]);
      assert.equal(read(chunks).join(""), String.fromCharCode(...all));
    }),
  );
  assert.deepEqual(new InitProtocol("m").push(bytesOf("# ")), [{ kind: "output", bytes: bytesOf("# ") }]);
});

test("init protocol: a shell decodes the input that is encoded for it", { skip: process.platform === "win32" }, () => {
  const input = Uint8Array.from({ length: 1500 }, (_, i) => (i * 7) & 0xff).filter((byte) => byte !== 0);
  const decode = 'while IFS= read -r line; do case $line in +*) printf %b "${line#+}" ;; *) break ;; esac; done';
  const { stdout } = spawnSync("sh", ["-c", decode], { input: encodeInput(input) });
  assert.deepEqual(new Uint8Array(stdout), input);
});
