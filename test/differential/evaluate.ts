/**
 * The slow oracle: evaluates an instruction's IR on BigInts, from the one table of operations, with memory as a
 * callback. Nothing is shared with the lowering to WebAssembly, so that a difference between the two is a bug in one.
 */
import { Ending, type Access, type Block, type Slot, type Statement, type Value } from "../../src/ir/node.ts";
import { conversions, evaluateOperation } from "../../src/ir/operations.ts";
import { bitsOf, type Type } from "../../src/ir/types.ts";
import { State } from "../../src/x86/state.ts";

/** What surrounds an evaluated instruction. */
export interface World {
  /** The vCPU's state, laid out as x86/state.ts says. */
  readonly state: DataView;
  /** A number of the decoded instruction. */
  field(name: string): bigint;
  /** @throws {Fault} */
  load(address: bigint, bytes: number, access: Access): bigint;
  /** @throws {Fault} */
  store(address: bigint, bytes: number, value: bigint, access: Access): void;
  /** @throws {Fault} as a store of so many bytes would. */
  probe(address: bigint, bytes: number, access: Access): void;
}

/** An exception that an instruction raised. */
export class Fault extends Error {
  readonly vector: number;
  readonly errorCode: number;
  constructor(vector: number, errorCode: number) {
    super(`vector ${vector}, error code ${errorCode}`);
    this.vector = vector;
    this.errorCode = errorCode;
  }
}

/** The IR uses something that only a whole engine has: the linear memory behind guest memory, the platform. */
export class Unsupported extends Error {}

/** How a block was left, where not by its end. */
type Leave =
  | { readonly kind: "end"; readonly ending: Ending }
  | { readonly kind: "return"; readonly values: readonly bigint[] }
  | { readonly kind: "break" | "continue"; readonly loop: number };

/** Evaluates an instruction. @throws {Fault} @throws {Unsupported} */
export function evaluateInstruction(block: Block, world: World): Ending {
  const left = new Activation(world, []).block(block);
  return left?.kind === "end" ? left.ending : Ending.next;
}

const bytesOfType = (type: Type): number => Math.max(8, bitsOf[type]) / 8;

function readState(view: DataView, at: number, type: Type): bigint {
  let value = 0n;
  for (let i = bytesOfType(type) - 1; i >= 0; i--) value = (value << 8n) | BigInt(view.getUint8(at + i));
  return BigInt.asUintN(bitsOf[type], value);
}

function writeState(view: DataView, at: number, type: Type, value: bigint): void {
  for (let i = 0; i < bytesOfType(type); i++) view.setUint8(at + i, Number((value >> BigInt(8 * i)) & 0xffn));
}

/** One call of a function: its values and variables. */
class Activation {
  readonly #world: World;
  readonly #parameters: readonly bigint[];
  readonly #values = new Map<number, bigint>();
  readonly #variables = new Map<number, bigint>();

  constructor(world: World, parameters: readonly bigint[]) {
    this.#world = world;
    this.#parameters = parameters;
  }

  block(statements: Block): Leave | undefined {
    for (const statement of statements) {
      const left = this.#statement(statement);
      if (left !== undefined) return left;
    }
    return undefined;
  }

