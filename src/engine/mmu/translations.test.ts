/** What ends the life of a cached translation. Intel SDM Vol. 3A, "Invalidation of TLBs and Paging-Structure Caches". */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit, Selector, createMachine, hex } from "../../../test/engine-harness.ts";
import type { Machine } from "../../../test/engine-harness.ts";

const [P, W, U, D, PS, G] = [1n, 2n, 4n, 0x40n, 0x80n, 0x100n];
const PCIDE = 1n << 17n;
const SMAP = 1n << 21n;

const code = 0x10000;
const page = 0x400000n;

/** Frames that begin with a byte of their own. */
const frames = [0x200000, 0x300000] as const;
const marks = [0x11n, 0x22n] as const;

/** A machine in ring 0 of 64-bit mode with programs, whose entry points are their places. */
function machineWith(programs: Readonly<Record<number, string>>, cr4 = 0n): Machine {
  const machine = createMachine("long");
  for (const [at, bytes] of Object.entries(programs)) machine.load(Number(at), hex(bytes));
  frames.forEach((frame, n) => machine.ram.setUint8(frame, Number(marks[n])));
  const context = machine.context();
  context.rip = BigInt(code);
  context.gpr[1] = page;
  context.gpr[4] = 0x8000n;
  context.cr4 |= cr4;
  machine.vcpu.setContext(context);
  return machine;
}

/** Runs a program to its HLT. Unlike a new context, that leaves the translations. @returns RAX. */
function run(machine: Machine, at: number): bigint {
  machine.vcpu.rip = BigInt(at);
  const { exit, exception } = machine.run();
  assert.deepEqual([exit, exception], [Exit.halt, undefined]);
  return machine.vcpu.gpr(0);
}

/** movzx eax, byte [rcx]; hlt */
const read = "0fb601 f4";
/** mov rdx, cr3; mov cr3, rdx; movzx eax, byte [rcx]; hlt */
const reload = "0f20da 0f22da 0fb601 f4";

test("translations: MOV to CR3 ends those that are not global", () => {
  for (const [flags, expected] of [[P | W, marks[1]], [P | W | G, marks[0]]] as const) {
    const machine = machineWith({ [code]: read, [code + 0x100]: reload });
    machine.map(page, frames[0], flags);
    assert.equal(run(machine, code), marks[0]);
    machine.remap(page, frames[1], flags);
    assert.equal(run(machine, code + 0x100), expected, `entry flags ${flags}`);
  }
}); // prettier-ignore

test("translations: without CR4.PGE none is global", () => {
  const machine = machineWith({ [code]: read, [code + 0x100]: reload });
  machine.vcpu.setContext({ ...machine.vcpu.context(), cr4: 0x620n });
  machine.map(page, frames[0], P | W | G);
  assert.equal(run(machine, code), marks[0]);
  machine.remap(page, frames[1], P | W | G);
  assert.equal(run(machine, code + 0x100), marks[1]);
});

test("translations: MOV to CR3 ends however many there are", () => {
  // L: movzx eax, byte [rcx]; add ebx, eax; add rcx, 4096; dec esi; jnz L; mov rax, rbx; hlt
  const sum = "0fb601 01c3 4881c100100000 ffce 75f0 4889d8 f4";
  for (const count of [60, 64, 70, 200]) {
    const machine = machineWith({ [code]: sum, [code + 0x100]: `0f20da 0f22da ${sum}` });
    const total = (at: number): bigint => {
      machine.vcpu.setGpr(1, page);
      machine.vcpu.setGpr(3, 0n);
      machine.vcpu.setGpr(6, BigInt(count));
      return run(machine, at);
    };
    const address = (n: number): bigint => page + BigInt(n * 4096);
    for (let n = 0; n < count; n++) machine.map(address(n), frames[0], P | W);
    assert.equal(total(code), marks[0] * BigInt(count));
    for (let n = 0; n < count; n++) machine.remap(address(n), frames[1], P | W);
    assert.equal(total(code + 0x100), marks[1] * BigInt(count));
  }
});

