import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit } from "../../src/engine/engine.ts";
import { Layout, Selector } from "../engine-harness.ts";
import { at, descriptor, gate, gate32, program, stackTop, start } from "./program.ts";
import type { Program } from "./program.ts";

test("MOV from segment registers: memory gets 16 bits, registers are zero-extended, numbers 6 and 7 are #UD", () => {
  const code = program(`
    48c7042500600000ffffffff | mov qword ptr [0x6000], -1
    8c2c2500600000         | mov [0x6000], gs
    48c7c0ffffffff         | mov rax, -1
    8ce8                   | mov rax, gs
    48c7c3ffffffff         | mov rbx, -1
    668cdb                 | mov bx, ds
    8ec8                   | .byte 0x8e, 0xc8
  `);
  const machine = start("long", code, {
    prepare: (context) => (context.segments.gs = { ...context.segments.gs, selector: 0x1234 }),
  });
  // MOV to CS is #UD.
  assert.equal(machine.run().exception?.vector, 6);
  const { gpr } = machine.vcpu.context();
  assert.equal(machine.ram.getBigUint64(0x6000, true), 0xffff_ffff_ffff_1234n);
  assert.deepEqual([gpr[0], gpr[3]], [0x1234n, 0xffff_ffff_ffff_0010n]);
  const six = program(`
    8cf0                   | .byte 0x8c, 0xf0
  `);
  assert.equal(start("long", six).run().exception?.vector, 6);
});

test("PUSH and POP of segment registers, and LES, LDS, LFS, LGS, LSS", () => {
  const code = program(`
    1e                     | push ds
    6a53                   | push 0x53
    07                     | pop es
    06                     | push es
    58                     | pop eax
    c41d00600000           | les ebx, [0x6000]
    0fb22506600000         | lss esp, [0x6006]
    8cc1                   | mov ecx, es
    0fb41500600000         | lfs edx, [0x6000]
    660fb5350c600000       | lgs si, [0x600c]
    0fa0                   | push fs
    5f                     | pop edi
    07                     | pop es
    8cc0                   | mov eax, es
    c52d10600000           | last: lds ebp, [0x6010]
  `);
  const machine = start("protected", code, {
    cpl: 3,
    prepare(_, { ram }) {
      ram.setBigUint64(Layout.gdt + 0x50, descriptor(0, 0xfffff, 0xf3, 0xc), true);
      ram.setUint32(0x6000, 0xdeadbeef, true);
      ram.setUint16(0x6004, 0x53, true);
      ram.setUint32(0x6006, stackTop - 4, true);
      ram.setUint16(0x600a, 0x53, true);
      ram.setUint32(0x600c, 0x00530777, true);
      ram.setUint16(0x6014, 0x10, true);
    },
  });
  const { exception } = machine.run();
  // DS of ring 0 is out of reach, and then EBP is not loaded either.
  assert.deepEqual([exception?.vector, exception?.errorCode, exception?.rip], [13, 0x10, BigInt(at(code, "last"))]);
  const { gpr } = machine.vcpu.context();
  assert.deepEqual([gpr[3], gpr[1], gpr[2], gpr[6], gpr[7]], [0xdeadbeefn, 0x53n, 0xdeadbeefn, 0x777n, 0x53n]);
  assert.deepEqual([gpr[0], gpr[5]], [BigInt(Selector.userData), 0n]);
});

test("POP SS moves the stack pointer by the old stack's width and shadows the next instruction", () => {
  const code = program(`
    6a50                   | push 0x50
    17                     | pop ss
    89e3                   | mov ebx, esp
    f4                     | hlt
  `);
  const machine = start("protected", code, {
    prepare: (_, { ram }) => ram.setBigUint64(Layout.gdt + 0x50, descriptor(0, 0xffff, 0x93, 0), true),
  });
  assert.equal(machine.run().exit, Exit.halt);
  assert.equal(machine.vcpu.gpr(3), BigInt(stackTop));
  assert.equal(machine.vcpu.context().segments.ss.selector, 0x50);
});

test("ARPL leaves an RPL that is high enough", () => {
  const code = program(`
    b833000000             | mov eax, 0x33
    bb02000000             | mov ebx, 2
    f9                     | stc
    63d8                   | arpl ax, bx
    0f92c1                 | setc cl
    0f94c5                 | setz ch
    ba10000000             | mov edx, 0x10
    63da                   | arpl dx, bx
    0f94c1                 | setz cl
    f4                     | hlt
  `);
  const machine = start("protected", code);
  machine.run();
  const { gpr } = machine.vcpu.context();
  assert.deepEqual([gpr[0], gpr[1], gpr[2]], [0x33n, 1n, 0x12n]);
});

