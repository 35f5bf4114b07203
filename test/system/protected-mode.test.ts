import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit } from "../../src/engine/engine.ts";
import { Layout, Selector } from "../engine-harness.ts";
import { at, descriptor, gate32, handlerTask, otherTask, program, stackTop, start, taskSegment } from "./program.ts";

const user = { cpl: 3 } as const;

test("an interrupt out of ring 3 switches to SS0:ESP0, and IRETD goes back", () => {
  const code = program(`
    f9                     | stc
    cd60                   | int 0x60
    8ccb                   | back: mov ebx, cs
    8cd6                   | mov esi, ss
    0f0b                   | ud2
    8cd1                   | handler: mov ecx, ss
    89e2                   | mov edx, esp
    8b7c2404               | mov edi, [esp+4]
    8b6c240c               | mov ebp, [esp+12]
    cf                     | iretd
  `);
  const machine = start("protected", code, {
    ...user,
    prepare(context, { ram }) {
      context.rflags = 0x202n;
      gate32(ram, Layout.idt + 0x60 * 8, Selector.code32, at(code, "handler"), 0xee);
    },
  });
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.rip], [6, BigInt(at(code, "back") + 4)]);
  const { gpr } = machine.vcpu.context();
  // EIP, CS, EFLAGS, ESP, SS: 20 bytes. SDM Vol. 3A, Figure "Stack Usage on Transfers to Interrupt and Exception-Handling Routines".
  assert.deepEqual(gpr.slice(1, 3), [BigInt(Selector.data), BigInt(Layout.stackTop - 20)]);
  assert.deepEqual([gpr[7], gpr[5]], [BigInt(Selector.userCode32), BigInt(stackTop)]);
  assert.deepEqual([gpr[3], gpr[6]], [BigInt(Selector.userCode32), BigInt(Selector.userData)]);
  // The flags that #UD pushed: CF and IF as they were, RF for a fault.
  assert.equal(machine.ram.getUint32(Number(gpr[4]) + 8, true), 0x10203);
});

test("an interrupt sets the accessed bits of its segments, and is #NP where the code is not present", () => {
  const code = program(`
    cd63                   | int 0x63
  `);
  const attempt = (access: number) => {
    const machine = start("protected", code, {
      ...user,
      prepare(_, { ram }) {
        ram.setBigUint64(Layout.gdt + 0x50, descriptor(0, 0xfffff, access, 0xc), true);
        ram.setBigUint64(Layout.gdt + 0x58, descriptor(0, 0xfffff, 0x92, 0xc), true);
        ram.setUint32(Layout.tss + 8, 0x58, true);
        gate32(ram, Layout.idt + 0x63 * 8, 0x50, Layout.handlers + 0x63 * 16, 0xee);
      },
    });
    return { machine, exception: machine.run().exception };
  };
  const { machine, exception } = attempt(0x9a);
  assert.equal(exception?.vector, 0x63);
  assert.deepEqual(
    [0x55, 0x5d].map((offset) => machine.ram.getUint8(Layout.gdt + offset)),
    [0x9b, 0x93],
  );
  const absent = attempt(0x1a).exception;
  assert.deepEqual([absent?.vector, absent?.errorCode], [11, 0x50]);
});

test("a 16-bit gate pushes words", () => {
  const code = program(`
    cd61                   | int 0x61
    90                     | next: nop
  `);
  const machine = start("protected", code, {
    prepare: (_, { ram }) => gate32(ram, Layout.idt + 0x61 * 8, Selector.code32, Layout.handlers + 0x61 * 16, 0x86),
  });
  machine.run();
  assert.equal(machine.vcpu.gpr(4), BigInt(stackTop - 6));
  const words = [0, 2, 4].map((offset) => machine.ram.getUint16(stackTop - 6 + offset, true));
  assert.deepEqual(words, [at(code, "next") & 0xffff, Selector.code32, 2]);
});

