import { floatOperations } from "../../ir/float-operations.ts";
import type { OperationName } from "../../ir/operations.ts";
import { vectorFloatOperations } from "../../ir/vector-float-operations.ts";
import { vectorOperations } from "../../ir/vector-operations.ts";
import { bitsOf } from "../../ir/types.ts";
import type { Type } from "../../ir/types.ts";
import type { Code } from "../../wasm/code.ts";
import { Lane, Plain } from "../../wasm/opcodes.ts";
import type { ValueType } from "../../wasm/types.ts";
import { isLowLane, lowerLowLane } from "./low-lane.ts";

/** The WebAssembly type that holds an IR value. Narrow integers are kept zero-extended in an i32. */
export function wasmType(type: Type): ValueType {
  return type === "i64" || type === "v128" ? type : "i32";
}

/** How operands of an operation are prepared and its result is cleaned. */
interface Lowering {
  /** The instruction's name behind "i32." or "i64.". */
  readonly name: string;
  /** Narrow operands must be sign-extended first. */
  readonly signed?: true;
  /** A narrow result may have garbage above its width. */
  readonly dirty?: true;
}

const integer: Partial<Record<OperationName, Lowering>> = {
  add: { name: "add", dirty: true },
  sub: { name: "sub", dirty: true },
  mul: { name: "mul", dirty: true },
  divu: { name: "div_u" },
  remu: { name: "rem_u" },
  divs: { name: "div_s", signed: true, dirty: true },
  rems: { name: "rem_s", signed: true, dirty: true },
  and: { name: "and" },
  or: { name: "or" },
  xor: { name: "xor" },
  shl: { name: "shl", dirty: true },
  shr: { name: "shr_u" },
  rotl: { name: "rotl" },
  rotr: { name: "rotr" },
  ctz: { name: "ctz" },
  clz: { name: "clz" },
  popcnt: { name: "popcnt" },
  eq: { name: "eq" },
  ne: { name: "ne" },
  ltu: { name: "lt_u" },
  leu: { name: "le_u" },
  lts: { name: "lt_s", signed: true },
  les: { name: "le_s", signed: true },
  eqz: { name: "eqz" },
};

/** How a float operation is said: it works on bit patterns. */
interface FloatLowering {
  readonly float: "f32" | "f64";
  readonly instruction: Plain;
  /** Whether operand and result are floats. */
  readonly from: "float" | "integer";
  readonly to: "float" | "integer";
}

function floatLowering(float: "f32" | "f64", operation: string): FloatLowering {
  if (operation === "eq" || operation === "lt" || operation === "le")
    return { float, instruction: `${float}.${operation}`, from: "float", to: "integer" };
  if (operation === "to_i32") return { float, instruction: `i32.trunc_sat_${float}_s`, from: "float", to: "integer" };
  if (operation === "to_i64") return { float, instruction: `i64.trunc_sat_${float}_s`, from: "float", to: "integer" };
  if (operation === "from_i32") return { float, instruction: `${float}.convert_i32_s`, from: "integer", to: "float" };
  if (operation === "from_i64") return { float, instruction: `${float}.convert_i64_s`, from: "integer", to: "float" };
  return { float, instruction: `${float}.${operation}` as Plain, from: "float", to: "float" };
}

const floats: ReadonlyMap<string, FloatLowering> = new Map(
  Object.keys(floatOperations).flatMap((name) => {
    const [float, operation = ""] = name.split(".");
    return float === "f32" || float === "f64" ? [[name, floatLowering(float, operation)]] : [];
  }),
);
const vectors: ReadonlySet<string> = new Set([...Object.keys(vectorOperations), ...Object.keys(vectorFloatOperations)]);

/** Cuts the i32 on the stack to a narrow type. */
export function clean(code: Code, type: Type): void {
  if (type !== "i1" && type !== "i8" && type !== "i16") return;
  code.i32(2 ** bitsOf[type] - 1);
  code.op("i32.and");
}

/** Sign-extends the narrow value on the stack to its WebAssembly type. */
export function extendSign(code: Code, type: Type): void {
  if (type === "i8") code.op("i32.extend8_s");
  else if (type === "i16") code.op("i32.extend16_s");
  else if (type === "i1") {
    code.i32(31);
    code.op("i32.shl");
    code.i32(31);
    code.op("i32.shr_s");
  }
}

/**
 * Emits a pure operation. `operand(index)` emits one operand; it is called once for each, in order, unless the operation
 * needs one twice.
 */
