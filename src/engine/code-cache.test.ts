/** When decoded code is decoded anew, and what ends the loop over it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit, createMachine, hex } from "../../test/engine-harness.ts";
import { attentionOf } from "./domain-memory.ts";

const code = 0x10000;
const other = 0x50000;

/** A machine in 64-bit mode about to run `bytes`, with rcx = {@link other}. */
function machineWith(bytes: string, platform: Parameters<typeof createMachine>[2] = {}) {
  const machine = createMachine("long", 0, platform);
  machine.load(code, hex(bytes));
  const context = machine.context();
  context.rip = BigInt(code);
  context.gpr[1] = BigInt(other);
  context.gpr[4] = 0x8000n;
  machine.vcpu.setContext(context);
  return machine;
}

test("code cache: what is no instruction is #UD, what is too long #GP(0)", () => {
  for (const [bytes, vector, errorCode] of [["06", 6, undefined], [`${"66".repeat(15)}90`, 13, 0]] as const) {
    const { exception } = machineWith(`90 ${bytes}`).run();
    assert.deepEqual([exception?.vector, exception?.errorCode, exception?.rip], [vector, errorCode, BigInt(code + 1)]);
  }
}); // prettier-ignore

test("code cache: a page that the guest has written, and then executed, can still be written and executed", () => {
  // mov byte [rcx], 0xb0; mov word [rcx+1], 0xc305; call rcx; mov byte [rcx+1], 7; mov bl, al; call rcx; hlt
  const machine = machineWith("c601b0 66c7410105c3 ffd1 c6410107 88c3 ffd1 f4");
  machine.vcpu.setGpr(0, 0n);
  machine.vcpu.setGpr(3, 0n);
  assert.equal(machine.run().exit, Exit.halt);
  assert.deepEqual([machine.vcpu.gpr(3), machine.vcpu.gpr(0)], [5n, 7n]);
});

test("code cache: an instruction across two pages is decoded anew when either is written", () => {
  // call rcx; mov byte [rdi], dl; call rcx; hlt — at rcx, three bytes before the end of a page: mov eax, imm32; ret
  for (const [place, expected] of [[1, 0x44332299n], [3, 0x44992211n], [4, 0x99332211n]] as const) {
    const machine = machineWith("ffd1 8817 ffd1 f4");
    const start = other + 0x1000 - 3;
    machine.load(start, hex("b8 11223344 c3"));
    for (const [register, value] of [[1, start], [2, 0x99], [7, start + place]] as const) {
      machine.vcpu.setGpr(register, BigInt(value));
    }
    assert.equal(machine.run().exit, Exit.halt);
    assert.equal(machine.vcpu.gpr(0), expected);
  }
}); // prettier-ignore

test("code cache: the same bytes mean what the mode says", () => {
  // 64-bit: inc rax; 32-bit: dec eax; inc eax
  const bytes = hex("48ffc0 f4");
  const long = createMachine("long");
  long.load(code, bytes);
  const context = long.context();
  context.rip = BigInt(code);
  context.gpr[0] = 5n;
  long.vcpu.setContext(context);
  assert.equal(long.run().exit, Exit.halt);
  assert.equal(long.vcpu.gpr(0), 6n);
  const { segments } = createMachine("compatibility").context();
  long.vcpu.setContext({ ...context, segments });
  assert.equal(long.run().exit, Exit.halt);
  assert.equal(long.vcpu.gpr(0), 5n);
});

test("loop: attention asked for in the middle of a run ends it, also within a page", () => {
  let ask = (): void => {};
  // out 0x80, al; L: jmp L
  const machine = machineWith("e680 ebfe", { portOut: () => ask() });
  const attention = attentionOf(machine.memory.memory, 0);
  ask = () => attention.request();
  // Each jump is remembered by the first one.
  machine.vcpu.rip = BigInt(code + 2);
  machine.run(10);
  const before = machine.vcpu.retired;
  machine.vcpu.rip = BigInt(code);
  assert.equal(machine.run(1_000_000).exit, Exit.budget);
  assert.ok(machine.vcpu.retired - before < 100, `${machine.vcpu.retired - before} instructions`);
  assert.equal(attention.take(), true);
});

test("loop: an instruction that faults is not counted", () => {
  // nop; nop; ud2 — and the handler's HLT
  const machine = machineWith("90 90 0f0b");
  assert.equal(machine.run().exception?.vector, 6);
  assert.equal(machine.vcpu.retired, 3);
});