const badStacks: readonly [name: string, selector: number, access: number, vector: number, code: number][] = [
  ["null", 0, 0x93, 10, 0],
  ["beyond the GDT", 0x7f8, 0x93, 10, 0x7f8],
  ["of another ring", 0x50, 0xf3, 10, 0x50],
  ["read-only", 0x50, 0x91, 10, 0x50],
  ["not present", 0x50, 0x13, 12, 0x50],
  ["with too little room", 0x50, 0x93, 12, 0x50],
];
for (const [name, selector, access, vector, errorCode] of badStacks) {
  test(`an inner stack that is ${name}`, () => {
    const code = program(`
    cd62                   | int 0x62
  `);
    const machine = start("protected", code, {
      ...user,
      prepare(_, { ram }) {
        ram.setBigUint64(Layout.gdt + 0x50, descriptor(0, 15, access, 4), true);
        ram.setUint32(Layout.tss + 4, Layout.stackTop, true);
        ram.setUint32(Layout.tss + 8, selector, true);
        // The handler is entered through a task gate, whose task has another stack.
        taskSegment(ram, handlerTask, Layout.handlers + vector * 16, 0x6f00);
        ram.setBigUint64(Layout.gdt + 0x58, descriptor(handlerTask, 0x67, 0x89, 0), true);
        gate32(ram, Layout.idt + vector * 8, 0x58, 0, 0x85);
      },
    });
    const { exit } = machine.run();
    assert.deepEqual([exit, machine.vcpu.rip], [Exit.halt, BigInt(Layout.handlers + vector * 16 + 1)]);
    // The task gate pushed the error code on the new task's stack. EXT is 0 for INT n.
    assert.equal(machine.ram.getUint32(0x6f00 - 4, true), errorCode);
    // The interrupted task's state is in its TSS, with the fault's return address.
    assert.equal(machine.ram.getUint32(Layout.tss + 0x20, true), Layout.free);
  });
}

function busy(ram: DataView, selector: number): boolean {
  return (ram.getUint8(Layout.gdt + (selector & ~7) + 5) & 2) !== 0;
}

test("a far call to a TSS nests a task, and IRETD returns from it", () => {
  const code = program(`
    b811110000             | mov eax, 0x1111
    9a                     | .byte 0x9a
    00000000               | .long 0
    5800                   | .word 0x58
    89c3                   | back: mov ebx, eax
    0f00c9                 | str ecx
    9c                     | pushfd
    5a                     | pop edx
    f4                     | hlt
    9c                     | task: pushfd
    5e                     | pop esi
    0f00cf                 | str edi
    b822220000             | mov eax, 0x2222
    cf                     | iretd
    90                     | resumed: nop
  `);
  const machine = start("protected", code, {
    prepare(_, { ram }) {
      taskSegment(ram, otherTask, at(code, "task"), 0x6f00);
      ram.setBigUint64(Layout.gdt + 0x58, descriptor(otherTask, 0x67, 0x89, 0), true);
    },
  });
  assert.equal(machine.run().exit, Exit.halt);
  const { gpr, cr0 } = machine.vcpu.context();
  // EAX is the caller's own; NT is set in the nested task alone; TS is set. SDM Vol. 3A, "Task Switching".
  assert.deepEqual([gpr[3], gpr[1], gpr[2]], [0x1111n, BigInt(Selector.tss), 2n]);
  assert.equal(cr0 & 8n, 8n);
  const task = (offset: number) => machine.ram.getUint32(otherTask + offset, true);
  assert.deepEqual([task(0x28), task(0x40), task(0x44), task(0x20)], [0x2222, 0x4002, 0x58, at(code, "resumed")]);
  assert.equal(task(0), Selector.tss);
  assert.deepEqual([busy(machine.ram, 0x58), busy(machine.ram, Selector.tss)], [false, true]);
});

test("a far jump to a task gate leaves the old task not busy; to a busy one it is #GP", () => {
  const code = program(`
    ea                     | .byte 0xea
    00000000               | .long 0
    6000                   | .word 0x60
    90                     | next: nop
    f4                     | task: hlt
  `);
  const prepare =
    (access: number) =>
    (_: unknown, { ram }: { ram: DataView }) => {
      taskSegment(ram, otherTask, at(code, "task"), 0x6f00);
      ram.setBigUint64(Layout.gdt + 0x58, descriptor(otherTask, 0x67, access, 0), true);
      gate32(ram, Layout.gdt + 0x60, 0x58, 0, 0x85);
    };
  const machine = start("protected", code, { prepare: prepare(0x89) });
  assert.equal(machine.run().exit, Exit.halt);
  assert.equal(machine.vcpu.rip, BigInt(at(code, "task") + 1));
  assert.deepEqual([busy(machine.ram, 0x58), busy(machine.ram, Selector.tss)], [true, false]);
  assert.equal(machine.ram.getUint32(Layout.tss + 0x20, true), at(code, "next"));
  const { exception } = start("protected", code, { prepare: prepare(0x8b) }).run();
  assert.deepEqual([exception?.vector, exception?.errorCode], [13, 0x58]);
});

