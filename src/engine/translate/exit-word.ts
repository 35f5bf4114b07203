import type { Code } from "../../wasm/code.ts";
import { recordBytes } from "../record.ts";

/**
 * Where and how a region leaves off, in one word: the copy of the record, its page, what the budget gets back, how the
 * pending flags are to be computed, and the status.
 */
export interface ExitWord {
  readonly record: number;
  readonly page: number;
  readonly adjust: number;
  /** 0: none are pending. */
  readonly flags: number;
  readonly status: number;
}
export type ExitField = keyof ExitWord;
const exitFields = {
  record: { shift: 0, bits: 9 },
  page: { shift: 9, bits: 3 },
  adjust: { shift: 12, bits: 9 },
  flags: { shift: 21, bits: 7 },
  status: { shift: 28, bits: 3 },
} as const satisfies Record<ExitField, { readonly shift: number; readonly bits: number }>;
export const pageBias = 4;
/** The status is in the local; `interpret` gives the instruction itself back. */
export const dynamicStatus = 7;
/** Kinds of pending flags that one region's exits can tell apart. */
export const flagKinds = 2 ** exitFields.flags.bits - 1;

function pack({ shift, bits }: { readonly shift: number; readonly bits: number }, value: number): number {
  if (value < 0 || value >= 2 ** bits) throw new Error(`a number of an exit is out of range: ${value}`);
  return value << shift;
}

/** Packs a word; throws where a field is out of its range, which is an error of the emitter. */
export function packExit({ record, page, adjust, flags, status }: ExitWord): number {
  return (
    pack(exitFields.record, record) |
    pack(exitFields.page, page + pageBias) |
    pack(exitFields.adjust, adjust) |
    pack(exitFields.flags, flags) |
    pack(exitFields.status, status)
  );
}

/** Bytes of an exit's record: a copy of the instruction's, and one that leads back to the code behind it. */
export const exitRecordBytes = 2 * recordBytes;

/** Puts a field of the word in a local on the stack. */
export function emitExitField(code: Code, word: number, name: ExitField): void {
  const { shift, bits } = exitFields[name];
  code.get(word);
  code.i32(shift);
  code.op("i32.shr_u");
  code.i32(2 ** bits - 1);
  code.op("i32.and");
}
