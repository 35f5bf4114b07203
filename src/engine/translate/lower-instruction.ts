import { Ending } from "../../ir/node.ts";
import type { Block, Routine, Slot, Statement, Value } from "../../ir/node.ts";
import type { Type } from "../../ir/types.ts";
import type { Code } from "../../wasm/code.ts";
import type { ValueType } from "../../wasm/types.ts";
import type { FlagForm } from "../../x86/flags.ts";
import { State } from "../../x86/state.ts";
import { FunctionLowering } from "../lower/function.ts";
import { storeInstructions } from "../lower/lowering.ts";
import { wasmType } from "../lower/operations.ts";
import { everyUse } from "../lower/uses.ts";
import { canonicalFlags, fusedCondition, pendingAfter, rotationOperand, withRotation } from "./fused.ts";
import type { Expression, PendingFlags } from "./fused.ts";
import { Folding } from "./folding.ts";
import type { FieldReader } from "./folding.ts";
import type { InstructionSurroundings } from "./instruction-surroundings.ts";
import { Local, TemporaryLocals, flagLocal, localType, registerLocal } from "./locals.ts";
import type { Place } from "./passage.ts";
import { singleRegister } from "./register-set.ts";
import { extract, insert, registerOf, registerType } from "./registers.ts";
import { isTrapCheck } from "./template.ts";
import type { Template } from "./template.ts";

const noUses: ReadonlyMap<number, number> = new Map();
const noField: FieldReader = () => {
  throw new Error("this IR is no instruction's");
};
const ownPage: Place = { from: "page", offset: 0 };

/**
 * Lowers one instruction after another into a region's function: registers are in locals, the numbers of a record are
 * constants and folded, and flags are computed where something looks at them.
 */
export class RegionLowering extends FunctionLowering {
  declare readonly around: InstructionSurroundings;
  readonly #locals = new TemporaryLocals();
  #template: Template | undefined;
  #folding = new Folding(undefined, noField);
  /** Values that are a register's whole or low half, still in its local. */
  #aliases = new Map<number, number>();
  /** Types of the operands that parameters stand for, in IR that is not the instruction's. */
  #parameters: readonly Type[] = [];
  #position = 0;
  #depth = 0;
  /** Where the instruction set RIP to: a place, or the address in the target local. */
  #rip: Place | "target" | undefined;
  /** What set the flags that no code has computed yet; its operands are in the flags' locals. */
  pending: PendingFlags | undefined;

  constructor(code: Code, around: InstructionSurroundings) {
    super(code, around, []);
  }

  /** How many locals a function has that has what was lowered last. */
  get localsEnd(): number {
    return this.#locals.end;
  }

  override local(type: ValueType): number {
    return this.#locals.take(type);
  }
  override temporary(type: "i32" | "i64" | "v128"): number {
    return this.#locals.take(type);
  }
  override release(): void {}

  /** Lowers an instruction. Afterwards control goes on behind it, unless it has left. */
  lower(template: Template, field: FieldReader, pending: PendingFlags | undefined): void {
    this.#begin(template, field, pending);
    this.statements(template.body);
    if (template.switchesTlb) this.around.reloadTlb();
  }
  /** Lowers what computes pending flags. */
  canonical(pending: PendingFlags): void {
    this.#begin(undefined, noField, pending);
    this.flush();
  }

