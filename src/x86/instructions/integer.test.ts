/** Integer instructions on operands at their edges. Results and flags as in the instructions' sections of the Intel SDM, Vol. 2. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit, createMachine, hex } from "../../../test/engine-harness.ts";
import { Gpr } from "../state.ts";

const code = 0x50000;
const data = 0x60000n;
const stack = 0x58000n;

const [CF, PF, AF, ZF, SF, OF] = [1, 4, 0x10, 0x40, 0x80, 0x800];
const status = CF | PF | AF | ZF | SF | OF;
const ones = (1n << 64n) - 1n;

const machine = createMachine();

type Registers = Partial<Record<Gpr, bigint>>;
interface Row {
  readonly bytes: string;
  readonly before: Registers;
  /** Status flags before. */
  readonly flags?: number;
  readonly after?: Registers;
  /** Status flags after; those in `undefinedFlags` do not count. */
  readonly flagsAfter?: number;
  readonly undefinedFlags?: number;
}

/** Executes one instruction, and HLT. */
function execute({ bytes, before, flags = 0 }: Row) {
  machine.load(code, Uint8Array.from([...hex(bytes), 0xf4]));
  machine.vcpu.setContext({ ...machine.context(), rip: BigInt(code), rflags: BigInt(flags | 2) });
  for (const [name, value] of Object.entries({ rbx: data, rsp: stack, ...before })) {
    machine.vcpu.setGpr(Gpr[name as Gpr], value);
  }
  const { exit, exception } = machine.run();
  assert.equal(exit, Exit.halt, bytes);
  return { vector: exception?.vector, flags: Number(machine.vcpu.context().rflags) & status };
}

function check(name: string, row: Row): void {
  const { vector, flags } = execute(row);
  assert.equal(vector, undefined, name);
  for (const [register, value] of Object.entries(row.after ?? {})) {
    assert.equal(machine.vcpu.gpr(Gpr[register as Gpr]).toString(16), value.toString(16), `${name}: ${register}`);
  }
  if (row.flagsAfter !== undefined) {
    const defined = status & ~(row.undefinedFlags ?? 0);
    assert.equal((flags & defined).toString(16), (row.flagsAfter & defined).toString(16), `${name}: flags`);
  }
}

function rows(title: string, table: Readonly<Record<string, Row>>): void {
  test(title, () => {
    for (const [name, row] of Object.entries(table)) check(name, row);
  });
}

rows("integer: sums and differences, with each flag at its edge", {
  "add al, bl: 7f + 1": { bytes: "00d8", before: { rax: 0x7fn, rbx: 1n }, after: { rax: 0x80n }, flagsAfter: SF | OF | AF },
  "add al, bl: ff + 1": { bytes: "00d8", before: { rax: 0xffn, rbx: 1n }, after: { rax: 0n }, flagsAfter: CF | PF | AF | ZF },
  "add eax, ebx: 0f + 100": { bytes: "01d8", before: { rax: 0xfn, rbx: 0x100n }, after: { rax: 0x10fn }, flagsAfter: PF },
  "add eax, ebx: 8 + 8": { bytes: "01d8", before: { rax: 8n, rbx: 8n }, after: { rax: 0x10n }, flagsAfter: AF },
  "adc eax, ebx: ffffffff + 0 + CF": { bytes: "11d8", before: { rax: 0xffffffffn, rbx: 0n }, flags: CF, after: { rax: 0n }, flagsAfter: CF | PF | AF | ZF },
  "sbb rax, rbx: 0 - -1 - CF": { bytes: "4819d8", before: { rax: 0n, rbx: ones }, flags: CF, after: { rax: 0n }, flagsAfter: CF | PF | AF | ZF },
  "sbb al, bl: 5 - 2 - CF": { bytes: "18d8", before: { rax: 5n, rbx: 2n }, flags: CF, after: { rax: 2n }, flagsAfter: 0 },
  "cmp al, bl: 80 - 1": { bytes: "38d8", before: { rax: 0x80n, rbx: 1n }, after: { rax: 0x80n }, flagsAfter: OF | AF },
  "cmp rax, rbx: 1 - 2": { bytes: "4839d8", before: { rax: 1n, rbx: 2n }, flagsAfter: CF | SF | AF | PF },
  "inc al: 7f, CF set": { bytes: "fec0", before: { rax: 0x7fn }, flags: CF, after: { rax: 0x80n }, flagsAfter: CF | OF | SF | AF },
  "inc al: ff, CF clear": { bytes: "fec0", before: { rax: 0xffn }, after: { rax: 0n }, flagsAfter: ZF | PF | AF },
  "dec eax: 0, CF set": { bytes: "ffc8", before: { rax: 0n }, flags: CF, after: { rax: 0xffffffffn }, flagsAfter: CF | SF | PF | AF },
  "neg al: 80": { bytes: "f6d8", before: { rax: 0x80n }, after: { rax: 0x80n }, flagsAfter: CF | OF | SF },
  "neg al: 1": { bytes: "f6d8", before: { rax: 1n }, after: { rax: 0xffn }, flagsAfter: CF | SF | PF | AF },
  "and al, bl": { bytes: "20d8", before: { rax: 0xfn, rbx: 0xf0n }, flags: CF | OF, after: { rax: 0n }, flagsAfter: ZF | PF, undefinedFlags: AF },
  "or eax, ebx: parity is of the low byte": { bytes: "09d8", before: { rax: 0x101n, rbx: 0n }, after: { rax: 0x101n }, flagsAfter: 0, undefinedFlags: AF },
  "xadd eax, ebx": { bytes: "0fc1d8", before: { rax: 1n, rbx: 2n }, after: { rax: 3n, rbx: 1n }, flagsAfter: PF },
  "cmpxchg ecx, ebx: equal": { bytes: "0fb1d9", before: { rax: 5n, rcx: 5n, rbx: 7n }, after: { rax: 5n, rcx: 7n }, flagsAfter: ZF | PF },
  "cmpxchg ecx, ebx: not": { bytes: "0fb1d9", before: { rax: 5n, rcx: 6n, rbx: 7n }, after: { rax: 6n, rcx: 6n }, flagsAfter: CF | SF | AF | PF },
}); // prettier-ignore

