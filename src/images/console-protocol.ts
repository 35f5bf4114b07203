/**
 * The host's side of what an image's init says and hears on the console: README.md describes the protocol. Init's words are
 * taken out of the byte stream; all other bytes go through unchanged.
 */

/** What came from the guest, in order. */
export type ConsoleEvent =
  /** Bytes of the console, or of the command's standard output. */
  | { readonly kind: "output"; readonly bytes: Uint8Array }
  /** Bytes of the command's standard error. */
  | { readonly kind: "error-output"; readonly bytes: Uint8Array }
  /** The command is about to start: what came before was the system's, not its. Command mode. */
  | { readonly kind: "begin" }
  /** The shell or command is about to start on its terminal. Shell and terminal mode. */
  | { readonly kind: "ready" }
  /** The shell shows a prompt and reads a line. Shell mode. */
  | { readonly kind: "prompt" }
  /** The shell or command has ended with this status, 0 to 255; the guest powers off. */
  | { readonly kind: "exit"; readonly status: number };

/** Separates init's words from the rest. */
export interface ConsoleParser {
  /** @returns what these bytes bring. Bytes that could begin one of init's words are kept until it is decided. */
  push(bytes: Uint8Array): ConsoleEvent[];
  /** @returns the bytes that were kept: for when the guest has ended. */
  flush(): ConsoleEvent[];
}

const ESCAPE = 0x1b;
const BELL = 0x07;
/** The longest word: a frame of standard error with 240 bytes in hexadecimal. */
const MAXIMUM_WORD = 512;

/** "Report the cursor's position" (ECMA-48 DSR 6), which busybox's line editor asks of the terminal at each prompt. */
const CURSOR_QUERY = new TextEncoder().encode("\x1b[6n");

/**
 * @param marker the run's secret, as given to the guest.
 * @param cursorQueries "drop" takes the shell's questions to the terminal out, for when the host has none to answer them.
 */
export function consoleParser(marker: string, cursorQueries: "keep" | "drop" = "keep"): ConsoleParser {
  const prefix = new TextEncoder().encode(`\x1b]xenolith;${marker};`);
  let kept: Uint8Array = new Uint8Array(0);

  return {
    push(added) {
      const bytes = joined(kept, added);
      kept = new Uint8Array(0);
      const events: ConsoleEvent[] = [];
      let done = 0;
      const output = (end: number): void => {
        if (end > done) events.push({ kind: "output", bytes: bytes.slice(done, end) });
        done = end;
      };
      let from = 0;
      for (;;) {
        const at = bytes.indexOf(ESCAPE, from);
        if (at < 0) break;
        from = at + 1;
        const query = cursorQueries === "drop" ? startsWith(bytes, at, CURSOR_QUERY) : "no";
        if (query === "yes") {
          output(at);
          from = done = at + CURSOR_QUERY.length;
          continue;
        }
        const starts = query === "undecided" ? query : startsWith(bytes, at, prefix);
        if (starts === "no") continue;
        const end = starts === "yes" ? bytes.indexOf(BELL, at + prefix.length) : -1;
        if (end < 0 && bytes.length - at <= prefix.length + MAXIMUM_WORD) {
          output(at);
          kept = bytes.slice(at);
          return events;
        }
        const event = end < 0 ? undefined : wordEvent(bytes.subarray(at + prefix.length, end));
        if (event === undefined) continue;
        output(at);
        events.push(event);
        from = done = end + 1;
      }
      output(bytes.length);
      return events;
    },
    flush() {
      const bytes = kept;
      kept = new Uint8Array(0);
      return bytes.length === 0 ? [] : [{ kind: "output", bytes }];
    },
  };
}

/** Whether `bytes` go on with `expected` at `at`; undecided when they end before that is known. */
function startsWith(bytes: Uint8Array, at: number, expected: Uint8Array): "yes" | "no" | "undecided" {
  const length = Math.min(expected.length, bytes.length - at);
  for (let i = 0; i < length; i++) if (bytes[at + i] !== expected[i]) return "no";
  return length === expected.length ? "yes" : "undecided";
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second;
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}

/** What init says between the marker and the bell. Nothing else is a word of its: such bytes are output. */
function wordEvent(word: Uint8Array): ConsoleEvent | undefined {
  const text = new TextDecoder("latin1").decode(word);
  if (text === "begin" || text === "ready" || text === "prompt") return { kind: text };
  const exit = /^exit=(\d{1,3})$/.exec(text);
  if (exit) return { kind: "exit", status: Number(exit[1]) };
  const error = /^2;((?:[0-9a-f]{2})+)$/.exec(text);
  return error ? { kind: "error-output", bytes: Uint8Array.fromHex(error[1]!) } : undefined;
}

/** How many bytes of input a line carries: a line is at most five times as long. */
const INPUT_LINE_BYTES = 512;

/** Standard input of a command, as the console carries it: lines of printf's `%b` escapes behind a plus sign. */
export function encodeCommandInput(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  let text = "";
  for (let at = 0; at < bytes.length; at += INPUT_LINE_BYTES) {
    text += "+";
    for (const byte of bytes.subarray(at, at + INPUT_LINE_BYTES)) {
      const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x5c;
      text += plain ? String.fromCharCode(byte) : `\\0${byte.toString(8).padStart(3, "0")}`;
    }
    text += "\n";
  }
  return new TextEncoder().encode(text);
}

/** Tells the guest that a command's standard input has ended. */
export function endOfCommandInput(): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(".\n");
}
