import type { Decoded } from "../x86/decode/decode.ts";
import { Handler } from "./dispatch.ts";
import type { FormSlots } from "./code-cache.ts";
import { buildForm, formKey, formName, formOf } from "./forms.ts";
import type { Linker } from "./linker.ts";

/** The compiled forms, each in a slot of the function table; compiled when an instruction first needs them. */
export class FormLibrary implements FormSlots {
  readonly #linker: Linker;
  readonly #slots = new Map<number, number>();
  readonly #names = new Map<number, string>();
  /** Dispatcher cases of the forms that stand in the dispatcher itself. */
  readonly #handlers: ReadonlyMap<number, number>;
  #next = 1;

  constructor(linker: Linker, handlers: ReadonlyMap<number, number>) {
    this.#linker = linker;
    this.#handlers = handlers;
  }

  /** Every form in the table, as the dispatcher's profile names it, with its slot. */
  *entries(): Iterable<readonly [slot: number, name: string]> {
    for (const [key, slot] of this.#slots) yield [slot, this.#names.get(key) ?? ""];
  }

  /** Number of forms compiled so far. */
  get size(): number {
    return this.#slots.size;
  }

  prepare(block: readonly Decoded[], codeSize: 16 | 32 | 64): void {
    const missing = [];
    for (const decoded of block) {
      const form = formOf(decoded, codeSize);
      const key = formKey(decoded.row, form);
      if (this.#slots.has(key) || this.#handlers.has(key)) continue;
      const slot = this.#next++;
      this.#slots.set(key, slot);
      this.#names.set(key, formName(decoded.row, form));
      missing.push({
        slot,
        name: `${decoded.row.instruction.mnemonic} ${decoded.row.encoding.row}`,
        body: buildForm(decoded.row, form),
      });
    }
    if (missing.length > 0) this.#linker.link(missing);
  }

  handler(decoded: Decoded, codeSize: 16 | 32 | 64): number {
    return this.#handlers.get(formKey(decoded.row, formOf(decoded, codeSize))) ?? Handler.form;
  }

  form(decoded: Decoded, codeSize: 16 | 32 | 64): number {
    return this.#slots.get(formKey(decoded.row, formOf(decoded, codeSize))) ?? 0;
  }
}
