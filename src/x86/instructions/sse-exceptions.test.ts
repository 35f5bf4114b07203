import assert from "node:assert/strict";
import { test } from "node:test";
import { createMachine, hex, initialFxsave } from "../../../test/engine-harness.ts";
import type { VcpuContext } from "../../engine/engine.ts";
import { doubleBits, doubleOf } from "../../ir/float-operations.ts";
import { Vector } from "../exceptions.ts";
import { Gpr } from "../state.ts";

/** What a user program cannot set up: the control registers. Results are judged by the differential tests. */

const code = 0x50000;
const data = 0x58000;
const stack = 0x60000;
const machine = createMachine();

const Cr0 = { em: 4n, ts: 8n } as const;
const Cr4 = { osfxsr: 1n << 9n, osxmmexcpt: 1n << 10n } as const;

interface Start {
  readonly mxcsr?: number;
  readonly xmm?: readonly bigint[];
  readonly changes?: (context: VcpuContext) => Partial<VcpuContext>;
}

/** Runs one instruction and the HLT behind it. */
function execute(bytes: string, { mxcsr = 0x1f80, xmm = [], changes = () => ({}) }: Start = {}) {
  machine.load(code, hex(`${bytes} f4`));
  const fxsave = initialFxsave();
  const view = new DataView(fxsave.buffer);
  view.setUint32(24, mxcsr, true);
  xmm.forEach((value, index) => {
    view.setBigUint64(160 + index * 16, BigInt.asUintN(64, value), true);
    view.setBigUint64(168 + index * 16, value >> 64n, true);
  });
  const context = { ...machine.context(), rip: BigInt(code), fxsave };
  machine.vcpu.setContext({ ...context, ...changes(context) });
  machine.vcpu.setGpr(Gpr.rax, BigInt(data));
  machine.vcpu.setGpr(Gpr.rsp, BigInt(stack));
  const { exception } = machine.run();
  const after = machine.vcpu.context().fxsave;
  const image = new DataView(after.buffer, after.byteOffset);
  const register = (index: number) =>
    image.getBigUint64(160 + index * 16, true) | (image.getBigUint64(168 + index * 16, true) << 64n);
  return { vector: exception?.vector, errorCode: exception?.errorCode, mxcsr: image.getUint32(24, true), register };
}

const addsd = "f2 0f 58 c1";
const paddbMmx = "0f fc c1";
const movapsLoad = "0f 28 00";
const divsd = "f2 0f 5e c1";

test("CR0.EM, CR0.TS and CR4.OSFXSR forbid SSE; MMX does not ask for OSFXSR", () => {
  const rows = [
    [addsd, { cr0: Cr0.em }, Vector.UD],
    [addsd, { cr0: Cr0.ts }, Vector.NM],
    [addsd, { cr0: Cr0.em | Cr0.ts }, Vector.UD],
    [movapsLoad, { without: Cr4.osfxsr }, Vector.UD],
    [paddbMmx, { cr0: Cr0.em }, Vector.UD],
    [paddbMmx, { cr0: Cr0.ts }, Vector.NM],
    [paddbMmx, { without: Cr4.osfxsr }, undefined],
  ] as const;
  for (const [bytes, setting, expected] of rows) {
    const changes = ({ cr0, cr4 }: VcpuContext) => ({
      cr0: cr0 | ("cr0" in setting ? setting.cr0 : 0n),
      cr4: "without" in setting ? cr4 & ~setting.without : cr4,
    });
    assert.equal(execute(bytes, { changes }).vector, expected, `${bytes} ${Object.keys(setting).join()}`);
  }
});

test("a misaligned operand of 16 bytes is #GP(0) for MOVAPS and not for MOVUPS", () => {
  const misaligned = (bytes: string) => execute(bytes);
  const { vector, errorCode } = misaligned("0f 28 40 08");
  assert.deepEqual([vector, errorCode], [Vector.GP, 0]);
  assert.equal(misaligned("0f 10 40 08").vector, undefined);
});

test("an unmasked exception writes nothing but MXCSR, and is #UD without CR4.OSXMMEXCPT", () => {
  const xmm = [doubleBits(1), 0n];
  const mxcsr = 0x1f80 & ~(4 << 7);
  const raised = execute(divsd, { mxcsr, xmm });
  assert.deepEqual([raised.vector, raised.mxcsr, raised.register(0)], [Vector.XM, mxcsr | 4, doubleBits(1)]);
  const unhandled = execute(divsd, { mxcsr, xmm, changes: ({ cr4 }) => ({ cr4: cr4 & ~Cr4.osxmmexcpt }) });
  assert.deepEqual([unhandled.vector, unhandled.mxcsr], [Vector.UD, mxcsr | 4]);
});

test("the fast way and the exact one agree", () => {
  const numbers = [0, -0, 1, -1, 0.1, 3, 1e-310, 5e-324, -2.5e-308, 1e308, -1e308, Infinity, -Infinity, NaN];
  const operations = {
    "58": (a: number, b: number) => a + b,
    "59": (a: number, b: number) => a * b,
    "5e": (a: number, b: number) => a / b,
  };
  for (const [opcode, meaning] of Object.entries(operations)) {
    for (const a of numbers) {
      for (const b of numbers) {
        const xmm = [doubleBits(a), doubleBits(b)];
        const [fast, exact] = [0x1fa0, 0x1f80].map((mxcsr) => execute(`f2 0f ${opcode} c1`, { mxcsr, xmm }));
        const text = `${a} ${opcode} ${b}`;
        assert.equal(fast!.register(0), exact!.register(0), text);
        assert.equal(fast!.mxcsr, exact!.mxcsr | 0x20, text);
        assert.ok(Object.is(doubleOf(exact!.register(0)), meaning(a, b)), text);
      }
    }
  }
});