test("LAR and LSL of system descriptors: which types are known depends on the mode", () => {
  const code = program(`
    0f02d8                 | lar ebx, eax
    0f94c1                 | setz cl
    0f03d0                 | lsl edx, eax
    0f94c5                 | setz ch
    f4                     | hlt
  `);
  const attempt = (mode: "long" | "protected", type: number) => {
    const machine = start(mode, code, {
      prepare(context, { ram }) {
        context.gpr[0] = 0x50n;
        ram.setBigUint64(Layout.gdt + 0x50, descriptor(0, 0x67, 0x80 | type, 0), true);
      },
    });
    machine.run();
    return [machine.vcpu.gpr(1) & 1n, machine.vcpu.gpr(1) >> 8n].map(Number);
  };
  // Rows of SDM Vol. 2A, "LAR", Table "Segment and Gate Types", and "LSL": [LAR, LSL] by type.
  const protectedTypes = {
    0: [0, 0],
    1: [1, 1],
    2: [1, 1],
    3: [1, 1],
    4: [1, 0],
    5: [1, 0],
    6: [0, 0],
    9: [1, 1],
    11: [1, 1],
    12: [1, 0],
    14: [0, 0],
  };
  const longTypes = {
    1: [0, 0],
    2: [1, 1],
    3: [0, 0],
    4: [0, 0],
    5: [0, 0],
    9: [1, 1],
    11: [1, 1],
    12: [1, 0],
    14: [0, 0],
  };
  for (const [type, expected] of Object.entries(protectedTypes))
    assert.deepEqual(attempt("protected", Number(type)), expected, `type ${type}`);
  for (const [type, expected] of Object.entries(longTypes))
    assert.deepEqual(attempt("long", Number(type)), expected, `type ${type}`);
});

test("a conforming segment is entered with CPL for its selector's RPL", () => {
  const code = program(`
    ff2d00000000           | ljmp [rip+pointer]
    0c001000               | pointer: .long target
    5300                   | .word 0x53
    8cc8                   | target: mov eax, cs
    f4                     | hlt
  `);
  const machine = start("long", code, {
    prepare: (_, { ram }) => ram.setBigUint64(Layout.gdt + 0x50, descriptor(0, 0, 0x9e, 2), true),
  });
  const { exception } = machine.run();
  // Nonconforming or not, RPL 3 is refused only for the former.
  assert.equal(exception, undefined);
  assert.equal(machine.vcpu.gpr(0), 0x50n);
});

const far: Program = program(`
    ea                     | .byte 0xea
    70470000               | .long 0x4770
    5000                   | .word 0x50
  `);
const farCall: Program = program(`
    9a                     | .byte 0x9a
    70470000               | .long 0x4770
    5000                   | .word 0x50
  `);
const callGateTo =
  (selector: number, dpl = 3, present = 0x80) =>
  (ram: DataView) =>
    gate32(ram, Layout.gdt + 0x50, selector, 0x4770, present | (dpl << 5) | 12);
const codeSegment =
  (access: number, limit = 0xfffff) =>
  (ram: DataView) =>
    ram.setBigUint64(Layout.gdt + 0x50, descriptor(0, limit, access, 0xc), true);
const refusedJumps: readonly [
  name: string,
  code: Program,
  prepare: (ram: DataView) => void,
  vector: number,
  error: number,
][] = [
  ["to data", far, codeSegment(0xf3), 13, 0x50],
  ["to code of ring 0", far, codeSegment(0x9b), 13, 0x50],
  ["to code that is not present", far, codeSegment(0x7b), 11, 0x50],
  ["beyond the limit", far, (ram) => ram.setBigUint64(Layout.gdt + 0x50, descriptor(0, 0x476f, 0xfb, 4), true), 13, 0],
  ["through a gate of ring 0", far, callGateTo(Selector.code32, 0), 13, 0x50],
  ["through a gate that is not present", farCall, callGateTo(Selector.code32, 3, 0), 11, 0x50],
  ["by JMP through a gate to more privilege", far, callGateTo(Selector.code32), 13, Selector.code32],
  ["through a gate to data", farCall, callGateTo(Selector.userData), 13, Selector.userData & ~3],
  ["through a gate with a null selector", farCall, callGateTo(0), 13, 0],
  ["to an LDT", far, codeSegment(0xe2), 13, 0x50],
];
for (const [name, code, prepare, vector, error] of refusedJumps) {
  test(`a far transfer in ring 3 is refused: ${name}`, () => {
    const { exception } = start("protected", code, { cpl: 3, prepare: (_, { ram }) => prepare(ram) }).run();
    assert.deepEqual(exception, { vector, errorCode: error, rip: BigInt(Layout.free), cr2: 0n });
  });
}

test("a conforming segment of ring 0 is entered at the caller's privilege, directly and by a gate", () => {
  for (const [code, prepare] of [
    [far, codeSegment(0x9e)],
    [farCall, codeSegment(0x9e)],
  ] as const) {
    const machine = start("protected", code, { cpl: 3, prepare: (_, { ram }) => prepare(ram) });
    // What is entered is HLT, which ring 3 may not.
    const { exception } = machine.run();
    assert.deepEqual([exception?.vector, exception?.rip], [13, 0x4770n]);
    assert.equal(machine.ram.getUint32(Number(machine.vcpu.gpr(4)) + 8, true), 0x53);
  }
});

