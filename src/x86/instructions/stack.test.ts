import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit, createMachine, hex } from "../../../test/engine-harness.ts";
import { Gpr } from "../state.ts";

const code = 0x50000;
const stack = 0x58000;

/** Everything but VM and what does not exist. */
const all = 0x3f7fd7n;

/** At CPL 0; at CPL 3 the differential tests judge. */
test("popf at CPL 0: every flag but VM, VIF, VIP and RF, by operand size", () => {
  const machine = createMachine();
  const rows = [
    { bytes: "9d 9c f4", popped: all & ~0x100n, pushed: 0x247ed7n },
    { bytes: "66 9d 9c f4", popped: all & ~0x100n, pushed: 0x7ed7n },
    { bytes: "9d 9c f4", popped: 0n, pushed: 2n },
    { bytes: "9d 66 9c f4", popped: 0x1234_5678_0020_0ed7n, pushed: 0xed7n },
  ];
  for (const { bytes, popped, pushed } of rows) {
    machine.load(code, hex(bytes));
    machine.ram.setBigUint64(stack, popped, true);
    machine.vcpu.setContext({ ...machine.context(), rip: BigInt(code) });
    machine.vcpu.setGpr(Gpr.rsp, BigInt(stack));
    assert.equal(machine.run().exit, Exit.halt);
    const top = Number(machine.vcpu.gpr(Gpr.rsp));
    const popSize = bytes.startsWith("66") ? 2 : 8;
    const pushSize = bytes.includes("66 9c") ? 2 : 8;
    assert.equal(top, stack + popSize - pushSize, bytes);
    const value = pushSize === 2 ? BigInt(machine.ram.getUint16(top, true)) : machine.ram.getBigUint64(top, true);
    assert.equal(value.toString(16), pushed.toString(16), bytes);
  }
});

test("popf lets a waiting interrupt in at once when it sets IF", () => {
  const machine = createMachine();
  machine.load(code, hex("9d f4"));
  machine.ram.setBigUint64(stack, 0x202n, true);
  machine.vcpu.setContext({ ...machine.context(), rip: BigInt(code) });
  machine.vcpu.setGpr(Gpr.rsp, BigInt(stack));
  machine.vcpu.interruptPending = true;
  assert.equal(machine.run().exit, Exit.interruptWindow);
  assert.equal(machine.vcpu.rip, BigInt(code + 1));
});

test("an instruction behind popf that sets TF is the first to trap", () => {
  const machine = createMachine();
  machine.load(code, hex("9d 90 90 f4"));
  machine.ram.setBigUint64(stack, 0x102n, true);
  machine.vcpu.setContext({ ...machine.context(), rip: BigInt(code) });
  machine.vcpu.setGpr(Gpr.rsp, BigInt(stack));
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.rip], [1, BigInt(code + 2)]);
});

test("enter and call that cannot store leave the registers alone", () => {
  const machine = createMachine();
  // The page below the stack pointer is not mapped.
  const bottom = 0x60000;
  machine.map(BigInt(bottom - 0x1000), 0, 0n);
  for (const bytes of ["c8 00 10 00", "c8 10 00 05", "e8 00 01 00 00", "6a 01"]) {
    machine.load(code, hex(bytes));
    machine.vcpu.setContext({ ...machine.context(), rip: BigInt(code) });
    const pointer = BigInt(bottom + (bytes.startsWith("c8") ? 16 : 0));
    machine.vcpu.setGpr(Gpr.rsp, pointer);
    machine.vcpu.setGpr(Gpr.rbp, BigInt(bottom + 0x800));
    // The handler's frame goes below RSP too, so it is a double fault that shows: by its own stack it would need an IST.
    assert.equal(machine.vcpu.run(1000), Exit.tripleFault, bytes);
    assert.equal(machine.vcpu.gpr(Gpr.rsp), pointer, bytes);
    assert.equal(machine.vcpu.gpr(Gpr.rbp), BigInt(bottom + 0x800), bytes);
    assert.equal(machine.vcpu.rip, BigInt(code), bytes);
  }
});
