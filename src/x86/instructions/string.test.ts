import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit, createMachine, hex } from "../../../test/engine-harness.ts";
import { Gpr } from "../state.ts";

/** Identity-mapped pages that the harness leaves alone; behind the last one nothing is mapped. */
const code = 0x50000;
const data = 0x60000;
const end = 0x100000;

const machine = createMachine();

interface Setup {
  /** The instruction. */
  readonly bytes: string;
  readonly rax?: bigint;
  readonly rcx: number;
  readonly rsi?: number;
  readonly rdi: number;
  readonly backward?: boolean;
}

/** Executes one string instruction, and HLT. @returns the registers and whether, and with which CR2, it faulted. */
function execute({ bytes, rax = 0n, rcx, rsi = data, rdi, backward = false }: Setup) {
  const context = machine.context();
  machine.load(code, Uint8Array.from([...hex(bytes), 0xf4]));
  machine.vcpu.setContext({ ...context, rip: BigInt(code), rflags: backward ? 0x402n : 2n });
  const registers = { rax, rcx: BigInt(rcx), rsi: BigInt(rsi), rdi: BigInt(rdi), rsp: 0x58000n };
  for (const [name, value] of Object.entries(registers)) machine.vcpu.setGpr(Gpr[name as Gpr], value);
  const { exit, exception } = machine.run(1_000_000);
  assert.equal(exit, Exit.halt);
  const read = (name: Gpr) => Number(machine.vcpu.gpr(Gpr[name]));
  return { rcx: read("rcx"), rsi: read("rsi"), rdi: read("rdi"), cr2: exception && Number(exception.cr2), exception };
}

/** No shift by less than 64 KiB repeats it. */
const pattern = Uint8Array.from({ length: end - data }, (_, at) => (at * 7 + (at >> 8) * 13 + (at >> 16)) & 0xff);

/** Fills the data pages with the pattern. @returns a copy. */
function fillData(): Uint8Array {
  machine.load(data, pattern);
  return pattern.slice();
}
function readData(): Uint8Array {
  const bytes = new Uint8Array(end - data);
  machine.memory.read(data, bytes);
  return bytes;
}

/** What REP MOVS means: element by element, in the direction of DF. */
function moveElements(memory: Uint8Array, from: number, to: number, count: number, size: number, step: number): void {
  for (let n = 0; n < count; n++) memory.copyWithin(to + n * step, from + n * step, from + n * step + size);
}

const moves = [
  { bytes: "f3 a4", size: 1 },
  { bytes: "f3 66 a5", size: 2 },
  { bytes: "f3 a5", size: 4 },
  { bytes: "f3 48 a5", size: 8 },
];

test("rep movs: whole pages, misaligned pages, and destinations that begin inside the source, in both directions", () => {
  const places = [
    [0, 0x8000], [5, 0x8001], [0xffe, 0x9003], [0x10, 0x11], [0x10, 0x13], [0x10, 0x18], [0x10, 0x1b], [0x1000, 0xff9], [0x20, 0x20],
    [0x123, 0x123 + 0x1000],
  ] as const; // prettier-ignore
  for (const { bytes, size } of moves) {
    for (const [from, to] of places) {
      for (const count of [0, 1, 3, 511, 2500]) {
        for (const backward of [false, true]) {
          const expected = fillData();
          const start = 0x10000;
          const [source, destination] = backward ? [start + from, start + to] : [from, to];
          const step = backward ? -size : size;
          moveElements(expected, source, destination, count, size, step);
          const after = execute({ bytes, rcx: count, rsi: data + source, rdi: data + destination, backward });
          const name = `${bytes} from ${from} to ${to}, ${count} elements${backward ? " backward" : ""}`;
          assert.deepEqual(after.rcx, 0, name);
          assert.equal(after.rsi, data + source + count * step, name);
          assert.equal(after.rdi, data + destination + count * step, name);
          assert.ok(Buffer.compare(readData(), expected) === 0, name);
        }
      }
    }
  }
});

