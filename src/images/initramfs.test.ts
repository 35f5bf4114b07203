import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { XenError } from "../bits/errors.ts";
import { initScript } from "./init-script.ts";
import { buildInitramfs, joinArchives, newMarker, runArchive } from "./initramfs.ts";

const MARKER = newMarker(Uint8Array.from({ length: 16 }, (_, i) => i * 17));

/** The contents of a file in a newc archive, or undefined. */
function fileIn(archive: Uint8Array, path: string): string | undefined {
  const text = Buffer.from(archive).toString("latin1");
  for (let at = 0; ;) {
    const field = (index: number): number => Number.parseInt(text.slice(at + 6 + index * 8, at + 14 + index * 8), 16);
    const name = text.slice(at + 110, at + 110 + field(11) - 1);
    const contents = Math.ceil((at + 110 + field(11)) / 4) * 4;
    if (name === "TRAILER!!!") return undefined;
    if (name === path) return Buffer.from(text.slice(contents, contents + field(6)), "latin1").toString();
    at = Math.ceil((contents + field(6)) / 4) * 4;
  }
}

test("initramfs: the same busybox gives the same bytes", () => {
  const busybox = Uint8Array.of(1, 2, 3);
  assert.deepEqual(buildInitramfs(busybox), buildInitramfs(busybox));
  assert.equal(fileIn(buildInitramfs(busybox), "bin/busybox"), "\x01\x02\x03");
  assert.equal(fileIn(buildInitramfs(busybox), "init"), initScript);
});

test("initramfs: a run's archive tells init what to do", () => {
  const archive = runArchive({ mode: "shell" }, { marker: MARKER, rows: 40, columns: 120, terminal: "xterm-256color" });
  assert.equal(
    fileIn(archive, "xenolith/run"),
    `mode=shell\nmarker='00112233445566778899aabbccddeeff'\nrows=40\ncols=120\nterm='xterm-256color'\n`,
  );
  assert.equal(fileIn(archive, "xenolith/command"), undefined);
  assert.equal(
    fileIn(runArchive({ mode: "command", command: ["x"] }, { marker: MARKER }), "xenolith/run"),
    `mode=command\nmarker='${MARKER}'\n`,
  );
});

test("initramfs: a command's words reach the shell as they are", () => {
  const words = ["printf", "%s|", "a b", "it's", "$HOME", "`x`", "", "naïve", "line\nfeed", "\\", '"'];
  const script = fileIn(runArchive({ mode: "command", command: words }, { marker: MARKER }), "xenolith/command")!;
  const { stdout, status } = spawnSync("sh", ["-c", script], { encoding: "utf8" });
  assert.equal(status, 0);
  assert.equal(
    stdout,
    words
      .slice(2)
      .map((word) => `${word}|`)
      .join(""),
  );
});

test("initramfs: a command that cannot be given is refused", () => {
  for (const command of [[], ["a\0b"]]) {
    assert.throws(
      () => runArchive({ mode: "command", command }, { marker: MARKER }),
      (error) => error instanceof XenError && error.code === "invalid-argument",
    );
  }
});

test("initramfs: archives are joined at multiples of four bytes", () => {
  const joined = joinArchives(Uint8Array.of(1, 2, 3, 4, 5), Uint8Array.of(6));
  assert.deepEqual([...joined], [1, 2, 3, 4, 5, 0, 0, 0, 6, 0, 0, 0]);
});

test("initramfs: init is a script that a POSIX shell can read", () => {
  const { status, stderr } = spawnSync("sh", ["-n"], { input: initScript, encoding: "utf8" });
  assert.equal(status, 0, stderr);
});