  #statement(statement: Statement): Leave | undefined {
    const world = this.#world;
    switch (statement.kind) {
      case "define":
        this.#values.delete(statement.value.id);
        this.#values.set(statement.value.id, this.#value(statement.value));
        return undefined;
      case "set":
        writeState(world.state, this.#slot(statement.slot), statement.value.type, this.#value(statement.value));
        return undefined;
      case "assign":
        this.#variables.set(statement.variable.number, this.#value(statement.value));
        return undefined;
      case "store":
        world.store(
          this.#value(statement.address),
          bytesOfType(statement.value.type),
          this.#value(statement.value),
          statement.access,
        );
        return undefined;
      case "probeWrite":
        world.probe(this.#value(statement.address), statement.bytes, statement.access);
        return undefined;
      case "update":
        return this.#update(statement);
      case "if":
        return this.block(this.#value(statement.condition) === 0n ? statement.otherwise : statement.then);
      case "loop":
        return this.#loop(statement.loop.number, statement.body);
      case "break":
      case "continue":
        return { kind: statement.kind, loop: statement.loop.number };
      case "fault":
        throw new Fault(
          statement.vector,
          statement.errorCode === undefined ? 0 : Number(this.#value(statement.errorCode)),
        );
      case "end":
        return { kind: "end", ending: statement.ending };
      case "return":
        return { kind: "return", values: statement.values.map((value) => this.#value(value)) };
      case "call":
        return this.#call(statement);
      case "flags":
        return this.block(statement.expansion);
      default:
        throw new Unsupported(statement.kind);
    }
  }

  #update({ address, before, body, after }: Statement & { kind: "update" }): Leave | undefined {
    const where = this.#value(address);
    const bytes = bytesOfType(before.type);
    this.#world.probe(where, bytes, {});
    this.#values.set(before.id, this.#world.load(where, bytes, {}));
    const left = this.block(body);
    if (left !== undefined) return left;
    const value = this.#value(after);
    this.#values.set(after.id, value);
    this.#world.store(where, bytes, value, {});
    return undefined;
  }

  #loop(number: number, body: Block): Leave | undefined {
    for (let turns = 0; turns < 1_000_000; turns++) {
      const left = this.block(body);
      if (left === undefined || (left.kind === "continue" && left.loop === number)) continue;
      return left.kind === "break" && left.loop === number ? undefined : left;
    }
    throw new Error("a loop in the IR does not end");
  }

  #call({ routine, arguments: given, results }: Statement & { kind: "call" }): Leave | undefined {
    if (routine.name.startsWith("mmu.")) return undefined; // there is nothing cached here
    const callee = new Activation(
      this.#world,
      given.map((value) => this.#value(value)),
    );
    const left = callee.block(routine.body());
    if (left?.kind === "end") return left;
    const values = left?.kind === "return" ? left.values : [];
    results.forEach((result, index) => this.#values.set(result.id, values[index]!));
    return undefined;
  }

  #slot(slot: Slot): number {
    return typeof slot === "number" ? slot : Number(this.#value(slot));
  }

  /** Pure operations are evaluated where they are used; a statement that defines a value fixes it. */
  #value(value: Value): bigint {
    const known = this.#values.get(value.id);
    if (known !== undefined) return known;
    switch (value.kind) {
      case "const":
        return value.value;
      case "parameter":
        return this.#parameters[value.index]!;
      case "field":
        return BigInt.asUintN(bitsOf[value.type], this.#world.field(value.name));
      case "operation": {
        const types = value.operands.map(({ type }) => type);
        return evaluateOperation(
          value.name,
          types,
          value.operands.map((operand) => this.#value(operand)),
          value.lane,
        );
      }
      case "convert":
        return conversions[value.name](bitsOf[value.operand.type], bitsOf[value.type], this.#value(value.operand));
      case "shuffle": {
        const both = this.#value(value.operands[0]) | (this.#value(value.operands[1]) << 128n);
        return value.lanes.reduce(
          (all, lane, index) => all | (((both >> BigInt(8 * lane)) & 0xffn) << BigInt(8 * index)),
          0n,
        );
      }
      case "get":
        return readState(this.#world.state, this.#slot(value.slot), value.type);
      case "read":
        return this.#variables.get(value.variable.number)!;
      case "load":
        return this.#world.load(this.#value(value.address), bytesOfType(value.type), value.access);
      default:
        throw new Unsupported(value.kind);
    }
  }
}

/** The lazy flags that hold the status flags of an RFLAGS value; see x86/flags.ts, LazyFlags. */
export function writeStatusFlags(state: DataView, rflags: number): void {
  const bit = (position: number): bigint => BigInt((rflags >> position) & 1);
  const [cf, pf, af, zf, sf, of] = [bit(0), bit(2), bit(4), bit(6), bit(7), bit(11)] as const;
  state.setBigUint64(State.ccResult, zf === 1n ? 0n : 0x100n, true);
  state.setBigUint64(State.ccAux, (cf << 63n) | ((cf ^ of) << 62n) | (af << 3n) | ((pf ^ 1n) << 8n) | sf, true);
}

/** The status flags in their RFLAGS places. */
export function readStatusFlags(state: DataView): number {
  const result = state.getBigInt64(State.ccResult, true);
  const aux = state.getBigUint64(State.ccAux, true);
  const cf = Number(aux >> 63n);
  const of = cf ^ (Number(aux >> 62n) & 1);
  const sf = (result < 0n ? 1 : 0) ^ Number(aux & 1n);
  let parity = Number(BigInt.asUintN(8, result) ^ ((aux >> 8n) & 0xffn));
  for (const shift of [4, 2, 1]) parity ^= parity >> shift;
  const pf = (parity & 1) ^ 1;
  return cf | (pf << 2) | (Number((aux >> 3n) & 1n) << 4) | ((result === 0n ? 1 : 0) << 6) | (sf << 7) | (of << 11);
}
