import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit } from "../../src/engine/engine.ts";
import { Layout, Selector } from "../engine-harness.ts";
import { at, descriptor, gate, program, stackTop, start } from "./program.ts";

const starMsr = 0xc0000081;
const lstarMsr = 0xc0000082;
const fmaskMsr = 0xc0000084;

test("IRETQ to ring 3, SYSCALL, SYSRETQ: selectors, flags and return addresses", () => {
  const code = program(`
    6a33                   | push 0x33
    6800700000             | push 0x7000
    6802060000             | push 0x602
    6a2b                   | push 0x2b
    488d0503000000         | lea rax, [rip+user]
    50                     | push rax
    48cf                   | iretq
    8ccb                   | user: mov ebx, cs
    418cd0                 | mov r8d, ss
    4989e4                 | mov r12, rsp
    f9                     | stc
    0f05                   | syscall
    418cc9                 | after: mov r9d, cs
    418cd2                 | mov r10d, ss
    9c                     | pushfq
    415d                   | pop r13
    0f0b                   | ud2
    8ccf                   | lstar: mov edi, cs
    8cd6                   | mov esi, ss
    4889cd                 | mov rbp, rcx
    4c89da                 | mov rdx, r11
    9c                     | pushfq
    415e                   | pop r14
    480f07                 | sysretq
  `);
  const machine = start("long", code, {
    prepare(context, { map }) {
      for (const page of [0x6000, 0x7000, Layout.free]) map(BigInt(page), page, 7n);
      context.msrs.set(starMsr, (0x0bn << 32n) | (0x1bn << 48n));
      context.segments.fs = { ...context.segments.fs, base: 0x1234n };
      context.msrs.set(lstarMsr, BigInt(at(code, "lstar")));
      context.msrs.set(fmaskMsr, 0x200n);
    },
  });
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.rip], [6, BigInt(at(code, "after") + 9)]);
  const { gpr, segments } = machine.vcpu.context();
  // Segments of ring 0 have become null on the way out, but their bases stay. SDM Vol. 2A, "IRET".
  assert.deepEqual(
    [segments.ds.selector, segments.ds.limit, segments.fs.selector, segments.fs.base],
    [0, 0, 0, 0x1234n],
  );
  // In ring 3: CS and SS from the frame.
  assert.deepEqual([gpr[3], gpr[8], gpr[12]], [0x2bn, 0x33n, 0x7000n]);
  // Behind SYSCALL: CS = STAR[47:32] with RPL 0, SS 8 above it; IF masked, CF kept; R11 the flags before. SDM Vol. 2B, "SYSCALL".
  assert.deepEqual(
    [gpr[7], gpr[6], gpr[5], gpr[2], gpr[14]],
    [0x08n, 0x13n, BigInt(at(code, "after")), 0x603n, 0x403n],
  );
  // Behind SYSRETQ: CS = STAR[63:48] + 16, SS = STAR[63:48] + 8, RPL 3; RFLAGS from R11.
  assert.deepEqual([gpr[9], gpr[10], gpr[13]], [0x2bn, 0x23n, 0x603n]);
});

const refusedReturns: readonly [name: string, words: readonly bigint[], vector: number, code: number][] = [
  ["RIP is not canonical", [0x8000_0000_0000n, 0x08n, 2n, 0x7000n, 0x10n], 13, 0],
  ["CS is null", [0x100000n, 0n, 2n, 0x7000n, 0x10n], 13, 0],
  ["CS is data", [0x100000n, 0x10n, 2n, 0x7000n, 0x10n], 13, 0x10],
  ["SS's RPL is not CS's", [0x100000n, 0x2bn, 2n, 0x7000n, 0x10n], 13, 0x10],
  ["SS is null in ring 3", [0x100000n, 0x2bn, 2n, 0x7000n, 0n], 13, 0],
  ["SS is code", [0x100000n, 0x08n, 2n, 0x7000n, 0x08n], 13, 0x08],
  ["CS is beyond the GDT", [0x100000n, 0x7f8n, 2n, 0x7000n, 0x10n], 13, 0x7f8],
];
for (const [name, words, vector, errorCode] of refusedReturns) {
  test(`IRETQ is refused: ${name}`, () => {
    const code = program(`
    48cf                   | iretq
  `);
    const machine = start("long", code, {
      prepare(context, { ram }) {
        context.gpr[4] = 0x7f00n;
        words.forEach((word, index) => ram.setBigUint64(0x7f00 + index * 8, word, true));
      },
    });
    assert.deepEqual(machine.run().exception, { vector, errorCode, rip: BigInt(Layout.free), cr2: 0n });
  });
}

