import type { Value } from "../../ir/node.ts";
import type { OperationName } from "../../ir/operations.ts";
import { lanes, packed, packedVector } from "./packed.ts";
import type { PackedOperation } from "./packed.ts";
import type { Semantics } from "../semantics.ts";
import { evenAndOdd } from "../vectors.ts";

/** Arithmetic, comparison and logic on packed integers. Intel SDM Vol. 2B, "PABSB" to "PXOR". */

export const paddb = packed("paddb", "SSE2", "FC", lanes("i8x16.add"));
export const paddw = packed("paddw", "SSE2", "FD", lanes("i16x8.add"));
export const paddd = packed("paddd", "SSE2", "FE", lanes("i32x4.add"));
export const paddq = packed("paddq", "SSE2", "D4", lanes("i64x2.add"));
export const psubb = packed("psubb", "SSE2", "F8", lanes("i8x16.sub"));
export const psubw = packed("psubw", "SSE2", "F9", lanes("i16x8.sub"));
export const psubd = packed("psubd", "SSE2", "FA", lanes("i32x4.sub"));
export const psubq = packed("psubq", "SSE2", "FB", lanes("i64x2.sub"));
export const paddsb = packed("paddsb", "SSE2", "EC", lanes("i8x16.add_sat_s"));
export const paddsw = packed("paddsw", "SSE2", "ED", lanes("i16x8.add_sat_s"));
export const paddusb = packed("paddusb", "SSE2", "DC", lanes("i8x16.add_sat_u"));
export const paddusw = packed("paddusw", "SSE2", "DD", lanes("i16x8.add_sat_u"));
export const psubsb = packed("psubsb", "SSE2", "E8", lanes("i8x16.sub_sat_s"));
export const psubsw = packed("psubsw", "SSE2", "E9", lanes("i16x8.sub_sat_s"));
export const psubusb = packed("psubusb", "SSE2", "D8", lanes("i8x16.sub_sat_u"));
export const psubusw = packed("psubusw", "SSE2", "D9", lanes("i16x8.sub_sat_u"));
export const pavgb = packed("pavgb", "SSE2", "E0", lanes("i8x16.avgr_u"));
export const pavgw = packed("pavgw", "SSE2", "E3", lanes("i16x8.avgr_u"));

export const pand = packed("pand", "SSE2", "DB", lanes("v128.and"));
export const por = packed("por", "SSE2", "EB", lanes("v128.or"));
export const pxor = packed("pxor", "SSE2", "EF", lanes("v128.xor"));
/** NOT DEST AND SRC. */
export const pandn = packed("pandn", "SSE2", "DF", (ir, a, b) => ir.op("v128.andnot", [b, a]));

export const pcmpeqb = packed("pcmpeqb", "SSE2", "74", lanes("i8x16.eq"));
export const pcmpeqw = packed("pcmpeqw", "SSE2", "75", lanes("i16x8.eq"));
export const pcmpeqd = packed("pcmpeqd", "SSE2", "76", lanes("i32x4.eq"));
export const pcmpeqq = packedVector("pcmpeqq", "SSE4_1", "38 29", lanes("i64x2.eq"));
export const pcmpgtb = packed("pcmpgtb", "SSE2", "64", lanes("i8x16.gt_s"));
export const pcmpgtw = packed("pcmpgtw", "SSE2", "65", lanes("i16x8.gt_s"));
export const pcmpgtd = packed("pcmpgtd", "SSE2", "66", lanes("i32x4.gt_s"));
export const pcmpgtq = packedVector("pcmpgtq", "SSE4_2", "38 37", lanes("i64x2.gt_s"));

export const pminub = packed("pminub", "SSE2", "DA", lanes("i8x16.min_u"));
export const pmaxub = packed("pmaxub", "SSE2", "DE", lanes("i8x16.max_u"));
export const pminsw = packed("pminsw", "SSE2", "EA", lanes("i16x8.min_s"));
export const pmaxsw = packed("pmaxsw", "SSE2", "EE", lanes("i16x8.max_s"));
export const pminsb = packedVector("pminsb", "SSE4_1", "38 38", lanes("i8x16.min_s"));
export const pminsd = packedVector("pminsd", "SSE4_1", "38 39", lanes("i32x4.min_s"));
export const pminuw = packedVector("pminuw", "SSE4_1", "38 3A", lanes("i16x8.min_u"));
export const pminud = packedVector("pminud", "SSE4_1", "38 3B", lanes("i32x4.min_u"));
export const pmaxsb = packedVector("pmaxsb", "SSE4_1", "38 3C", lanes("i8x16.max_s"));
export const pmaxsd = packedVector("pmaxsd", "SSE4_1", "38 3D", lanes("i32x4.max_s"));
export const pmaxuw = packedVector("pmaxuw", "SSE4_1", "38 3E", lanes("i16x8.max_u"));
export const pmaxud = packedVector("pmaxud", "SSE4_1", "38 3F", lanes("i32x4.max_u"));

/** The source alone is looked at. */
function absolute(name: OperationName): PackedOperation {
  return (ir, _, source) => ir.op(name, [source]);
}
export const pabsb = packed("pabsb", "SSSE3", "38 1C", absolute("i8x16.abs"));
export const pabsw = packed("pabsw", "SSSE3", "38 1D", absolute("i16x8.abs"));
export const pabsd = packed("pabsd", "SSSE3", "38 1E", absolute("i32x4.abs"));

