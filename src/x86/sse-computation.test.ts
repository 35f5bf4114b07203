import assert from "node:assert/strict";
import { test } from "node:test";
import { createMachine, hex, initialFxsave } from "../../test/engine-harness.ts";
import { callPure } from "../../test/routine-harness.ts";
import { arithmetic } from "./softfloat/arithmetic.ts";
import type { ArithmeticOperation } from "./softfloat/arithmetic.ts";
import { double, single } from "./softfloat/format.ts";
import type { Format } from "./softfloat/format.ts";

/** Numbers at the ends of what is done inline, and of the formats: inline, round about and exact are to agree, flags included. */

const code = 0x50000;
const machine = createMachine();
const opcodes = { add: 0x58, sub: 0x5c, mul: 0x59, div: 0x5e, sqrt: 0x51 } as const;
const shapes = [
  ["pd", double, "66"],
  ["sd", double, "f2"],
  ["ps", single, ""],
  ["ss", single, "f3"],
] as const;
/** Round to nearest, all masked: without PE, with it, with PE and DE; toward zero; flushing denormals. */
const controls = [0x1f80, 0x1fa0, 0x1fa2, 0x7fa0, 0x9fe0];

let seed = 99n;
const next = () => (seed = (seed * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n)) >> 20n;

/** Exponents near both ends of the format and of its middle half, and of half and twice that; or those of ordinary numbers. */
function operand({ bits, precision, maximum }: Format, ordinary: boolean): bigint {
  const whole = maximum + 1;
  const ends = [0, whole / 2, whole, (3 * whole) / 2, 2 * whole - 1, whole / 4, (7 * whole) / 4];
  const near = ordinary ? whole : ends[Number(next() % 7n)]!;
  const exponent = Math.min(2 * whole - 1, Math.max(0, near + Number(next() % 13n) - 6));
  const fractions = [0n, 1n, -1n, next() << 32n, next(), next() << BigInt(precision - 8)];
  const fraction = BigInt.asUintN(precision - 1, fractions[Number(next() % 6n)]!);
  return ((next() & 1n) << BigInt(bits - 1)) | (BigInt(exponent) << BigInt(precision - 1)) | fraction;
}

/** Lanes of a vector, lowest first. */
function split(value: bigint, bits: number): bigint[] {
  return Array.from({ length: 128 / bits }, (_, lane) => BigInt.asUintN(bits, value >> BigInt(lane * bits)));
}
function join(lanes: readonly bigint[], bits: number): bigint {
  return lanes.reduce((all, lane, index) => all | (lane << BigInt(index * bits)), 0n);
}

/** XMM0 ← XMM0 op XMM1. */
function execute(bytes: string, mxcsr: number, operands: readonly bigint[]): { result: bigint; mxcsr: number } {
  machine.load(code, hex(`${bytes} f4`));
  const fxsave = initialFxsave();
  const view = new DataView(fxsave.buffer);
  view.setUint32(24, mxcsr, true);
  operands.forEach((value, index) => {
    view.setBigUint64(160 + index * 16, BigInt.asUintN(64, value), true);
    view.setBigUint64(168 + index * 16, value >> 64n, true);
  });
  machine.vcpu.setContext({ ...machine.context(), rip: BigInt(code), fxsave });
  machine.run();
  const image = new DataView(machine.vcpu.context().fxsave.buffer);
  const result = image.getBigUint64(160, true) | (image.getBigUint64(168, true) << 64n);
  return { result, mxcsr: image.getUint32(24, true) };
}

for (const [operation, opcode] of Object.entries(opcodes)) {
  for (const [suffix, format, prefix] of shapes) {
    test(`${operation}${suffix}: numbers at the ends of what is done inline`, () => {
      const soft = arithmetic[format.name][operation as ArithmeticOperation];
      const { bits } = format;
      for (let round = 0; round < 250; round++) {
        const operands = () => Array.from({ length: 128 / bits }, () => operand(format, round % 2 === 0));
        const [a, b] = [operands(), operands()];
        const mxcsr = controls[round % controls.length]!;
        const found = execute(`${prefix} 0f ${opcode.toString(16)} c1`, mxcsr, [join(a, bits), join(b, bits)]);
        let flags = 0n;
        const lanes = a.map((value, lane) => {
          if (lane > 0 && suffix.startsWith("s")) return value;
          const operands = operation === "sqrt" ? [b[lane]!] : [value, b[lane]!];
          const [result, raised] = callPure(soft, ...operands, BigInt(mxcsr)) as [bigint, bigint];
          flags |= raised & 0x3fn;
          return result;
        });
        const digits = [...a, ...b].map((value) => value.toString(16)).join(" ");
        const text = `${operation}${suffix} ${mxcsr.toString(16)} ${digits}`;
        assert.deepEqual(split(found.result, bits), lanes, text);
        assert.equal(found.mxcsr, mxcsr | Number(flags), text);
      }
    });
  }
}
