import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit } from "../../src/engine/engine.ts";
import { Layout, initialFxsave } from "../engine-harness.ts";
import type { Machine } from "../engine-harness.ts";
import { at, program, start } from "./program.ts";

test("the first instructions of a PVH guest: from flat 32-bit code to 64-bit code", () => {
  const code = program(`
    fc                     | cld
    0f01157b001000         | lgdt [table]
    b810000000             | mov eax, 0x10
    8ed8                   | mov ds, eax
    8ec0                   | mov es, eax
    8ed0                   | mov ss, eax
    0f20e0                 | mov eax, cr4
    83c820                 | or eax, 0x20
    0f22e0                 | mov cr4, eax
    b9800000c0             | mov ecx, 0xc0000080
    0f32                   | rdmsr
    0fbae808               | bts eax, 8
    0f30                   | wrmsr
    b800000200             | mov eax, 0x20000
    0f22d8                 | mov cr3, eax
    b801000080             | mov eax, 0x80000001
    0f22c0                 | mov cr0, eax
    ea                     | .byte 0xea
    40001000               | .long wide
    0800                   | .word 8
                           | .code64
    6a08                   | wide: push 8
    488d0503000000         | lea rax, [rip+next]
    50                     | push rax
    48cb                   | retfq
    b9010100c0             | next: mov ecx, 0xc0000101
    b800503412             | mov eax, 0x12345000
    baffffffff             | mov edx, 0xffffffff
    0f30                   | wrmsr
    0f01f8                 | swapgs
    b9020100c0             | mov ecx, 0xc0000102
    0f32                   | rdmsr
    89c3                   | mov ebx, eax
    0f20c6                 | mov rsi, cr0
    0f20e7                 | mov rdi, cr4
    b9800000c0             | mov ecx, 0xc0000080
    0f32                   | rdmsr
    410f00c8               | str r8d
    f4                     | hlt
    4f00                   | table: .word 0x4f
    00100000               | .long 0x1000
  `);
  const machine = start("protected", code, {
    prepare(context, { ram }) {
      // As Xen starts a PVH guest: PE and ET, no paging.
      Object.assign(context, { cr0: 0x11n, cr4: 0n });
      const tables = 0x20000;
      ram.setBigUint64(tables, BigInt(tables + 0x1003), true);
      ram.setBigUint64(tables + 0x1000, BigInt(tables + 0x2003), true);
      ram.setBigUint64(tables + 0x2000, 0x83n, true);
    },
  });
  assert.equal(machine.run().exit, Exit.halt);
  assert.equal(machine.vcpu.codeSize, 64);
  const { gpr, cr3, efer } = machine.vcpu.context();
  // ET stays set; LMA came with paging.
  assert.deepEqual([gpr[3], gpr[6], gpr[7], gpr[0]], [0x12345000n, 0x8000_0011n, 0x20n, 0x500n]);
  assert.deepEqual([cr3, efer], [0x20000n, 0x500n]);
});

test("VMCALL asks for the hypervisor in any ring, behind the instruction", () => {
  const code = program(`
    0f01c1                 | vmcall
    ffc0                   | back: inc eax
    f4                     | hlt
  `);
  for (const cpl of [0, 3] as const) {
    const machine = start("long", code, { cpl });
    assert.equal(machine.run().exit, Exit.hypercall);
    assert.deepEqual([machine.vcpu.rip, machine.vcpu.cpl], [BigInt(at(code, "back")), cpl]);
  }
});

test("privileged instructions are #GP(0) in ring 3", () => {
  for (const code of [
    program(`
    f4                     | hlt
  `),
    program(`
    0f20c0                 | mov rax, cr0
  `),
    program(`
    0f22d8                 | mov cr3, rax
  `),
    program(`
    0f21c0                 | mov rax, dr0
  `),
    program(`
    0f32                   | rdmsr
  `),
    program(`
    0f30                   | wrmsr
  `),
    program(`
    0f0138                 | invlpg [rax]
  `),
    program(`
    0f01f8                 | swapgs
  `),
    program(`
    0f0110                 | lgdt [rax]
  `),
    program(`
    0f00d8                 | ltr ax
  `),
    program(`
    fa                     | cli
  `),
    program(`
    fb                     | sti
  `),
    program(`
    0f06                   | clts
  `),
    program(`
    0f09                   | wbinvd
  `),
  ]) {
    const { exception } = start("long", code, { cpl: 3 }).run();
    assert.deepEqual(exception, { vector: 13, errorCode: 0, rip: BigInt(Layout.free), cr2: 0n });
  }
});

