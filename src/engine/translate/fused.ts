/** Conditions of the status flags said in terms of the operation that set them, instead of their canonical lazy form. */

import { Builder } from "../../ir/builder.ts";
import type { Block, Value } from "../../ir/node.ts";
import type { Type } from "../../ir/types.ts";
import { addCarries, flagForms, overflowOf, rotationFlags, subBorrows } from "../../x86/flags.ts";
import type { FlagForm, LazyFlags } from "../../x86/flags.ts";
import { State } from "../../x86/state.ts";

/** A rotation changes CF and OF alone. */
export interface Rotation {
  readonly form: keyof typeof rotationFlags;
  readonly type: Type;
}

/** What set the flags: the form, and the types of its operands. "kept": they are in their canonical form. */
export interface FlagSource {
  readonly form: FlagForm | "kept";
  readonly types: readonly Type[];
  /** Of `add` and `sub`: the result is a + b or a − b, with no carry, and is no operand of its own. */
  readonly exact: boolean;
  /** What came behind it; its result is in the last operand's place, which the form leaves free. */
  readonly rotation?: Rotation;
}

/** Flags that no code has computed yet. There is one object for each kind of source, and its number is above 0. */
export interface PendingFlags extends FlagSource {
  readonly key: number;
}

/** An expression over parameters that stand for the operands of the flags' form. */
export interface Expression {
  readonly body: Block;
  readonly value: Value;
}

type Condition = (ir: Builder, operands: readonly Value[]) => Value;

const parity: Condition = (ir, operands) => {
  const byte = ir.resize(operands.at(-1)!, "i8");
  return ir.eqz(ir.trunc(ir.op("popcnt", [byte]), "i1"));
};
const zero: Condition = (ir, operands) => ir.eqz(operands.at(-1)!);
const negative: Condition = (ir, operands) => ir.lts(operands.at(-1)!, 0);
const never: Condition = (ir) => ir.const("i1", 0);

function anyOf(flags: number): Condition {
  return (ir, operands) => ir.ne(ir.and(operands[0]!, flags), 0);
}

/** By the even condition codes. Any result's ZF, SF and PF are known. */
const ofResult: Readonly<Record<number, Condition>> = { 4: zero, 8: negative, 10: parity };
const ofForm: Readonly<Partial<Record<FlagForm, Readonly<Record<number, Condition>>>>> = {
  logic: {
    ...ofResult,
    0: never,
    2: never,
    6: zero,
    12: negative,
    14: (ir, [r]) => ir.les(r!, 0),
  },
  add: { ...ofResult, 2: (ir, [a, b, r]) => ir.lts(addCarries(ir, a!, b!, r!), 0) },
  inc: ofResult,
  dec: ofResult,
  sub: { ...ofResult, 2: (ir, [a, b, r]) => ir.lts(subBorrows(ir, a!, b!, r!), 0) },
  shift: { ...ofResult, 0: (_, [, of]) => of!, 2: (_, [cf]) => cf! },
  explicit: { 0: anyOf(0x800), 2: anyOf(1), 4: anyOf(0x40), 6: anyOf(0x41), 8: anyOf(0x80), 10: anyOf(4) },
  mul: { ...ofResult, 0: overflowOf.mul, 2: overflowOf.mul },
  imul: { ...ofResult, 0: overflowOf.imul, 2: overflowOf.imul },
};
/** a − b without a borrow: comparisons. */
const ofDifference: Readonly<Record<number, Condition>> = {
  ...ofResult,
  2: (ir, [a, b]) => ir.ltu(a!, b!),
  4: (ir, [a, b]) => ir.eq(a!, b!),
  6: (ir, [a, b]) => ir.leu(a!, b!),
  12: (ir, [a, b]) => ir.lts(a!, b!),
  14: (ir, [a, b]) => ir.les(a!, b!),
};

/** a + b without a carry. */
const ofSum: Readonly<Record<number, Condition>> = { ...ofResult, 2: (ir, [a, , r]) => ir.ltu(r!, a!) };
const ofExact: Readonly<Partial<Record<FlagForm, Readonly<Record<number, Condition>>>>> = {
  add: ofSum,
  sub: ofDifference,
};

const fused = new Map<number, Expression | undefined>();
const canonical = new Map<number, Block>();
const formNumbers = new Map([...Object.keys(flagForms), "kept"].map((name, index) => [name, index]));
const typeNumbers: Readonly<Record<Type, number>> = { i1: 1, i8: 2, i16: 3, i32: 4, i64: 5, v128: 6 };