test("translations: INVLPG anywhere in a large page ends all of it, whatever was cached since", () => {
  // L: mov al, [rcx]; add rcx, 4096; dec esi; jnz L; hlt
  const touch = "8a01 4881c100100000 ffce 75f3 f4";
  const machine = machineWith({ [code]: read, [code + 0x100]: touch, [code + 0x200]: `0f013f ${read}` });
  const large = 0x600000n;
  machine.map(large, frames[0], P | W);
  let table = Number(machine.context().cr3);
  for (let level = 4; level > 2; level--) {
    const at = table + Number((large >> BigInt(3 + 9 * level)) & 511n) * 8;
    table = Number(machine.ram.getBigUint64(at, true) & 0xffff_f000n);
  }
  const entry = table + Number((large >> 21n) & 511n) * 8;
  const [from, to] = [0x400000, 0x800000];
  [from, to].forEach((frame, n) => machine.ram.setUint8(frame + 0x1000, Number(marks[n])));
  machine.ram.setBigUint64(entry, BigInt(from) | P | W | PS, true);
  for (let n = 0; n < 100; n++) machine.map(page + BigInt(n * 4096), frames[0], P | W);
  machine.vcpu.setGpr(1, large + 0x1000n);
  assert.equal(run(machine, code), marks[0]);
  machine.vcpu.setGpr(1, page);
  machine.vcpu.setGpr(6, 100n);
  run(machine, code + 0x100);
  machine.ram.setBigUint64(entry, BigInt(to) | P | W | PS, true);
  // invlpg [rdi], at the large page's beginning; then the read.
  machine.vcpu.setGpr(7, large);
  machine.vcpu.setGpr(1, large + 0x1000n);
  assert.equal(run(machine, code + 0x200), marks[1]);
});

test("translations: those of code end like those of data", () => {
  // call rcx; movzx eax, al; hlt — after nothing, MOV to CR3, INVLPG.
  const call = "ffd1 0fb6c0 f4";
  for (const end of ["0f20da 0f22da", "0f0139"]) {
    const machine = machineWith({ [code]: call, [code + 0x100]: `${end} ${call}` });
    // mov al, imm8; ret
    frames.forEach((frame, n) => machine.load(frame, hex(`b0${marks[n]!.toString(16)} c3`)));
    machine.map(page, frames[0], P | W);
    assert.equal(run(machine, code), marks[0]);
    machine.remap(page, frames[1], P | W);
    assert.equal(run(machine, code + 0x100), marks[1], end);
  }
});

test("translations: what the kernel cached while AC was set does not pass SMAP when it is clear", () => {
  // stac; mov al, [rcx]; clac; mov al, [rcx]
  const machine = machineWith({ [code]: "0f01cb 8a01 0f01ca 8a01" }, SMAP);
  machine.map(page, frames[0], P | W | U);
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.errorCode, exception?.rip], [14, 1, BigInt(code + 8)]);
});

test("translations: code is seen to change through another page that was read before it was written", () => {
  // call rbx; hlt — and the same after mov al, [rcx]; mov [rcx+1], r8b
  const machine = machineWith({ [code]: "ffd3 f4", [code + 0x100]: "8a01 44884101 ffd3 f4" });
  // The code's own page and its alias, dirty already.
  machine.map(0x500000n, frames[0], P | W | D);
  machine.map(page, frames[0], P | W | D);
  machine.load(frames[0], hex("b8 05000000 c3"));
  machine.vcpu.setGpr(3, 0x500000n);
  assert.equal(run(machine, code), 5n);
  machine.vcpu.setGpr(8, 7n);
  assert.equal(run(machine, code + 0x100), 7n);
});

