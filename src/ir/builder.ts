import { Ending } from "./node.ts";
import type { Access, Block, Loop, Routine, Slot, Statement, Value, Variable } from "./node.ts";
import { conversions, evaluateOperation, resultType } from "./operations.ts";
import type { Conversion, OperationName } from "./operations.ts";
import { bitsOf } from "./types.ts";
import type { Type } from "./types.ts";

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };
type Draft = Value extends infer Each ? (Each extends Value ? Omit<Each, "id"> : never) : never;
/** A value, or a number that stands for a constant of the other operand's type. */
export type Operand = Value | number | bigint;

/**
 * Builds one function's IR. Pure operations float: they are evaluated where they are used. What reads or changes state
 * or memory happens in the order of the calls. Constants are folded as they are built.
 */
export class Builder {
  #next = 0;
  #loops = 0;
  #variables = 0;
  #block: Statement[] = [];

  #make(draft: Draft): Value {
    return { ...draft, id: this.#next++ };
  }

  #define(draft: Draft): Value {
    const value = this.#make(draft);
    this.#block.push({ kind: "define", value });
    return value;
  }

  /** Appends a statement. For layers that add statements of their own kind (flags). */
  protected push(statement: Statement): void {
    this.#block.push(statement);
  }

  /** Collects what `build` appends as a block of its own. */
  block(build: () => void): Block {
    const outer = this.#block;
    const inner: Statement[] = [];
    this.#block = inner;
    try {
      build();
    } finally {
      this.#block = outer;
    }
    return inner;
  }

  const(type: Type, value: number | bigint): Value {
    return this.#make({ kind: "const", type, value: BigInt.asUintN(bitsOf[type], BigInt(value)) });
  }

  #operand(value: Operand, type: Type): Value {
    return typeof value === "object" ? value : this.const(type, value);
  }

  parameter(type: Type, index: number): Value {
    return this.#make({ kind: "parameter", type, index });
  }

  /** The linear-memory address of the vCPU's state: state slot s is at vcpu() + s. */
  vcpu(): Value {
    return this.#make({ kind: "vcpu", type: "i32" });
  }

  field(type: Type, name: string): Value {
    return this.#make({ kind: "field", type, name });
  }

  /** Any operation of the table. */
  op(name: OperationName, operands: readonly Value[], lane = 0): Value {
    const types = operands.map(({ type }) => type);
    const type = resultType(name, types);
    const constants = operands.map((operand) => (operand.kind === "const" ? operand.value : undefined));
    if (type !== "v128" && constants.every((value) => value !== undefined)) {
      return this.const(type, evaluateOperation(name, types, constants, lane));
    }
    return this.#make({ kind: "operation", name, operands, type, lane });
  }

  /** Applies `name` to two operands of which one at least is a value. */
  binary(name: OperationName, a: Operand, b: Operand): Value {
    const type = typeof a === "object" ? a.type : typeof b === "object" ? b.type : "i64";
    return this.op(name, [this.#operand(a, type), this.#operand(b, type)]);
  }

  add(a: Operand, b: Operand): Value {
    if (isZero(b) && typeof a === "object") return a;
    if (isZero(a) && typeof b === "object") return b;
    return this.binary("add", a, b);
  }
  sub(a: Operand, b: Operand): Value {
    return this.binary("sub", a, b);
  }
  mul(a: Operand, b: Operand): Value {
    return this.binary("mul", a, b);
  }
  and(a: Operand, b: Operand): Value {
    return this.binary("and", a, b);
  }
  or(a: Operand, b: Operand): Value {
    return this.binary("or", a, b);
  }
  xor(a: Operand, b: Operand): Value {
    return this.binary("xor", a, b);
  }
  shl(a: Operand, b: Operand): Value {
    if (isZero(b) && typeof a === "object") return a;
    return this.binary("shl", a, b);
  }
  shr(a: Operand, b: Operand): Value {
    if (isZero(b) && typeof a === "object") return a;
    return this.binary("shr", a, b);
  }
  sar(a: Operand, b: Operand): Value {
    return this.binary("sar", a, b);
  }
  not(a: Value): Value {
    return this.op("not", [a]);
  }
  neg(a: Value): Value {
    return this.op("neg", [a]);
  }
  eq(a: Operand, b: Operand): Value {
    return this.binary("eq", a, b);
  }
  ne(a: Operand, b: Operand): Value {
    return this.binary("ne", a, b);
  }
  ltu(a: Operand, b: Operand): Value {
    return this.binary("ltu", a, b);
  }
  leu(a: Operand, b: Operand): Value {
    return this.binary("leu", a, b);
  }
  lts(a: Operand, b: Operand): Value {
    return this.binary("lts", a, b);
  }
  les(a: Operand, b: Operand): Value {
    return this.binary("les", a, b);
  }
  eqz(a: Value): Value {
    return this.op("eqz", [a]);
  }
  select(condition: Value, then: Operand, otherwise: Operand): Value {
    const type = typeof then === "object" ? then.type : typeof otherwise === "object" ? otherwise.type : "i64";
    return this.op("select", [condition, this.#operand(then, type), this.#operand(otherwise, type)]);
  }

  #convert(name: Conversion, operand: Value, type: Type): Value {
    if (operand.type === type) return operand;
    const [from, to] = [bitsOf[operand.type], bitsOf[type]];
    if (name === "trunc" ? to > from : to < from) throw new Error(`${name} from ${operand.type} to ${type}`);
    if (operand.kind === "const") return this.const(type, conversions[name](from, to, operand.value));
    return this.#make({ kind: "convert", name, operand, type });
  }
  zext(value: Value, type: Type): Value {
    return this.#convert("zext", value, type);
  }
  sext(value: Value, type: Type): Value {
    return this.#convert("sext", value, type);
  }
  trunc(value: Value, type: Type): Value {
    return this.#convert("trunc", value, type);
  }
  /** Zero-extends or cuts, whichever leads to `type`. */
  resize(value: Value, type: Type): Value {
    return bitsOf[type] < bitsOf[value.type] ? this.trunc(value, type) : this.zext(value, type);
  }
  /** Names an i1 as condition `code` (0–15) of the status flags. */
  named(code: number, value: Value): Value {
    return this.#make({ kind: "condition", type: "i1", code, value });
  }
  /** Lane bytes: 0–15 from `a`, 16–31 from `b`. */
  shuffle(a: Value, b: Value, lanes: readonly number[]): Value {
    return this.#make({ kind: "shuffle", operands: [a, b], lanes, type: "v128" });
  }

  /** Evaluates a pure value here and keeps it: for values used more than once after state changes. */
  hold(value: Value): Value {
    if (pureKinds.has(value.kind)) this.#block.push({ kind: "define", value });
    return value;
  }

  get(type: Type, slot: Slot): Value {
    return this.#define({ kind: "get", type, slot });
  }
  /**
   * As {@link get}, for state of which only what instructions set that are known by its slot matters: the value may be an
   * earlier one, from before what routines have set.
   */
  settled(type: Type, slot: number): Value {
    return this.#define({ kind: "get", type, slot, settled: true });
  }
  set(slot: Slot, value: Value): void {
    this.#block.push({ kind: "set", slot, value });
  }

  variable(initial: Value): Variable {
    const variable = { number: this.#variables++, type: initial.type };
    this.assign(variable, initial);
    return variable;
  }
  assign(variable: Variable, value: Operand): void {
    this.#block.push({ kind: "assign", variable, value: this.#operand(value, variable.type) });
  }
  read(variable: Variable): Value {
    return this.#define({ kind: "read", type: variable.type, variable });
  }

  load(type: Type, address: Value, access: Access = {}): Value {
    return this.#define({ kind: "load", type, address, access });
  }
  store(address: Value, value: Value, access: Access = {}): void {
    this.#block.push({ kind: "store", address, value, access });
  }
  probeWrite(address: Value, bytes: number, access: Access = {}): void {
    this.#block.push({ kind: "probeWrite", address, bytes, access });
  }
  /** @returns the values before and after. Both may be used behind it. */
  update(type: Type, address: Value, lock: boolean, change: (before: Value) => Value): [before: Value, after: Value] {
    const before = this.#make({ kind: "before", type });
    let after: Value = before;
    const body = this.block(() => {
      after = this.hold(change(before));
    });
    this.#block.push({ kind: "update", address, before, body, after, lock });
    return [before, after];
  }

  if(condition: Value, then: () => void, otherwise: () => void = () => {}): void {
    if (condition.kind === "const") {
      if (condition.value !== 0n) then();
      else otherwise();
      return;
    }
    this.#block.push({ kind: "if", condition, then: this.block(then), otherwise: this.block(otherwise) });
  }
  /** As {@link if}, of a condition that nearly never holds. */
  unless(condition: Value, then: () => void): void {
    if (condition.kind === "const") this.if(condition, then);
    else this.#block.push({ kind: "if", condition, then: this.block(then), otherwise: [], unlikely: true });
  }
  /** Repeats the body until it breaks: reaching its end goes round again. */
  loop(body: (loop: Loop) => void): void {
    const loop = { number: this.#loops++ };
    const statement: Writable<Statement & { kind: "loop" }> = { kind: "loop", loop, body: [] };
    statement.body = this.block(() => body(loop));
    this.#block.push(statement);
  }
  break(loop: Loop): void {
    this.#block.push({ kind: "break", loop });
  }
  continue(loop: Loop): void {
    this.#block.push({ kind: "continue", loop });
  }

  fault(vector: number, errorCode?: Operand): void {
    this.#block.push({
      kind: "fault",
      vector,
      errorCode: errorCode === undefined ? undefined : this.#operand(errorCode, "i32"),
    });
  }
  end(ending: keyof typeof Ending): void {
    this.#block.push({ kind: "end", ending: Ending[ending] });
  }
  return(...values: readonly Value[]): void {
    this.#block.push({ kind: "return", values });
  }
  call(routine: Routine, ...parameters: readonly Value[]): Value[] {
    const wrong =
      routine.parameters.length !== parameters.length ||
      routine.parameters.some((type, index) => type !== parameters[index]?.type);
    if (wrong) throw new Error(`${routine.name} takes (${routine.parameters.join(", ")})`);
    const results = routine.results.map((type, index) => this.#make({ kind: "result", type, index }));
    this.#block.push({ kind: "call", routine, arguments: parameters, results });
    return results;
  }
  /** A question to the platform by name, with i32 arguments. */
  host(name: string, ...parameters: readonly Value[]): Value {
    const result = this.#make({ kind: "result", type: "i32", index: 0 });
    this.#block.push({ kind: "host", name, arguments: parameters, result });
    return result;
  }
  hostLoad(type: Type, address: Value, offset = 0): Value {
    return this.#define({ kind: "hostLoad", type, address, offset });
  }
  hostStore(address: Value, value: Value, offset = 0): void {
    this.#block.push({ kind: "hostStore", address, offset, value });
  }
  memoryFence(): void {
    this.#block.push({ kind: "memoryFence" });
  }
  hostFill(address: Value, byte: number, bytes: Value): void {
    this.#block.push({ kind: "hostFill", address, byte, bytes });
  }
  /** Copies linear memory; the ranges may overlap, as memory.copy. */
  hostCopy(to: Value, from: Value, bytes: Value): void {
    this.#block.push({ kind: "hostCopy", to, from, bytes });
  }
  hostExchange(address: Value, expected: Value, replacement: Value): Value {
    return this.#define({ kind: "hostExchange", type: expected.type, address, expected, replacement });
  }
}

const pureKinds: ReadonlySet<Value["kind"]> = new Set(["operation", "convert", "shuffle", "condition"]);

function isZero(value: Operand): boolean {
  return typeof value === "object" ? value.kind === "const" && value.value === 0n : BigInt(value) === 0n;
}

/** Declares a routine; its body is built by `build` when first needed. `builder` makes the builder that it wants. */
export function routine<B extends Builder>(
  name: string,
  signature: { readonly parameters: readonly Type[]; readonly results: readonly Type[]; readonly faults: boolean },
  builder: () => B,
  build: (ir: B, ...parameters: Value[]) => void,
): Routine {
  let body: Block | undefined;
  return {
    name,
    ...signature,
    body() {
      if (body === undefined) {
        const ir = builder();
        const parameters = signature.parameters.map((type, index) => ir.parameter(type, index));
        body = ir.block(() => build(ir, ...parameters));
      }
      return body;
    },
  };
}