export function lowerOperation(
  code: Code,
  name: OperationName,
  types: readonly Type[],
  result: Type,
  lane: number,
  operand: (index: number) => void,
): void {
  if (name === "select") {
    operand(1);
    operand(2);
    operand(0);
    code.op("select");
    return;
  }
  if (vectors.has(name)) {
    types.forEach((_, index) => operand(index));
    if (name in Lane) code.lane(name as Lane, lane);
    else code.op(name as Plain);
    return;
  }
  if (isLowLane(name)) {
    lowerLowLane(code, name, operand);
    return;
  }
  if (name === "f32.demote" || name === "f64.promote") {
    operand(0);
    code.op(name === "f32.demote" ? "f64.reinterpret_i64" : "f32.reinterpret_i32");
    code.op(name === "f32.demote" ? "f32.demote_f64" : "f64.promote_f32");
    code.op(name === "f32.demote" ? "i32.reinterpret_f32" : "i64.reinterpret_f64");
    return;
  }
  const float = floats.get(name);
  if (float !== undefined) {
    types.forEach((_, index) => {
      operand(index);
      if (float.from === "float") code.op(float.float === "f32" ? "f32.reinterpret_i32" : "f64.reinterpret_i64");
    });
    code.op(float.instruction);
    if (float.to === "float") code.op(float.float === "f32" ? "i32.reinterpret_f32" : "i64.reinterpret_f64");
    return;
  }
  const type = types[0]!;
  const bits = bitsOf[type];
  const prefix = type === "i64" ? "i64" : "i32";
  const narrow = bits < 32;
  switch (name) {
    case "not":
      operand(0);
      if (type === "i64") code.i64(-1n);
      else code.i32(narrow ? 2 ** bits - 1 : -1);
      code.op(`${prefix}.xor`);
      return;
    case "neg":
      if (type === "i64") code.i64(0n);
      else code.i32(0);
      operand(0);
      code.op(`${prefix}.sub`);
      clean(code, type);
      return;
    case "sar":
      operand(0);
      extendSign(code, type);
      operand(1);
      code.op(`${prefix}.shr_s`);
      clean(code, type);
      return;
    case "rotl":
    case "rotr":
      if (narrow) {
        lowerNarrowRotate(code, name, type, operand);
        return;
      }
      break;
    case "clz":
      operand(0);
      code.op(`${prefix}.clz`);
      if (narrow) {
        code.i32(32 - bits);
        code.op("i32.sub");
      }
      return;
    case "ctz":
      operand(0);
      if (narrow) {
        code.i32(2 ** bits);
        code.op("i32.or");
      }
      code.op(`${prefix}.ctz`);
      return;
    default:
  }
  const lowering = integer[name];
  if (lowering === undefined) throw new Error(`no lowering for ${name}`);
  types.forEach((_, index) => {
    operand(index);
    if (lowering.signed === true) extendSign(code, type);
  });
  code.op(`${prefix}.${lowering.name}` as Plain);
  // i64.popcnt and i64.clz give an i64, as the IR's do; comparisons give an i32 that is an i1.
  if (lowering.dirty === true && result !== "i1") clean(code, type);
}

/** A rotate of 8 or 16 bits by any count: the bits doubled up, shifted, and cut. */
function lowerNarrowRotate(code: Code, name: "rotl" | "rotr", type: Type, operand: (index: number) => void): void {
  const bits = bitsOf[type];
  const count = () => {
    operand(1);
    code.i32(bits - 1);
    code.op("i32.and");
  };
  operand(0);
  if (name === "rotl") count();
  else {
    code.i32(bits);
    count();
    code.op("i32.sub");
  }
  code.op("i32.shl");
  operand(0);
  if (name === "rotr") count();
  else {
    code.i32(bits);
    count();
    code.op("i32.sub");
  }
  code.op("i32.shr_u");
  code.op("i32.or");
  clean(code, type);
}

/** Emits a change of width of the value on the stack. */
export function lowerConversion(code: Code, name: "zext" | "sext" | "trunc", from: Type, to: Type): void {
  if (name === "sext") extendSign(code, from);
  if (wasmType(from) === "i32" && to === "i64") code.op(name === "sext" ? "i64.extend_i32_s" : "i64.extend_i32_u");
  else if (from === "i64" && wasmType(to) === "i32") code.op("i32.wrap_i64");
  if (name !== "zext") clean(code, to);
}
