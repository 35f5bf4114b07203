import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit } from "../../src/engine/engine.ts";
import { Layout, Selector } from "../engine-harness.ts";
import type { Machine } from "../engine-harness.ts";
import { at, descriptor, gate, program, start } from "./program.ts";

test("INT n out of ring 3: the frame is on RSP0's stack, aligned, and an interrupt gate clears IF", () => {
  const code = program(`
    cd80                   | int 0x80
    90                     | next: nop
  `);
  const machine = start("long", code, {
    cpl: 3,
    prepare(context, { ram }) {
      context.rflags = 0x202n;
      context.gpr[4] = 0x7ff5n;
      ram.setBigUint64(Layout.tss + 4, BigInt(Layout.stackTop - 8), true);
    },
  });
  assert.deepEqual(machine.run().exception?.vector, 0x80);
  const { gpr, rflags, segments } = machine.vcpu.context();
  const frame = Number(gpr[4]);
  // The stack pointer is aligned to 16 before the pushes. SDM Vol. 3A, "64-Bit Mode Stack Frame".
  assert.equal(frame, Layout.stackTop - 16 - 40);
  const word = (index: number) => machine.ram.getBigUint64(frame + index * 8, true);
  assert.deepEqual([0, 1, 2, 3, 4].map(word), [BigInt(at(code, "next")), 0x2bn, 0x202n, 0x7ff5n, 0x33n]);
  assert.equal(rflags & 0x200n, 0n);
  assert.deepEqual([segments.cs.selector, segments.ss.selector, machine.vcpu.cpl], [Selector.code64, 0, 0]);
});

test("a trap gate leaves IF alone, and IST switches stacks within ring 0", () => {
  const code = program(`
    cd41                   | int 0x41
  `);
  const machine = start("long", code, {
    prepare(context, { ram }) {
      context.rflags = 0x202n;
      gate(ram, Layout.idt + 0x41 * 16, Selector.code64, Layout.handlers + 0x41 * 16, 0x8f, 2);
      ram.setBigUint64(Layout.tss + 0x24 + 8, 0x6ff8n, true);
    },
  });
  assert.equal(machine.run().exception?.vector, 0x41);
  const { gpr, rflags, segments } = machine.vcpu.context();
  assert.equal(gpr[4], 0x6ff0n - 40n);
  assert.equal(rflags & 0x200n, 0x200n);
  // SS stays when the privilege does.
  assert.equal(segments.ss.selector, Selector.data);
});

const refusedInterrupts: readonly [
  name: string,
  ring: 0 | 3,
  prepare: (ram: DataView) => void,
  vector: number,
  code: number,
][] = [
  ["the gate's DPL is below CPL", 3, (ram) => gate(ram, Layout.idt + 0x50 * 16, 8, 0x4000, 0x8e), 13, 0x50 * 8 + 2],
  ["the gate is not present", 0, (ram) => gate(ram, Layout.idt + 0x50 * 16, 8, 0x4000, 0x6e), 11, 0x50 * 8 + 2],
  ["the gate is a call gate", 0, (ram) => gate(ram, Layout.idt + 0x50 * 16, 8, 0x4000, 0xec), 13, 0x50 * 8 + 2],
  ["the selector is null", 0, (ram) => gate(ram, Layout.idt + 0x50 * 16, 3, 0x4000, 0xee), 13, 0],
  ["the selector is beyond the GDT", 0, (ram) => gate(ram, Layout.idt + 0x50 * 16, 0x7f8, 0x4000, 0xee), 13, 0x7f8],
  [
    "the code segment is data",
    0,
    (ram) => gate(ram, Layout.idt + 0x50 * 16, Selector.data, 0x4000, 0xee),
    13,
    Selector.data,
  ],
  [
    "the code segment is 32-bit",
    0,
    (ram) => gate(ram, Layout.idt + 0x50 * 16, Selector.code32, 0x4000, 0xee),
    13,
    Selector.code32,
  ],
  [
    "the code segment is of a lower ring",
    0,
    (ram) => gate(ram, Layout.idt + 0x50 * 16, Selector.userCode64, 0x4000, 0xee),
    13,
    Selector.userCode64 & ~3,
  ],
];
for (const [name, ring, prepare, vector, code] of refusedInterrupts) {
  test(`INT n is refused: ${name}`, () => {
    const instruction = program(`
    cd50                   | int 0x50
  `);
    const machine = start("long", instruction, { cpl: ring, prepare: (_, { ram }) => prepare(ram) });
    const { exception } = machine.run();
    // A program asked for it: EXT is 0. The fault's return address is the instruction's own. SDM Vol. 3A, "Error Code".
    assert.deepEqual(exception, { vector, errorCode: code, rip: BigInt(Layout.free), cr2: 0n });
  });
}