test("IRETQ takes a null SS in ring 0, and NT makes it #GP", () => {
  const code = program(`
    6a00                   | push 0
    6800710000             | push 0x7100
    6a02                   | push 2
    6a08                   | push 8
    488d0503000000         | lea rax, [rip+target]
    50                     | push rax
    48cf                   | iretq
    8cd3                   | target: mov ebx, ss
    4889e1                 | mov rcx, rsp
    6802400000             | push 0x4002
    9d                     | popfq
    48cf                   | nested: iretq
  `);
  const machine = start("long", code);
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.errorCode, exception?.rip], [13, 0, BigInt(at(code, "nested"))]);
  const { gpr } = machine.vcpu.context();
  assert.deepEqual([gpr[3], gpr[1]], [0n, 0x7100n]);
});

test("IRETQ into compatibility mode and an interrupt out of it", () => {
  const code = program(`
    6a33                   | push 0x33
    6800700000             | push 0x7000
    6a02                   | push 2
    6a3b                   | push 0x3b
    488d050a000000         | lea rax, [rip+narrow]
    50                     | push rax
    49c7c7ffffffff         | mov r15, -1
    48cf                   | iretq
                           | .code32
    40                     | narrow: inc eax
    8cca                   | mov edx, cs
    52                     | push edx
    89e1                   | mov ecx, esp
    0f0b                   | ud2
  `);
  const machine = start("long", code, {
    prepare(_, { map }) {
      for (const page of [0x6000, Layout.free]) map(BigInt(page), page, 7n);
    },
  });
  const { exception } = machine.run();
  // 40 is INC in compatibility mode.
  assert.deepEqual([exception?.vector, exception?.rip], [6, BigInt(at(code, "narrow") + 6)]);
  const { gpr } = machine.vcpu.context();
  assert.deepEqual(
    [gpr[0], gpr[2], gpr[1], gpr[15]],
    [BigInt(at(code, "narrow") + 1), 0x3bn, 0x6ffcn, 0xffff_ffff_ffff_ffffn],
  );
  assert.equal(machine.ram.getUint32(0x6ffc, true), 0x3b);
});

test("far calls through a 64-bit call gate change stacks, and RETFQ goes back", () => {
  const code = program(`
    ff1d08000000           | lcall [rip+pointer]
    418cc9                 | back: mov r9d, cs
    4989e2                 | mov r10, rsp
    0f0b                   | ud2
    00000000               | pointer: .long 0
    5300                   | .word 0x53
    8ccb                   | gate: mov ebx, cs
    8cd1                   | mov ecx, ss
    4889e2                 | mov rdx, rsp
    488b742408             | mov rsi, [rsp+8]
    488b7c2410             | mov rdi, [rsp+16]
    488b6c2418             | mov rbp, [rsp+24]
    48cb                   | retfq
  `);
  const machine = start("long", code, {
    cpl: 3,
    prepare: (_, { ram }) => gate(ram, Layout.gdt + 0x50, Selector.code64, at(code, "gate"), 0xec),
  });
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.rip], [6, BigInt(at(code, "back") + 6)]);
  const { gpr } = machine.vcpu.context();
  const top = BigInt(Layout.stackTop);
  // SS is null with the new CPL; the frame is RIP, CS, RSP, SS. SDM Vol. 3A, "Stack Switching in IA-32e Mode".
  assert.deepEqual(gpr.slice(1, 8), [0n, top - 32n, 8n, gpr[4], 0x33n, 0x2bn, BigInt(stackTop)]);
  assert.deepEqual([gpr[9], gpr[10]], [0x2bn, BigInt(stackTop)]);
});