test("ports: values of each width, IOPL, and the TSS's bitmap", () => {
  const code = program(`
    66baf803               | mov dx, 0x3f8
    ec                     | in al, dx
    88c3                   | mov bl, al
    66ed                   | in ax, dx
    6689c1                 | mov cx, ax
    e540                   | in eax, 0x40
    4889c6                 | mov rsi, rax
    b844332211             | mov eax, 0x11223344
    e641                   | out 0x41, al
    66ef                   | out dx, ax
    ef                     | out dx, eax
    f4                     | hlt
  `);
  const written: number[][] = [];
  const platform = {
    portIn: (port: number, size: number) => port * 0x10000 + size,
    portOut: (port: number, size: number, value: number) => void written.push([port, size, value]),
  };
  const machine = start("long", code, { platform, prepare: (context) => (context.gpr[0] = -1n) });
  machine.run();
  const { gpr } = machine.vcpu.context();
  assert.deepEqual([gpr[3]! & 0xffn, gpr[1]! & 0xffffn, gpr[6]], [1n, 2n, 0x400004n]);
  assert.deepEqual(written, [[0x41, 1, 0x44], [0x3f8, 2, 0x3344], [0x3f8, 4, 0x11223344]]); // prettier-ignore

  const guarded = program(`
    e441                   | in al, 0x41
    e442                   | in al, 0x42
    66e542                 | wide: in ax, 0x42
    f4                     | hlt
  `);
  const withMap = (context: { segments: { tr: { limit: number } } }, ram: DataView) => {
    ram.setUint16(Layout.tss + 0x66, 0x68, true);
    for (let byte = 0; byte < 32; byte++) ram.setUint8(Layout.tss + 0x68 + byte, 0);
    // Port 0x43 is closed, to an access that begins at 0x42 too.
    ram.setUint8(Layout.tss + 0x68 + 8, 0b1000);
    Object.assign(context.segments.tr, { limit: 0x68 + 32 });
  };
  const user = start("long", guarded, { cpl: 3, platform, prepare: (context, { ram }) => withMap(context, ram) });
  const { exception } = user.run();
  assert.deepEqual([exception?.vector, exception?.rip], [13, BigInt(at(guarded, "wide"))]);
  // A bitmap that begins behind the limit opens nothing.
  const closed = {
    cpl: 3,
    platform,
    prepare: (_: unknown, { ram }: Machine) => ram.setUint16(Layout.tss + 0x66, 0x68, true),
  } as const;
  const none = start("long", guarded, closed).run().exception;
  assert.deepEqual([none?.vector, none?.rip], [13, BigInt(Layout.free)]);
  const allowed = start("long", guarded, { cpl: 3, platform, prepare: (context) => (context.rflags = 0x3002n) });
  // HLT is privileged whatever IOPL is.
  assert.deepEqual(allowed.run().exception?.rip, BigInt(at(guarded, "wide") + 3));
});

test("REP INSB and OUTSW: counts, directions, and a fault in the middle", () => {
  const code = program(`
    fc                     | cld
    bf00700000             | mov edi, 0x7000
    b903000000             | mov ecx, 3
    66ba6000               | mov dx, 0x60
    f36c                   | rep insb
    48c7c602700000         | mov rsi, 0x7002
    fd                     | std
    b902000000             | mov ecx, 2
    66f36f                 | rep outsw
    fc                     | cld
    bffeffff00             | mov edi, 0xfffffe
    b904000000             | mov ecx, 4
    f36c                   | last: rep insb
  `);
  let next = 1;
  const written: number[] = [];
  const machine = start("long", code, {
    platform: { portIn: () => next++, portOut: (_, __, value) => void written.push(value) },
    prepare: (_, { map }) => map(0xfff000n, 0xfff000, 3n),
  });
  const { exception } = machine.run();
  assert.deepEqual(
    [0, 1, 2].map((index) => machine.ram.getUint8(0x7000 + index)),
    [1, 2, 3],
  );
  assert.deepEqual(written, [3, 0x201]);
  // Two bytes fit; the port was not read for the third, which faults with RCX and RDI saying how far it came.
  assert.deepEqual(
    [exception?.vector, exception?.cr2, exception?.rip, next],
    [14, 0x1000000n, BigInt(at(code, "last")), 6],
  );
  assert.deepEqual([machine.vcpu.gpr(1), machine.vcpu.gpr(7)], [2n, 0x1000000n]);
});