test("rep stos: zeros and patterns, from any offset, of every size, in both directions", () => {
  const values = [0n, 0x1122_3344_5566_7788n];
  const stores = moves.map(({ bytes, size }) => ({ bytes: bytes.replace(/a4$/, "aa").replace(/a5$/, "ab"), size }));
  const places = [[0, 4096], [3, 1], [0xffd, 9], [0x7f9, 3000]] as const; // prettier-ignore
  for (const { bytes, size } of stores) {
    for (const rax of values) {
      for (const [at, count] of places) {
        for (const backward of [false, true]) {
          const expected = fillData();
          for (let n = 0; n < count * size; n++) expected[at + n] = Number((rax >> BigInt(8 * (n % size))) & 0xffn);
          const [first, step] = backward ? [at + (count - 1) * size, -size] : [at, size];
          const after = execute({ bytes, rax, rcx: count, rdi: data + first, backward });
          assert.equal(after.rcx, 0);
          assert.equal(after.rdi, data + first + count * step);
          assert.ok(Buffer.compare(readData(), expected) === 0, `${bytes} ${rax.toString(16)} at ${at}, ${count}`);
        }
      }
    }
  }
});

test("a backward move that faults leaves the registers at the element that faulted, and its address in CR2", () => {
  const below = 0xe0000;
  machine.map(BigInt(below), 0, 0n);
  const first = below + 0x1000 + 0x808;
  const after = execute({ bytes: "f3 48 a5", rcx: 1000, rsi: data + 0x4000, rdi: first, backward: true });
  machine.map(BigInt(below), below, 3n);
  const done = 0x808 / 8 + 1;
  assert.equal(after.cr2, below + 0xff8);
  assert.deepEqual([after.rcx, after.rsi, after.rdi], [1000 - done, data + 0x4000 - done * 8, below + 0xff8]);
});

test("a fault on the way leaves the registers at the element that faulted", () => {
  for (const { bytes, size } of moves) {
    const before = fillData();
    const room = 0x1800;
    const count = room / size + 7;
    const after = execute({ bytes, rcx: count, rsi: data, rdi: end - room });
    assert.equal(after.cr2, end);
    assert.deepEqual([after.rcx, after.rsi, after.rdi], [7, data + room, end]);
    assert.equal(after.exception?.rip, BigInt(code));
    before.copyWithin(end - room - data, 0, room);
    assert.ok(Buffer.compare(readData(), before) === 0, bytes);
  }
});

test("code that REP STOS writes over is decoded anew", () => {
  const target = data + 0x3000;
  const run = () => {
    machine.vcpu.setContext({ ...machine.context(), rip: BigInt(target) });
    assert.equal(machine.run().exit, Exit.halt);
    return machine.vcpu.gpr(Gpr.rax);
  };
  machine.load(target, hex("b8 11 00 00 00 f4"));
  assert.equal(run(), 0x11n);
  // mov al, 22h; hlt — as one doubleword, three times.
  execute({ bytes: "f3 ab", rax: 0x90f4_22b0n, rcx: 3, rdi: target });
  assert.equal(run() & 0xffn, 0x22n);
});

test("a long REP gives way when the budget is used up, and goes on from where it was", () => {
  const expected = fillData();
  const count = 0x20000;
  machine.load(code, hex("f3 a4 f4"));
  machine.vcpu.setContext({ ...machine.context(), rip: BigInt(code), rflags: 0x402n });
  const [from, to] = [data + count, data + count + 1];
  for (const [name, value] of [
    ["rcx", count],
    ["rsi", from],
    ["rdi", to],
  ] as const)
    machine.vcpu.setGpr(Gpr[name], BigInt(value));
  assert.equal(machine.vcpu.run(1), Exit.budget);
  assert.equal(machine.vcpu.rip, BigInt(code));
  const left = Number(machine.vcpu.gpr(Gpr.rcx));
  assert.ok(left > 0 && left < count, `${left} left`);
  assert.equal(Number(machine.vcpu.gpr(Gpr.rsi)), from - (count - left));
  assert.equal(machine.run(10_000_000).exit, Exit.halt);
  moveElements(expected, count, count + 1, count, 1, -1);
  assert.ok(Buffer.compare(readData(), expected) === 0);
});