/** DEST, −DEST or 0, as SRC is positive, negative or 0. */
function signed(shape: "i8x16" | "i16x8" | "i32x4"): PackedOperation {
  return (ir, a, b) => {
    const zero = ir.const("v128", 0);
    const negative = ir.op(`${shape}.lt_s`, [b, zero]);
    const negated = ir.op(`${shape}.sub`, [ir.op("v128.xor", [a, negative]), negative]);
    return ir.op("v128.and", [negated, ir.op(`${shape}.ne`, [b, zero])]);
  };
}
export const psignb = packed("psignb", "SSSE3", "38 08", signed("i8x16"));
export const psignw = packed("psignw", "SSSE3", "38 09", signed("i16x8"));
export const psignd = packed("psignd", "SSSE3", "38 0A", signed("i32x4"));

export const pmullw = packed("pmullw", "SSE2", "D5", lanes("i16x8.mul"));
export const pmulld = packedVector("pmulld", "SSE4_1", "38 40", lanes("i32x4.mul"));
export const pmaddwd = packed("pmaddwd", "SSE2", "F5", lanes("i32x4.dot_i16x8_s"));

/** The eight 32-bit products of 16-bit lanes, each cut to the word that begins at byte `at` of it. */
function products(
  sign: "s" | "u",
  at: 0 | 2,
  change: (ir: Semantics, product: Value) => Value = (_, product) => product,
): PackedOperation {
  const words = Array.from({ length: 8 }, (_, index) => [4 * index + at, 4 * index + at + 1]).flat();
  return (ir, a, b) =>
    ir.shuffle(
      change(ir, ir.op(`i32x4.extmul_low_i16x8_${sign}`, [a, b])),
      change(ir, ir.op(`i32x4.extmul_high_i16x8_${sign}`, [a, b])),
      words,
    );
}
export const pmulhw = packed("pmulhw", "SSE2", "E5", products("s", 2));
export const pmulhuw = packed("pmulhuw", "SSE2", "E4", products("u", 2));
/** ((DEST × SRC >> 14) + 1) >> 1. */
export const pmulhrsw = packed(
  "pmulhrsw",
  "SSSE3",
  "38 0B",
  products("s", 0, (ir, product) => {
    const shifted = ir.op("i32x4.shr_s", [product, ir.const("i32", 14)]);
    const one = ir.op("i32x4.splat", [ir.const("i32", 1)]);
    return ir.op("i32x4.shr_s", [ir.op("i32x4.add", [shifted, one]), ir.const("i32", 1)]);
  }),
);

/** Products of the even 32-bit lanes. */
function evenProducts(sign: "s" | "u"): PackedOperation {
  const even = [0, 1, 2, 3, 8, 9, 10, 11, 0, 0, 0, 0, 0, 0, 0, 0];
  return (ir, a, b) => ir.op(`i64x2.extmul_low_i32x4_${sign}`, [ir.shuffle(a, a, even), ir.shuffle(b, b, even)]);
}
export const pmuludq = packed("pmuludq", "SSE2", "F4", evenProducts("u"));
export const pmuldq = packedVector("pmuldq", "SSE4_1", "38 28", evenProducts("s"));

/** Unsigned bytes of DEST by signed bytes of SRC, adjacent products added with saturation. */
export const pmaddubsw = packed("pmaddubsw", "SSSE3", "38 04", (ir, a, b) => {
  const eight = ir.const("i32", 8);
  const low = ir.op("i16x8.splat", [ir.const("i32", 0xff)]);
  const even = ir.op("i16x8.mul", [
    ir.op("v128.and", [a, low]),
    ir.op("i16x8.shr_s", [ir.op("i16x8.shl", [b, eight]), eight]),
  ]);
  const odd = ir.op("i16x8.mul", [ir.op("i16x8.shr_u", [a, eight]), ir.op("i16x8.shr_s", [b, eight])]);
  return ir.op("i16x8.add_sat_s", [even, odd]);
});

/** Sums of the absolute differences of each eight bytes. */
export const psadbw = packed("psadbw", "SSE2", "F6", (ir, a, b) => {
  const differences = ir.op("v128.or", [ir.op("i8x16.sub_sat_u", [a, b]), ir.op("i8x16.sub_sat_u", [b, a])]);
  const sums = ir.op("i32x4.extadd_pairwise_i16x8_u", [ir.op("i16x8.extadd_pairwise_i8x16_u", [differences])]);
  const both = ir.op("i64x2.add", [sums, ir.op("i64x2.shr_u", [sums, ir.const("i32", 32)])]);
  return ir.op("v128.and", [both, ir.op("i64x2.splat", [ir.const("i64", 0xffff)])]);
});

/** Adjacent lanes of DEST, then of SRC, added or subtracted. */
function horizontal(name: OperationName, size: 2 | 4): PackedOperation {
  return (ir, a, b, bytes) => ir.op(name, evenAndOdd(ir, a, b, bytes, size));
}
export const phaddw = packed("phaddw", "SSSE3", "38 01", horizontal("i16x8.add", 2));
export const phaddd = packed("phaddd", "SSSE3", "38 02", horizontal("i32x4.add", 4));
export const phaddsw = packed("phaddsw", "SSSE3", "38 03", horizontal("i16x8.add_sat_s", 2));
export const phsubw = packed("phsubw", "SSSE3", "38 05", horizontal("i16x8.sub", 2));
export const phsubd = packed("phsubd", "SSSE3", "38 06", horizontal("i32x4.sub", 4));
export const phsubsw = packed("phsubsw", "SSSE3", "38 07", horizontal("i16x8.sub_sat_s", 2));
