import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit } from "../../src/engine/engine.ts";
import type { VcpuContext } from "../../src/engine/engine.ts";
import { Layout } from "../engine-harness.ts";
import type { MachineMode, RaisedException } from "../engine-harness.ts";
import { at, program, start } from "./program.ts";
import type { Program } from "./program.ts";

const movToCr0 = program(`
    0f22c0                 | mov cr0, rax
    f4                     | hlt
  `);
const movToCr3 = program(`
    0f22d8                 | mov cr3, rax
    f4                     | hlt
  `);
const movToCr4 = program(`
    0f22e0                 | mov cr4, rax
    f4                     | hlt
  `);
const movToCr8 = program(`
    440f22c0               | mov cr8, rax
    f4                     | hlt
  `);
const movToDr6 = program(`
    0f23f0                 | mov dr6, rax
    f4                     | hlt
  `);
const movToDr7 = program(`
    0f23f8                 | mov dr7, rax
    f4                     | hlt
  `);
const wrmsr = program(`
    4889c2                 | mov rdx, rax
    48c1ea20               | shr rdx, 32
    0f30                   | wrmsr
    f4                     | hlt
  `);
const xsetbv = program(`
    31d2                   | xor edx, edx
    0f01d1                 | xsetbv
    f4                     | hlt
  `);

/** Runs with RAX and RCX given. @returns the exception, or the state in which it halted. */
function attempt(
  code: Program,
  rax: bigint,
  rcx = 0n,
  change: Partial<VcpuContext> = {},
  mode: MachineMode = "long",
): RaisedException | VcpuContext {
  const machine = start(mode, code, {
    prepare(context) {
      Object.assign(context, change);
      context.gpr[0] = rax;
      context.gpr[1] = rcx;
    },
  });
  const { exit, exception } = machine.run();
  assert.equal(exit, Exit.halt);
  return exception ?? machine.vcpu.context();
}
function refused(result: RaisedException | VcpuContext, vector = 13): void {
  assert.ok("vector" in result, "no exception was raised");
  assert.deepEqual([result.vector, result.errorCode], [vector, vector === 13 ? 0 : undefined]);
}
function accepted(result: RaisedException | VcpuContext): VcpuContext {
  assert.ok("gpr" in result, "an exception was raised");
  return result;
}

test("CR0: what is reserved, PG without PE, NW without CD, leaving paging in 64-bit mode", () => {
  refused(attempt(movToCr0, 0x1_8001_0033n));
  refused(attempt(movToCr0, 0x8001_0032n));
  refused(attempt(movToCr0, 0xa001_0033n));
  refused(attempt(movToCr0, 0x0001_0033n));
  // ET cannot be cleared; reserved low bits are ignored. SDM Vol. 3A, "Control Registers".
  assert.equal(accepted(attempt(movToCr0, 0x8001_0fe3n)).cr0, 0x8001_0033n);
});

test("CR0: paging without PAE cannot enter IA-32e mode, nor 64-bit code", () => {
  refused(attempt(movToCr0, 0x8000_0011n, 0n, { efer: 0x100n, cr4: 0n }, "protected"));
  const machine = start("protected", movToCr0, {
    prepare(context, { ram }) {
      // The first 2 MiB map to themselves.
      const tables = 0x20000;
      ram.setBigUint64(tables, BigInt(tables + 0x1003), true);
      ram.setBigUint64(tables + 0x1000, BigInt(tables + 0x2003), true);
      ram.setBigUint64(tables + 0x2000, 0x83n, true);
      Object.assign(context, { efer: 0x100n, cr4: 0x20n, cr3: BigInt(tables) });
      context.gpr[0] = 0x8000_0011n;
    },
  });
  assert.equal(machine.run().exit, Exit.halt);
  const { efer, rip } = machine.vcpu.context();
  assert.deepEqual([efer, rip], [0x500n, BigInt(Layout.free + 4)]);
});

test("CR3: bits beyond the physical address width, and bit 63 without PCIDs", () => {
  refused(attempt(movToCr3, 0x80_0002_0000n));
  refused(attempt(movToCr3, 0x8000_0000_0002_0000n));
  assert.equal(accepted(attempt(movToCr3, 0x2_0018n)).cr3, 0x2_0018n);
  const withPcids = attempt(movToCr3, 0x8000_0000_0002_0001n, 0n, { cr4: 0x2_06a0n });
  assert.equal(accepted(withPcids).cr3, 0x2_0001n);
});

test("CR4: reserved bits, PAE in IA-32e mode, PCIDE over a PCID", () => {
  refused(attempt(movToCr4, 0x680n));
  refused(attempt(movToCr4, 0x1_0000_06a0n));
  refused(attempt(movToCr4, 0x4000_06a0n));
  refused(attempt(movToCr4, 0x2_06a0n, 0n, { cr3: 0x2_0001n }));
  assert.equal(accepted(attempt(movToCr4, 0x3_06a0n)).cr4, 0x3_06a0n);
});