/** Address spaces that share the kernel, and each have a page of their own for ring 3. */
function spacesOf(machine: Machine, count: number) {
  const user = 1n << 39n;
  const root = Number(machine.context().cr3);
  const bases = Array.from({ length: count }, (_, n) => 0x800000 + n * 0x10000);
  const entryOf = (base: number) => base + 0x3000;
  bases.forEach((base, n) => {
    machine.load(
      base,
      Uint8Array.from({ length: 4096 }, (_, at) => machine.ram.getUint8(root + at)),
    );
    const link = (at: number, to: number) => machine.ram.setBigUint64(at, BigInt(to) | P | W | U, true);
    link(base + 8, base + 0x1000);
    link(base + 0x1000, base + 0x2000);
    link(base + 0x2000, entryOf(base));
    link(entryOf(base), base + 0x4000);
    machine.ram.setUint8(base + 0x4000, n + 1);
    machine.ram.setUint8(base + 0x5000, n + 0x81);
  });
  // In ring 3: movzx eax, byte [rcx]; int 0x80, whose handler halts.
  machine.load(0x20_0000, hex("0fb601 cd80"));
  machine.map(page, 0x20_0000, P | U);
  machine.load(code, hex("0f22da 48cf"));
  machine.load(code + 0x100, hex("0f0139 48cf"));
  const enter = (at: number): bigint => {
    const frame = 0x7000;
    [page, BigInt(Selector.userCode64), 2n, 0n, BigInt(Selector.userData)].forEach((word, n) =>
      machine.ram.setBigUint64(frame + n * 8, word, true),
    );
    machine.vcpu.setGpr(1, user);
    machine.vcpu.setGpr(4, BigInt(frame));
    machine.vcpu.rip = BigInt(at);
    const { exit, exception } = machine.run();
    assert.deepEqual([exit, exception?.vector], [Exit.halt, 0x80]);
    return machine.vcpu.gpr(0);
  };
  return {
    /** What ring 3 reads after MOV to CR3. */
    read(n: number, bits = 0n): bigint {
      machine.vcpu.setGpr(2, BigInt(bases[n]!) | bits);
      return enter(code);
    },
    /** What ring 3 reads after INVLPG of its page. */
    invalidate: () => enter(code + 0x100),
    /** Gives ring 3 another page, which it will see sooner or later. */
    change: (n: number) => machine.ram.setBigUint64(entryOf(bases[n]!), BigInt(bases[n]! + 0x5000) | P | W | U, true),
  };
}

test("translations: MOV to CR3 ends those of ring 3, also of the same table", () => {
  const spaces = spacesOf(machineWith({}), 1);
  assert.equal(spaces.read(0), 1n);
  spaces.change(0);
  assert.equal(spaces.read(0), 0x81n);
});

test("translations: PCIDs keep address spaces apart, more of them than are kept", () => {
  const spaces = spacesOf(machineWith({}, PCIDE), 6);
  const keep = 1n << 63n;
  for (const order of [[0, 1, 2, 3, 4, 5], [5, 3, 1, 0, 2, 4]]) {
    for (const n of order) assert.equal(spaces.read(n, keep | BigInt(n + 1)), BigInt(n + 1));
  }
  spaces.change(4);
  assert.equal(spaces.read(4, 5n), 0x85n, "bit 63 is clear");
  for (const n of [0, 1, 2, 3, 5]) assert.equal(spaces.read(n, keep | BigInt(n + 1)), BigInt(n + 1));
}); // prettier-ignore

test("translations: INVLPG in the kernel ends what ring 3 of the same address space has cached", () => {
  for (const current of [0, 1, 2, 3]) {
    const spaces = spacesOf(machineWith({}, PCIDE), 4);
    for (let n = 0; n <= current; n++) assert.equal(spaces.read(n, BigInt(n + 1)), BigInt(n + 1));
    spaces.change(current);
    assert.equal(spaces.invalidate(), BigInt(current + 0x81));
  }
});
