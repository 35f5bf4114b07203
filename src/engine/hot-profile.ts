import type { OpcodeMap } from "../x86/decode/opcode-map.ts";
import type { Form } from "../x86/semantics.ts";
import type { HotForm } from "./hot-form.ts";
import { formKey } from "./forms.ts";
import { hotForm } from "./hot-forms.ts";

/**
 * The forms that a boot executes most, most frequent first (engine.md §5): row, operand size, "m" or "r", and the
 * condition code where the row spans sixteen. Made by bench/profile-forms.ts; order and choice matter for speed alone.
 */
const profile: readonly string[] = [
  "mov: 89  Ev,Gv | 64 | r | 0",
  "add: 01  Ev,Gv  lock | 64 | r | 0",
  "imul: 0F AF  Gv,Ev | 64 | r | 0",
  "mov: 8B  Gv,Ev | 64 | m | 0",
  "shr: C1 /5  Ev,Ib | 64 | r | 0",
  "mov: 89  Ev,Gv | 32 | r | 0",
  "cmp: 39  Ev,Gv | 64 | r | 0",
  "sub: 29  Ev,Gv  lock | 64 | r | 0",
  "mov: 89  Ev,Gv | 64 | m | 0",
  "jcc: 70 +cc  Jb  f64 | 64 | r | 5",
  "add: 83 /0  Ev,Ibs  lock | 32 | r | 0",
  "lea: 8D  Gv,M | 64 | m | 0",
  "movsxd: 63  Gv,Ez  x64 | 64 | r | 0",
  "shl: C1 /4  Ev,Ib | 64 | r | 0",
  "setcc: 0F 90 +cc  Eb | 32 | r | 2",
  "movzx: 0F B6  Gv,Eb | 32 | r | 0",
  "push: 50 +  Zv  d64 | 64 | r | 0",
  "pop: 58 +  Zv  d64 | 64 | r | 0",
  "jcc: 70 +cc  Jb  f64 | 64 | r | 4",
  "cmovcc: 0F 40 +cc  Gv,Ev | 64 | r | 3",
  "jcc: 0F 80 +cc  Jz  f64 | 64 | r | 5",
  "xor: 31  Ev,Gv  lock | 32 | r | 0",
  "adc: 11  Ev,Gv  lock | 64 | r | 0",
  "movzx: 0F B6  Gv,Eb | 32 | m | 0",
  "add: 83 /0  Ev,Ibs  lock | 64 | r | 0",
  "test: 84  Eb,Gb | 32 | r | 0",
  "add: 03  Gv,Ev | 64 | m | 0",
  "ret: C3  -  f64 | 64 | r | 0",
  "mov: 8B  Gv,Ev | 32 | m | 0",
  "call: E8  Jz  f64 | 64 | r | 0",
  "jcc: 0F 80 +cc  Jz  f64 | 64 | r | 4",
  "nop: 0F 1F  Ev | 32 | m | 0",
  "test: 85  Ev,Gv | 32 | r | 0",
  "add: 01  Ev,Gv  lock | 32 | r | 0",
  "jmp: E9  Jz  f64 | 64 | r | 0",
  "jmp: EB  Jb  f64 | 64 | r | 0",
  "cmp: 39  Ev,Gv | 32 | r | 0",
  "test: 85  Ev,Gv | 64 | r | 0",
  "jcc: 70 +cc  Jb  f64 | 64 | r | 9",
  "cmp: 80 /7  Eb,Ib | 32 | m | 0",
  "jcc: 70 +cc  Jb  f64 | 64 | r | 3",
  "mov: B8 +  Zv,Iv | 32 | r | 0",
  "mov: 89  Ev,Gv | 32 | m | 0",
  "test: F6 /0  Eb,Ib | 32 | m | 0",
  "cmp: 83 /7  Ev,Ibs | 32 | r | 0",
  "cmp: 3C  AL,Ib | 32 | r | 0",
  "sub: 83 /5  Ev,Ibs  lock | 64 | r | 0",
  "cmp: 83 /7  Ev,Ibs | 64 | r | 0",
  "adc: 83 /2  Ev,Ibs  lock | 64 | r | 0",
  "ror: C1 /1  Ev,Ib | 32 | r | 0",
  "jcc: 70 +cc  Jb  f64 | 64 | r | 2",
  "and: 83 /4  Ev,Ibs  lock | 32 | r | 0",
  "rol: C1 /0  Ev,Ib | 32 | r | 0",
  "movsxd: 63  Gv,Ez  x64 | 64 | m | 0",
  "mov: C6 /0  Eb,Ib | 32 | m | 0",
  "mov: B8 +  Zv,Iv | 64 | r | 0",
  "cmp: 3A  Gb,Eb | 32 | m | 0",
  "mov: C7 /0  Ev,Iz | 64 | m | 0",
  "lea: 8D  Gv,M | 32 | m | 0",
  "or: 09  Ev,Gv  lock | 64 | r | 0",
  "mov: C7 /0  Ev,Iz | 64 | r | 0",
  "cmp: 39  Ev,Gv | 64 | m | 0",
  "neg: F7 /3  Ev  lock | 32 | r | 0",
  "mov: 88  Eb,Gb | 32 | m | 0",
  "inc: FF /0  Ev  lock | 64 | r | 0",
  "sub: 83 /5  Ev,Ibs  lock | 32 | r | 0",
  "cmp: 80 /7  Eb,Ib | 32 | r | 0",
  "jcc: 70 +cc  Jb  f64 | 64 | r | 7",
  "sub: 2B  Gv,Ev | 64 | m | 0",
  "jcc: 70 +cc  Jb  f64 | 64 | r | 6",
  "sub: 29  Ev,Gv  lock | 32 | r | 0",
  "movd: 66 0F 6E  Vx,Ed  w0 | 32 | m | 0",
  "sar: C1 /7  Ev,Ib | 64 | r | 0",
  "mov: 8A  Gb,Eb | 32 | m | 0",
  "cmp: 39  Ev,Gv | 32 | m | 0",
  "sar: D1 /7  Ev,1 | 64 | r | 0",
  "mov: C7 /0  Ev,Iz | 32 | m | 0",
  "not: F7 /2  Ev  lock | 64 | r | 0",
  "movaps: NP 0F 29  Wx,Vx | 32 | m | 0",
  "jcc: 0F 80 +cc  Jz  f64 | 64 | r | 2",
  "shr: C1 /5  Ev,Ib | 32 | r | 0",
  "test: A8  AL,Ib | 32 | r | 0",
  "paddd: 66 0F FE  Vx,Wx | 32 | r | 0",
  "and: 21  Ev,Gv  lock | 64 | r | 0",
  "cmp: 83 /7  Ev,Ibs | 64 | m | 0",
  "test: F6 /0  Eb,Ib | 32 | r | 0",
  "jcc: 0F 80 +cc  Jz  f64 | 64 | r | 6",
  "and: 83 /4  Ev,Ibs  lock | 64 | r | 0",
  "jcc: 0F 80 +cc  Jz  f64 | 64 | r | 3",
  "cmp: 81 /7  Ev,Iz | 64 | r | 0",
  "div: F7 /6  Ev | 64 | m | 0",
  "pxor: 66 0F EF  Vx,Wx | 32 | r | 0",
  "jcc: 0F 80 +cc  Jz  f64 | 64 | r | 7",
  "and: 81 /4  Ev,Iz  lock | 32 | r | 0",
  "shr: D1 /5  Ev,1 | 64 | r | 0",
  "cmp: 3B  Gv,Ev | 32 | m | 0",
  "movzx: 0F B7  Gv,Ew | 32 | m | 0",
  "xchg: 90 +  Zv,rAX | 16 | r | 0",
  "cmovcc: 0F 40 +cc  Gv,Ev | 64 | r | 2",
  "jcc: 0F 80 +cc  Jz  f64 | 64 | r | 15",
];

/** The profile's forms, as cases for the dispatcher. An entry that no row has is an error: the profile is stale. */
export function hotForms(map: OpcodeMap): { readonly key: number; readonly hot: HotForm }[] {
  return profile.map((line) => {
    const [text = "", size, kind, low] = line.split("|").map((part) => part.trim());
    const [mnemonic = "", ...rest] = text.split(": ");
    const row = map.rows.find(
      ({ instruction, encoding }) => instruction.mnemonic === mnemonic && encoding.row === rest.join(": "),
    );
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
