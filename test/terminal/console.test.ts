/** A guest's console on the user's terminal: keys, the window, signals, and the terminal as it was on every way out. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { noTerminal, onTerminal, xenolith } from "./session.ts";
import type { TerminalSession } from "./session.ts";

const options = { skip: noTerminal };
const hello = (): TerminalSession => onTerminal([...xenolith, "hello"]);

/** Waits for the end. */
async function endsWith(run: TerminalSession, expected: number): Promise<void> {
  await run.ended;
  const { before, after, status } = run.outcome();
  assert.equal(status, String(expected), run.screen);
  assert.equal(after, before);
}

test("console: keys go to the guest, Ctrl-C too, and Ctrl-] leaves it", options, async () => {
  await using run = hello();
  await run.shows("hello> ");
  run.type("\x03cpuid\r");
  await run.shows("XenVMMXenVMM");
  await run.shows("hello> ");
  run.type("\x1d");
  await endsWith(run, 0);
});

test("console: a guest ends, alone or after the other's crash", options, async () => {
  for (const crash of [false, true]) {
    await using run = hello();
    await run.shows("hello> ");
    if (crash) {
      run.type("crash\r");
      await run.shows("I go on.");
      await run.shows("hello> ");
    }
    run.type("quit\r");
    await endsWith(run, 0);
  }
});

test("console: a window that changes its size is told to the guest", options, async () => {
  await using run = hello();
  await run.shows("hello> ");
  for (const [rows, columns] of [
    [41, 121],
    [22, 77],
  ] as const) {
    run.resize(rows, columns);
    const end = Date.now() + 20_000;
    for (let told = false; !told;) {
      assert.ok(Date.now() < end, run.screen);
      run.type("xenstore\r");
      const from = run.screen.length;
      await run.shows("hello> ");
      told = run.screen.slice(from).includes(`window = "${rows} ${columns}"`);
    }
  }
  run.resize(0, 0);
  run.type("quit\r");
  await endsWith(run, 0);
});

test("console: a signal ends the run with its status", options, async () => {
  for (const [signal, status] of [
    ["SIGTERM", 143],
    ["SIGHUP", 129],
    ["SIGINT", 130],
  ] as const) {
    await using run = hello();
    await run.shows("hello> ");
    run.kill(signal);
    await endsWith(run, status);
  }
});
