import type { Decoded } from "../x86/decode/decode.ts";
import { Handler } from "./dispatch.ts";
import type { Place } from "./dispatch.ts";
import type { FormSlots } from "./code-cache.ts";
import type { Row } from "../x86/decode/opcode-map.ts";
import type { Form } from "../x86/semantics.ts";
import { buildForm, formKey, formName, formOf } from "./forms.ts";
import type { Linker, TableFunction } from "./linker.ts";

/** The compiled forms, each in a slot of the function table; compiled when an instruction first needs them. */
export class FormLibrary implements FormSlots {
  readonly #linker: Linker;
  readonly #places = new Map<number, Place>();
  readonly #names = new Map<number, string>();
  #next = 1;

  /** @param handlers Dispatcher cases of the forms that stand in the dispatcher itself, by form key. */
  constructor(linker: Linker, handlers: ReadonlyMap<number, number>) {
    this.#linker = linker;
    for (const [key, handler] of handlers) this.#places.set(key, { handler, form: 0 });
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

  #add(key: number, row: Row, form: Form, missing: TableFunction[]): Place {
    const slot = this.#next++;
    const place = { handler: Handler.form, form: slot };
    this.#places.set(key, place);
    this.#names.set(slot, formName(row, form));
    missing.push({ slot, name: `${row.instruction.mnemonic} ${row.encoding.row}`, body: buildForm(row, form) });
    return place;
  }
}