test("STAC and CLAC open and close user pages to the kernel under CR4.SMAP", () => {
  const code = program(`
    0f01cb                 | stac
    488b042500002000       | mov rax, [0x200000]
    0f01ca                 | clac
    488b1c2500002000       | last: mov rbx, [0x200000]
  `);
  const machine = start("long", code, {
    prepare(context, { map, ram }) {
      context.cr4 |= 1n << 21n;
      map(0x200000n, 0x200000, 7n);
      ram.setBigUint64(0x200000, 0x1234n, true);
    },
  });
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.errorCode, exception?.rip], [14, 1, BigInt(at(code, "last"))]);
  assert.equal(machine.vcpu.gpr(0), 0x1234n);
  assert.equal(start("long", code, { cpl: 3 }).run().exception?.vector, 6);
});

test("INVLPG and INVPCID make a changed entry count", () => {
  const code = program(`
    488b042500002000       | mov rax, [0x200000]
    48897d00               | mov [rbp], rdi
    0f013c2500002000       | invlpg [0x200000]
    488b1c2500002000       | mov rbx, [0x200000]
    48897500               | mov [rbp], rsi
    31c9                   | xor ecx, ecx
    660f38820d34000000     | invpcid rcx, [rip+descriptor]
    488b0c2500002000       | mov rcx, [0x200000]
    48897d00               | mov [rbp], rdi
    41b802000000           | mov r8d, 2
    66440f38820518000000   | invpcid r8, [rip+descriptor]
    488b142500002000       | mov rdx, [0x200000]
    41b804000000           | mov r8d, 4
    66440f38820500000000   | last: invpcid r8, [rip+descriptor]
    00000000000000000000200000000000 | descriptor: .quad 0, 0x200000
  `);
  const machine: Machine = start("long", code, {
    prepare(context, { map, ram }) {
      map(0x200000n, 0x300000, 3n);
      map(0x201000n, 0x20000, 3n);
      ram.setBigUint64(0x300000, 1n, true);
      ram.setBigUint64(0x400000, 2n, true);
      const entry = findEntry(ram, 0x200000n);
      map(0x201000n, entry & ~4095, 3n);
      context.gpr[5] = BigInt(0x201000 + (entry & 4095));
      context.gpr[6] = 0x300003n;
      context.gpr[7] = 0x400003n;
    },
  });
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.rip], [13, BigInt(at(code, "last"))]);
  const { gpr } = machine.vcpu.context();
  assert.deepEqual([gpr[0], gpr[3], gpr[1], gpr[2]], [1n, 2n, 1n, 2n]);
});
/** The physical address of the last-level entry for `linear`. */
function findEntry(ram: DataView, linear: bigint): number {
  let table: number = Layout.pageTables;
  for (let level = 3; level > 0; level--)
    table = Number(
      ram.getBigUint64(table + Number((linear >> BigInt(12 + 9 * level)) & 511n) * 8, true) & 0xffff_f000n,
    );
  return table + Number((linear >> 12n) & 511n) * 8;
}

/** An area with a value of its own in each register. */
function sampleArea(): Uint8Array {
  const area = initialFxsave();
  const view = new DataView(area.buffer);
  view.setUint16(2, 3 << 11, true);
  view.setUint8(4, 0xa5);
  view.setUint16(6, 0x123, true);
  view.setBigUint64(8, 0x1122334455667788n, true);
  view.setBigUint64(16, 0x99aabbccddeeff00n, true);
  view.setUint32(24, 0x1fa0, true);
  view.setUint32(28, 0xffff, true);
  for (let index = 0; index < 8; index++) {
    view.setBigUint64(32 + index * 16, 0x8000000000000000n + BigInt(index), true);
    view.setUint16(40 + index * 16, 0x4000 + index, true);
  }
  for (let index = 0; index < 32; index++)
    view.setBigUint64(160 + index * 8, 0x0101010101010101n * BigInt(index + 1), true);
  return area;
}

