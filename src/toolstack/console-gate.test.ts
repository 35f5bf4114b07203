import assert from "node:assert/strict";
import { test } from "node:test";
import { CONSOLE_WINDOW, consoleCost, consoleGate, createConsoleGate } from "./console-gate.ts";

/** How many messages of a size enter before one would have to wait. */
function room(gate: ReturnType<typeof consoleGate>, bytes: number): number {
  let full = false;
  const giveUp = (): boolean => {
    full = true;
    return false;
  };
  for (let entered = 0; ; entered++) {
    gate.enter(bytes, giveUp);
    if (full) return entered;
  }
}

test("console gate: a window of messages enters, short ones at their least cost", () => {
  assert.equal(room(consoleGate(createConsoleGate()), 4096), CONSOLE_WINDOW / 4096);
  assert.equal(room(consoleGate(createConsoleGate()), 1), CONSOLE_WINDOW / consoleCost(1));
  assert.ok(consoleCost(1) > 16 && consoleCost(4096) === 4096);
});

test("console gate: what is released makes room, also when the count begins anew", () => {
  const buffer = createConsoleGate();
  const [thread, control] = [consoleGate(buffer), consoleGate(buffer)];
  const never = (): boolean => assert.fail("there is room");
  for (let total = 0; total < 2 ** 32 + CONSOLE_WINDOW; total += CONSOLE_WINDOW) {
    thread.enter(CONSOLE_WINDOW, never);
    control.release(CONSOLE_WINDOW);
  }
  assert.equal(room(thread, CONSOLE_WINDOW), 1);
});
