/** What rings and flags allow, each with all else in order, so that nothing but the check in question can refuse. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit, Layout, Selector, createMachine, hex } from "../engine-harness.ts";
import type { MachineMode } from "../engine-harness.ts";
import type { VcpuContext } from "../../src/engine/engine.ts";
import { descriptor } from "./program.ts";

const code = 0x50000;
const stack = 0x58000;
const frame = 0x57000;

/** A machine about to execute `bytes` at {@link code}; ring 3 reaches code and stacks. */
function machineWith(mode: MachineMode, cpl: 0 | 3, bytes: string, change: (context: VcpuContext) => void = () => {}) {
  const machine = createMachine(mode, cpl);
  machine.load(code, hex(bytes));
  if (mode === "long") {
    for (const page of [code, frame, stack - 0x1000, stack]) machine.map(BigInt(page), page, cpl === 3 ? 7n : 3n);
  }
  const context = machine.context();
  context.rip = BigInt(code);
  context.gpr[4] = BigInt(stack);
  change(context);
  machine.vcpu.setContext(context);
  return machine;
}

const [IF, IOPL, NT, AC] = [0x200n, 0x3000n, 0x4000n, 0x40000n];

test("POPF: IOPL is ring 0's to change, IF whoever's IOPL allows", () => {
  // popfq; then #UD, whose frame has the flags
  const popped = (cpl: 0 | 3, before: bigint, value: bigint) => {
    const machine = machineWith("long", cpl, "9d 0f0b", (context) => (context.rflags = before | 2n));
    machine.ram.setBigUint64(stack, value, true);
    assert.equal(machine.run().exception?.vector, 6);
    return machine.ram.getBigUint64(Number(machine.vcpu.gpr(4)) + 16, true) & (IF | IOPL | NT | AC);
  };
  assert.equal(popped(0, 0n, IOPL | IF | NT | AC), IOPL | IF | NT | AC);
  assert.equal(popped(3, 0n, IOPL | IF | NT | AC), NT | AC);
  assert.equal(popped(3, IOPL, IF), IOPL | IF);
  assert.equal(popped(3, IOPL | IF, 0n), IOPL);
  assert.equal(popped(3, 0x2000n | IF, 0n), 0x2000n | IF);
});

/** IRETQ with a good frame; the target halts, or in ring 3 is refused to. */
function returnTo(cpl: 0 | 3, rflags: bigint) {
  const user = cpl === 3;
  const machine = machineWith("long", 0, "48cf", (context) => {
    context.rflags = rflags;
    context.gpr[4] = BigInt(frame);
  });
  machine.load(code + 0x1000, hex("f4"));
  machine.map(BigInt(code + 0x1000), code + 0x1000, 7n);
  const [cs, ss] = user ? [Selector.userCode64, Selector.userData] : [Selector.code64, Selector.data];
  [code + 0x1000, cs, 2, stack, ss].forEach((word, n) => machine.ram.setBigUint64(frame + n * 8, BigInt(word), true));
  return { exception: machine.run().exception, context: machine.vcpu.context() };
}

test("IRETQ: a good frame is refused for NT alone", () => {
  assert.equal(returnTo(0, 2n).exception, undefined);
  const { exception } = returnTo(0, 2n | NT);
  assert.deepEqual([exception?.vector, exception?.errorCode, exception?.rip], [13, 0, BigInt(code)]);
});

test("IRETQ to ring 3 takes ring 0's data segments away", () => {
  const inner = returnTo(0, 2n).context.segments;
  assert.deepEqual([inner.ds.selector, inner.es.selector], [Selector.data, Selector.data]);
  const { exception, context } = returnTo(3, 2n);
  assert.deepEqual([exception?.vector, exception?.rip], [13, BigInt(code + 0x1000)]);
  for (const name of ["ds", "es", "fs", "gs"] as const) assert.equal(context.segments[name].selector, 0, name);
});

test("CR4.UMIP keeps descriptor tables' addresses from ring 3, and from nobody else", () => {
  // sidt [rsp]; smsw eax; str ecx; hlt, which ring 3 may not
  for (const [cpl, umip, rip] of [[0, 1n, undefined], [3, 0n, code + 10], [3, 1n, code]] as const) {
    const machine = machineWith("long", cpl, "0f010c24 0f01e0 0f00c9 f4", (context) => (context.cr4 |= umip << 11n));
    const { exit, exception } = machine.run();
    assert.equal(exit, Exit.halt);
    assert.equal(exception?.rip, rip === undefined ? undefined : BigInt(rip));
    if (exception !== undefined) assert.deepEqual([exception.vector, exception.errorCode], [13, 0]);
  }
}); // prettier-ignore

test("the bitmap of ports ends with the TSS, a byte behind the last that is looked at", () => {
  // in al, dx; ud2
  for (const [limit, port, vector] of [[0x69, 7, 6], [0x69, 8, 13], [0x68, 7, 13], [0x6a, 8, 6]] as const) {
    const machine = machineWith("long", 3, "ec 0f0b", (context) => {
      context.gpr[2] = BigInt(port);
      context.segments.tr = { ...context.segments.tr, limit };
    });
    machine.ram.setUint16(Layout.tss + 0x66, 0x68, true);
    assert.equal(machine.run().exception?.vector, vector, `limit ${limit}, port ${port}`);
  }
}); // prettier-ignore

test("a data segment is loaded for the less privileged of CPL and RPL", () => {
  const load = (selector: number, dpl: number) => {
    const machine = machineWith("protected", 0, "8ed8 f4", (context) => (context.gpr[0] = BigInt(selector)));
    machine.ram.setBigUint64(Layout.gdt + 0x50, descriptor(0, 0xfffff, 0x93 | (dpl << 5), 0xc), true);
    const { exception } = machine.run();
    return exception && [exception.vector, exception.errorCode];
  };
  assert.equal(load(0x50, 0), undefined);
  assert.equal(load(0x53, 3), undefined);
  assert.deepEqual(load(0x51, 0), [13, 0x50]);
  assert.deepEqual(load(0x53, 2), [13, 0x50]);
});