/** Says the same of sources that are treated alike. */
export function flagKey({ form, types, exact, rotation }: FlagSource): number {
  let key = formNumbers.get(form)! * 2 + Number(exact);
  for (let position = 0; position < 3; position++) {
    const type = types[position];
    key = key * 8 + (type === undefined ? 0 : typeNumbers[type]);
  }
  if (rotation === undefined) return key;
  return key + (typeNumbers[rotation.type] + (rotation.form === "rol" ? 0 : 8)) * rotationFactor;
}
/** Beyond all keys without a rotation. */
const rotationFactor = 2 * formNumbers.size * 8 ** 3;

const pendingKinds = new Map<number, PendingFlags>();

function pendingFlags(source: FlagSource): PendingFlags {
  const key = flagKey(source);
  let pending = pendingKinds.get(key);
  if (pending === undefined) {
    pending = { ...source, key };
    pendingKinds.set(key, pending);
  }
  return pending;
}
/** What an instruction leaves pending, and which of its operands have to be kept for it. */
export function pendingAfter(
  form: FlagForm,
  operands: readonly Value[],
): { readonly needed: readonly Value[]; readonly pending: PendingFlags } {
  const result = operands.at(-1);
  const exact =
    (form === "add" || form === "sub") &&
    result?.kind === "operation" &&
    result.name === form &&
    result.operands[0] === operands[0] &&
    result.operands[1] === operands[1];
  const needed = exact ? operands.slice(0, 2) : operands;
  return { needed, pending: pendingFlags({ form, types: needed.map(({ type }) => type), exact }) };
}

/** The place of a rotation's result. */
export const rotationOperand = 2;

/** What is pending behind a rotation. Undefined where the form has no place for it: it has to be computed before. */
export function withRotation(pending: FlagSource | undefined, rotation: Rotation): PendingFlags | undefined {
  if (pending === undefined) return pendingFlags({ form: "kept", types: [], exact: false, rotation });
  const { form, types, exact } = pending;
  return types.length > rotationOperand ? undefined : pendingFlags({ form, types, exact, rotation });
}
function parametersOf(ir: Builder, source: FlagSource): Value[] {
  const parameters = source.types.map((type, index) => ir.parameter(type, index));
  if (source.exact) {
    const [a, b] = parameters as [Value, Value];
    parameters.push(ir.hold(source.form === "add" ? ir.add(a, b) : ir.sub(a, b)));
  }
  return parameters;
}

function conditionOf({ form, exact, rotation }: FlagSource, code: number): Condition | undefined {
  if (rotation !== undefined) {
    const { cf, of } = rotationFlags[rotation.form];
    const result = (ir: Builder) => ir.parameter(rotation.type, rotationOperand);
    if (code === 0) return (ir) => of(ir, result(ir));
    if (code === 2) return (ir) => cf(ir, result(ir));
    if (ofResult[code] === undefined) return undefined;
  }
  return form === "kept" ? undefined : (exact ? ofExact : ofForm)[form]?.[code];
}

/** Even condition `code` as an expression of the operands; undefined where the canonical form has to be asked. */
export function fusedCondition(source: FlagSource, code: number): Expression | undefined {
  const key = flagKey(source) * 16 + code;
  const known = fused.get(key);
  if (known !== undefined || fused.has(key)) return known;
  const condition = conditionOf(source, code);
  let expression: Expression | undefined;
  if (condition !== undefined) {
    const ir = new Builder();
    let value: Value | undefined;
    const body = ir.block(() => (value = condition(ir, parametersOf(ir, source))));
    expression = { body, value: value! };
  }
  fused.set(key, expression);
  return expression;
}

function set(ir: Builder, { result, aux }: LazyFlags): void {
  const [heldAux, heldResult] = [ir.hold(aux), ir.hold(result)];
  ir.set(State.ccAux, heldAux);
  ir.set(State.ccResult, heldResult);
}

/** Statements that set the canonical lazy form. */
export function canonicalFlags(source: FlagSource): Block {
  const key = flagKey(source);
  let block = canonical.get(key);
  if (block === undefined) {
    const ir = new Builder();
    block = ir.block(() => {
      const { form, rotation } = source;
      if (form !== "kept") set(ir, flagForms[form](ir, parametersOf(ir, source)));
      if (rotation !== undefined)
        ir.set(State.ccAux, flagForms[rotation.form](ir, [ir.parameter(rotation.type, rotationOperand)]).aux);
    });
    canonical.set(key, block);
  }
  return block;
}