test("FXRSTOR64 and FXSAVE64 are each other's inverse; FXSAVE keeps 32 bits of the pointers", () => {
  const code = program(`
    480fae0c2500600000     | fxrstor64 [0x6000]
    480fae042500620000     | fxsave64 [0x6200]
    0fae042500640000       | fxsave [0x6400]
    f4                     | hlt
  `);
  const machine = start("long", code);
  const area = sampleArea();
  machine.load(0x6000, area);
  assert.equal(machine.run().exit, Exit.halt);
  const stored = new Uint8Array(512);
  machine.memory.read(0x6200, stored);
  assert.deepEqual(stored.slice(0, 416), area.slice(0, 416));
  assert.deepEqual(
    [machine.ram.getBigUint64(0x6408, true), machine.ram.getBigUint64(0x6410, true)],
    [0x55667788n, 0xddeeff00n],
  );
});

test("FXSAVE and FXRSTOR: alignment, reserved bits of MXCSR, CR0.TS", () => {
  const misaligned = program(`
    480fae042508600000     | fxsave64 [0x6008]
  `);
  const bad = program(`
    480fae0c2500600000     | fxrstor64 [0x6000]
  `);
  const first = start("long", misaligned).run().exception;
  assert.deepEqual([first?.vector, first?.errorCode], [13, 0]);
  const machine = start("long", bad);
  machine.ram.setUint32(0x6000 + 24, 0x10000, true);
  assert.deepEqual(machine.run().exception?.vector, 13);
  assert.equal(start("long", bad, { prepare: (context) => (context.cr0 |= 8n) }).run().exception?.vector, 7);
});

test("XSAVE and XRSTOR: requested components, initial values, header checks", () => {
  const code = program(`
    480fae0c2500600000     | fxrstor64 [0x6000]
    31d2                   | xor edx, edx
    b802000000             | mov eax, 2
    480fae242500640000     | xsave64 [0x6400]
    b807000000             | mov eax, 7
    480fae242500680000     | xsave64 [0x6800]
    48c70425006a000001000000 | mov qword ptr [0x6800+512], 1
    480fae2c2500680000     | xrstor64 [0x6800]
    480fae0425006c0000     | fxsave64 [0x6c00]
    48c70425086a000001000000 | mov qword ptr [0x6800+520], 1
    480fae2c2500680000     | last: xrstor64 [0x6800]
  `);
  const machine = start("long", code, {
    prepare(context, { ram }) {
      context.cr4 |= 1n << 18n;
      // XSAVE touches no bit of XSTATE_BV that was not asked for.
      ram.setBigUint64(0x6400 + 512, 5n, true);
      ram.setUint16(0x6400, 0xdead, true);
    },
  });
  const area = sampleArea();
  machine.load(0x6000, area);
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.errorCode, exception?.rip], [13, 0, BigInt(at(code, "last"))]);
  const stored = (from: number) => {
    const bytes = new Uint8Array(512);
    machine.memory.read(from, bytes);
    return bytes;
  };
  assert.equal(machine.ram.getBigUint64(0x6400 + 512, true), 7n);
  assert.equal(machine.ram.getUint16(0x6400, true), 0xdead);
  assert.deepEqual(stored(0x6400).slice(160, 416), area.slice(160, 416));
  assert.deepEqual(stored(0x6800).slice(0, 416), area.slice(0, 416));
  // SSE was absent from XSTATE_BV: its registers are initial, but MXCSR comes from memory. SDM Vol. 2D, "XRSTOR".
  const after = stored(0x6c00);
  assert.deepEqual(after.slice(0, 160), area.slice(0, 160));
  assert.deepEqual(after.slice(160, 416), new Uint8Array(256));
});

test("LDMXCSR and STMXCSR", () => {
  const code = program(`
    0fae142500600000       | ldmxcsr [0x6000]
    0fae1c2510600000       | stmxcsr [0x6010]
    c704250060000000000100 | mov dword ptr [0x6000], 0x10000
    0fae142500600000       | last: ldmxcsr [0x6000]
  `);
  const machine = start("long", code, { prepare: (_, { ram }) => ram.setUint32(0x6000, 0x7fc0, true) });
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.rip], [13, BigInt(at(code, "last"))]);
  assert.equal(machine.ram.getUint32(0x6010, true), 0x7fc0);
});
