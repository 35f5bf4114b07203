/** One `xenolith run`: a guest's console on one side, the user's streams on the other, until the guest ends. */

import { consoleParser, encodeCommandInput, endOfCommandInput } from "../images/console-protocol.ts";
import type { ConsoleEvent } from "../images/console-protocol.ts";
import type { Ending, Guest } from "./guest.ts";

/** What speaks on the console. */
export type SessionMode =
  /** Anything: bytes go through as they are. */
  | "raw"
  /** The same, for a guest that takes Ctrl-D for the end of its input. */
  | "lines"
  /** An image's shell. */
  | "shell"
  /** An image's command with the console as its terminal. */
  | "terminal"
  /** An image's command with pipes for its standard files. */
  | "command";

/** The user's side of a session. */
export interface SessionStreams {
  /** What is typed or piped in, until its end. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Whether `input` is a person at a keyboard, whose end of input is a key like others. */
  readonly interactive: boolean;
  /** @returns a promise when more must wait. */
  output(bytes: Uint8Array): Promise<void> | undefined;
  errorOutput(bytes: Uint8Array): Promise<void> | undefined;
  /** What comes before the shell or command: the kernel's messages. */
  boot(bytes: Uint8Array): void;
  /** The shell or command is there. */
  ready(): void;
}

export interface SessionResult {
  readonly ending: Ending;
  /** The status of the command or shell, where init told it. */
  readonly status: number | undefined;
  /** What the console showed last, for a report. */
  readonly lastLines: readonly string[];
}

/** Ctrl-D. */
const END_OF_TRANSMISSION = Uint8Array.of(4);
const NEWLINE = Uint8Array.of(10);
/** A program that reads the terminal shows nothing: after this long it is told again that input has ended. */
const SILENCE_MS = 1000;
const LAST_BYTES = 4096;
const LAST_LINES = 15;

/**
 * Runs a session to its end. A guest that says that its command has ended is destroyed then.
 * @param marker the secret that was given to the image's init; modes `raw` and `lines` need none.
 */
export async function runSession(
  guest: Guest,
  mode: SessionMode,
  marker: string,
  streams: SessionStreams,
): Promise<SessionResult> {
  const plain = mode === "raw" || mode === "lines";
  const parser = plain ? undefined : consoleParser(marker, mode === "shell" && !streams.interactive ? "drop" : "keep");
  const started = Promise.withResolvers<void>();
  const typing = inputOf(guest, mode, streams, started.promise);
  let running = plain;
  let status: number | undefined;
  let last = new Uint8Array();
  if (running) started.resolve();

  const handle = async (piece: ConsoleEvent): Promise<void> => {
    switch (piece.kind) {
      case "output":
        last = lastOf(last, piece.bytes);
        typing.heard();
        if (running) await streams.output(piece.bytes);
        else streams.boot(piece.bytes);
        return;
      case "error-output":
        await streams.errorOutput(piece.bytes);
        return;
      case "begin":
      case "ready":
        running = true;
        streams.ready();
        if (mode !== "shell" || streams.interactive) started.resolve();
        return;
      case "prompt":
        // Only a shell that reads a line loses nothing of what is piped in: until then, the terminal is being set up.
        started.resolve();
        typing.prompted();
        return;
      case "exit":
        status ??= piece.status;
        running = false;
        await guest.destroy();
    }
  };
  for await (const bytes of guest.console.readable) {
    const pieces: ConsoleEvent[] = parser?.push(bytes) ?? [{ kind: "output", bytes }];
    for (const piece of pieces) await handle(piece);
  }
  for (const piece of parser?.flush() ?? []) await handle(piece);
  const ending = await guest.ended;
  typing.stop();
  return { ending, status, lastLines: linesOf(last) };
}

interface Typing {
  /** The guest printed something. */
  heard(): void;
  /** The shell waits for a line. */
  prompted(): void;
  stop(): void;
}

/** Brings the user's input to the guest, and its end in the way that what reads it understands. */
function inputOf(guest: Guest, mode: SessionMode, streams: SessionStreams, started: Promise<void>): Typing {
  const writer = guest.console.writable.getWriter();
  // Writing fails when the guest is gone, and then nobody misses it.
  const type = (bytes: Uint8Array): Promise<void> => writer.write(bytes).catch(() => {});
  let ended = false;
  let stopped = false;
  let atPrompt = false;
  let silence: ReturnType<typeof setTimeout> | undefined;

  /** Says that input has ended: to a shell at its prompt, or to a program that reads the terminal and shows nothing. */
  const end = (): void => {
    if (!ended || stopped) return;
    clearTimeout(silence);
    void type(END_OF_TRANSMISSION);
    silence = setTimeout(end, SILENCE_MS);
  };
  const heard = (): void => {
    if (!ended || stopped) return;
    clearTimeout(silence);
    silence = setTimeout(end, SILENCE_MS);
  };
  const prompted = (): void => {
    atPrompt = true;
    end();
  };
  const pump = async (): Promise<void> => {
    await started;
    let lastByte = 10;
    for await (const bytes of streams.input) {
      if (stopped) return;
      atPrompt = false;
      await type(mode === "command" ? encodeCommandInput(bytes) : bytes);
      lastByte = bytes.at(-1) ?? lastByte;
    }
    if (stopped || mode === "raw" || streams.interactive) return;
    if (mode === "command") {
      await type(endOfCommandInput());
      return;
    }
    if (lastByte !== 10) await type(NEWLINE);
    if (mode === "lines") {
      await type(END_OF_TRANSMISSION);
      return;
    }
    ended = true;
    if (atPrompt && lastByte === 10) end();
    else heard();
  };
  void pump();
  return {
    heard,
    prompted,
    stop() {
      stopped = true;
      clearTimeout(silence);
    },
  };
}

function lastOf(before: Uint8Array<ArrayBuffer>, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(before.length + bytes.length);
  joined.set(before);
  joined.set(bytes, before.length);
  return joined.slice(-LAST_BYTES);
}

function linesOf(bytes: Uint8Array): string[] {
  const lines = new TextDecoder().decode(bytes).split(/\r?\n/);
  return lines.filter((line) => line.trim() !== "").slice(-LAST_LINES);
}