test("CR8 is the platform's", () => {
  refused(attempt(movToCr8, 16n));
  const written: [number, bigint][] = [];
  const code = program(`
    440f22c0               | mov cr8, rax
    440f20c3               | mov rbx, cr8
    f4                     | hlt
  `);
  const machine = start("long", code, {
    platform: { mmioWrite: (address, _, value) => written.push([address, value]), mmioRead: () => 0x90n },
    prepare: (context) => (context.gpr[0] = 5n),
  });
  machine.run();
  assert.deepEqual(written, [[0xfee00080, 0x50n]]);
  assert.equal(machine.vcpu.gpr(3), 9n);
});

test("control registers that do not exist are #UD", () => {
  const code = program(`
    0f22c8                 | mov cr1, rax
    f4                     | hlt
  `);
  refused(attempt(code, 0n), 6);
});

test("DR6 and DR7: fixed bits, and bits 32–63", () => {
  refused(attempt(movToDr6, 1n << 32n));
  refused(attempt(movToDr7, 1n << 32n));
  assert.equal(accepted(attempt(movToDr6, 0n)).dr[6], 0xffff0ff0n);
  assert.equal(accepted(attempt(movToDr6, 0xffffffffn)).dr[6], 0xffffefffn & 0xffffefffn);
  assert.equal(accepted(attempt(movToDr7, 0xffffdfffn)).dr[7], 0xffff07ffn);
});

test("DR7.GD makes an access a #DB, with DR6.BD", () => {
  const result = attempt(movToDr6, 0n, 0n, { dr: [0n, 0n, 0n, 0n, 0n, 0n, 0xffff0ff0n, 0x2400n] });
  assert.ok("vector" in result);
  assert.deepEqual([result.vector, result.rip], [1, BigInt(Layout.free)]);
});

test("DR4 is DR6, unless CR4.DE", () => {
  const code = program(`
    0f21e0                 | .byte 0x0f, 0x21, 0xe0
    f4                     | hlt
  `);
  assert.equal(accepted(attempt(code, 0n)).gpr[0], 0xffff0ff0n);
  refused(attempt(code, 0n, 0n, { cr4: 0x6a8n }), 6);
});

const refusedMsrs: readonly [name: string, index: bigint, value: bigint][] = [
  ["FS.base, not canonical", 0xc0000100n, 0x8000_0000_0000n],
  ["KERNEL_GS_BASE, not canonical", 0xc0000102n, 0xffff_0000_0000_0000n],
  ["LSTAR, not canonical", 0xc0000082n, 0x8000_0000_0000n],
  ["SYSENTER_EIP, not canonical", 0x176n, 0x8000_0000_0000n],
  ["FMASK, above 32 bits", 0xc0000084n, 1n << 32n],
  ["TSC_AUX, above 32 bits", 0xc0000103n, 1n << 32n],
  ["PAT, type 2", 0x277n, 0x0007_0406_0002_0406n],
  ["PAT, type 3", 0x277n, 0x0007_0406_0007_0306n],
  ["PAT, type 8", 0x277n, 0x0807_0406_0007_0406n],
  ["EFER, LME changed under paging", 0xc0000080n, 0xc01n],
  ["EFER, a bit that does not exist", 0xc0000080n, 0xd03n],
  ["one that nobody has", 0x12345n, 0n],
];
for (const [name, index, value] of refusedMsrs)
  test(`WRMSR is refused: ${name}`, () => refused(attempt(wrmsr, value, index)));

test("WRMSR: bases, PAT and EFER, whose LMA follows paging alone", () => {
  assert.equal(accepted(attempt(wrmsr, 0xffff_8000_0000_1000n, 0xc0000101n)).segments.gs.base, 0xffff_8000_0000_1000n);
  assert.equal(accepted(attempt(wrmsr, 0x0007_0406_0007_0406n, 0x277n)).msrs.get(0x277), 0x0007_0406_0007_0406n);
  assert.equal(accepted(attempt(wrmsr, 0x900n, 0xc0000080n)).efer, 0xd00n);
  assert.equal(accepted(attempt(wrmsr, 0x500n, 0xc0000080n)).efer, 0x500n);
});

test("the time-stamp counter: written, read, kept from ring 3 by CR4.TSD", () => {
  const code = program(`
    b910000000             | mov ecx, 0x10
    b8e8030000             | mov eax, 1000
    31d2                   | xor edx, edx
    0f30                   | wrmsr
    0f31                   | rdtsc
    f4                     | hlt
  `);
  let now = 500;
  const machine = start("long", code, { platform: { timestamp: () => (now += 7) } });
  machine.run();
  assert.equal(machine.vcpu.gpr(0), 1007n);
  const read = program(`
    0f31                   | rdtsc
    f4                     | hlt
  `);
  const user = start("long", read, { cpl: 3, prepare: (context) => (context.cr4 |= 4n) });
  const { exception } = user.run();
  assert.deepEqual([exception?.vector, exception?.rip], [13, BigInt(Layout.free)]);
});