test("a task whose SS is bad begins with #TS, at its own address", () => {
  const code = program(`
    ea                     | .byte 0xea
    00000000               | .long 0
    5800                   | .word 0x58
    90                     | task: nop
  `);
  const machine = start("protected", code, {
    prepare(_, { ram }) {
      taskSegment(ram, otherTask, at(code, "task"), 0x6f00);
      ram.setUint32(otherTask + 0x50, Selector.userData, true);
      taskSegment(ram, handlerTask, Layout.handlers + 10 * 16, 0x6800);
      ram.setBigUint64(Layout.gdt + 0x58, descriptor(otherTask, 0x67, 0x89, 0), true);
      ram.setBigUint64(Layout.gdt + 0x60, descriptor(handlerTask, 0x67, 0x89, 0), true);
      gate32(ram, Layout.idt + 10 * 8, 0x60, 0, 0x85);
    },
  });
  assert.equal(machine.run().exit, Exit.halt);
  assert.deepEqual(
    [machine.vcpu.rip, machine.ram.getUint32(0x6800 - 4, true)],
    [BigInt(Layout.handlers + 161), Selector.userData & ~3],
  );
  assert.deepEqual(
    [machine.ram.getUint32(otherTask + 0x20, true), machine.ram.getUint32(handlerTask, true)],
    [at(code, "task"), 0x58],
  );
});

test("a 16-bit TSS keeps the low halves", () => {
  const code = program(`
    b878563412             | mov eax, 0x12345678
    9a                     | .byte 0x9a
    00000000               | .long 0
    5800                   | .word 0x58
    f4                     | hlt
    f4                     | task: hlt
  `);
  const machine = start("protected", code, {
    prepare(context, { ram }) {
      for (let offset = 0; offset < 0x2c; offset += 2) ram.setUint16(otherTask + offset, 0, true);
      // The program lies above 64 KiB: the task begins with a handler's HLT.
      ram.setUint16(otherTask + 0x0e, Layout.handlers + 0x77 * 16, true);
      ram.setUint16(otherTask + 0x10, 2, true);
      ram.setUint16(otherTask + 0x12, 0xabcd, true);
      for (const [index, selector] of [Selector.data, Selector.code32, Selector.data, Selector.data].entries())
        ram.setUint16(otherTask + 0x22 + index * 2, selector, true);
      ram.setBigUint64(Layout.gdt + 0x58, descriptor(otherTask, 0x2b, 0x81, 0), true);
      context.segments.fs = { selector: Selector.data, base: 0n, limit: 0xffffffff, attributes: 0xc93 };
    },
  });
  assert.equal(machine.run().exit, Exit.halt);
  const { gpr, segments, rip } = machine.vcpu.context();
  assert.deepEqual(
    [gpr[0], rip, segments.fs.selector, segments.tr.attributes],
    [0xabcdn, BigInt(Layout.handlers + 0x77 * 16 + 1), 0, 0x83],
  );
});

test("a call gate copies parameters to the inner stack, and RET n takes them off both", () => {
  const code = program(`
    6822222222             | push 0x22222222
    6811111111             | push 0x11111111
    9a                     | .byte 0x9a
    00000000               | .long 0
    5300                   | .word 0x53
    89e3                   | back: mov ebx, esp
    8cde                   | mov esi, ds
    0f0b                   | ud2
    8b442408               | gate: mov eax, [esp+8]
    8b4c240c               | mov ecx, [esp+12]
    8b542410               | mov edx, [esp+16]
    bf10000000             | mov edi, 0x10
    8edf                   | mov ds, edi
    ca0800                 | retf 8
  `);
  const machine = start("protected", code, {
    ...user,
    prepare: (_, { ram }) => gate32(ram, Layout.gdt + 0x50, Selector.code32, at(code, "gate"), 0xec, 2),
  });
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.rip], [6, BigInt(at(code, "back") + 4)]);
  const { gpr } = machine.vcpu.context();
  assert.deepEqual(gpr.slice(0, 3), [0x11111111n, 0x22222222n, BigInt(stackTop - 8)]);
  // The parameters are gone, and DS, a ring-0 segment, has become null. SDM Vol. 2B, "RET".
  assert.deepEqual([gpr[3], gpr[6]], [BigInt(stackTop), 0n]);
});

const badLoads: readonly [
  name: string,
  register: "ds" | "ss",
  selector: number,
  access: number,
  vector: number,
  code: number,
][] = [
  ["null in SS", "ss", 3, 0, 13, 0],
  ["beyond the GDT", "ds", 0x7fb, 0, 13, 0x7f8],
  ["a system descriptor", "ds", 0x53, 0xe9, 13, 0x50],
  ["execute-only code", "ds", 0x53, 0xf9, 13, 0x50],
  ["of ring 0", "ds", 0x53, 0x93, 13, 0x50],
  ["not present in DS", "ds", 0x53, 0x73, 11, 0x50],
  ["not present in SS", "ss", 0x53, 0x73, 12, 0x50],
  ["read-only in SS", "ss", 0x53, 0xf1, 13, 0x50],
  ["of another RPL in SS", "ss", 0x50, 0xf3, 13, 0x50],
];
for (const [name, register, selector, access, vector, errorCode] of badLoads) {
  test(`loading a segment register: ${name}`, () => {
    const code =
      register === "ds"
        ? program(`
    8ed8                   | mov ds, eax
  `)
        : program(`
    8ed0                   | mov ss, eax
  `);
    const machine = start("protected", code, {
      ...user,
      prepare(context, { ram }) {
        context.gpr[0] = BigInt(selector);
        ram.setBigUint64(Layout.gdt + 0x50, descriptor(0, 0xfffff, access, 12), true);
      },
    });
    assert.deepEqual(machine.run().exception, { vector, errorCode, rip: BigInt(Layout.free), cr2: 0n });
  });
}