rows("integer: shifts and rotations, by counts that are masked", {
  "shl al, 1": { bytes: "d0e0", before: { rax: 0xc0n }, after: { rax: 0x80n }, flagsAfter: CF | SF, undefinedFlags: AF },
  "shr al, 1": { bytes: "d0e8", before: { rax: 0x81n }, after: { rax: 0x40n }, flagsAfter: CF | OF, undefinedFlags: AF },
  "sar al, cl: 3": { bytes: "d2f8", before: { rax: 0x81n, rcx: 3n }, after: { rax: 0xf0n }, flagsAfter: SF | PF, undefinedFlags: AF | OF },
  "shl eax, cl: 32 is 0, and clears the upper half": { bytes: "d3e0", before: { rax: ones, rcx: 32n }, flags: status, after: { rax: 0xffffffffn }, flagsAfter: status },
  "shr eax, cl: 0 leaves the flags": { bytes: "d3e8", before: { rax: 5n, rcx: 0n }, flags: CF | ZF | OF, after: { rax: 5n }, flagsAfter: CF | ZF | OF },
  "shl rax, cl: 32": { bytes: "48d3e0", before: { rax: 3n, rcx: 32n }, after: { rax: 3n << 32n } },
  "shl rax, cl: 65 is 1": { bytes: "48d3e0", before: { rax: 3n, rcx: 65n }, after: { rax: 6n } },
  "shl al, cl: 10 moves out zeros": { bytes: "d2e0", before: { rax: 0xffn, rcx: 10n }, after: { rax: 0n }, flagsAfter: ZF | PF, undefinedFlags: AF | OF | CF },
  "shld eax, ebx, 4": { bytes: "0fa4d804", before: { rax: 0x12345678n, rbx: 0xabcdef01n }, after: { rax: 0x2345678an }, flagsAfter: CF, undefinedFlags: AF | OF | PF },
  "shrd eax, ebx, 4": { bytes: "0facd804", before: { rax: 0x12345678n, rbx: 0xabcdef0fn }, after: { rax: 0xf1234567n }, flagsAfter: CF | SF, undefinedFlags: AF | OF | PF },
  "rol al, 4": { bytes: "c0c004", before: { rax: 0x81n }, after: { rax: 0x18n } },
  "rcl al, 1": { bytes: "d0d0", before: { rax: 0x80n }, flags: CF, after: { rax: 1n }, flagsAfter: CF | OF },
  "rcr al, 1": { bytes: "d0d8", before: { rax: 1n }, flags: CF, after: { rax: 0x80n }, flagsAfter: CF | OF },
}); // prettier-ignore

