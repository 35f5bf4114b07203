import type { Conversion, OperationName } from "./operations.ts";
import type { IntegerType, Type } from "./types.ts";

/** A value: where it is defined it has one number for the whole function. */
interface Defined {
  readonly id: number;
  readonly type: Type;
}

/** A byte offset into the vCPU's state: known when the IR is made, or an i32 value (a register chosen by a decoded record). */
export type Slot = number | Value;

/** Who a memory access is made for. */
export interface Access {
  /** On behalf of the processor itself (descriptor tables, TSS): supervisor whatever CPL is. Intel SDM Vol. 3A, "Access Rights". */
  readonly system?: true;
  /** Through SS: a non-canonical address is #SS(0), not #GP(0). */
  readonly stack?: true;
  /** A misaligned address is #GP(0): legacy SSE operands of 16 bytes. */
  readonly aligned?: true;
  /** Of 16 bytes: only so many are loaded, into the low end, and the rest is zero; or only those are stored. */
  readonly low?: 4 | 8;
}

/** Why a function that stands for an instruction ends before its last statement. */
export const Ending = {
  /** Go on with the next instruction. */
  next: 0,
  /** The state's rip says where to go on; nothing else changed that the dispatcher keeps. */
  branch: 1,
  /** An exception is pending in the state; rip is to be that of this instruction. */
  fault: 2,
  /** The hypervisor is needed; the state says why, and its rip where to go on. */
  exit: 3,
  /** As branch, but mode, paging or interruptibility may have changed. */
  resynchronise: 4,
  /** A REP instruction did a part and is to be executed again from its own address. */
  again: 5,
} as const;
export type Ending = (typeof Ending)[keyof typeof Ending];

export type Value =
  | (Defined & { readonly kind: "const"; readonly value: bigint })
  /** A parameter of a routine. */
  | (Defined & { readonly kind: "parameter"; readonly index: number })
  /** The byte address of the vCPU's state in linear memory, i32. */
  | (Defined & { readonly kind: "vcpu" })
  /** A number of the decoded instruction, read from its record: the interpreter's operand numbers. */
  | (Defined & { readonly kind: "field"; readonly name: string })
  | (Defined & {
      readonly kind: "operation";
      readonly name: OperationName;
      readonly operands: readonly Value[];
      readonly lane: number;
    })
  | (Defined & { readonly kind: "convert"; readonly name: Conversion; readonly operand: Value })
  | (Defined & {
      readonly kind: "shuffle";
      readonly operands: readonly [Value, Value];
      readonly lanes: readonly number[];
    })
  /** An i1 with a name: condition `code` of the status flags, and what it is in terms of their canonical lazy form. */
  | (Defined & { readonly kind: "condition"; readonly code: number; readonly value: Value })
  /** Of state; a settled one may be as old as the code that it is in, if no instruction there has set the slot itself. */
  | (Defined & { readonly kind: "get"; readonly slot: Slot; readonly settled?: true })
  | (Defined & { readonly kind: "read"; readonly variable: Variable })
  | (Defined & { readonly kind: "load"; readonly address: Value; readonly access: Access })
  /** The old value inside a read-modify-write. */
  | (Defined & { readonly kind: "before" })
  /** A result of a routine or host call. */
  | (Defined & { readonly kind: "result"; readonly index: number })
  /** The machine's own linear memory at a byte offset: page tables through the p2m, the p2m, TLBs. Cannot fault. */
  | (Defined & { readonly kind: "hostLoad"; readonly address: Value; readonly offset: number })
  /** Atomic compare-and-exchange of linear memory. @see Statement "hostStore". Gives the old value. */
  | (Defined & {
      readonly kind: "hostExchange";
      readonly address: Value;
      readonly expected: Value;
      readonly replacement: Value;
    });

export interface Variable {
  readonly number: number;
  readonly type: Type;
}

export interface Loop {
  readonly number: number;
}

/** A named function of the runtime, shared by all instructions. It may fault; then its caller ends with the fault. */
export interface Routine {
  readonly name: string;
  readonly parameters: readonly Type[];
  readonly results: readonly Type[];
  /** Whether it can end otherwise than by returning its results. */
  readonly faults: boolean;
  /** The body, made when first asked for. */
  readonly body: () => Block;
}

export type Statement =
  /** Evaluates a value here, once, whatever uses it has. */
  | { readonly kind: "define"; readonly value: Value }
  | { readonly kind: "set"; readonly slot: Slot; readonly value: Value }
  | { readonly kind: "assign"; readonly variable: Variable; readonly value: Value }
  | { readonly kind: "store"; readonly address: Value; readonly value: Value; readonly access: Access }
  /** Faults as a store of `bytes` bytes would, and writes nothing: before the first store of a multi-access instruction. */
  | { readonly kind: "probeWrite"; readonly address: Value; readonly bytes: number; readonly access: Access }
  | {
      /** One read-modify-write: one translation, atomic under LOCK. The body computes and has no effects. */
      readonly kind: "update";
      readonly address: Value;
      readonly before: Value;
      readonly body: Block;
      readonly after: Value;
      readonly lock: boolean;
    }
  | {
      readonly kind: "if";
      readonly condition: Value;
      readonly then: Block;
      readonly otherwise: Block;
      /** The condition nearly never holds. */
      readonly unlikely?: true;
    }
  | { readonly kind: "loop"; readonly loop: Loop; readonly body: Block }
  | { readonly kind: "break"; readonly loop: Loop }
  | { readonly kind: "continue"; readonly loop: Loop }
  /** Raises an exception; ends the function. An errorCode of undefined pushes none. */
  | { readonly kind: "fault"; readonly vector: number; readonly errorCode: Value | undefined }
  | { readonly kind: "end"; readonly ending: Ending }
  | { readonly kind: "return"; readonly values: readonly Value[] }
  | {
      readonly kind: "call";
      readonly routine: Routine;
      readonly arguments: readonly Value[];
      readonly results: readonly Value[];
    }
  /** Asks the platform; arguments and results are i32 (longer values pass through the state). */
  | { readonly kind: "host"; readonly name: string; readonly arguments: readonly Value[]; readonly result: Value }
  /** Orders every access before it ahead of every one behind it, as other threads see them. */
  | { readonly kind: "memoryFence" }
  /** Sets `bytes` bytes of linear memory to `byte`. */
  | { readonly kind: "hostFill"; readonly address: Value; readonly byte: number; readonly bytes: Value }
  | { readonly kind: "hostCopy"; readonly to: Value; readonly from: Value; readonly bytes: Value }
  | { readonly kind: "hostStore"; readonly address: Value; readonly offset: number; readonly value: Value }
  /** An update of the status flags by form; `expansion` says the same in terms of the canonical lazy form. */
  | { readonly kind: "flags"; readonly form: string; readonly operands: readonly Value[]; readonly expansion: Block };

export type Block = readonly Statement[];

/** A number's integer type, for places where vectors make no sense. */
export function integer(type: Type): IntegerType {
  if (type === "v128") throw new Error("a vector where an integer is wanted");
  return type;
}
