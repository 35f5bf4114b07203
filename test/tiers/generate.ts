/** Makes random programs: straight code, branches, loops, calls, string instructions, stores into code, changes of mappings. */

import { integer, randomFrom } from "../differential/values.ts";
import type { Random } from "../differential/values.ts";
import { randomInstruction } from "./instructions.ts";
import type { Group } from "./instructions.ts";
import { Code, Counters, Data, codeBase } from "./layout.ts";
import type { Item, PageAccess, Program } from "./program.ts";

const RSP = 4;

function bytes(...parts: (number | readonly number[] | Uint8Array)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => (typeof part === "number" ? [part] : [...part])));
}
function word(value: number | bigint): number[] {
  const number = Number(BigInt.asIntN(32, BigInt(value)));
  return [0, 8, 16, 24].map((shift) => (number >> shift) & 0xff);
}
const fixed = (text: string, ...parts: (number | readonly number[])[]): Item => {
  const made = bytes(...parts);
  return { text, bytes: () => made };
};
/** An instruction with a RIP-relative operand at its end, `after` bytes of immediate behind it. */
const relative = (text: string, head: readonly number[], target: number, after: readonly number[] = []): Item => ({
  text,
  bytes: (at) => bytes(head, word(target - at - head.length - 4 - after.length), after),
});

/** What a program is to have. */
export interface Wishes {
  /** Stores into code, changes of code's mappings. */
  readonly changesCode: boolean;
}

class Generator {
  readonly random: Random;
  readonly items: Item[] = [];
  readonly #functions: number[] = [];
  readonly #patchable: number[] = [];
  readonly #cpl: 0 | 3;
  readonly #wishes: Wishes;
  #counters = 0;

  constructor(random: Random, cpl: 0 | 3, wishes: Wishes) {
    this.random = random;
    this.#cpl = cpl;
    this.#wishes = wishes;
  }