test("RET far to an outer ring: what it refuses", () => {
  const code = program(`
    cb                     | retf
  `);
  const attempt = (words: readonly number[], access = 0xf3) => {
    const machine = start("protected", code, {
      prepare(context, { ram }) {
        context.gpr[4] = 0x7f00n;
        ram.setBigUint64(Layout.gdt + 0x50, descriptor(0, 0xfffff, access, 0xc), true);
        words.forEach((word, index) => ram.setUint32(0x7f00 + index * 4, word, true));
      },
    });
    const { exception } = machine.run();
    return [exception?.vector, exception?.errorCode];
  };
  assert.deepEqual(attempt([0, 0]), [13, 0]);
  assert.deepEqual(attempt([0, Selector.userCode32, 0x7000, 0]), [13, 0]);
  assert.deepEqual(attempt([0, Selector.userCode32, 0x7000, 0x50]), [13, 0x50]);
  assert.deepEqual(attempt([0, Selector.userCode32, 0x7000, 0x53], 0xf1), [13, 0x50]);
  assert.deepEqual(attempt([0, Selector.userCode32, 0x7000, 0x53], 0x73), [12, 0x50]);
  assert.deepEqual(attempt([0, 0x53, 0x7000, Selector.userData]), [13, 0x50]);
  assert.deepEqual(attempt([0, 0x53, 0x7000, Selector.userData], 0x7b), [11, 0x50]);
  // Ring 3's code segment cannot be returned to with RPL 0.
  assert.deepEqual(attempt([0, Selector.userCode32 & ~3]), [13, Selector.userCode32 & ~3]);
});

test("in long mode, an IST slot beyond the TSS is #TS and a non-canonical stack #SS", () => {
  const code = program(`
    cd50                   | int 0x50
  `);
  const attempt = (ist: number, pointer: bigint) => {
    const machine = start("long", code, {
      prepare(context, { ram }) {
        gate(ram, Layout.idt + 0x50 * 16, Selector.code64, 0x4500, 0xee, ist);
        context.segments.tr = { ...context.segments.tr, limit: 0x5a };
        ram.setBigUint64(Layout.tss + 0x24, pointer, true);
      },
    });
    const { exception } = machine.run();
    return [exception?.vector, exception?.errorCode];
  };
  assert.deepEqual(attempt(7, 0n), [10, Selector.tss]);
  assert.deepEqual(attempt(1, 0x8000_0000_0000n + 16n), [12, 0]);
  assert.deepEqual(attempt(1, 0x7000n), [0x50, undefined]);
});

test("LMSW sets PE, MP, EM and TS and cannot clear PE; CLTS clears TS", () => {
  const code = program(`
    b808000000             | mov eax, 0x8
    0f01f0                 | lmsw ax
    0f01e3                 | smsw ebx
    0f06                   | clts
    0f01e1                 | smsw ecx
    f4                     | hlt
  `);
  const machine = start("long", code);
  machine.run();
  const { gpr } = machine.vcpu.context();
  assert.deepEqual([gpr[3], gpr[1]], [0x8001_0039n, 0x8001_0031n]);
});

test("LTR marks the TSS busy; a busy one, an LDT, the LDT's selectors and a null one are #GP", () => {
  const code = program(`
    0f00d8                 | ltr ax
    f4                     | hlt
  `);
  const attempt = (selector: number, access: number, high = 0x1234n) => {
    const machine = start("long", code, {
      prepare(context, { ram }) {
        context.gpr[0] = BigInt(selector);
        ram.setBigUint64(Layout.gdt + 0x50, descriptor(0x12345678, 0x67, access, 0), true);
        ram.setBigUint64(Layout.gdt + 0x58, high, true);
      },
    });
    const { exception } = machine.run();
    return { fault: [exception?.vector, exception?.errorCode], machine };
  };
  const { fault, machine } = attempt(0x50, 0x89);
  assert.deepEqual(fault, [undefined, undefined]);
  assert.deepEqual(machine.vcpu.context().segments.tr, {
    selector: 0x50,
    base: 0x1234_1234_5678n,
    limit: 0x67,
    attributes: 0x8b,
  });
  assert.equal(machine.ram.getUint8(Layout.gdt + 0x55), 0x8b);
  assert.deepEqual(attempt(0x50, 0x8b).fault, [13, 0x50]);
  assert.deepEqual(attempt(0x50, 0x82).fault, [13, 0x50]);
  assert.deepEqual(attempt(0x50, 0x81).fault, [13, 0x50]);
  assert.deepEqual(attempt(0x50, 0x09).fault, [11, 0x50]);
  assert.deepEqual(attempt(0x54, 0x89).fault, [13, 0x54]);
  assert.deepEqual(attempt(3, 0x89).fault, [13, 0]);
  // A base that is not canonical, and an upper half with a type.
  assert.deepEqual(attempt(0x50, 0x89, 0x8000n).fault, [13, 0x50]);
  assert.deepEqual(attempt(0x50, 0x89, 0x0f00_0000_1234n << 4n).fault, [13, 0x50]);
});
