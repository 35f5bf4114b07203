import assert from "node:assert/strict";
import { test } from "node:test";
import { createMachine, hex, initialFxsave } from "../../../test/engine-harness.ts";
import type { MachineMode } from "../../../test/engine-harness.ts";
import type { VcpuContext } from "../../engine/engine.ts";
import { Vector } from "../exceptions.ts";
import { Gpr } from "../state.ts";

/** What native execution does not show: pointers, opcodes, real mode's images, control registers. */

const code = 0x5000;
const data = 0x6000;
const stack = 0x8000;

interface Start {
  readonly mode?: MachineMode;
  /** Changes of an idle state: control word, status word, abridged tags. */
  readonly fcw?: number;
  readonly fsw?: number;
  readonly tags?: number;
  readonly memory?: string;
  readonly cr0?: bigint;
}

/** Runs code and the HLT behind it; rbx points to the data. */
function execute(bytes: string, { mode = "long", fcw = 0x37f, fsw = 0, tags = 0, memory = "", cr0 = 0n }: Start = {}) {
  const machine = createMachine(mode);
  machine.load(code, hex(`${bytes} f4`));
  machine.load(data, hex(memory));
  const fxsave = initialFxsave();
  const view = new DataView(fxsave.buffer);
  view.setUint16(0, fcw, true);
  view.setUint16(2, fsw, true);
  view.setUint8(4, tags);
  const context: VcpuContext = { ...machine.context(), rip: BigInt(code), fxsave };
  machine.vcpu.setContext({ ...context, cr0: context.cr0 | cr0 });
  machine.vcpu.setGpr(Gpr.rbx, BigInt(data));
  machine.vcpu.setGpr(Gpr.rsp, BigInt(stack));
  const { exception } = machine.run();
  const after = machine.vcpu.context().fxsave;
  const image = new DataView(after.buffer, after.byteOffset);
  return {
    vector: exception?.vector,
    rip: exception === undefined ? undefined : Number(exception.rip) - code,
    fcw: image.getUint16(0, true),
    fsw: image.getUint16(2, true),
    fop: image.getUint16(6, true),
    fip: Number(image.getBigUint64(8, true)),
    fdp: Number(image.getBigUint64(16, true)),
    word: (offset: number) => machine.ram.getUint16(data + offset, true),
    dword: (offset: number) => machine.ram.getUint32(data + offset, true),
  };
}

const fld1 = "d9 e8";
const fldz = "d9 ee";
const loadSingle = "d9 43 08"; // fld dword [rbx + 8]
const divideTop = "d8 f1"; // fdiv st0, st1
const wait = "9b";
const nop = "d9 d0";

test("FIP follows every instruction but those of control, FDP those with a memory operand", () => {
  const loaded = execute(`${loadSingle} ${fld1} ${nop} d9 3b`);
  assert.deepEqual([loaded.fip, loaded.fdp], [code + 3, data + 8]);
});

test("an unmasked exception waits for the next instruction that asks, and FOP tells whose it was", () => {
  const zeroDivide = 4;
  const program = `${fldz} ${fld1} 2e 66 ${divideTop}`;
  const result = execute(`${program} 90 ${wait}`, { fcw: 0x37f & ~zeroDivide });
  assert.deepEqual([result.vector, result.rip], [Vector.MF, 9]);
  assert.deepEqual([result.fop, result.fip], [0x0f1, code + 4]);
  assert.equal(result.fsw & 0x80ff, 0x8080 | zeroDivide);
  assert.equal(execute(`${program} db e3`, { fcw: 0x37b }).vector, undefined, "FNINIT does not wait");
});

test("a masked exception leaves FOP alone", () => {
  const result = execute(`${fldz} ${fld1} ${divideTop}`);
  assert.deepEqual([result.fop, result.fsw & 0x80ff], [0, 4]);
});

test("CR0.EM and CR0.TS forbid x87 instructions; FWAIT minds TS only together with MP", () => {
  const [mp, em, ts] = [2n, 4n, 8n];
  assert.equal(execute(fld1, { cr0: em }).vector, Vector.NM);
  assert.equal(execute(fld1, { cr0: ts }).vector, Vector.NM);
  assert.equal(execute(wait, { cr0: em }).vector, undefined);
  assert.equal(execute(wait, { cr0: mp | ts }).vector, Vector.NM);
});

test("FNSTENV masks every exception and loses the summary", () => {
  const result = execute("d9 33", { fcw: 0x340, fsw: 0x8081 });
  assert.deepEqual([result.fcw & 0x3f, result.fsw & 0x8080], [0x3f, 0]);
  assert.deepEqual([result.dword(0), result.dword(4)], [0xffff0340, 0xffff8081]);
});

test("real mode's environment has opcode and pointers in its own places", () => {
  // The environment is loaded and stored: 16 bits, then 32.
  const short = "7f03 0000 ffff 3412 2153 7856 0070";
  const word = execute("d9 27 d9 77 40", { mode: "real", memory: short });
  assert.deepEqual(
    [6, 8, 10, 12].map((at) => word.word(0x40 + at)),
    [0x1234, 0x5321, 0x5678, 0x7000],
  );
  const long = "7f030000 00000000 ffff0000 34120000 21735604 78560000 00103202";
  const dword = execute("66 d9 27 66 d9 77 40", { mode: "real", memory: long });
  const fields = [12, 16, 20, 24].map((at) => dword.dword(0x40 + at));
  assert.deepEqual(fields, [0xffff1234, 0x04567321, 0xffff5678, 0x02321000]);
});

test("a load onto a full stack is a fault of the stack upwards, an empty operand one downwards", () => {
  const [invalid, stackFault, up] = [1, 0x40, 0x200];
  assert.equal(execute(fld1, { tags: 0xff }).fsw & 0x2ff, invalid | stackFault | up);
  assert.equal(execute("d9 e0").fsw & 0x2ff, invalid | stackFault);
});
