/** Conditions of the status flags said in terms of the operation that set them, instead of their canonical lazy form. */

import { Builder } from "../../ir/builder.ts";
import type { Block, Value } from "../../ir/node.ts";
import type { Type } from "../../ir/types.ts";
import { addCarries, flagForms, overflowOf, subBorrows } from "../../x86/flags.ts";
import type { FlagForm } from "../../x86/flags.ts";
import { State } from "../../x86/state.ts";

/** What set the flags: the form, and the types of its operands. */
export interface FlagSource {
  readonly form: FlagForm;
  readonly types: readonly Type[];
  /** Of `add` and `sub`: the result is a + b or a − b, with no carry, and is no operand of its own. */
  readonly exact: boolean;
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
const formNumbers = new Map(Object.keys(flagForms).map((name, index) => [name, index]));
const typeNumbers: Readonly<Record<Type, number>> = { i1: 1, i8: 2, i16: 3, i32: 4, i64: 5, v128: 6 };

/** Says the same of sources that are treated alike. */
export function flagKey({ form, types, exact }: FlagSource): number {
  let key = formNumbers.get(form)! * 2 + Number(exact);
  for (let position = 0; position < 3; position++) {
    const type = types[position];
    key = key * 8 + (type === undefined ? 0 : typeNumbers[type]);
  }
  return key;
}
const pendingKinds = new Map<number, PendingFlags>();

export function pendingFlags(source: FlagSource): PendingFlags {
  const key = flagKey(source);
  let pending = pendingKinds.get(key);
  if (pending === undefined) {
    pending = { ...source, key };
    pendingKinds.set(key, pending);
  }
  return pending;
}
function parametersOf(ir: Builder, source: FlagSource): Value[] {
  const parameters = source.types.map((type, index) => ir.parameter(type, index));
  if (source.exact) {
    const [a, b] = parameters as [Value, Value];
    parameters.push(ir.hold(source.form === "add" ? ir.add(a, b) : ir.sub(a, b)));
  }
  return parameters;
}

/** Even condition `code` as an expression of the operands; undefined where the canonical form has to be asked. */
export function fusedCondition(source: FlagSource, code: number): Expression | undefined {
  const key = flagKey(source) * 16 + code;
  const known = fused.get(key);
  if (known !== undefined || fused.has(key)) return known;
  const condition = (source.exact ? ofExact : ofForm)[source.form]?.[code];
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

/** Statements that set the canonical lazy form. */
export function canonicalFlags(source: FlagSource): Block {
  const key = flagKey(source);
  let block = canonical.get(key);
  if (block === undefined) {
    const ir = new Builder();
    block = ir.block(() => {
      const { result, aux } = flagForms[source.form](ir, parametersOf(ir, source));
      const [heldAux, heldResult] = [ir.hold(aux), ir.hold(result)];
      ir.set(State.ccAux, heldAux);
      ir.set(State.ccResult, heldResult);
    });
    canonical.set(key, block);
  }
  return block;
}
