import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit } from "../../src/engine/engine.ts";
import { Layout, Selector } from "../engine-harness.ts";
import type { Machine } from "../engine-harness.ts";
import { at, descriptor, gate32, handlerTask, otherTask, program, start, taskSegment } from "./program.ts";

const jump = program(`
    ea                     | .byte 0xea
    00000000               | .long 0
    5800                   | .word 0x58
    90                     | next: nop
    90                     | task: nop
    f4                     | hlt
  `);
const stack = 0x6800;

/** Runs `jump` to a task that `change` spoils. @returns what the handlers of #TS, #NP, #SS, #GP and #DB, tasks too, were given. */
function attempt(change: (machine: Machine) => void, access = 0x89) {
  const machine = start("protected", jump, {
    prepare(_, machine_) {
      const { ram } = machine_;
      taskSegment(ram, otherTask, at(jump, "task"), 0x6f00);
      ram.setBigUint64(Layout.gdt + 0x58, descriptor(otherTask, 0x67, access, 0), true);
      ram.setBigUint64(Layout.gdt + 0x60, descriptor(handlerTask, 0x67, 0x89, 0), true);
      taskSegment(ram, handlerTask, 0, stack);
      for (const vector of [1, 10, 11, 12, 13]) gate32(ram, Layout.idt + vector * 8, 0x60, 0, 0x85);
      // One handler for all of them: HLT.
      ram.setUint32(handlerTask + 0x20, Layout.handlers, true);
      change(machine_);
    },
  });
  const { exit } = machine.run();
  assert.equal(exit, Exit.halt);
  const handled = machine.vcpu.rip === BigInt(Layout.handlers + 1);
  return {
    machine,
    errorCode: handled ? machine.ram.getUint32(stack - 4, true) : undefined,
    /** The TSS that the handler's task is nested in. */
    interrupted: machine.ram.getUint32(handlerTask, true),
  };
}
const setSelector =
  (index: number, selector: number) =>
  ({ ram }: Machine) =>
    ram.setUint32(otherTask + 0x48 + index * 4, selector, true);

test("a good task is entered", () => {
  const { machine, errorCode } = attempt(() => {});
  assert.equal(errorCode, undefined);
  assert.deepEqual([machine.vcpu.rip, machine.vcpu.gpr(4)], [BigInt(at(jump, "task") + 2), 0x6f00n]);
});

/** The exception belongs to the old task, or to the new one, which has been entered by then. A program asked: EXT is 0. */
const refused: readonly [
  name: string,
  change: (machine: Machine) => void,
  task: number,
  errorCode: number,
  access?: number,
][] = [
  [
    "the TSS is too small",
    ({ ram }) => ram.setBigUint64(Layout.gdt + 0x58, descriptor(otherTask, 0x66, 0x89, 0), true),
    Selector.tss,
    0x58,
  ],
  ["the TSS is not present", () => {}, Selector.tss, 0x58, 0x09],
  ["CS is null", setSelector(1, 0), 0x58, 0],
  ["CS is beyond the GDT", setSelector(1, 0x7f8), 0x58, 0x7f8],
  ["CS is data", setSelector(1, Selector.data), 0x58, Selector.data],
  ["CS's RPL is not its DPL", setSelector(1, Selector.code32 | 3), 0x58, Selector.code32],
  ["SS is null", setSelector(2, 0), 0x58, 0],
  ["SS is code", setSelector(2, Selector.code32), 0x58, Selector.code32],
  ["DS is a system descriptor", setSelector(3, 0x60), 0x58, 0x60],
  ["the LDT is no LDT", ({ ram }) => ram.setUint32(otherTask + 0x60, Selector.data, true), 0x58, Selector.data],
];
for (const [name, change, task, errorCode, access] of refused) {
  test(`a task switch is refused: ${name}`, () => {
    const result = attempt(change, access);
    assert.deepEqual([result.interrupted, result.errorCode], [task, errorCode]);
  });
}

