import { Ending } from "../../ir/node.ts";
import type { Block, Loop, Routine, Slot, Statement, Value, Variable } from "../../ir/node.ts";
import { bitsOf } from "../../ir/types.ts";
import type { Type } from "../../ir/types.ts";
import type { Code, Label } from "../../wasm/code.ts";
import type { ValueType } from "../../wasm/types.ts";
import { State } from "../../x86/state.ts";
import { fieldLoads } from "../record.ts";
import type { NumberName, SlotName } from "../../x86/semantics.ts";
import { countUses } from "./uses.ts";
import { loadInstructions, storeInstructions } from "./lowering.ts";
import type { Lowering, Surroundings } from "./lowering.ts";
import { lowerLoad, lowerProbe, lowerStore, lowerUpdate } from "./memory.ts";
import { lowerConversion, lowerOperation, wasmType } from "./operations.ts";

/** Lowers the IR of one function to WebAssembly. */
export class FunctionLowering implements Lowering {
  readonly code: Code;
  readonly around: Surroundings;
  protected uses: ReadonlyMap<number, number>;
  /** Locals of values that are computed, by id; what a block computed is forgotten when it ends. */
  protected known = new Map<number, number>();
  protected readonly variables = new Map<number, number>();
  readonly #loops = new Map<number, { readonly outside: Label; readonly again: Label }>();
  readonly #free: Map<string, number[]> = new Map();

  constructor(code: Code, around: Surroundings, body: Block) {
    this.code = code;
    this.around = around;
    this.uses = countUses(body);
  }

  local(type: ValueType): number {
    return this.around.local(type);
  }

  /** A local for a moment; give it back with {@link release}. */
  temporary(type: "i32" | "i64" | "v128"): number {
    return this.#free.get(type)?.pop() ?? this.local(type);
  }
  release(type: "i32" | "i64" | "v128", local: number): void {
    const free = this.#free.get(type);
    if (free === undefined) this.#free.set(type, [local]);
    else free.push(local);
  }