test("an exception whose gate is not present is #NP with EXT", () => {
  const code = program(`
    0f0b                   | ud2
  `);
  const machine = start("long", code, { prepare: (_, { ram }) => gate(ram, Layout.idt + 6 * 16, 8, 0x4000, 0x6e) });
  assert.deepEqual(machine.run().exception, { vector: 11, errorCode: 6 * 8 + 3, rip: BigInt(Layout.free), cr2: 0n });
});

test("an exception whose code segment is not present is #NP of its selector with EXT", () => {
  const code = program(`
    0f0b                   | ud2
  `);
  const machine = start("long", code, {
    prepare(_, { ram }) {
      ram.setBigUint64(Layout.gdt + 0x50, descriptor(0, 0, 0x1b, 2), true);
      gate(ram, Layout.idt + 6 * 16, 0x50, 0x4000, 0x8e);
    },
  });
  assert.deepEqual(machine.run().exception, { vector: 11, errorCode: 0x51, rip: BigInt(Layout.free), cr2: 0n });
});

test("a stack that cannot be pushed on makes a page fault a double fault, and that a triple fault", () => {
  const code = program(`
    48c7c40000007f         | mov rsp, 0x7f000000
    488b04250000007e       | mov rax, [0x7e000000]
  `);
  const machine = start("long", code, {
    prepare(_, { ram }) {
      gate(ram, Layout.idt + 8 * 16, Selector.code64, Layout.handlers + 8 * 16, 0x8e, 1);
      ram.setBigUint64(Layout.tss + 0x24, BigInt(Layout.stackTop), true);
    },
  });
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.errorCode, exception?.rip], [8, 0, BigInt(Layout.free + 7)]);
  const second = start("long", code);
  assert.equal(second.run().exit, Exit.tripleFault);
});

test("STI holds an interrupt off for one instruction", () => {
  const code = program(`
    fb                     | sti
    ffc0                   | inc eax
    ffc0                   | inc eax
    f4                     | hlt
  `);
  const machine = start("long", code);
  machine.vcpu.interruptPending = true;
  assert.equal(machine.run().exit, Exit.interruptWindow);
  assert.deepEqual([machine.vcpu.gpr(0), machine.vcpu.rip], [1n, BigInt(Layout.free + 3)]);
});

test("MOV SS holds an interrupt off for one instruction", () => {
  const code = program(`
    b910000000             | mov ecx, 0x10
    0f31                   | rdtsc
    8ed1                   | mov ss, ecx
    ffc3                   | inc ebx
    ffc3                   | inc ebx
    f4                     | hlt
  `);
  // The interrupt comes while the time is being asked for; nothing looks for it before MOV SS has ended.
  const machine: Machine = start("long", code, {
    platform: { timestamp: () => ((machine.vcpu.interruptPending = true), 0) },
    prepare: (context) => (context.rflags = 0x202n),
  });
  assert.equal(machine.run().exit, Exit.interruptWindow);
  assert.equal(machine.vcpu.gpr(3), 1n);
});

test("TF traps behind the instruction, with DR6.BS", () => {
  const code = program(`
    6802010000             | push 0x102
    9d                     | popfq
    90                     | nop
    90                     | next: nop
  `);
  const machine = start("long", code);
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.rip], [1, BigInt(at(code, "next"))]);
  const { dr, rflags } = machine.vcpu.context();
  assert.equal(dr[6], 0xffff4ff0n);
  assert.equal(rflags & 0x100n, 0n);
});

test("INT3, INT1 and UD2 push what the manual says of each", () => {
  const trap = program(`
    cc                     | int3
    90                     | next: nop
  `);
  const { exception } = start("long", trap, { cpl: 3 }).run();
  assert.deepEqual([exception?.vector, exception?.rip], [3, BigInt(at(trap, "next"))]);
  const icebp = program(`
    f1                     | .byte 0xf1
    90                     | next: nop
  `);
  // INT1 looks at no DPL. SDM Vol. 2A, "INT n/INTO/INT3/INT1".
  const privileged = start("long", icebp, {
    cpl: 3,
    prepare: (_, { ram }) => gate(ram, Layout.idt + 16, 8, Layout.handlers + 16, 0x8e),
  });
  const second = privileged.run().exception;
  assert.deepEqual([second?.vector, second?.rip], [1, BigInt(at(icebp, "next"))]);
  // A fault's image has RF, a trap's has not. SDM Vol. 3B, "Resume Flag".
  const fault = program(`
    0f0b                   | ud2
  `);
  const third = start("long", fault, { cpl: 3 });
  third.run();
  assert.equal(third.ram.getBigUint64(Number(third.vcpu.gpr(4)) + 16, true), 0x10002n);
});
