import assert from "node:assert/strict";
import { test } from "node:test";
import { createMachine, hex, Exit } from "../../test/engine-harness.ts";

/** A machine in 64-bit mode with `code` at 0x10000, its stack at 0x8000 and rbx = 0x50000. */
function machineWith(code: string, registers: Readonly<Record<number, bigint>> = {}) {
  const machine = createMachine("long");
  machine.load(0x10000, hex(code));
  const context = machine.context();
  context.rip = 0x10000n;
  context.gpr[3] = 0x50000n;
  context.gpr[4] = 0x8000n;
  for (const [index, value] of Object.entries(registers)) context.gpr[Number(index)] = value;
  machine.vcpu.setContext(context);
  return machine;
}

test("engine: the interpreter's loop stays within what V8 compiles well", () => {
  const { dispatcherOperations } = createMachine("long").vcpu.statistics();
  assert.ok(
    dispatcherOperations > 1000 && dispatcherOperations <= 10_000,
    `${dispatcherOperations} WebAssembly instructions`,
  );
});

test("engine: every exit's instruction count is exact", () => {
  // mov eax, 1000; L: add [rbx], rax; dec eax; jnz L; hlt
  const { vcpu, run } = machineWith("b8e8030000 480103 ffc8 75f9 f4");
  assert.equal(run(1_000_000).exit, Exit.halt);
  assert.equal(vcpu.retired, 1 + 3 * 1000 + 1);
});

test("engine: a budget ends a loop soon after it is used up", () => {
  const { vcpu, run } = machineWith("ebfe");
  assert.equal(run(1000).exit, Exit.budget);
  assert.ok(vcpu.retired >= 1000 && vcpu.retired <= 1001, `${vcpu.retired}`);
  assert.equal(vcpu.rip, 0x10000n);
});

test("engine: code that is written over is decoded anew, within its own block too", () => {
  // mov byte [rip+1], 0x29 turns the next instruction's operation from add into sub: 01 c8 → 29 c8
  const { vcpu, run } = machineWith("c60500000000 29 01c8 f4".replace("c60500000000 29", "c6050000000029"), {
    0: 10n,
    1: 3n,
  });
  assert.equal(run().exit, Exit.halt);
  assert.equal(vcpu.gpr(0), 7n);
});

test("engine: code written by another party is decoded anew", () => {
  const machine = machineWith("01c8 f4", { 0: 10n, 1: 3n });
  machine.run();
  assert.equal(machine.vcpu.gpr(0), 13n);
  machine.load(0x10000, hex("29c8"));
  machine.vcpu.rip = 0x10000n;
  machine.run();
  assert.equal(machine.vcpu.gpr(0), 10n);
});

test("engine: an instruction across two pages follows its second page's translation", () => {
  // At the last byte of a page: 05 imm32 (add eax, imm32), the immediate in the next page; then hlt.
  const { vcpu, load, map, run, memory } = machineWith("f4");
  load(0x200fff, hex("05"));
  map(0x400000n, 0x200000, 3n);
  for (const [page, immediate] of [
    [0x300000, 5n],
    [0x301000, 7n],
  ] as const) {
    memory.write(page, hex(`${immediate.toString(16).padStart(2, "0")}000000f4`));
    map(0x401000n, page, 3n);
    vcpu.rip = 0x400fffn;
    vcpu.setGpr(0, 100n);
    assert.equal(run().exit, Exit.halt);
    assert.equal(vcpu.gpr(0), 100n + immediate);
  }
});

test("engine: a fetch of an instruction's second page faults with its own address", () => {
  const { vcpu, load, map, run } = machineWith("f4");
  load(0x200fff, hex("05"));
  map(0x400000n, 0x200000, 3n);
  vcpu.rip = 0x400fffn;
  const { exception } = run();
  assert.deepEqual(exception && { vector: exception.vector, rip: exception.rip, cr2: exception.cr2 }, {
    vector: 14,
    rip: 0x400fffn,
    cr2: 0x401000n,
  });
});

test("engine: INVLPG, and nothing less, makes a changed page table entry count", () => {
  // mov rax, [rcx]; hlt; mov rax, [rcx]; invlpg [rcx]; mov rdx, [rcx]; hlt
  const machine = machineWith("488b01 f4 488b01 0f0139 488b11 f4", { 1: 0x400000n });
  machine.map(0x400000n, 0x200000, 3n);
  machine.memory.write(0x200000, hex("11"));
  machine.memory.write(0x201000, hex("22"));
  machine.run();
  assert.equal(machine.vcpu.gpr(0), 0x11n);
  machine.remap(0x400000n, 0x201000, 3n);
  machine.run();
  assert.equal(machine.vcpu.gpr(0), 0x11n, "the old translation is still cached");
  assert.equal(machine.vcpu.gpr(2), 0x22n);
});

test("engine: accessed and dirty bits are set by what sets them on a processor", () => {
  const machine = machineWith("8a01 f4 8801 f4", { 1: 0x400000n });
  machine.map(0x400000n, 0x200000, 3n);
  const flags = () => machine.entry(0x400000n) & 0x60n;
  assert.equal(flags(), 0n);
  machine.run();
  assert.equal(flags(), 0x20n);
  machine.run();
  assert.equal(flags(), 0x60n);
});

test("engine: a fault leaves registers and count as they were before the instruction", () => {
  // add [rcx], rax on a page that is read-only for supervisors too (CR0.WP)
  const machine = machineWith("480101", { 0: 5n, 1: 0x400ffcn });
  machine.map(0x400000n, 0x200000, 1n);
  const { exception } = machine.run();
  assert.equal(exception?.vector, 14);
  assert.equal(exception?.errorCode, 3);
  assert.equal(exception?.rip, 0x10000n);
  assert.equal(exception?.cr2, 0x400ffcn);
  assert.equal(machine.vcpu.gpr(0), 5n);
});

test("engine: a triple fault is an exit", () => {
  const machine = machineWith("0f0b");
  const context = machine.context();
  machine.vcpu.setContext({ ...context, rip: 0x10000n, idtr: { base: 0n, limit: 0 } });
  assert.equal(machine.run().exit, Exit.tripleFault);
});

test("engine: STI covers one instruction, then a waiting interrupt is let in", () => {
  // sti; nop; nop; hlt
  const { vcpu, run } = machineWith("fb 90 90 f4");
  vcpu.interruptPending = true;
  assert.equal(run().exit, Exit.interruptWindow);
  assert.equal(vcpu.rip, 0x10002n);
});

test("engine: TF traps behind an instruction, but not behind INT n", () => {
  // pushfq; or dword [rsp], 0x100; popfq; nop; hlt — and the same with int 0x80 in place of nop
  for (const [code, vector, rip] of [
    ["90", 1, 0x1000an],
    ["cd80", 0x80, 0x1000bn],
  ] as const) {
    const { run } = machineWith(`9c 810c2400010000 9d ${code} f4`);
    const { exception } = run();
    assert.deepEqual([exception?.vector, exception?.rip], [vector, rip]);
  }
});
