/**
 * What an image's init says on the console between what programs print: escape sequences with a secret of this run,
 * `ESC ] xenolith ; MARKER ; WORD BEL`. See src/images/init-script.ts, the other side.
 */

/** A piece of the console's output. */
export type ConsolePiece =
  | { readonly kind: "output"; readonly bytes: Uint8Array }
  /** A command runs: what comes from now on is its standard output, and its standard input may be sent. */
  | { readonly kind: "begin" }
  /** A program has the terminal. */
  | { readonly kind: "ready" }
  /** The shell waits for a line. */
  | { readonly kind: "prompt" }
  /** The command's standard error. */
  | { readonly kind: "error-output"; readonly bytes: Uint8Array }
  /** The command or shell has ended with this status. */
  | { readonly kind: "exit"; readonly status: number };

/** The longest word: a line of base64. Anything longer was not said by init. */
const LONGEST_WORD = 8192;
const BEL = 7;

/** Takes a console's output apart. */
export class InitProtocol {
  readonly #prefix: Uint8Array;
  /** What might be, or is, the beginning of a sequence. */
  #held: number[] = [];

  constructor(marker: string) {
    this.#prefix = ascii(`\x1b]xenolith;${marker};`);
  }

  /** @returns what the bytes, with those held back before, are made of. Only what may become a sequence is held back. */
  push(bytes: Uint8Array): ConsolePiece[] {
    const pieces: ConsolePiece[] = [];
    const prefix = this.#prefix;
    let from = 0;
    let at = 0;
    while (at < bytes.length) {
      if (this.#held.length === 0) {
        const escape = bytes.indexOf(0x1b, at);
        if (escape < 0) break;
        output(pieces, bytes.subarray(from, escape));
        from = escape;
        at = escape;
      }
      const byte = bytes[at] ?? 0;
      const inPrefix = this.#held.length < prefix.length;
      if (inPrefix && byte !== prefix[this.#held.length]) {
        // Not one after all. This byte may begin another.
        output(pieces, Uint8Array.from(this.#held));
        this.#held = [];
        from = at;
        if (byte !== 0x1b) at++;
        continue;
      }
      this.#held.push(byte);
      at++;
      from = at;
      if (inPrefix) continue;
      const word = this.#held.length - prefix.length;
      if (byte === BEL) {
        const text = String.fromCharCode(...this.#held.slice(prefix.length, -1));
        const piece = pieceOf(text);
        if (piece === undefined) output(pieces, Uint8Array.from(this.#held));
        else pieces.push(piece);
        this.#held = [];
      } else if (word > LONGEST_WORD) {
        output(pieces, Uint8Array.from(this.#held));
        this.#held = [];
      }
    }
    output(pieces, bytes.subarray(from));
    return pieces;
  }

  /** @returns what was held back: the console has ended. */
  end(): ConsolePiece[] {
    const pieces: ConsolePiece[] = [];
    output(pieces, Uint8Array.from(this.#held));
    this.#held = [];
    return pieces;
  }
}

/** Standard input of a command, for init to decode: lines of `+` and what `printf %b` makes the bytes of. */
export function encodeInput(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  let text = "";
  for (let at = 0; at < bytes.length; at += BYTES_A_LINE) {
    text += "+";
    for (const byte of bytes.subarray(at, at + BYTES_A_LINE)) {
      const character = String.fromCharCode(byte);
      text += /[A-Za-z0-9 .,:;/=_-]/.test(character) ? character : `\\0${byte.toString(8).padStart(3, "0")}`;
    }
    text += "\n";
  }
  return ascii(text);
}

/** The end of a command's standard input. */
export const END_OF_INPUT: Uint8Array = ascii(".\n");

/** A line stays within what a terminal takes at once: 4095 bytes, with four for a byte. */
const BYTES_A_LINE = 512;

function pieceOf(word: string): ConsolePiece | undefined {
  if (word === "begin" || word === "ready" || word === "prompt") return { kind: word };
  const exit = /^exit=(\d{1,3})$/.exec(word);
  if (exit !== null) return { kind: "exit", status: Number(exit[1]) & 0xff };
  if (!word.startsWith("2;")) return undefined;
  try {
    return { kind: "error-output", bytes: Uint8Array.fromBase64(word.slice(2)) };
  } catch {
    return undefined;
  }
}

function output(pieces: ConsolePiece[], bytes: Uint8Array): void {
  if (bytes.length > 0) pieces.push({ kind: "output", bytes });
}

function ascii(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
