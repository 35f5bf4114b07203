import type { Decoded } from "../x86/decode/decode.ts";
import { Handler, firstRegionSlot } from "./dispatch.ts";
import type { Place } from "./dispatch.ts";
import type { FormSlots } from "./code-cache.ts";
import type { Row } from "../x86/decode/opcode-map.ts";
import type { Form } from "../x86/semantics.ts";
import type { FormDescription } from "./forms.ts";
import { buildForm, formKey, formName, formOf } from "./forms.ts";
import type { Linker, TableFunction } from "./linker.ts";

/** The compiled forms, each in a slot of the function table; compiled when an instruction first needs them. */
export class FormLibrary implements FormSlots {
  readonly #linker: Linker;
  readonly #places = new Map<number, Place>();
  readonly #names = new Map<number, string>();
  /** What forms are, by their slot, and those in the dispatcher by their case. */
  readonly #bySlot: FormDescription[] = [];
  readonly #byHandler: FormDescription[] = [];
  /** Slots of forms that stand in the dispatcher as well. */
  readonly #hotSlots = new Map<FormDescription, number>();
  #next = 1;

  /** @param hot The forms that stand in the dispatcher itself, in the order of their cases. */
  constructor(linker: Linker, hot: readonly { readonly row: Row; readonly form: Form }[]) {
    this.#linker = linker;
    for (const [position, { row, form }] of hot.entries()) {
      const key = formKey(row, form);
      const handler = Handler.hot + position;
      this.#places.set(key, { handler, form: 0 });
      this.#byHandler[handler] = { key, row, form };
    }
  }

  /** What form a record has, given the place that was written into it. */
  describe({ handler, form }: Place): FormDescription | undefined {
    return handler === Handler.form ? this.#bySlot[form] : this.#byHandler[handler];
  }

  /** The table's slot with a form's code, compiled if need be. */
  slot(description: FormDescription): number {
    const known = this.#places.get(description.key)?.form ?? 0;
    if (known !== 0) return known;
    const before = this.#hotSlots.get(description);
    if (before !== undefined) return before;
    const slot = this.#takeSlot();
    this.#hotSlots.set(description, slot);
    const { row, form } = description;
    this.#linker.link([{ slot, name: row.instruction.mnemonic, body: buildForm(row, form) }]);
    return slot;
  }

  /** Every form in the table, as the dispatcher's profile names it, with its slot. */
  entries(): Iterable<readonly [slot: number, name: string]> {
    return this.#names;
  }

  /** Number of forms compiled so far. */
  get size(): number {
    return this.#names.size;
  }

  place(block: readonly Decoded[], codeSize: 16 | 32 | 64): Place[] {
    const missing: TableFunction[] = [];
    const places = block.map((decoded) => {
      const form = formOf(decoded, codeSize);
      const key = formKey(decoded.row, form);
      return this.#places.get(key) ?? this.#add(key, decoded.row, form, missing);
    });
    if (missing.length > 0) this.#linker.link(missing);
    return places;
  }

  #takeSlot(): number {
    if (this.#next === firstRegionSlot) throw new Error("there are more forms than slots for them");
    return this.#next++;
  }

  #add(key: number, row: Row, form: Form, missing: TableFunction[]): Place {
    const slot = this.#takeSlot();
    const place = { handler: Handler.form, form: slot };
    this.#places.set(key, place);
    this.#names.set(slot, formName(row, form));
    this.#bySlot[slot] = { key, row, form };
    missing.push({ slot, name: `${row.instruction.mnemonic} ${row.encoding.row}`, body: buildForm(row, form) });
    return place;
  }
}