  #local(variable: Variable): number {
    const known = this.variables.get(variable.number);
    if (known !== undefined) return known;
    const local = this.local(wasmType(variable.type));
    this.variables.set(variable.number, local);
    return local;
  }

  /** Puts the address of a state slot's owner on the stack. @returns the constant offset that completes it. */
  protected slotAddress(slot: Slot): number {
    this.code.get(this.around.vcpu);
    if (typeof slot === "number") return slot;
    this.emit(slot);
    this.code.op("i32.add");
    return 0;
  }

  /** Puts a value on the stack. */
  emit(value: Value): void {
    const known = this.known.get(value.id);
    if (known !== undefined) {
      this.code.get(known);
      return;
    }
    this.compute(value);
    const shared = (this.uses.get(value.id) ?? 0) > 1;
    if (shared && value.kind !== "const" && value.kind !== "vcpu" && value.kind !== "parameter") {
      const local = this.local(wasmType(value.type));
      this.code.tee(local);
      this.known.set(value.id, local);
    }
  }

  /** Evaluates a value now and keeps it in a local. */
  define(value: Value, emit: () => void = () => this.compute(value)): void {
    emit();
    if ((this.uses.get(value.id) ?? 0) === 0) {
      this.code.op("drop");
      return;
    }
    this.keep(value);
  }
  /** Takes the value on the stack as `value`. */
  keep(value: Value): void {
    const local = this.local(wasmType(value.type));
    this.code.set(local);
    this.known.set(value.id, local);
  }
  /** Says in which local a value is. */
  bind(value: Value, local: number): void {
    this.known.set(value.id, local);
  }
  used(value: Value): boolean {
    return (this.uses.get(value.id) ?? 0) > 0;
  }

  /** Evaluates a value, leaving it on the stack. */
  protected compute(value: Value): void {
    const { code } = this;
    switch (value.kind) {
      case "const":
        if (value.type === "i64") code.i64(value.value);
        else if (value.type === "v128") code.v128(value.value);
        else code.i32(Number(value.value) | 0);
        return;
      case "vcpu":
        code.get(this.around.vcpu);
        return;
      case "parameter":
        code.get(value.index + 1);
        return;
      case "field":
        this.field(value.name as NumberName | SlotName, value.type);
        return;
      case "operation":
        lowerOperation(
          code,
          value.name,
          value.operands.map(({ type }) => type),
          value.type,
          value.lane,
          (index) => this.emit(value.operands[index]!),
        );
        return;
      case "convert":
        this.emit(value.operand);
        lowerConversion(code, value.name, value.operand.type, value.type);
        return;
      case "condition":
        this.emit(value.value);
        return;
      case "shuffle":
        this.emit(value.operands[0]);
        this.emit(value.operands[1]);
        code.shuffle(value.lanes);
        return;
      case "get": {
        const offset = this.slotAddress(value.slot);
        code.memory(loadInstructions[value.type], offset);
        return;
      }
      case "read":
        code.get(this.#local(value.variable));
        return;
      case "load":
        lowerLoad(this, value.type, value.address, value.access);
        return;
      case "hostLoad":
        this.emit(value.address);
        code.memory(loadInstructions[value.type], value.offset);
        return;
      case "hostExchange":
        this.emit(value.address);
        this.emit(value.expected);
        this.emit(value.replacement);
        code.memory(value.type === "i64" ? "i64.atomic.rmw.cmpxchg" : "i32.atomic.rmw.cmpxchg", 0);
        return;
      case "before":
      case "result":
        throw new Error(`value ${value.id} (${value.kind}) is used where it is not known`);
    }
  }

  protected field(name: NumberName | SlotName, type: Type): void {
    const { record } = this.around;
    if (record === undefined) throw new Error(`"${name}" is read outside an instruction`);
    const [instruction, offset] = fieldLoads[name];
    if (name === "addressMask") {
      this.code.i64(-1n);
      this.code.get(record);
      this.code.memory(instruction, offset);
      this.code.op("i64.extend_i32_u");
      this.code.op("i64.shr_u");
      return;
    }
    this.code.get(record);
    this.code.memory(instruction, offset);
    const loaded: Type = instruction.startsWith("i64") ? "i64" : "i32";
    if (loaded !== type) lowerConversion(this.code, bitsOf[type] < bitsOf[loaded] ? "trunc" : "zext", loaded, type);
  }

  /** Lowers a block; what it computed is forgotten behind it. */
  block(statements: Block): void {
    const outer = this.known;
    this.known = new Map(outer);
    this.statements(statements);
    this.known = outer;
  }
  statements(statements: Block): void {
    for (const statement of statements) this.statement(statement);
  }

  protected statement(statement: Statement): void {
    const { code, around } = this;
    switch (statement.kind) {
      case "define":
        if (!this.known.has(statement.value.id)) this.define(statement.value);
        return;
      case "set": {
        const offset = this.slotAddress(statement.slot);
        this.emit(statement.value);
        code.memory(storeInstructions[statement.value.type], offset);
        return;
      }
      case "assign":
        this.emit(statement.value);
        code.set(this.#local(statement.variable));
        return;
      case "store":
        lowerStore(this, statement.address, statement.value, statement.access);
        return;
      case "probeWrite":
        lowerProbe(this, statement.address, statement.bytes, statement.access);
        return;
      case "update":
        lowerUpdate(this, statement);
        return;
      case "if":
        this.emit(statement.condition);
        if (statement.unlikely === true) code.hint(false);
        code.if();
        this.block(statement.then);
        if (statement.otherwise.length > 0) {
          code.else();
          this.block(statement.otherwise);
        }
        code.end();
        return;
      case "loop":
        this.#loop(statement.loop, statement.body);
        return;
      case "break":
        code.br(this.#loops.get(statement.loop.number)!.outside);
        return;
      case "continue":
        code.br(this.#loops.get(statement.loop.number)!.again);
        return;
      case "fault":
        this.fault(statement.vector, () =>
          statement.errorCode === undefined ? code.i32(-1) : this.emit(statement.errorCode),
        );
        return;
      case "end":
        around.leave(statement.ending);
        return;
      case "return":
        around.returnValues(() => statement.values.forEach((value) => this.emit(value)));
        return;
      case "call":
        this.call(statement.routine, statement.arguments, statement.results);
        return;
      case "host":
        code.get(around.vcpu);
        for (const argument of statement.arguments) this.emit(argument);
        code.call(around.host(statement.name, statement.arguments.length));
        this.define(statement.result, () => {});
        return;
      case "hostStore":
        this.emit(statement.address);
        this.emit(statement.value);
        code.memory(storeInstructions[statement.value.type], statement.offset);
        return;
      case "hostFill":
        this.emit(statement.address);
        code.i32(statement.byte);
        this.emit(statement.bytes);
        code.memoryFill();
        return;
      case "hostCopy":
        this.emit(statement.to);
        this.emit(statement.from);
        this.emit(statement.bytes);
        code.memoryCopy();
        return;
      case "memoryFence":
        code.atomicFence();
        return;
      case "flags":
        this.statements(statement.expansion);
        return;
    }
  }

  #loop(loop: Loop, body: Block): void {
    const outside = this.code.block();
    const again = this.code.loop();
    this.#loops.set(loop.number, { outside, again });
    this.block(body);
    this.code.br(again);
    this.code.end();
    this.code.end();
  }

  /** Records an exception and leaves. */
  fault(vector: number, errorCode: () => void): void {
    const { code, around } = this;
    code.get(around.vcpu);
    code.i32(vector);
    code.memory("i32.store", State.faultVector);
    code.get(around.vcpu);
    errorCode();
    code.memory("i32.store", State.faultCode);
    around.leave(Ending.fault);
  }

  /** Calls a routine; a fault in it is this function's too. Results of a faulting routine come above its status. */
  call(routine: Routine, parameters: readonly Value[], results: readonly Value[]): void {
    this.callWith(routine, () => parameters.forEach((parameter) => this.emit(parameter)));
    results.toReversed().forEach((result) => this.define(result, () => {}));
  }
  protected callRoutine(routine: Routine): void {
    this.code.call(this.around.routine(routine));
  }
  /** As {@link call}, leaving the results on the stack. */
  callWith(routine: Routine, parameters: () => void): void {
    const { code, around } = this;
    code.get(around.vcpu);
    parameters();
    this.callRoutine(routine);
    if (!routine.faults) return;
    // Results, then the status on top.
    const status = this.temporary("i32");
    code.tee(status);
    if (routine.results.length === 0) {
      code.hint(false);
      code.if();
      around.leaveWith(status);
      code.end();
    } else {
      const locals = routine.results.map((type) => [wasmType(type), this.temporary(wasmType(type) as "i32")] as const);
      code.op("drop");
      for (const [, local] of locals.toReversed()) code.set(local);
      code.get(status);
      code.hint(false);
      code.if();
      around.leaveWith(status);
      code.end();
      for (const [type, local] of locals) {
        code.get(local);
        this.release(type as "i32", local);
      }
    }
    this.release("i32", status);
  }
}
