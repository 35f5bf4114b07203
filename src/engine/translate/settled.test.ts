import assert from "node:assert/strict";
import { test } from "node:test";
import { createMachine, hex } from "../../../test/engine-harness.ts";
import { Vector } from "../../x86/exceptions.ts";
import { Gpr } from "../../x86/state.ts";

/** MXCSR and traps are looked at once in straight code: what changes them there counts at once all the same. */

const code = 0x50000;
const data = 0x58000;
const rounds = 200;

/** Runs a loop that becomes a region, RCX counting down, and what is behind it. */
function run(bytes: string, xmm: readonly number[], words: readonly number[]) {
  const machine = createMachine("long", 0, {}, 1);
  machine.load(code, hex(bytes));
  const context = { ...machine.context(), rip: BigInt(code) };
  const view = new DataView(context.fxsave.buffer);
  for (const [index, value] of xmm.entries()) view.setFloat64(160 + index * 16, value, true);
  machine.vcpu.setContext(context);
  machine.vcpu.setGpr(Gpr.rax, BigInt(data));
  machine.vcpu.setGpr(Gpr.rcx, BigInt(rounds));
  machine.vcpu.setGpr(Gpr.rbx, context.cr0 | 8n);
  machine.vcpu.setGpr(Gpr.rsp, 0x60000n);
  for (const [index, word] of words.entries()) machine.ram.setUint32(data + 4 * index, word, true);
  const { exception } = machine.run();
  const after = new DataView(machine.vcpu.context().fxsave.buffer);
  return {
    exception,
    translated: machine.vcpu.translated,
    double: (index: number) => after.getFloat64(160 + index * 16, true),
    word: (index: number) => machine.ram.getUint32(data + 4 * index, true),
  };
}

test("settled reads: LDMXCSR between divisions changes how the second one rounds", () => {
  // movaps xmm0, xmm3; movaps xmm2, xmm3; ldmxcsr [rax]; divsd xmm0, xmm1; ldmxcsr [rax+4]; divsd xmm2, xmm1; stmxcsr [rax+8]
  const loop = "0f 28 c3  0f 28 d3  0f ae 10  f2 0f 5e c1  0f ae 50 04  f2 0f 5e d1  0f ae 58 08";
  const { double, word, translated } = run(`${loop}  48 83 e9 01  75 e1  f4`, [0, 3, 0, 1], [0x1fa0, 0x5f80]);
  assert.ok(translated > rounds);
  assert.equal(double(0), 1 / 3);
  assert.equal(double(2), 1 / 3 + 2 ** -54);
  assert.equal(word(2), 0x5fa0);
});

test("settled reads: an inexact sum sets PE, which STMXCSR behind it sees", () => {
  // ldmxcsr [rax]; movaps xmm0, xmm3; addsd xmm0, xmm1; stmxcsr [rax+4]; addsd xmm0, xmm2; stmxcsr [rax+8]
  const loop = "0f ae 10  0f 28 c3  f2 0f 58 c1  0f ae 58 04  f2 0f 58 c2  0f ae 58 08";
  const { double, word, translated } = run(`${loop}  48 83 e9 01  75 e4  f4`, [0, 3, 1e-20, 1], [0x1f80]);
  assert.ok(translated > rounds);
  assert.equal(double(0), 4);
  assert.equal(word(1), 0x1f80);
  assert.equal(word(2), 0x1fa0);
});

test("settled reads: behind a write of CR0.TS the next SSE instruction traps", () => {
  // addsd xmm0, xmm1; sub rcx, 1; jnz; addsd xmm0, xmm1; mov cr0, rbx; addsd xmm0, xmm1
  const { exception, double } = run(
    "f2 0f 58 c1  48 83 e9 01  75 f6  f2 0f 58 c1  0f 22 c3  f2 0f 58 c1  f4",
    [0, 1],
    [],
  );
  assert.equal(exception?.vector, Vector.NM);
  assert.equal(exception?.rip, BigInt(code + 17));
  assert.equal(double(0), rounds + 1);
});