  #begin(template: Template | undefined, field: FieldReader, pending: PendingFlags | undefined): void {
    this.#template = template;
    this.uses = template?.uses ?? noUses;
    this.#folding = new Folding(template, field);
    this.known = new Map();
    this.variables.clear();
    this.#aliases = new Map();
    this.#position = 0;
    this.#depth = 0;
    this.#rip = undefined;
    this.#locals.reset();
    this.pending = pending;
  }

  protected override callRoutine(routine: Routine): void {
    this.around.callRoutine(routine);
  }

  override emit(value: Value): void {
    if (!this.known.has(value.id)) {
      const alias = this.#aliases.get(value.id);
      if (alias !== undefined) {
        this.code.get(alias);
        if (value.type === "i32") this.code.op("i32.wrap_i64");
        return;
      }
      const place = this.#folding.place(value);
      if (place !== undefined) {
        this.around.address(place);
        return;
      }
      const open = this.#folding.open(value);
      if (open !== undefined) {
        this.around.number(open);
        return;
      }
      const folded = this.#folding.fold(value);
      if (typeof folded === "bigint") {
        this.#constant(value.type, folded);
        return;
      }
      if (folded !== value) {
        this.emit(folded);
        return;
      }
    }
    super.emit(value);
  }

  #constant(type: Type, value: bigint): void {
    if (type === "i64") this.code.i64(BigInt.asIntN(64, value));
    else if (type === "v128") this.around.vector(value);
    else this.code.i32(Number(value) | 0);
  }

  protected override compute(value: Value): void {
    const { code } = this;
    if (value.kind === "condition") {
      this.#condition(value.code, value.value);
      return;
    }
    if (value.kind === "parameter") {
      code.get(flagLocal(value.index, wasmType(value.type)));
      return;
    }
    if (value.kind === "get") {
      const slot = this.#folding.slot(value.slot);
      if (slot === State.ripPage) {
        this.around.address(ownPage);
        return;
      }
      const register = registerOf(slot);
      if (register !== undefined) {
        code.get(registerLocal(register.base));
        extract(code, register.base, register.byte, value.type);
        return;
      }
    }
    super.compute(value);
  }

  protected override slotAddress(slot: Slot): number {
    this.code.get(this.around.vcpu);
    return this.#folding.slot(slot);
  }

  override define(value: Value, emit?: () => void): void {
    if (emit === undefined && value.kind === "get" && this.#defineGet(value)) return;
    if (emit !== undefined || (value.kind !== "operation" && value.kind !== "convert")) {
      super.define(value, emit);
      return;
    }
    const place = this.#folding.place(value);
    if (place !== undefined) {
      super.define(value, () => this.around.address(place));
      return;
    }
    if (this.#folding.open(value) !== undefined) return;
    const simple = this.#folding.simplify(value);
    if (typeof simple === "bigint") return;
    if (simple === value) {
      super.define(value);
      return;
    }
    const [alias, known] = [this.#aliases.get(simple.id), this.known.get(simple.id)];
    if (alias !== undefined) this.#aliases.set(value.id, alias);
    else if (known !== undefined) this.known.set(value.id, known);
    else super.define(value, () => this.emit(simple));
  }

  /** @returns whether a read needs no code here. */
  #defineGet(value: Value & { kind: "get" }): boolean {
    const slot = this.#folding.slot(value.slot);
    if (slot === State.zero || slot === State.ripPage || slot === State.fpuTrap) return true;
    if (value.settled === true) {
      this.define(value, () => this.around.mxcsr());
      return true;
    }
    if (slot === State.ccAux || slot === State.ccResult) {
      if (this.#template?.forConditions.has(value.id) === true) return true;
      this.flush();
    }
    const register = registerOf(slot);
    if (register === undefined) return false;
    const whole = register.byte === 0 && (value.type === "i64" || value.type === "i32" || value.type === "v128");
    const wide = registerType(register.base) === "v128";
    if (!whole || (wide && value.type !== "v128")) return false;
    this.#aliases.set(value.id, registerLocal(register.base));
    return true;
  }

  /** Keeps what still needs the old value of a register's local, or of any. */
  #keepOld(local?: number): void {
    const { code } = this;
    const copies = new Map<number, number>();
    for (const [id, alias] of this.#aliases) {
      if (local !== undefined ? alias !== local : this.#locals.owns(alias)) continue;
      if ((this.#template?.lastUse.get(id) ?? Infinity) <= this.#position) {
        this.#aliases.delete(id);
        continue;
      }
      let copy = copies.get(alias);
      if (copy === undefined) {
        copy = this.#locals.take(localType(alias));
        code.get(alias);
        code.set(copy);
        copies.set(alias, copy);
      }
      this.#aliases.set(id, copy);
    }
  }

  protected override statement(statement: Statement): void {
    if (this.#template !== undefined) this.#position = this.#template.positions.get(statement) ?? this.#position;
    switch (statement.kind) {
      case "set":
        this.#set(this.#folding.slot(statement.slot), statement.value);
        return;
      case "flags":
        this.#flags(statement);
        return;
      case "if":
        this.#if(statement);
        return;
      default:
        super.statement(statement);
    }
  }

  #set(slot: number, value: Value): void {
    const { code, around } = this;
    if (slot === State.rip) {
      this.#setRip(value);
      return;
    }
    const register = registerOf(slot);
    if (register === undefined) {
      code.get(around.vcpu);
      this.emit(value);
      code.memory(storeInstructions[value.type], slot);
      return;
    }
    if (slot === State.ccAux || slot === State.ccResult) this.flush();
    const local = registerLocal(register.base);
    insert(code, local, register.base, register.byte, value.type, () => this.emit(value));
    // What is on the stack now was computed before the old value goes.
    this.#keepOld(local);
    code.set(local);
    around.dirtied(singleRegister(register.base));
  }

  #setRip(value: Value): void {
    const place = this.#folding.place(value);
    if (place !== undefined) {
      this.#rip = place;
      return;
    }
    this.emit(value);
    this.code.set(Local.target);
    this.#rip = "target";
  }

  /** Leaves with an ending that the instruction says itself. */
  leaveAs(ending: Ending): boolean {
    const { code, around } = this;
    if (ending === Ending.branch) {
      const rip = this.#rip;
      if (rip === undefined) throw new Error("a branch leads nowhere");
      around.goTo(rip);
      return true;
    }
    if (this.#rip !== undefined) {
      code.get(around.vcpu);
      if (this.#rip === "target") code.get(Local.target);
      else around.address(this.#rip);
      code.memory("i64.store", State.rip);
    }
    return false;
  }

  #flags({ form, operands }: Statement & { kind: "flags" }): void {
    const name = form as FlagForm;
    if (name === "rol" || name === "ror") {
      this.#rotated(name, operands[0]!);
      return;
    }
    // They keep CF, which has to be known.
    if (name === "inc" || name === "dec") this.flush();
    const { needed, pending } = pendingAfter(name, operands);
    // All are on the stack before any is set: they may be read from the locals of the flags that were pending.
    for (const operand of needed) this.emit(operand);
    for (const [position, { type }] of [...needed.entries()].toReversed())
      this.code.set(flagLocal(position, wasmType(type)));
    this.pending = pending;
    if (this.#depth > 0) this.flush();
  }

  #rotated(form: "rol" | "ror", result: Value): void {
    const rotation = { form, type: result.type };
    if (withRotation(this.pending, rotation) === undefined) this.flush();
    this.emit(result);
    this.code.set(flagLocal(rotationOperand, wasmType(result.type)));
    this.pending = withRotation(this.pending, rotation);
    if (this.#depth > 0) this.flush();
  }

  /** Computes pending flags in their canonical form. */
  flush(): void {
    const { pending } = this;
    if (pending === undefined) return;
    this.pending = undefined;
    this.#foreign(pending.types, () => this.statements(canonicalFlags(pending)));
  }
  /** The same on a path of its own: others still have them pending. */
  flushHere(): void {
    const { pending } = this;
    this.flush();
    this.pending = pending;
  }

  /** Lowers IR that is not the instruction's. */
  #foreign(parameters: readonly Type[], lower: () => void): void {
    const kept = [this.known, this.#folding, this.#aliases, this.#parameters, this.uses, this.#template] as const;
    this.#template = undefined;
    this.known = new Map();
    this.#folding = new Folding(undefined, noField);
    this.#aliases = new Map();
    this.#parameters = parameters;
    this.uses = everyUse;
    lower();
    [this.known, this.#folding, this.#aliases, this.#parameters, this.uses, this.#template] = kept;
  }

  #condition(code: number, value: Value): void {
    const { pending } = this;
    const expression: Expression | undefined = pending === undefined ? undefined : fusedCondition(pending, code);
    if (pending !== undefined && expression !== undefined) {
      this.#foreign(pending.types, () => {
        this.statements(expression.body);
        this.emit(expression.value);
      });
      return;
    }
    if (this.#depth > 0) this.flushHere();
    else this.flush();
    this.emit(value);
  }

  #if(statement: Statement & { kind: "if" }): void {
    if (isTrapCheck(statement.condition)) {
      this.around.trapCheck();
      return;
    }
    const folded = this.#folding.fold(statement.condition);
    if (typeof folded === "bigint") {
      this.statements(folded !== 0n ? statement.then : statement.otherwise);
      return;
    }
    const { code } = this;
    if (this.#template?.flagBlocks.has(statement) === true) this.flush();
    if (this.#template?.registerBlocks.has(statement) === true) this.#keepOld();
    this.emit(statement.condition);
    if (statement.unlikely === true || statement.then.at(-1)?.kind === "fault") code.hint(false);
    code.if();
    this.#inside(statement.then);
    if (statement.otherwise.length > 0) {
      code.else();
      this.#inside(statement.otherwise);
    }
    code.end();
  }

  /** Lowers a block that may be passed over: what it learns is forgotten behind it. */
  #inside(block: Block): void {
    const kept = [this.pending, this.#rip, this.#folding.copy()] as const;
    this.#depth += 1;
    this.block(block);
    this.#depth -= 1;
    [this.pending, this.#rip, this.#folding] = kept;
  }
}
