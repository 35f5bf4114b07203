import type { Access, Block, Ending, Routine, Value } from "../../ir/node.ts";
import type { Type } from "../../ir/types.ts";
import type { Code } from "../../wasm/code.ts";
import type { Memory } from "../../wasm/opcodes.ts";
import type { ValueType } from "../../wasm/types.ts";

/** See engine/mmu/slow-functions.ts. Undefined for accesses that have none. */
export interface SlowFunctions {
  /** (vcpu, linear) → value, with State.slowStatus. */
  load(type: Type, access: Access): number | undefined;
  /** (vcpu, linear, value) → status. */
  store(type: Type, access: Access): number | undefined;
}

/** What a function body needs from the module around it. */
export interface Surroundings {
  /** Local indices of the vCPU's base address and of the decoded instruction's record. */
  readonly vcpu: number;
  readonly record: number | undefined;
  /** Locals that hold State.tlbBank and State.tlbMask. */
  readonly tlb?: { readonly bank: number; readonly mask: number };
  /**
   * Leaves before the instruction, for the interpreter to execute it: where a write meets code, this function's own perhaps.
   * Without it writes go on; whoever looks for code next finds that it has changed.
   */
  giveUp?(): void;
  /** Functions for accesses that miss the TLB, shorter to call than the routines. */
  readonly slow?: SlowFunctions;
  /** Leaves with the fault that is written down in the state. */
  faulted?(): void;
  /** Leaves with what a slow store came to, which is on the stack. */
  refused?(): void;
  /** Declares a local. Several bodies in one function may share theirs. */
  local(type: ValueType): number;
  /** The module's function for a routine. */
  routine(routine: Routine): number;
  /** The imported function that asks the platform. */
  host(name: string, parameters: number): number;
  /** Leaves the function, or the dispatcher's case, with an ending. The stack is as it was at its beginning. */
  leave(ending: Ending): void;
  /** Leaves with the ending that is in an i32 local. */
  leaveWith(local: number): void;
  /** Returns a routine's results, which `emit` puts on the stack. */
  returnValues(emit: () => void): void;
}

/** A function body while it is lowered, as the parts that lower one kind of statement see it. */
export interface Lowering {
  readonly code: Code;
  readonly around: Surroundings;
  local(type: ValueType): number;
  /** A local for a moment; give it back with `release`. */
  temporary(type: "i32" | "i64" | "v128"): number;
  release(type: "i32" | "i64" | "v128", local: number): void;
  /** Puts a value on the stack. */
  emit(value: Value): void;
  /** Says in which local a value is. */
  bind(value: Value, local: number): void;
  statements(statements: Block): void;
  /** Records an exception and leaves. */
  fault(vector: number, errorCode: () => void): void;
  /** Calls a routine, leaving its results on the stack; a fault in it is this function's too. */
  callWith(routine: Routine, parameters: () => void): void;
}

/** The plain load of each type from linear memory. */
export const loadInstructions: Readonly<Record<Type, Memory>> = {
  i1: "i32.load8_u",
  i8: "i32.load8_u",
  i16: "i32.load16_u",
  i32: "i32.load",
  i64: "i64.load",
  v128: "v128.load",
};

/** The plain store of each type to linear memory. */
export const storeInstructions: Readonly<Record<Type, Memory>> = {
  i1: "i32.store8",
  i8: "i32.store8",
  i16: "i32.store16",
  i32: "i32.store",
  i64: "i64.store",
  v128: "v128.store",
};
