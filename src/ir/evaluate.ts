import { Ending } from "./node.ts";
import type { Access, Block, Loop, Routine, Slot, Statement, Value } from "./node.ts";
import { conversions, evaluateOperation } from "./operations.ts";
import { bitsOf } from "./types.ts";
import type { Type } from "./types.ts";

/** A page fault, general protection fault or the like, raised by a memory access or by the IR itself. */
export interface EvaluatedFault {
  readonly vector: number;
  readonly errorCode: number | undefined;
}

/** What the oracle runs on: state, memory, and operand numbers. Values are unsigned BigInts. */
export interface Machine {
  get(type: Type, slot: number): bigint;
  set(type: Type, slot: number, value: bigint): void;
  /** A decoded instruction's number, by name. */
  field(name: string): bigint;
  load(type: Type, address: bigint, access: Access): bigint | EvaluatedFault;
  store(type: Type, address: bigint, value: bigint, access: Access): EvaluatedFault | undefined;
  probe(address: bigint, bytes: number, access: Access): EvaluatedFault | undefined;
  host(name: string, parameters: readonly bigint[]): bigint;
  hostLoad(type: Type, address: bigint): bigint;
  hostStore(type: Type, address: bigint, value: bigint): void;
}

export type Outcome =
  | { readonly kind: "end"; readonly ending: Ending }
  | { readonly kind: "fault"; readonly fault: EvaluatedFault }
  | { readonly kind: "return"; readonly values: readonly bigint[] };

/** How a block comes to its end other than at its bottom. */
type Leave = Outcome | { readonly kind: "break" | "continue"; readonly loop: Loop };

/** What is loaded or stored of a vector of which only the low end is. */
function lowType({ low }: Access): Type | undefined {
  return low === undefined ? undefined : low === 8 ? "i64" : "i32";
}

/** Steps that one evaluation may take: a loop in the IR that does not end is an error in the IR. */
const stepLimit = 10_000_000;

/**
 * Evaluates IR as it is written, in BigInts: slow, and simple enough to be believed. It is the oracle for the
 * interpreter and the translator.
 */
export function evaluate(body: Block, machine: Machine, parameters: readonly bigint[] = []): Outcome {
  const steps = { left: stepLimit };
  return run(body, machine, parameters, steps);
}

function run(body: Block, machine: Machine, parameters: readonly bigint[], steps: { left: number }): Outcome {
  const leave = new Evaluation(machine, parameters, steps).block(body);
  if (leave === undefined) return { kind: "end", ending: Ending.next };
  if ("loop" in leave) throw new Error("a break outside its loop");
  return leave;
}

class Evaluation {
  readonly #machine: Machine;
  readonly #parameters: readonly bigint[];
  readonly #steps: { left: number };
  /** Values that are fixed where they are defined: reads of anything that changes. */
  readonly #defined = new Map<number, bigint>();
  readonly #variables = new Map<number, bigint>();

  constructor(machine: Machine, parameters: readonly bigint[], steps: { left: number }) {
    this.#machine = machine;
    this.#parameters = parameters;
    this.#steps = steps;
  }

