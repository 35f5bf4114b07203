import assert from "node:assert/strict";
import { test } from "node:test";

import { domainId } from "../abi/types.ts";
import type { Ending, Guest } from "./guest.ts";
import { runSession } from "./session.ts";
import type { SessionMode, SessionResult } from "./session.ts";

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const textOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

/** A word of init's with the marker "m". */
const word = (text: string): string => `\x1b]xenolith;m;${text}\x07`;

interface Fixture {
  /** What the guest prints. */
  say(text: string): void;
  end(ending: Ending): void;
  /** What was typed into the guest. */
  typed: string;
  output: string;
  errors: string;
  boot: string;
  destroyed: boolean;
  readonly result: Promise<SessionResult>;
}

async function* chunksOf(chunks: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield bytesOf(chunk);
}

/** @param input what is piped in; undefined for a person who types nothing. */
function session(mode: SessionMode, input: readonly string[] | undefined): Fixture {
  const { promise: ended, resolve } = Promise.withResolvers<Ending>();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let open = true;
  const end = (ending: Ending): void => {
    if (open) controller?.close();
    open = false;
    resolve(ending);
  };
  const made = { typed: "", output: "", errors: "", boot: "", destroyed: false };
  const destroy = (): Promise<void> => {
    fixture.destroyed = true;
    end({ kind: "destroyed" });
    return Promise.resolve();
  };
  const guest: Guest = {
    id: domainId(1),
    name: "test",
    console: {
      readable: new ReadableStream({ start: (given) => void (controller = given) }),
      writable: new WritableStream({ write: (bytes) => void (fixture.typed += textOf(bytes)) }),
    },
    ended,
    unpause: () => {},
    shutdown: () => {},
    resize: () => {},
    destroy,
    statistics: () => ({
      seconds: 0,
      processorSeconds: 0,
      instructions: 0,
      transitions: 0,
      translated: 0,
      translation: { regions: 0, instructions: 0, bytes: 0, known: 0, dropped: 0, entries: 0 },
      check: { regions: 0, entries: 0, instructions: 0, empty: 0, shared: 0, refused: 0, unsteady: 0 },
      exits: {},
    }),
    registers: () => undefined,
    [Symbol.asyncDispose]: destroy,
  };
  const nothing = new ReadableStream<Uint8Array>();
  const result = runSession(guest, mode, "m", {
    input: input === undefined ? nothing : chunksOf(input),
    interactive: input === undefined,
    output: (bytes) => void (fixture.output += textOf(bytes)),
    errorOutput: (bytes) => void (fixture.errors += textOf(bytes)),
    boot: (bytes) => void (fixture.boot += textOf(bytes)),
    ready: () => {},
  });
  const fixture: Fixture = Object.assign(made, {
    say: (text: string) => controller?.enqueue(bytesOf(text)),
    end,
    result,
  });
  return fixture;
}

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));

test("session: a raw console passes everything, and input from the first moment", async () => {
  const guest = session("raw", ["typed"]);
  guest.say(`boot ${word("ready")}`);
  await settle();
  assert.equal(guest.output, `boot ${word("ready")}`);
  assert.equal(guest.typed, "typed");
  guest.end({ kind: "shutdown", reason: "poweroff" });
  const { ending, status } = await guest.result;
  assert.deepEqual([ending, status], [{ kind: "shutdown", reason: "poweroff" }, undefined]);
});

test("session: piped input waits for the shell's prompt, and its end is a Ctrl-D at a later prompt", async () => {
  const guest = session("shell", ["uname\nexit 3"]);
  guest.say("kernel messages\n");
  guest.say(word("ready"));
  await settle();
  assert.equal(guest.typed, "", "the terminal is being set up");
  guest.say(`${word("prompt")}# \x1b[6n`);
  await settle();
  assert.equal(guest.typed, "uname\nexit 3\n");
  assert.equal(guest.boot, "kernel messages\n");
  guest.say(`Linux\n${word("prompt")}# `);
  await settle();
  assert.equal(guest.typed, "uname\nexit 3\n\x04");
  guest.say(word("exit=3"));
  const { status } = await guest.result;
  assert.equal(status, 3);
  assert.equal(guest.output, "# Linux\n# ", "the question for the cursor is not for a pipe");
  assert.ok(guest.destroyed);
});

test("session: no input at all ends a shell at its first prompt", async () => {
  const guest = session("shell", []);
  guest.say(`${word("ready")}${word("prompt")}# `);
  await settle();
  assert.equal(guest.typed, "\x04");
  guest.say(word("exit=0"));
  assert.equal((await guest.result).status, 0);
});

test("session: a program that reads the terminal hears of the end too", async () => {
  const guest = session("shell", ["cat\n"]);
  guest.say(`${word("ready")}${word("prompt")}# `);
  await settle();
  assert.equal(guest.typed, "cat\n");
  await new Promise((resolve) => setTimeout(resolve, 1100));
  assert.equal(guest.typed, "cat\n\x04");
  guest.end({ kind: "destroyed" });
  await guest.result;
});

test("session: a person's input is passed as soon as the shell is there, and has no end", async () => {
  const guest = session("shell", undefined);
  guest.say(`boot${word("ready")}${word("prompt")}# `);
  await settle();
  assert.equal(guest.typed, "");
  assert.equal(guest.output, "# ");
  guest.end({ kind: "shutdown", reason: "poweroff" });
  await guest.result;
});

test("session: a command's input is encoded, and its two outputs are kept apart", async () => {
  const guest = session("command", ["a\nb"]);
  guest.say(`noise${word("begin")}out\x1b[6n${word("2;657272")}put${word("exit=9")}`);
  const { status } = await guest.result;
  assert.equal(status, 9);
  assert.equal(guest.output, "out\x1b[6nput");
  assert.equal(guest.errors, "err");
  assert.equal(guest.typed, "+a\\0012b\n.\n");
});

test("session: what the console showed last is kept for the report", async () => {
  const guest = session("shell", undefined);
  guest.say(`${Array.from({ length: 100 }, (_, i) => `line ${i}`).join("\r\n")}\r\nKernel panic`);
  await settle();
  guest.end({ kind: "shutdown", reason: "crash" });
  const { lastLines } = await guest.result;
  assert.equal(lastLines.length, 15);
  assert.deepEqual(lastLines.slice(-2), ["line 99", "Kernel panic"]);
});
