import type { Routine } from "../../ir/node.ts";
import { directCalls } from "../calls.ts";
import { RecordField, recordBytes } from "../record.ts";
import { fieldReader } from "./fields.ts";
import type { PendingFlags } from "./fused.ts";
import type { Passage } from "./passage.ts";
import type { Recorder } from "./recorder.ts";
import type { Template } from "./template.ts";
import { usageOf } from "./usage.ts";
import type { Usage } from "./usage.ts";

/** An instruction with its numbers, wherever it stands: what it does with registers, and its code. */
export interface KnownInstruction {
  readonly template: Template;
  readonly usage: Usage;
  /** Its code behind pending flags, by their number, or 0. */
  readonly passages: Map<number, Passage>;
  /** Its record's numbers, and another instruction with the same hash. */
  readonly numbers: Int32Array;
  readonly other: KnownInstruction | undefined;
}

/** Words of a record from {@link RecordField.start} on. */
const words = (recordBytes - RecordField.start) / 4;

/**
 * The instructions of one form that have been met. Most code is made of few: the same registers, offsets and numbers come
 * again, and so does what was made of them.
 */
export class KnownInstructions {
  readonly template: Template;
  /** What its code calls. */
  readonly routines: readonly Routine[];
  readonly #byHash = new Map<number, KnownInstruction>();
  readonly #numbers = new Int32Array(words);

  constructor(template: Template) {
    this.template = template;
    this.routines = template.inline ? [...directCalls(template.body).routines] : [];
  }

  /** The instruction whose record is at `record`. */
  find(view: DataView, record: number): KnownInstruction {
    const numbers = this.#numbers;
    const { positional, immediate } = this.template;
    let hash = 0;
    for (let word = 0; word < words; word++) {
      const at = word * 4 + RecordField.start;
      const position = at === RecordField.start;
      const target = at === RecordField.immediate || at === RecordField.immediate + 4;
      const matters = position ? positional : !target || immediate || positional;
      const number = matters ? view.getInt32(record + at, true) : 0;
      numbers[word] = number;
      hash = Math.imul(hash ^ (hash >>> 15) ^ number, 0x2c1b3c6d);
    }
    const known = this.#byHash.get(hash);
    for (let each = known; each !== undefined; each = each.other) if (same(each.numbers, numbers)) return each;
    const instruction = {
      template: this.template,
      usage: usageOf(this.template, view, record),
      passages: new Map<number, Passage>(),
      numbers: numbers.slice(),
      other: known,
    };
    this.#byHash.set(hash, instruction);
    return instruction;
  }
}

function same(a: Int32Array, b: Int32Array): boolean {
  for (let word = 0; word < words; word++) if (a[word] !== b[word]) return false;
  return true;
}

/** The passage of an instruction behind pending flags; `record` is where one of its records is. */
export function passageOf(
  { template, passages }: KnownInstruction,
  recorder: Recorder,
  pending: PendingFlags | undefined,
  view: DataView,
  record: number,
): Passage {
  const key = pending?.key ?? 0;
  let passage = passages.get(key);
  if (passage === undefined) {
    passage = recorder.instruction(template, fieldReader(view, record), pending);
    passages.set(key, passage);
  }
  return passage;
}
