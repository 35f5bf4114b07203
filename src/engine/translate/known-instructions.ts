import type { Routine } from "../../ir/node.ts";
import { directCalls } from "../calls.ts";
import { buildForm } from "../forms.ts";
import type { FormDescription } from "../forms.ts";
import { RecordField } from "../record.ts";
import { fieldReader } from "./fields.ts";
import type { PendingFlags } from "./fused.ts";
import { isSpecial } from "./numbers.ts";
import type { NumberUse } from "./numbers.ts";
import type { Passage } from "./passage.ts";
import type { Recorder } from "./recorder.ts";
import { analyse } from "./template.ts";
import type { Template } from "./template.ts";
import { usageOf } from "./usage.ts";
import type { Usage } from "./usage.ts";

/** An instruction with its numbers, wherever it stands: what it does with registers, and its code. */
export interface KnownInstruction {
  readonly template: Template;
  readonly usage: Usage;
  /** Its code behind pending flags, by their number, or 0. */
  readonly passages: Map<number, Passage>;
  readonly numbers: Numbers;
  /** Another instruction with the same hash. */
  readonly other: KnownInstruction | undefined;
}

/** What decides an instruction's code: the words of its record, 0 where they make no difference. */
interface Numbers {
  readonly position: number;
  readonly registers: number;
  readonly addressing: number;
  readonly immediate: number;
  readonly immediateHigh: number;
  readonly displacement: number;
  readonly rest: number;
}

function readNumbers(view: DataView, record: number, { positional, immediate }: NumberUse): Numbers {
  const word = (at: number) => view.getInt32(record + at, true);
  const displacement = word(RecordField.displacement);
  const low = immediate !== "none" || positional ? word(RecordField.immediate) : 0;
  const high = immediate !== "none" || positional ? word(RecordField.immediate + 4) : 0;
  const open = immediate === "data" && !positional && !(isSpecial(low) && high === low);
  return {
    position: positional ? word(RecordField.start) : 0,
    registers: word(RecordField.reg),
    addressing: word(RecordField.index),
    immediate: open ? anyNumber : low,
    immediateHigh: open ? 0 : high,
    displacement: isSpecial(displacement) ? displacement : anyNumber,
    rest: word(RecordField.scale),
  };
}
/** Stands for every number that is not special. */
const anyNumber = 1;

function hashOf(numbers: Numbers): number {
  const { position, registers, addressing, immediate, immediateHigh, displacement, rest } = numbers;
  let hash = Math.imul(registers ^ Math.imul(addressing, 0x2c1b3c6d), 0x297a2d39);
  hash ^= hash >>> 15;
  hash = Math.imul(hash ^ immediate ^ Math.imul(displacement, 0x2c1b3c6d), 0x297a2d39);
  hash ^= hash >>> 15;
  hash = Math.imul(hash ^ rest ^ Math.imul(immediateHigh ^ position, 0x2c1b3c6d), 0x297a2d39);
  // A small integer: a map finds those quickest.
  return (hash ^ (hash >>> 15)) & 0x3fffffff;
}

function same(a: Numbers, b: Numbers): boolean {
  return (
    a.registers === b.registers &&
    a.addressing === b.addressing &&
    a.displacement === b.displacement &&
    a.immediate === b.immediate &&
    a.immediateHigh === b.immediateHigh &&
    a.rest === b.rest &&
    a.position === b.position
  );
}

/**
 * The instructions of one form that have been met. Most code is made of few: the same registers, offsets and numbers come
 * again, and so does what was made of them.
 */
export class KnownInstructions {
  readonly form: FormDescription;
  readonly template: Template;
  /** What its code calls. */
  readonly routines: readonly Routine[];
  readonly #byHash = new Map<number, KnownInstruction>();

  constructor(form: FormDescription) {
    const template = analyse(buildForm(form.row, form.form));
    this.form = form;
    this.template = template;
    this.routines = template.inline ? [...directCalls(template.body).routines] : [];
  }

  /** The instruction whose record is at `record`. */
  find(view: DataView, record: number): KnownInstruction {
    const numbers = readNumbers(view, record, this.template.numbers);
    const hash = hashOf(numbers);
    const known = this.#byHash.get(hash);
    for (let each = known; each !== undefined; each = each.other) if (same(each.numbers, numbers)) return each;
    const instruction = {
      template: this.template,
      usage: usageOf(this.template, view, record),
      passages: new Map<number, Passage>(),
      numbers,
      other: known,
    };
    this.#byHash.set(hash, instruction);
    return instruction;
  }
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
    passage = recorder.passage(template, fieldReader(view, record), pending);
    passages.set(key, passage);
  }
  return passage;
}
