import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit } from "../../src/engine/engine.ts";
import { Layout, Selector } from "../engine-harness.ts";
import { at, descriptor, gate32, program, realBase, stackTop, start } from "./program.ts";
import type { Program } from "./program.ts";

/** The offset of a label of a real-mode program. */
function offset(code: Program, label: string): bigint {
  return BigInt(realBase + code.labels[label]!);
}

test("real mode: INT pushes three words, and IRET takes them", () => {
  const code = program(`
    fb                     | sti
    f9                     | stc
    cd60                   | int 0x60
    9c                     | back: pushf
    5b                     | pop bx
    f4                     | hlt
    9c                     | handler: pushf
    59                     | pop cx
    89e2                   | mov dx, sp
    89e5                   | mov bp, sp
    8b7600                 | mov si, [bp]
    8b7e04                 | mov di, [bp+4]
    cf                     | iret
  `);
  const machine = start("real", code, {
    prepare(_, { ram }) {
      ram.setUint16(0x60 * 4, Number(offset(code, "handler")), true);
      ram.setUint16(0x60 * 4 + 2, 0, true);
    },
  });
  assert.equal(machine.run().exit, Exit.halt);
  const { gpr, rip } = machine.vcpu.context();
  // The handler runs with IF clear; IRET brings it back.
  assert.deepEqual([gpr[1], gpr[2], gpr[3]], [0x3n, BigInt(stackTop - 6), 0x203n]);
  assert.deepEqual([gpr[6], gpr[7], rip], [offset(code, "back"), 0x203n, offset(code, "back") + 3n]);
});

test("real mode: INT and IRET between nonzero segments", () => {
  const code = program(`
    cd60                   | int 0x60
    f4                     | hlt
  `);
  const machine = start("real", code, {
    prepare(context, { ram }) {
      context.segments.cs = { selector: 0x600, base: 0x6000n, limit: 0xffff, attributes: 0x9b };
      context.rip = 0x1000n;
      ram.setUint32(0x60 * 4, 0x0123_0005, true);
      // mov ax, cs; iret
      Uint8Array.of(0x8c, 0xc8, 0xcf).forEach((byte, index) => ram.setUint8(0x1235 + index, byte));
    },
  });
  assert.equal(machine.run().exit, Exit.halt);
  const { gpr, rip, segments } = machine.vcpu.context();
  assert.deepEqual([gpr[0], rip], [0x123n, 0x1003n]);
  assert.deepEqual([segments.cs.selector, segments.cs.base], [0x600, 0x6000n]);
});

test("real mode: an exception pushes no error code, and a vector beyond the table is #GP", () => {
  const code = program(`
    cd60                   | int 0x60
  `);
  const machine = start("real", code, { prepare: (context) => (context.idtr.limit = 0x60 * 4 - 1) });
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.rip], [13, BigInt(realBase)]);
  assert.equal(machine.vcpu.gpr(4), BigInt(stackTop - 6));
});

test("real mode: far calls, returns and segment loads are selectors times 16", () => {
  const code = program(`
    b83412                 | mov ax, 0x1234
    8ec0                   | mov es, ax
    2666c7060200ddccbbaa   | mov dword ptr es:[2], 0xaabbccdd
    9a                     | .byte 0x9a
    00001007               | .word 0, routine
    8ccb                   | back: mov bx, cs
    f4                     | hlt
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000 | .org 0x100
                           | .set routine, 0x710
    8cc9                   | mov cx, cs
    89e2                   | mov dx, sp
    cb                     | lret
  `);
  const machine = start("real", code);
  assert.equal(machine.run().exit, Exit.halt);
  const { gpr, segments } = machine.vcpu.context();
  assert.equal(machine.ram.getUint32(0x12342, true), 0xaabbccdd);
  assert.deepEqual([gpr[1], gpr[2], gpr[3]], [0x710n, BigInt(stackTop - 4), 0n]);
  assert.deepEqual(segments.es, { selector: 0x1234, base: 0x12340n, limit: 0xffff, attributes: 0x93 });
});