test("RDTSCP and RDPID give TSC_AUX", () => {
  const code = program(`
    0f01f9                 | rdtscp
    f30fc7fb               | rdpid rbx
    f4                     | hlt
  `);
  const { gpr } = accepted(attempt(code, 0n, 0n, { msrs: new Map([[0xc0000103, 0x1234n]]) }));
  assert.deepEqual([gpr[1], gpr[3]], [0x1234n, 0x1234n]);
});

test("SWAPGS, WRFSBASE and their like", () => {
  const code = program(`
    f3480faed8             | wrgsbase rax
    0f01f8                 | swapgs
    f3480faecb             | rdgsbase rbx
    f30faed1               | wrfsbase ecx
    f3480faec6             | rdfsbase rsi
    0f01f8                 | swapgs
    f30faecf               | rdgsbase edi
    48ba0000000000800000   | mov rdx, 0x800000000000
    f3480faed2             | last: wrfsbase rdx
  `);
  const change = { cr4: 0x1_06a0n, msrs: new Map([[0xc0000102, 0x77n]]) };
  const machine = start("long", code, {
    prepare: (context) => {
      Object.assign(context, change);
      context.gpr[0] = 0xffff_ffff_8000_1000n;
      context.gpr[1] = 0xffff_ffff_8000_2000n;
    },
  });
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.errorCode, exception?.rip], [13, 0, BigInt(at(code, "last"))]);
  const { gpr } = machine.vcpu.context();
  assert.deepEqual([gpr[3], gpr[6], gpr[7]], [0x77n, 0x8000_2000n, 0x8000_1000n]);
  refused(attempt(code, 0n), 6);
});

test("CPUID asks the platform by EAX and ECX", () => {
  const code = program(`
    0fa2                   | cpuid
    f4                     | hlt
  `);
  const machine = start("long", code, {
    platform: { cpuid: (leaf, subleaf) => [leaf + 1, subleaf + 2, 0xffffffff, 4] },
    prepare(context) {
      context.gpr[0] = 0xffff_ffff_4000_0000n;
      context.gpr[1] = 6n;
    },
  });
  machine.run();
  assert.deepEqual(machine.vcpu.context().gpr.slice(0, 4), [0x4000_0001n, 0xffff_ffffn, 4n, 8n]);
});

test("XSETBV: x87 always, nothing that does not exist; #UD without CR4.OSXSAVE", () => {
  refused(attempt(xsetbv, 3n), 6);
  const cr4 = 0x4_06a0n;
  refused(attempt(xsetbv, 2n, 0n, { cr4 }));
  refused(attempt(xsetbv, 7n, 0n, { cr4 }));
  refused(attempt(xsetbv, 3n, 1n, { cr4 }));
  assert.equal(accepted(attempt(xsetbv, 1n, 0n, { cr4 })).xcr0, 1n);
});

test("XGETBV: XCR0 only", () => {
  const code = program(`
    0f01d0                 | xgetbv
    f4                     | hlt
  `);
  const cr4 = 0x4_06a0n;
  const { gpr } = accepted(attempt(code, -1n, 0n, { cr4 }));
  assert.deepEqual([gpr[0], gpr[2]], [3n, 0n]);
  refused(attempt(code, 0n, 1n, { cr4 }));
  refused(attempt(code, 0n), 6);
});

test("descriptor-table registers: LGDT, SIDT, and UMIP in ring 3", () => {
  const code = program(`
    0f010526000000         | sgdt [rip+area]
    0f011d1f000000         | lidt [rip+area]
    0f010d22000000         | sidt [rip+second]
    488b051b000000         | mov rax, [rip+second]
    0fb71d1c000000         | movzx ebx, word ptr [rip+second+8]
    0f01e1                 | smsw ecx
    0f00c2                 | sldt edx
    0f00ce                 | str esi
    f4                     | hlt
    00000000000000000000   | area: .zero 10
    00000000000000000000   | second: .zero 10
  `);
  const { gpr, idtr } = accepted(attempt(code, 0n));
  assert.deepEqual(idtr, { base: 0x1000n, limit: 0xff });
  assert.deepEqual([gpr[0], gpr[3], gpr[1], gpr[2], gpr[6]], [0x1000_00ffn, 0n, 0x8001_0033n, 0n, 0x40n]);
  for (const guarded of [
    program(`
    0f014424f0             | sgdt [rsp-16]
  `),
    program(`
    0f014c24f0             | sidt [rsp-16]
  `),
    program(`
    0f00c0                 | sldt eax
  `),
    program(`
    0f00c8                 | str eax
  `),
    program(`
    0f01e0                 | smsw eax
  `),
  ]) {
    const { exception } = start("long", guarded, { cpl: 3, prepare: (context) => (context.cr4 |= 0x800n) }).run();
    assert.deepEqual([exception?.vector, exception?.errorCode], [13, 0]);
  }
});