test("the T bit of a TSS is a #DB before the task's first instruction, with DR6.BT", () => {
  const { machine, interrupted } = attempt(({ ram }) => ram.setUint32(otherTask + 0x64, 1, true));
  assert.equal(interrupted, 0x58);
  assert.equal(machine.vcpu.context().dr[6], 0xffff8ff0n);
  assert.equal(machine.ram.getUint32(otherTask + 0x20, true), at(jump, "task"));
  // #DB pushes no error code.
  assert.equal(machine.vcpu.gpr(4), BigInt(stack));
});

test("a task switch loads the LDT and every segment, through the LDT too", () => {
  const { machine } = attempt((machine) => {
    const { ram } = machine;
    ram.setBigUint64(Layout.gdt + 0x50, descriptor(0x12000, 0xf, 0x82, 0), true);
    ram.setBigUint64(0x12008, descriptor(0x13000, 0xfff, 0x92, 0), true);
    ram.setUint32(otherTask + 0x60, 0x50, true);
    setSelector(4, 0x0c)(machine);
    setSelector(5, Selector.data)(machine);
  });
  const { segments } = machine.vcpu.context();
  assert.deepEqual(segments.ldtr, { selector: 0x50, base: 0x12000n, limit: 0xf, attributes: 0x82 });
  assert.deepEqual(segments.fs, { selector: 0x0c, base: 0x13000n, limit: 0xfff, attributes: 0x93 });
  assert.equal(segments.gs.limit, 0xffffffff);
  assert.equal(machine.ram.getUint8(0x1200d), 0x93);
});

test("a task in virtual-8086 mode has its bases from its selectors", () => {
  const { machine } = attempt(({ ram }) => {
    ram.setUint32(otherTask + 0x24, 0x20002, true);
    ram.setUint32(otherTask + 0x20, 0x10, true);
    [0x100, 0x680, 0x700, 0x300, 0x400, 0x500].forEach((selector, index) =>
      ram.setUint32(otherTask + 0x48 + index * 4, selector, true),
    );
    // HLT is privileged in virtual-8086 mode.
    ram.setUint8(0x6810, 0xf4);
  });
  const word = (offset: number) => machine.ram.getUint32(otherTask + offset, true);
  assert.deepEqual([word(0x20), word(0x48), word(0x4c), word(0x50), word(0x5c)], [0x10, 0x100, 0x680, 0x700, 0x500]);
  assert.equal(word(0x24) & 0x20000, 0x20000);
});

test("IRETD with NT to a task that is not busy is #TS", () => {
  const code = program(`
    6802400000             | push 0x4002
    9d                     | popfd
    cf                     | last: iretd
  `);
  const machine = start("protected", code, {
    prepare(_, { ram }) {
      taskSegment(ram, otherTask, 0x4000, 0x6f00);
      ram.setBigUint64(Layout.gdt + 0x58, descriptor(otherTask, 0x67, 0x89, 0), true);
      ram.setUint32(Layout.tss, 0x58, true);
    },
  });
  const { exception } = machine.run();
  assert.deepEqual([exception?.vector, exception?.errorCode, exception?.rip], [10, 0x58, BigInt(at(code, "last"))]);
});

test("an exception through a task gate whose task has a null SS is #TS with EXT", () => {
  const code = program(`
    0f0b                   | ud2
  `);
  const machine = start("protected", code, {
    prepare(_, { ram }) {
      taskSegment(ram, otherTask, 0x4000, 0x6f00);
      ram.setUint32(otherTask + 0x50, 0, true);
      taskSegment(ram, handlerTask, Layout.handlers + 10 * 16, stack);
      ram.setBigUint64(Layout.gdt + 0x58, descriptor(otherTask, 0x67, 0x89, 0), true);
      ram.setBigUint64(Layout.gdt + 0x60, descriptor(handlerTask, 0x67, 0x89, 0), true);
      gate32(ram, Layout.idt + 6 * 8, 0x58, 0, 0x85);
      gate32(ram, Layout.idt + 10 * 8, 0x60, 0, 0x85);
    },
  });
  assert.equal(machine.run().exit, Exit.halt);
  assert.deepEqual([machine.vcpu.rip, machine.ram.getUint32(stack - 4, true)], [BigInt(Layout.handlers + 161), 1]);
});