test("real mode to protected mode: LGDT takes 24 bits of base, limits survive on the way back", () => {
  const code = program(`
    0f01162c70             | lgdt [pointer]
    0f20c0                 | mov eax, cr0
    0c01                   | or al, 1
    0f22c0                 | mov cr0, eax
    bb1000                 | mov bx, 0x10
    8edb                   | mov ds, bx
    24fe                   | and al, 0xfe
    0f22c0                 | mov cr0, eax
    b90000                 | mov cx, 0
    8ed9                   | mov ds, cx
    66be56341200           | mov esi, 0x123456
    67668b16               | mov edx, [esi]
    0f01063270             | sgdt [stored]
    f4                     | hlt
    4f00                   | pointer: .word 0x4f
    001000ff               | .long 0xff001000
    000000000000           | stored: .zero 6
  `);
  const machine = start("real", code, { prepare: (_, { ram }) => ram.setUint32(0x123456, 0x600d, true) });
  assert.equal(machine.run().exit, Exit.halt);
  const { gpr, gdtr, segments } = machine.vcpu.context();
  assert.equal(gpr[2], 0x600dn);
  assert.deepEqual(gdtr, { base: 0x1000n, limit: 0x4f });
  assert.deepEqual([segments.ds.base, segments.ds.limit], [0n, 0xffffffff]);
});

test("LLDT, LTR, LAR and ARPL do not exist in real mode", () => {
  for (const code of [
    program(`
    0f00d0                 | lldt ax
  `),
    program(`
    0f00d8                 | ltr ax
  `),
    program(`
    0f02c0                 | lar ax, ax
  `),
    program(`
    63c0                   | arpl ax, ax
  `),
    program(`
    0f00c0                 | sldt ax
  `),
  ])
    assert.equal(start("real", code).run().exception?.vector, 6);
});

/** Code for virtual-8086 mode, at segment 0. */
const virtualBase = 0x6800;

test("virtual-8086 mode: entered by IRETD, left by an exception with nine words, which carry the segments", () => {
  const code = program(`
    6811110000             | push 0x1111
    6822220000             | push 0x2222
    6833330000             | push 0x3333
    6844440000             | push 0x4444
    6800060000             | push 0x600  # SS
    6800080000             | push 0x800  # ESP
    6802000200             | push 0x20002
    6a00                   | push 0
    6800680000             | push 0x6800
    cf                     | iretd
    89e3                   | handler: mov ebx, esp
    8cde                   | mov esi, ds
    8ccf                   | mov edi, cs
    f4                     | hlt
  `);
  const machine = start("protected", code, {
    prepare(_, { ram }) {
      gate32(ram, Layout.idt + 13 * 8, Selector.code32, at(code, "handler"), 0x8e);
      // mov ax, cs; mov cx, ds; push ax; cli, which needs IOPL 3.
      Uint8Array.of(0x8c, 0xc8, 0x8c, 0xd9, 0x50, 0xfa).forEach((byte, index) =>
        ram.setUint8(virtualBase + index, byte),
      );
    },
  });
  assert.equal(machine.run().exit, Exit.halt);
  const { gpr, rflags } = machine.vcpu.context();
  const frame = Array.from({ length: 10 }, (_, index) => machine.ram.getUint32(Number(gpr[3]) + index * 4, true));
  assert.equal(gpr[3], BigInt(Layout.stackTop - 40));
  assert.deepEqual(frame, [0, virtualBase + 5, 0, 0x30002, 0x7fe, 0x600, 0x4444, 0x3333, 0x2222, 0x1111]);
  assert.deepEqual([gpr[0]! & 0xffffn, gpr[1]! & 0xffffn], [0n, 0x3333n]);
  // In the handler the data segments are null, and VM is clear.
  assert.deepEqual([gpr[6], gpr[7], rflags & 0x20000n], [0n, BigInt(Selector.code32), 0n]);
});

test("virtual-8086 mode: INT n needs IOPL 3 and a ring-0 handler", () => {
  const code = program(`
    cf                     | iretd
  `);
  const run = (flags: number, access: number) => {
    const machine = start("protected", code, {
      prepare(context, { ram }) {
        context.gpr[4] = 0x7f00n;
        [virtualBase, 0, flags, 0x600, 0x800, 0, 0, 0, 0].forEach((word, index) =>
          ram.setUint32(0x7f00 + index * 4, word, true),
        );
        ram.setUint16(virtualBase, 0x60cd, true);
        ram.setBigUint64(Layout.gdt + 0x50, descriptor(0, 0xfffff, 0xfb, 0xc), true);
        gate32(ram, Layout.idt + 0x60 * 8, access === 0 ? 0x50 : Selector.code32, Layout.handlers + 0x60 * 16, 0xee);
      },
    });
    return machine.run().exception;
  };
  const good = run(0x23002, 3);
  assert.deepEqual([good?.vector, good?.rip], [0x60, BigInt(virtualBase + 2)]);
  const refused = run(0x20002, 3);
  assert.deepEqual([refused?.vector, refused?.errorCode, refused?.rip], [13, 0, BigInt(virtualBase)]);
  const conforming = run(0x23002, 0);
  assert.deepEqual([conforming?.vector, conforming?.errorCode], [13, 0x50]);
});