rows("integer: products", {
  "mul bl": { bytes: "f6e3", before: { rax: 0x10n, rbx: 0x10n }, after: { rax: 0x100n }, flagsAfter: CF | OF, undefinedFlags: SF | ZF | AF | PF },
  "mul rbx": { bytes: "48f7e3", before: { rax: ones, rbx: ones, rdx: 0n }, after: { rax: 1n, rdx: ones - 1n }, flagsAfter: CF | OF, undefinedFlags: SF | ZF | AF | PF },
  "imul bl: -1 fits": { bytes: "f6eb", before: { rax: 0xffn, rbx: 1n }, after: { rax: 0xffffn }, flagsAfter: 0, undefinedFlags: SF | ZF | AF | PF },
  "imul eax, ebx: 2^31 does not": { bytes: "0fafc3", before: { rax: 0x10000n, rbx: 0x8000n }, after: { rax: 0x80000000n }, flagsAfter: CF | OF, undefinedFlags: SF | ZF | AF | PF },
  "imul eax, ebx: -2^31 fits": { bytes: "0fafc3", before: { rax: 0xffff0000n, rbx: 0x8000n }, after: { rax: 0x80000000n }, flagsAfter: 0, undefinedFlags: SF | ZF | AF | PF },
  "imul rax, rbx: 2^63 does not": { bytes: "480fafc3", before: { rax: 1n << 32n, rbx: 1n << 31n }, after: { rax: 1n << 63n }, flagsAfter: CF | OF, undefinedFlags: SF | ZF | AF | PF },
  "imul rax, rbx: -2^63 fits": { bytes: "480fafc3", before: { rax: ones << 32n & ones, rbx: 1n << 31n }, after: { rax: 1n << 63n }, flagsAfter: 0, undefinedFlags: SF | ZF | AF | PF },
  "imul eax, ebx, -1": { bytes: "6bc3ff", before: { rbx: 2n }, after: { rax: 0xfffffffen } },
}); // prettier-ignore

rows("integer: the longest quotients that fit", {
  "div ebx": { bytes: "f7f3", before: { rdx: 1n, rax: 0xffffffffn, rbx: 2n }, after: { rax: 0xffffffffn, rdx: 1n } },
  "div rbx": { bytes: "48f7f3", before: { rdx: 1n, rax: ones, rbx: 2n }, after: { rax: ones, rdx: 1n } },
  "idiv bl": { bytes: "f6fb", before: { rax: 0xff80n, rbx: 1n }, after: { rax: 0x80n } },
  "idiv ebx: towards zero": { bytes: "f7fb", before: { rdx: 0xffffffffn, rax: 0xfffffff9n, rbx: 2n }, after: { rax: 0xfffffffdn, rdx: 0xffffffffn } },
  "idiv rbx": { bytes: "48f7fb", before: { rdx: ones, rax: 0n, rbx: 2n }, after: { rax: 1n << 63n, rdx: 0n } },
}); // prettier-ignore

test("integer: quotients that do not fit are #DE, and change nothing", () => {
  const refused: Readonly<Record<string, Row>> = {
    "div ebx: by zero": { bytes: "f7f3", before: { rdx: 0n, rax: 1n, rbx: 0n } },
    "div ebx: 2^32": { bytes: "f7f3", before: { rdx: 2n, rax: 0n, rbx: 2n } },
    "div bl: 256": { bytes: "f6f3", before: { rax: 0x200n, rbx: 2n } },
    "div rbx: 2^64": { bytes: "48f7f3", before: { rdx: 2n, rax: 0n, rbx: 2n } },
    "idiv bl: 128": { bytes: "f6fb", before: { rax: 0xff80n, rbx: 0xffn } },
    "idiv bl: 200": { bytes: "f6fb", before: { rax: 200n, rbx: 1n } },
    "idiv ebx: 2^31": { bytes: "f7fb", before: { rdx: 0n, rax: 0x80000000n, rbx: 1n } },
    "idiv rbx: -2^63 / -1": { bytes: "48f7fb", before: { rdx: ones, rax: 1n << 63n, rbx: ones } },
    "idiv rbx: 2^63": { bytes: "48f7fb", before: { rdx: 1n, rax: 0n, rbx: 2n } },
  };
  for (const [name, row] of Object.entries(refused)) {
    assert.equal(execute(row).vector, 0, name);
    for (const [register, value] of Object.entries(row.before)) {
      assert.equal(machine.vcpu.gpr(Gpr[register as Gpr]), value, `${name}: ${register}`);
    }
  }
});