  #slot(slot: Slot): number {
    return typeof slot === "number" ? slot : Number(this.value(slot));
  }

  /** A value's meaning now. Values that read what can change were fixed by their definition. */
  value(value: Value): bigint {
    const defined = this.#defined.get(value.id);
    if (defined !== undefined) return defined;
    switch (value.kind) {
      case "const":
        return value.value;
      case "vcpu":
        return 0n;
      case "parameter":
        return this.#parameters[value.index] ?? 0n;
      case "field":
        return BigInt.asUintN(bitsOf[value.type], this.#machine.field(value.name));
      case "operation": {
        const types = value.operands.map(({ type }) => type);
        return evaluateOperation(
          value.name,
          types,
          value.operands.map((operand) => this.value(operand)),
          value.lane,
        );
      }
      case "convert":
        return conversions[value.name](bitsOf[value.operand.type], bitsOf[value.type], this.value(value.operand));
      case "condition":
        return this.value(value.value);
      case "shuffle": {
        const bytes = this.value(value.operands[0]) | (this.value(value.operands[1]) << 128n);
        return value.lanes.reduce(
          (all, lane, index) => all | (((bytes >> BigInt(lane * 8)) & 0xffn) << BigInt(index * 8)),
          0n,
        );
      }
      case "read":
        return this.#variables.get(value.variable.number) ?? 0n;
      default:
        throw new Error(`value ${value.id} (${value.kind}) is used before it is defined`);
    }
  }

  /** Evaluates a definition. @returns the fault that it raised. */
  #define(value: Value): Leave | undefined {
    const machine = this.#machine;
    switch (value.kind) {
      case "get":
        this.#defined.set(value.id, machine.get(value.type, this.#slot(value.slot)));
        return undefined;
      case "load": {
        const type = lowType(value.access) ?? value.type;
        const loaded = machine.load(type, this.value(value.address), value.access);
        if (typeof loaded !== "bigint") return { kind: "fault", fault: loaded };
        this.#defined.set(value.id, loaded);
        return undefined;
      }
      case "hostLoad":
        this.#defined.set(value.id, machine.hostLoad(value.type, this.value(value.address) + BigInt(value.offset)));
        return undefined;
      case "hostExchange": {
        const address = this.value(value.address);
        const old = machine.hostLoad(value.type, address);
        if (old === this.value(value.expected)) machine.hostStore(value.type, address, this.value(value.replacement));
        this.#defined.set(value.id, old);
        return undefined;
      }
      default:
        // Held again in a loop, a value is computed anew.
        this.#defined.delete(value.id);
        this.#defined.set(value.id, this.value(value));
        return undefined;
    }
  }

  block(statements: Block): Leave | undefined {
    for (const statement of statements) {
      this.#steps.left -= 1;
      if (this.#steps.left < 0) throw new Error("the evaluation does not end");
      const leave = this.#statement(statement);
      if (leave !== undefined) return leave;
    }
    return undefined;
  }

  #statement(statement: Statement): Leave | undefined {
    const machine = this.#machine;
    const faulted = (fault: EvaluatedFault | undefined): Leave | undefined =>
      fault === undefined ? undefined : { kind: "fault", fault };
    switch (statement.kind) {
      case "define":
        return this.#define(statement.value);
      case "set":
        machine.set(statement.value.type, this.#slot(statement.slot), this.value(statement.value));
        return undefined;
      case "assign":
        this.#variables.set(statement.variable.number, this.value(statement.value));
        return undefined;
      case "store":
        return faulted(this.#store(statement));
      case "probeWrite":
        return faulted(machine.probe(this.value(statement.address), statement.bytes, statement.access));
      case "update":
        return this.#update(statement);
      case "if":
        return this.block(this.value(statement.condition) !== 0n ? statement.then : statement.otherwise);
      case "loop":
        return this.#loop(statement.loop, statement.body);
      case "break":
      case "continue":
        return { kind: statement.kind, loop: statement.loop };
      case "fault": {
        const errorCode = statement.errorCode === undefined ? undefined : Number(this.value(statement.errorCode));
        return { kind: "fault", fault: { vector: statement.vector, errorCode } };
      }
      case "end":
        return { kind: "end", ending: statement.ending };
      case "return":
        return { kind: "return", values: statement.values.map((value) => this.value(value)) };
      case "call":
        return this.#call(statement.routine, statement.arguments, statement.results);
      case "host":
        this.#defined.set(
          statement.result.id,
          BigInt.asUintN(
            32,
            machine.host(
              statement.name,
              statement.arguments.map((value) => this.value(value)),
            ),
          ),
        );
        return undefined;
      case "hostStore":
        machine.hostStore(
          statement.value.type,
          this.value(statement.address) + BigInt(statement.offset),
          this.value(statement.value),
        );
        return undefined;
      case "hostFill":
        for (let at = 0n; at < this.value(statement.bytes); at++)
          machine.hostStore("i8", this.value(statement.address) + at, BigInt(statement.byte));
        return undefined;
      case "hostCopy":
        this.#copy(this.value(statement.to), this.value(statement.from), this.value(statement.bytes));
        return undefined;
      case "memoryFence":
        return undefined;
      case "flags":
        return this.block(statement.expansion);
    }
  }

  #store({ address, value, access }: Statement & { kind: "store" }): EvaluatedFault | undefined {
    const type = lowType(access) ?? value.type;
    return this.#machine.store(type, this.value(address), BigInt.asUintN(bitsOf[type], this.value(value)), access);
  }

  #copy(to: bigint, from: bigint, bytes: bigint): void {
    const copied: bigint[] = [];
    for (let at = 0n; at < bytes; at++) copied.push(this.#machine.hostLoad("i8", from + at));
    copied.forEach((byte, at) => this.#machine.hostStore("i8", to + BigInt(at), byte));
  }

  #update(statement: Statement & { kind: "update" }): Leave | undefined {
    const { before, after } = statement;
    const address = this.value(statement.address);
    const refused = this.#machine.probe(address, bitsOf[before.type] / 8, {});
    if (refused !== undefined) return { kind: "fault", fault: refused };
    const old = this.#machine.load(before.type, address, {});
    if (typeof old !== "bigint") return { kind: "fault", fault: old };
    this.#defined.set(before.id, old);
    const leave = this.block(statement.body);
    if (leave !== undefined) return leave;
    const fault = this.#machine.store(before.type, address, this.value(after), {});
    return fault === undefined ? undefined : { kind: "fault", fault };
  }

  #loop(loop: Loop, body: Block): Leave | undefined {
    for (;;) {
      const leave = this.block(body);
      if (leave === undefined) continue;
      if ("loop" in leave && leave.loop === loop) {
        if (leave.kind === "break") return undefined;
        continue;
      }
      return leave;
    }
  }

  #call(routine: Routine, parameters: readonly Value[], results: readonly Value[]): Leave | undefined {
    const outcome = run(
      routine.body(),
      this.#machine,
      parameters.map((value) => this.value(value)),
      this.#steps,
    );
    if (outcome.kind !== "return") return outcome;
    results.forEach((result, index) => this.#defined.set(result.id, outcome.values[index] ?? 0n));
    return undefined;
  }
}