test("loading a segment sets its accessed bit and takes base, limit and attributes", () => {
  const code = program(`
    8ec0                   | mov es, eax
    268b1d04000000         | mov ebx, es:[4]
    268b1d05000000         | last: mov ebx, es:[5]
  `);
  const machine = start("protected", code, {
    ...user,
    prepare(context, { ram }) {
      context.gpr[0] = 0x53n;
      ram.setBigUint64(Layout.gdt + 0x50, descriptor(0x12345, 7, 0xf2, 4), true);
      ram.setUint32(0x12349, 0xcafe, true);
    },
  });
  const { exception } = machine.run();
  // The fault's handler has its code in the low 64 KiB; the limit is 7, so that four bytes at 4 are the last.
  assert.deepEqual([exception?.vector, exception?.errorCode, exception?.rip], [13, 0, BigInt(at(code, "last"))]);
  const { gpr, segments } = machine.vcpu.context();
  assert.equal(gpr[3], 0xcafen);
  assert.deepEqual(segments.es, { selector: 0x53, base: 0x12345n, limit: 7, attributes: 0x4f3 });
  assert.equal(machine.ram.getUint8(Layout.gdt + 0x55), 0xf3);
});

test("LLDT, and selectors that name the LDT", () => {
  const code = program(`
    b850000000             | mov eax, 0x50
    0f00d0                 | lldt ax
    b80c000000             | mov eax, 0x0c
    8ee0                   | mov fs, eax
    648b1d00000000         | mov ebx, fs:[0]
    0f00c1                 | sldt ecx
    31c0                   | xor eax, eax
    0f00d0                 | lldt ax
    b80c000000             | mov eax, 0x0c
    8ee0                   | last: mov fs, eax
  `);
  const machine = start("protected", code, {
    prepare(_, { ram }) {
      ram.setBigUint64(Layout.gdt + 0x50, descriptor(0x12000, 0xf, 0x82, 0), true);
      ram.setBigUint64(0x12008, descriptor(0x13000, 0xfff, 0x93, 0), true);
      ram.setUint32(0x13000, 0xbeef, true);
    },
  });
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.errorCode, exception?.rip], [13, 0x0c, BigInt(at(code, "last"))]);
  assert.deepEqual([machine.vcpu.gpr(3), machine.vcpu.gpr(1)], [0xbeefn, 0x50n]);
});

test("LAR, LSL, VERR, VERW and ARPL", () => {
  const code = program(`
    b853000000             | mov eax, 0x53
    0f02d8                 | lar ebx, eax
    0f94c1                 | setz cl
    0f03d0                 | lsl edx, eax
    0f94c5                 | setz ch
    0f00e8                 | verw ax
    0f940500600000         | setz [0x6000]
    0f00e0                 | verr ax
    0f940501600000         | setz [0x6001]
    be10000000             | mov esi, 0x10
    0f02fe                 | lar edi, esi
    0f940502600000         | setz [0x6002]
    bf30000000             | mov edi, 0x30
    63c7                   | arpl di, ax
    0f940503600000         | setz [0x6003]
    0f0b                   | ud2
  `);
  const machine = start("protected", code, {
    ...user,
    prepare: (_, { ram }) => ram.setBigUint64(Layout.gdt + 0x50, descriptor(0, 0x12, 0xf1, 0xc), true),
  });
  assert.equal(machine.run().exception?.vector, 6);
  const { gpr } = machine.vcpu.context();
  // Read-only data of ring 3, 19 pages; ring 0's data is out of reach; ARPL raises RPL to 3.
  assert.deepEqual([gpr[3], gpr[1]! & 0xffffn, gpr[2], gpr[7]], [0x00c0f100n, 0x101n, 0x12fffn, 0x33n]);
  assert.deepEqual(
    [0, 1, 2, 3].map((index) => machine.ram.getUint8(0x6000 + index)),
    [0, 1, 0, 1],
  );
});