rows("integer: extensions, and the upper half of a 32-bit result", {
  cbw: { bytes: "6698", before: { rax: 0x1234_5680n }, after: { rax: 0x1234_ff80n } },
  cdqe: { bytes: "4898", before: { rax: 0x80000000n }, after: { rax: 0xffffffff80000000n } },
  cqo: { bytes: "4899", before: { rax: 1n << 63n, rdx: 5n }, after: { rdx: ones } },
  "movsx eax, bl": { bytes: "0fbec3", before: { rax: ones, rbx: 0x80n }, after: { rax: 0xffffff80n } },
  "movsxd rax, ebx": { bytes: "4863c3", before: { rbx: 0x80000000n }, after: { rax: 0xffffffff80000000n } },
  "movzx eax, bx": { bytes: "0fb7c3", before: { rax: ones, rbx: 0xffff8000n }, after: { rax: 0x8000n } },
  "mov ah, bl keeps the rest": { bytes: "88dc", before: { rax: ones, rbx: 0x12n }, after: { rax: 0xffffffffffff12ffn } },
  "cmovb eax, ebx: not taken": { bytes: "0f42c3", before: { rax: ones, rbx: 1n }, after: { rax: 0xffffffffn } },
  "lea eax, [rax+rbx]": { bytes: "8d0418", before: { rax: 0xffffffffn, rbx: 2n }, after: { rax: 1n } },
  "nop is not xchg eax, eax": { bytes: "90", before: { rax: ones }, after: { rax: ones } },
  "xchg eax, ecx": { bytes: "91", before: { rax: ones, rcx: 1n }, after: { rax: 1n, rcx: 0xffffffffn } },
  "bsr eax, ebx": { bytes: "0fbdc3", before: { rbx: 0x8000n }, after: { rax: 15n } },
  "bswap rax": { bytes: "480fc8", before: { rax: 0x0102030405060708n }, after: { rax: 0x0807060504030201n } },
}); // prettier-ignore

test("integer: a bit string reaches below its base", () => {
  machine.ram.setBigUint64(Number(data) - 8, 1n << 63n, true);
  machine.ram.setBigUint64(Number(data), 0n, true);
  check("bt [rbx], rax: -1", {
    bytes: "480fa303",
    before: { rax: ones },
    flagsAfter: CF,
    undefinedFlags: status & ~(CF | ZF),
  });
  check("btr [rbx], rax: -1", { bytes: "480fb303", before: { rax: ones } });
  assert.equal(machine.ram.getBigUint64(Number(data) - 8, true), 0n);
});

test("integer: a failing CMPXCHG of memory loads the accumulator", () => {
  machine.ram.setUint32(Number(data), 6, true);
  check("cmpxchg [rbx], ecx: not equal", { bytes: "0fb10b", before: { rax: 5n, rcx: 7n }, after: { rax: 6n } });
  assert.equal(machine.ram.getUint32(Number(data), true), 6);
  check("cmpxchg [rbx], ecx: equal", {
    bytes: "0fb10b",
    before: { rax: 6n, rcx: 7n },
    after: { rax: 6n },
    flagsAfter: ZF | PF,
  });
  assert.equal(machine.ram.getUint32(Number(data), true), 7);
});

/** What each pair of conditions looks at. Intel SDM Vol. 1, "EFLAGS Condition Codes". */
const conditions: readonly ((flag: (bit: number) => boolean) => boolean)[] = [
  (is) => is(OF),
  (is) => is(CF),
  (is) => is(ZF),
  (is) => is(CF) || is(ZF),
  (is) => is(SF),
  (is) => is(PF),
  (is) => is(SF) !== is(OF),
  (is) => is(ZF) || is(SF) !== is(OF),
];

test("integer: every condition of every combination of flags", () => {
  for (let flags = 0; flags < 64; flags++) {
    const set = [CF, PF, AF, ZF, SF, OF].reduce((all, bit, place) => all | ((flags >> place) & 1 ? bit : 0), 0);
    conditions.forEach((holds, pair) => {
      const expected = holds((bit) => (set & bit) !== 0);
      for (const negated of [0, 1]) {
        const bytes = `0f9${(pair * 2 + negated).toString(16)}c0`;
        const row = { bytes, before: { rax: 0n }, flags: set };
        check(`setcc ${bytes}, flags ${set.toString(16)}`, {
          ...row,
          after: { rax: expected === (negated === 0) ? 1n : 0n },
          flagsAfter: set,
        });
      }
    });
  }
});