test("a call gate whose upper half has a type is #GP", () => {
  const code = program(`
    ff1d00000000           | lcall [rip+pointer]
    00000000               | pointer: .long 0
    5300                   | .word 0x53
  `);
  const prepare = (_: unknown, { ram }: { ram: DataView }) => {
    gate(ram, Layout.gdt + 0x50, Selector.code64, 0x4000, 0xec);
    ram.setBigUint64(Layout.gdt + 0x58, descriptor(0, 0, 0x0c, 0), true);
  };
  const { exception } = start("long", code, { cpl: 3, prepare }).run();
  assert.deepEqual([exception?.vector, exception?.errorCode], [13, 0x50]);
});

test("far jumps into compatibility mode and back", () => {
  const code = program(`
    ff2d00000000           | ljmp [rip+pointer]
    0c001000               | pointer: .long narrow
    1800                   | .word 0x18
                           | .code32
    40                     | narrow: inc eax
    8cca                   | mov edx, cs
    ea                     | .byte 0xea
    16001000               | .long wide
    0800                   | .word 8
                           | .code64
    41b801000000           | wide: mov r8d, 1
    8cc9                   | mov ecx, cs
    f4                     | hlt
  `);
  const machine = start("long", code);
  assert.equal(machine.run().exit, Exit.halt);
  const { gpr } = machine.vcpu.context();
  assert.deepEqual([gpr[0], gpr[2], gpr[8], gpr[1]], [1n, 0x18n, 1n, 8n]);
});

test("SYSCALL without EFER.SCE, and SYSRET outside ring 0", () => {
  const call = program(`
    0f05                   | syscall
  `);
  const first = start("long", call, { prepare: (context) => (context.efer &= ~1n) });
  assert.equal(first.run().exception?.vector, 6);
  const back = program(`
    480f07                 | sysretq
  `);
  const { exception } = start("long", back, { cpl: 3 }).run();
  assert.deepEqual([exception?.vector, exception?.errorCode], [13, 0]);
});

test("SYSRETQ to a non-canonical address is #GP in ring 0", () => {
  const code = program(`
    48b90000000000800000   | mov rcx, 0x800000000000
    480f07                 | jump: sysretq
  `);
  const machine = start("long", code);
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.errorCode, exception?.rip], [13, 0, BigInt(at(code, "jump"))]);
});

test("SYSENTER and SYSEXIT", () => {
  const code = program(`
    0f34                   | sysenter
    418cc9                 | after: mov r9d, cs
    418cd2                 | mov r10d, ss
    0f0b                   | ud2
    8ccb                   | entry: mov ebx, cs
    8cd6                   | mov esi, ss
    4989e4                 | mov r12, rsp
    9c                     | pushfq
    415d                   | pop r13
    488d15e7ffffff         | lea rdx, [rip+after]
    b900710000             | mov ecx, 0x7100
    480f35                 | rex.w sysexit
  `);
  const machine = start("long", code, {
    cpl: 3,
    prepare(context, { map }) {
      map(0x6000n, 0x6000, 3n);
      context.rflags = 0x202n;
      context.msrs
        .set(0x174, 0x08n)
        .set(0x175, 0x7000n)
        .set(0x176, BigInt(at(code, "entry")));
    },
  });
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.rip], [6, BigInt(at(code, "after") + 6)]);
  const { gpr } = machine.vcpu.context();
  assert.deepEqual([gpr[3], gpr[6], gpr[12], gpr[13]], [0x08n, 0x10n, 0x7000n, 2n]);
  // SYSEXIT with REX.W: CS is SYSENTER_CS + 32, SS + 40, RPL 3. SDM Vol. 2B, "SYSEXIT".
  assert.deepEqual([gpr[9], gpr[10]], [0x2bn, 0x33n]);
});
