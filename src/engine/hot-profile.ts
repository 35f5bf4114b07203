import type { OpcodeMap } from "../x86/decode/opcode-map.ts";
import type { Form } from "../x86/semantics.ts";
import type { HotForm } from "./dispatcher.ts";
import { formKey } from "./forms.ts";
import { hotForm } from "./hot-forms.ts";

/**
 * The forms that a boot executes most, most frequent first (engine.md §5): row, operand size, "m" or "r", and the
 * condition code where the row spans sixteen. Made by bench/profile-forms.ts; order and choice matter for speed alone.
 */
const profile: readonly string[] = [];

/** The profile's forms, as cases for the dispatcher. An entry that no row has is an error: the profile is stale. */
export function hotForms(map: OpcodeMap): { readonly key: number; readonly hot: HotForm }[] {
  return profile.map((line) => {
    const [text = "", size, kind, low] = line.split("|").map((part) => part.trim());
    const [mnemonic = "", ...rest] = text.split(": ");
    const row = map.rows.find(({ instruction, encoding }) => instruction.mnemonic === mnemonic && encoding.row === rest.join(": "));
    if (row === undefined) throw new Error(`no row "${text}" for the dispatcher's profile`);
    const form: Form = {
      operandSize: Number(size) as 16 | 32 | 64,
      addressing: "long",
      addressSize: 64,
      lock: false,
      repeat: "none",
      low: Number(low ?? 0),
      memory: kind === "m",
    };
    return { key: formKey(row, form), hot: hotForm(row, form) };
  });
}