  get #here(): number {
    return this.items.length;
  }
  #add(item: Item): number {
    return this.items.push(item) - 1;
  }

  #register(): number {
    for (;;) {
      const register = this.random.below(16);
      if (register !== RSP && register !== Data.anchorRegister) return register;
    }
  }

  /** A branch with a 32-bit displacement to an item, which may not be there yet. */
  #branch(text: string, opcode: readonly number[], target: () => number, patch?: Item["patch"]): number {
    return this.#add({
      text,
      bytes: (at, of) => bytes(opcode, word(of(target()) - at - opcode.length - 4)),
      ...(patch && { patch }),
    });
  }

  #condition(target: () => number): void {
    const { random } = this;
    const code = random.below(16);
    if (random.oneIn(12)) {
      // Within reach of 8 bits only; these two have no other form.
      this.#loopInstruction();
      return;
    }
    const patch = { offset: 1, bits: 1 };
    const at = this.#branch(`jcc ${code}`, [0x0f, 0x80 | code], target, patch);
    this.#patchable.push(at);
  }
  /** `loop`, `jrcxz` and their like over one instruction. */
  #loopInstruction(): void {
    const { random } = this;
    const opcode = 0xe0 + random.below(4);
    const over = this.#here + 2;
    const prefix = random.oneIn(4) ? [0x67] : [];
    this.#add({
      text: ["loopne", "loope", "loop", "jrcxz"][opcode - 0xe0]!,
      bytes: (at, of) => {
        const distance = of(over) - at - 2 - prefix.length;
        return bytes(prefix, opcode, distance > 127 ? 0 : distance);
      },
    });
    this.#add(randomInstruction(random, "flags"));
  }

  /** Some instructions, in no particular order. */
  code(count: number, depth: number): void {
    for (let left = count; left > 0; left--) this.#piece(depth);
  }

  #plain(): void {
    const { random } = this;
    const groups: readonly Group[] = [
      "flags", "flags", "flags", "shifts", "shifts", "bits", "consumers", "consumers", "moves", "moves", "products", "locked",
      "vectors", "vectors", "any",
    ]; // prettier-ignore
    this.#add(randomInstruction(random, random.pick(groups)));
  }

  #piece(depth: number): void {
    const { random } = this;
    const kind = random.below(100);
    if (kind < 60 || depth > 3) this.#plain();
    else if (kind < 72) this.#skip(depth);
    else if (kind < 77) this.#loop(depth);
    else if (kind < 80) this.#pair(depth);
    else if (kind < 83) this.#flagsRegister();
    else if (kind < 86) this.#string();
    else if (kind < 89) this.#call(depth);
    else if (kind < 91) this.#data();
    else if (kind < 93) this.#backward();
    else if (kind < 96) this.#patchableMove();
    else if (kind < 98) this.#indirect();
    else if (this.#cpl === 0) this.#system();
    else this.#plain();
  }

  /** A branch over some instructions, with an else now and then. */
  #skip(depth: number): void {
    const { random } = this;
    let over = 0;
    let end = 0;
    if (random.oneIn(8)) this.#branch("jmp", [0xe9], () => over);
    else this.#condition(() => over);
    this.code(random.below(6), depth + 1);
    const otherwise = random.oneIn(3);
    if (otherwise) this.#branch("jmp", [0xe9], () => end);
    over = this.#here;
    if (otherwise) this.code(1 + random.below(4), depth + 1);
    end = this.#here;
  }

  /** A loop that is run a few times, by a counter in memory. */
  #loop(depth: number): void {
    const { random } = this;
    const counter = Counters.linear + 8 * (this.#counters++ % Counters.count);
    this.#add(
      relative("mov dword [counter], n", [0xc7, 0x05], counter, word(1 + random.below(random.oneIn(4) ? 60 : 6))),
    );
    let head = this.#here;
    // Sometimes entered in its midst: no longer a loop with one entry.
    let inside = 0;
    if (random.oneIn(4)) {
      this.#condition(() => inside);
      head = this.#here;
    }
    this.code(1 + random.below(5), depth + 1);
    inside = this.#here;
    this.code(1 + random.below(5), depth + 1);
    if (random.oneIn(3)) this.#condition(() => head);
    this.#add(relative("dec dword [counter]", [0xff, 0x0d], counter));
    // Above 0, signed: a counter that another loop set back ends too.
    this.#branch("jg", [0x0f, 0x8f], () => head);
  }

  /** A conditional branch back, wherever that is; the number of instructions of a run is limited. */
  #backward(): void {
    const target = this.random.below(this.#here + 1);
    this.#condition(() => target);
  }

  #pair(depth: number): void {
    const { random } = this;
    const [from, to] = [this.#register(), this.#register()];
    const push = (register: number) => fixed(`push ${register}`, 0x40 | (register >> 3), 0x50 | (register & 7));
    const pop = (register: number) => fixed(`pop ${register}`, 0x40 | (register >> 3), 0x58 | (register & 7));
    switch (random.below(4)) {
      case 0:
        this.#add(fixed("push imm32", 0x68, word(integer(random))));
        break;
      case 1:
        this.#add(fixed("push [r14+disp]", 0x41, 0xff, 0xb6, word(random.below(0x2000) - 0x1000)));
        break;
      default:
        this.#add(push(from));
    }
    this.code(random.below(4), depth + 1);
    if (random.oneIn(4)) this.#add(fixed("pop [r14+disp]", 0x41, 0x8f, 0x86, word(random.below(0x2000) - 0x1000)));
    else this.#add(pop(to));
    if (random.oneIn(8)) {
      this.#add(fixed("enter 16, 0", 0xc8, 16, 0, 0));
      this.code(random.below(3), 4);
      this.#add(fixed("lea rbp, [rsp+16]", 0x48, 0x8d, 0x6c, 0x24, 16));
      this.#add(fixed("leave", 0xc9));
    }
  }

  #flagsRegister(): void {
    const { random } = this;
    if (random.oneIn(3)) {
      this.#add(fixed("pushfq", 0x9c));
      this.#add(fixed("pop rax", 0x58));
      return;
    }
    this.#add(fixed("pushfq", 0x9c));
    // Status flags, DF now and then, TF hardly ever.
    const bits = (random.u32() & 0x8d5) | (random.oneIn(8) ? 0x400 : 0) | (random.oneIn(60) ? 0x100 : 0);
    this.#add(fixed(`xor dword [rsp], ${bits.toString(16)}`, 0x81, 0x34, 0x24, word(bits)));
    this.#add(fixed("popfq", 0x9d));
  }

  #string(): void {
    const { random } = this;
    const where = () => word(random.below(random.oneIn(8) ? 0x8000 : 0x2800) - 0x1400);
    const source = where();
    this.#add(fixed("lea rsi, [r14+disp]", 0x49, 0x8d, 0xb6, source));
    if (random.oneIn(3)) this.#add(fixed("lea rdi, [rsi+disp]", 0x48, 0x8d, 0xbe, word(random.below(40) - 20)));
    else this.#add(fixed("lea rdi, [r14+disp]", 0x49, 0x8d, 0xbe, where()));
    this.#add(fixed("mov ecx, n", 0xb9, word(random.below(random.oneIn(4) ? 5000 : 40))));
    if (random.oneIn(4)) this.#add(fixed("std", 0xfd));
    const prefix = random.pick([[0xf3], [0xf3], [0xf2], []]);
    const size = random.pick([[], [0x66], [0x48]]);
    const opcode = random.pick([0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad, 0xa6, 0xa7, 0xae, 0xaf]);
    this.#add(
      fixed(
        `string ${opcode.toString(16)}`,
        size[0] === 0x66 ? size : [],
        prefix,
        size[0] === 0x66 ? [] : size,
        opcode,
      ),
    );
    this.#add(fixed("cld", 0xfc));
  }

  #call(depth: number): void {
    const { random } = this;
    if (this.#functions.length < 5 && random.oneIn(2)) {
      // A function in line, jumped over.
      let end = 0;
      this.#branch("jmp", [0xe9], () => end);
      const start = this.#here;
      this.code(1 + random.below(6), Math.max(depth + 1, 2));
      this.#add(random.oneIn(6) ? fixed("ret 0", 0xc2, 0, 0) : fixed("ret", 0xc3));
      end = this.#here;
      this.#functions.push(start);
    }
    if (this.#functions.length === 0) return;
    const target = random.pick(this.#functions);
    this.#branch("call", [0xe8], () => target);
  }

  /** `jmp`, `call` through a register. */
  #indirect(): void {
    const { random } = this;
    let target = 0;
    const called = random.oneIn(2) && this.#functions.length > 0;
    if (called) target = random.pick(this.#functions);
    this.#branch("lea rax, [rip+item]", [0x48, 0x8d, 0x05], () => target);
    if (called) this.#add(fixed("call rax", 0xff, 0xd0));
    else {
      this.#add(fixed("jmp rax", 0xff, 0xe0));
      this.code(random.below(3), 4);
      target = this.#here;
    }
  }

  /** Bytes in the code that nobody executes, if all goes well. */
  #data(): void {
    const { random } = this;
    let end = 0;
    this.#branch("jmp", [0xe9], () => end);
    this.#add(
      fixed(
        "bytes",
        Array.from({ length: random.below(random.oneIn(4) ? 2000 : 60) }, () => 0xcc),
      ),
    );
    end = this.#here;
  }

  /** An instruction with a byte that the program, or the host, changes. */
  #patchableMove(): void {
    const { random } = this;
    const register = random.below(4);
    if (random.oneIn(2)) {
      const immediate = word(integer(random));
      this.#patchable.push(
        this.#add({
          text: `mov ${register}, imm32`,
          bytes: () => bytes(0xb8 | register, immediate),
          patch: { offset: 1 + random.below(4), bits: 1 + random.below(255) },
        }),
      );
    } else
      this.#patchable.push(
        this.#add({
          text: `inc/dec ${register}`,
          bytes: () => bytes(0x48, 0xff, 0xc0 | register),
          patch: { offset: 2, bits: 8 },
        }),
      );
    if (!this.#wishes.changesCode) return;
    if (this.#cpl === 0 && random.oneIn(4)) this.#remap();
    else this.#store();
  }

  /** Changes a byte of an instruction, often of the next one. */
  #store(): void {
    const { random } = this;
    const next = random.oneIn(3);
    const target = next ? this.#here + 1 : random.pick(this.#patchable);
    const alias = random.oneIn(3) ? Code.alias - codeBase(this.#cpl) : 0;
    const patch = next ? { offset: 2, bits: 8 } : this.items[target]!.patch!;
    this.#add({
      text: `xor byte [item ${target} + ${patch.offset}${alias === 0 ? "" : ", other mapping"}], ${patch.bits}`,
      bytes: (at, of) => bytes(0x80, 0x35, word(of(target) + patch.offset + alias - at - 7), patch.bits),
    });
    if (!next) return;
    this.#patchable.push(
      this.#add({ text: "inc/dec 1", bytes: () => bytes(0x48, 0xff, 0xc1), patch: { offset: 2, bits: 8 } }),
    );
  }

  /** Has a page of code lead to its other version, and says so to the processor. */
  #remap(): void {
    const { random } = this;
    const page = random.below(Code.pages);
    this.#add({
      text: `xor dword [entry of code page ${page}], ${Code.otherVersion.toString(16)}`,
      bytes: () => bytes(0x81, 0x34, 0x25, word(entryOf(page)), word(Code.otherVersion)),
    });
    if (random.oneIn(2)) this.#add(fixed("invlpg [code]", 0x0f, 0x01, 0x3c, 0x25, word(Code.kernel + page * 4096)));
    else this.#reload();
  }
  #reload(): void {
    this.#add(fixed("mov rax, cr3; mov cr3, rax", 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8));
  }

  #system(): void {
    const { random } = this;
    switch (random.below(3)) {
      case 0:
        this.#reload();
        break;
      case 1:
        this.#add(fixed("invlpg [data]", 0x0f, 0x01, 0x3c, 0x25, word(Data.linear + 4096 * random.below(Data.pages))));
        break;
      default:
        this.#add(random.oneIn(2) ? fixed("sti", 0xfb) : fixed("cli", 0xfa));
    }
  }
}

/** The last-level entry of the first page of ring 0's code: the machine says where its page tables are. */
let codeEntries = 0;
/** Says where the last-level entries of the pages of ring 0's code are. */
export function setCodeEntries(address: number): void {
  codeEntries = address;
}
function entryOf(page: number): number {
  return codeEntries + page * 8;
}

export function generate(seed: number, wishes: Wishes): Program {
  const random = randomFrom(seed);
  const cpl = random.oneIn(3) ? 3 : 0;
  const generator = new Generator(random, cpl, wishes);
  generator.code(random.pick([10, 40, 80, 80, 150]), 0);
  const pages = Array.from({ length: Data.pages }, (_, page): PageAccess =>
    page > 2 && page < 6 ? "write" : random.pick(["write", "write", "read", "absent"]),
  );
  if (random.oneIn(4)) pages[3 + random.below(3)] = random.pick(["read", "absent"]);
  return {
    seed,
    items: new Map(generator.items.entries()),
    offset: random.oneIn(2) ? 4096 - random.below(400) : random.below(4096),
    cpl,
    pages,
    runs: 1 + random.below(4),
  };
}
