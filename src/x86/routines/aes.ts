import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { bytesVector } from "../vectors.ts";

/** The steps of AES on a vector of 16 bytes. FIPS 197, "Advanced Encryption Standard". */

/** Multiplication by x in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
function timesX(value: number): number {
  return ((value << 1) ^ (value & 0x80 ? 0x11b : 0)) & 0xff;
}

/** The S-box: the multiplicative inverse, then an affine map. FIPS 197 §5.1.1. */
function substitutionBox(): number[] {
  // Powers of the generator x + 1, so that inverses are found by their exponents.
  const powers = Array.from({ length: 255 }, () => 1);
  for (let index = 1; index < 255; index++) powers[index] = powers[index - 1]! ^ timesX(powers[index - 1]!);
  const box = Array.from({ length: 256 }, () => 0x63);
  powers.forEach((value, exponent) => {
    const inverse = powers[(255 - exponent) % 255]!;
    const doubled = inverse * 0x101;
    const rotations = [0, 4, 5, 6, 7].map((by) => doubled >> by);
    box[value] = rotations.reduce((sum, rotated) => sum ^ rotated, 0x63) & 0xff;
  });
  return box;
}

function inverted(box: readonly number[]): number[] {
  const inverse = Array.from({ length: 256 }, () => 0);
  box.forEach((value, index) => (inverse[value] = index));
  return inverse;
}

/** (bytes: v128) → v128: each byte looked up, in 16 pieces of the table; a piece gives zero for bytes that are not its own. */
function lookUp(name: string, box: readonly number[]): Routine {
  return routine(
    name,
    { parameters: ["v128"], results: ["v128"], faults: false },
    () => new Builder(),
    (ir, vector) => {
      const parts = Array.from({ length: 16 }, (_, piece) => {
        const table = bytesVector(ir, box.slice(16 * piece, 16 * piece + 16));
        const first = bytesVector(
          ir,
          Array.from({ length: 16 }, () => 16 * piece),
        );
        return ir.op("i8x16.swizzle", [table, ir.op("i8x16.sub", [vector, first])]);
      });
      ir.return(parts.reduce((all, part) => ir.op("v128.or", [all, part])));
    },
  );
}

const box = substitutionBox();
/** SubBytes and its inverse. */
export const substitute = {
  forward: lookUp("aes.substitute", box),
  inverse: lookUp("aes.unsubstitute", inverted(box)),
};

/** ShiftRows and its inverse: row r, the bytes r, r + 4, r + 8 and r + 12, moves by r columns. */
export function shiftRows(ir: Builder, state: Value, direction: "forward" | "inverse"): Value {
  const by = direction === "forward" ? 5 : 13;
  return ir.shuffle(
    state,
    state,
    Array.from({ length: 16 }, (_, index) => (index & 12) + (index & 3)).map(
      (index) => (index + (index & 3) * (by - 1)) % 16,
    ),
  );
}

function timesXLanes(ir: Builder, vector: Value): Value {
  const doubled = ir.op("i8x16.shl", [vector, ir.const("i32", 1)]);
  const negative = ir.op("i8x16.shr_s", [vector, ir.const("i32", 7)]);
  const reduction = ir.op("v128.and", [negative, ir.op("i8x16.splat", [ir.const("i32", 0x1b)])]);
  return ir.hold(ir.op("v128.xor", [doubled, reduction]));
}
/** Each column's bytes moved up by `by` places. */
function rotated(ir: Builder, vector: Value, by: number): Value {
  return ir.shuffle(
    vector,
    vector,
    Array.from({ length: 16 }, (_, index) => (index & 12) + ((index + by) & 3)),
  );
}
function sum(ir: Builder, values: readonly Value[]): Value {
  return ir.hold(values.reduce((all, value) => ir.op("v128.xor", [all, value])));
}

/** MixColumns: each byte becomes 2a + 3b + c + d of itself and the three below it in its column. FIPS 197 §5.1.3. */
export function mixColumns(ir: Builder, state: Value): Value {
  const doubled = timesXLanes(ir, state);
  const next = rotated(ir, sum(ir, [state, doubled]), 1);
  return sum(ir, [doubled, next, rotated(ir, state, 2), rotated(ir, state, 3)]);
}

/** InvMixColumns: 14a + 11b + 13c + 9d, which is MixColumns of 5a + 4c. FIPS 197 §5.3.3. */
export function unmixColumns(ir: Builder, state: Value): Value {
  const fourfold = timesXLanes(ir, timesXLanes(ir, state));
  return mixColumns(ir, sum(ir, [state, fourfold, rotated(ir, fourfold, 2)]));
}
