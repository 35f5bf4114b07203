/** native.c against results that are known: otherwise it would be an oracle that nobody checks. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { caseOf, SEGMENTS_16 } from "./cases.ts";
import { compileNative, type Native } from "./native.ts";
import { CODE, INITIAL_FX, WINDOW, windowPattern, type Case, type Outcome } from "./wire.ts";

const compiled = compileNative();
const skip = "unavailable" in compiled ? compiled.unavailable : false;
const native = (): Native => {
  if ("unavailable" in compiled) throw new Error(compiled.unavailable);
  return compiled;
};
const run = (request: Case): Outcome => native().run([request])[0]!;
after(() => {
  if (!("unavailable" in compiled)) compiled[Symbol.dispose]();
});

const STATUS = 0x8d5;
const START = BigInt(CODE + 0x100);

test("native: add rax, rcx carries, and leaves the other registers alone", { skip }, () => {
  const request = caseOf([0x48, 0x01, 0xc8], { rax: 0xffff_ffff_ffff_ffffn, rcx: 1n });
  const { kind, rip, gpr, rflags, changes } = run(request);
  assert.equal(kind, "reached");
  assert.equal(rip, START + 3n);
  assert.equal(rflags & STATUS, 0x55); // CF PF AF ZF
  const expected = request.gpr.slice();
  expected[0] = 0n;
  assert.deepEqual(gpr, expected);
  assert.deepEqual(changes, []);
});

test("native: div by zero is #DE at the instruction", { skip }, () => {
  const { kind, vector, rip } = run(caseOf([0xf7, 0xf1], { rcx: 0n }));
  assert.deepEqual({ kind, vector, rip }, { kind: "fault", vector: 0, rip: START });
});

for (const [what, pages, address, code, errorCode] of [
  ["a load below the window", [2, 2], WINDOW - 4, [0x8b, 0x00], 4],
  ["a load across its end", [2, 2], WINDOW + 0x1ffe, [0x8b, 0x00], 4],
  ["a store to a read-only page", [2, 1], WINDOW + 0x1000, [0x89, 0x00], 7],
  ["a store to an absent page", [0, 2], WINDOW + 8, [0x89, 0x00], 6],
  ["a store to the code page", [2, 2], CODE + 0x800, [0x89, 0x00], 7],
] as const) {
  test(`native: ${what} is a page fault with error code ${errorCode}`, { skip }, () => {
    const outcome = run(caseOf(code, { rax: BigInt(address) }, { pages }));
    const fault = address === WINDOW + 0x1ffe ? WINDOW + 0x2000 : address;
    assert.equal(outcome.vector, 14);
    assert.equal(outcome.errorCode, errorCode);
    assert.equal(outcome.faultAddress, BigInt(fault));
    assert.equal(outcome.rip, START);
  });
}

test("native: a fault in an instruction's second page names the guard page", { skip }, () => {
  const { vector, errorCode, faultAddress, rip } = run(caseOf([0xb8, 0, 0], {}, { codeOffset: 0xffd }));
  assert.deepEqual(
    { vector, errorCode, faultAddress, rip },
    { vector: 14, errorCode: 0x14, faultAddress: BigInt(CODE + 0x1000), rip: BigInt(CODE + 0xffd) },
  );
});

test("native: a taken branch, into the page and out of it, tells where it went", { skip }, () => {
  assert.equal(run(caseOf([0xeb, 0x10])).rip, START + 0x12n);
  const away = run(caseOf([0xff, 0xe0], { rax: 0x1234n }));
  assert.deepEqual([away.kind, away.rip], ["reached", 0x1234n]);
});

test("native: a jump to itself is seen by single-stepping, and is a hang without", { skip }, () => {
  const stepped = run(caseOf([0xeb, 0xfe], {}, { rflags: 0x302 }));
  assert.deepEqual([stepped.kind, stepped.rip], ["reached", START]);
  assert.equal(run(caseOf([0xeb, 0xfe])).kind, "hang");
});

test("native: stores show as changes to the window's content", { skip }, () => {
  const patches = [{ offset: 16, bytes: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }];
  const { changes } = run(caseOf([0xfe, 0x00], { rax: BigInt(WINDOW + 17) }, { patches }));
  assert.deepEqual(changes, [{ offset: 16, bytes: Uint8Array.of(1, 3, 3, 4, 5, 6, 7, 8) }]);
  const restored = run(caseOf([0x48, 0x8b, 0x00], { rax: BigInt(WINDOW + 16) }));
  const pattern = new DataView(windowPattern().buffer);
  assert.equal(restored.gpr[0], pattern.getBigUint64(16, true));
});

test("native: divss by zero sets MXCSR.ZE, or raises #XM when unmasked", { skip }, () => {
  const fx = INITIAL_FX.slice();
  const view = new DataView(fx.buffer);
  view.setFloat32(160, 1, true);
  const divss = [0xf3, 0x0f, 0x5e, 0xc1];
  const masked = run(caseOf(divss, {}, { fx }));
  const result = new DataView(masked.fx.buffer);
  assert.equal(result.getFloat32(160, true), Infinity);
  assert.equal(result.getUint32(24, true), 0x1f84);
  view.setUint32(24, 0x1d80, true);
  const unmasked = run(caseOf(divss, {}, { fx }));
  assert.deepEqual([unmasked.kind, unmasked.vector, unmasked.rip], ["fault", 19, START]);
  assert.equal(new DataView(unmasked.fx.buffer).getUint32(24, true), 0x1d84);
  assert.equal(new DataView(unmasked.fx.buffer).getFloat32(160, true), 1);
});

test(
  "native: fld1 pushes on the x87 stack; an unmasked exception comes with the next waiting instruction",
  { skip },
  () => {
    const pushed = run(caseOf([0xd9, 0xe8], {}, { fx: INITIAL_FX.slice() }));
    const image = new DataView(pushed.fx.buffer);
    assert.equal(image.getUint16(2, true), 7 << 11);
    assert.equal(image.getUint8(4), 0x80);
    assert.equal(image.getBigUint64(32, true), 1n << 63n);
    const fx = INITIAL_FX.slice();
    new DataView(fx.buffer).setUint16(0, 0x37e, true);
    const pending = run(caseOf([0xd9, 0xe0, 0x9b], {}, { fx })); // fchs on an empty register; fwait
    assert.deepEqual([pending.vector, pending.rip], [16, START + 2n]);
  },
);

test("native: FS has its base in 64-bit mode", { skip }, () => {
  const patches = [{ offset: 0, bytes: Uint8Array.of(0x11, 0x22, 0x33, 0x44) }];
  const { gpr } = run(caseOf([0x64, 0x8b, 0x00], { rax: 8n }, { patches, bases: [BigInt(WINDOW - 8), 0n] }));
  assert.equal(gpr[0], 0x4433_2211n);
});

test("native: 32-bit mode has DAA, BOUND and INTO", { skip }, () => {
  const daa = run(caseOf([0x27], { rax: 0x9an }, { mode: 32 }));
  assert.deepEqual([daa.kind, daa.gpr[0], daa.rflags & 1], ["reached", 0n, 1]);
  const bound = run(
    caseOf(
      [0x62, 0x01],
      { rax: 5n, rcx: BigInt(WINDOW) },
      { mode: 32, patches: [{ offset: 0, bytes: new Uint8Array(8) }] },
    ),
  );
  assert.deepEqual([bound.kind, bound.vector], ["fault", 5]);
  const into = run(caseOf([0xce], {}, { mode: 32, rflags: 0xa02 }));
  assert.deepEqual([into.vector, into.rip], [4, START + 1n]);
});

test("native: 16-bit mode pushes on a 16-bit stack and wraps addresses", { skip }, () => {
  const pushed = run(caseOf([0x50], { rax: 0x1234n }, { mode: 16 }));
  assert.equal(pushed.rip, 0x101n);
  assert.equal(pushed.gpr[4], 0x7000_27fen);
  assert.deepEqual(
    pushed.changes.map(({ offset }) => offset),
    [0x17f8],
  );
  const wrapped = run(caseOf([0x8a, 0x00], { rbx: 0xff00n, rsi: 0x1100n }, { mode: 16 })); // mov al, [bx+si]
  assert.equal(wrapped.gpr[0]! & 0xffn, BigInt(windowPattern()[0]!));
});

test("native: a segment's limit is checked: #GP through DS, #SS through SS", { skip }, () => {
  const limited = { ...SEGMENTS_16, cs: 0x23, ds: 0x1f, ss: 0x2b };
  const outside = run(caseOf([0x8b, 0x00], { rax: 0x17fdn }, { mode: 32, selectors: limited }));
  assert.deepEqual([outside.vector, outside.errorCode], [13, 0]);
  const stack = run(caseOf([0x58], { rsp: 0x17fdn }, { mode: 32, selectors: { ...limited, ss: 0x1f } }));
  assert.deepEqual([stack.vector, stack.errorCode], [12, 0]);
});

test("native: RFLAGS.AC makes misaligned accesses #AC", { skip }, () => {
  const { vector } = run(caseOf([0x8b, 0x00], { rax: BigInt(WINDOW + 1) }, { rflags: 0x40202 }));
  assert.equal(vector, 17);
});

for (const [name, code, vector] of [
  ["ud2", [0x0f, 0x0b], 6],
  ["int3", [0xcc], 3],
  ["hlt", [0xf4], 13],
  ["int1", [0xf1], 1],
] as const) {
  test(`native: ${name} raises vector ${vector}`, { skip }, () => {
    const outcome = run(caseOf(code));
    assert.deepEqual([outcome.kind, outcome.vector], ["fault", vector]);
  });
}
