import { Builder } from "../ir/builder.ts";
import type { Access, Slot, Value } from "../ir/node.ts";
import { bitsOf, typeOf } from "../ir/types.ts";
import type { Type } from "../ir/types.ts";
import { condition, flagForms, materialise, statusFlag } from "./flags.ts";
import type { FlagForm, StatusFlag } from "./flags.ts";
import { segmentAddress } from "./routines/segment-address.ts";
import { Gpr, Segment, State, gprSlot, segmentSlot } from "./state.ts";
import { Vector } from "./exceptions.ts";

/** The number of a decoded instruction's part; the interpreter reads it from a record, the translator knows it. */
export type NumberName =
  /** The immediate, sign-extended to 64 bits where the row says so. */
  | "immediate"
  /** ENTER's second immediate; the selector of a far pointer. */
  | "immediate2"
  /** The branch target's offset from the page that this instruction begins in, as an i64. */
  | "target"
  | "displacement"
  /** Shift count of the index, 0–3. */
  | "scale"
  /** Page offsets of this instruction and of the next. */
  | "start"
  | "next"
  /** The mask of the address size, as an i64. */
  | "addressMask"
  /** Register numbers as they are in ModR/M: control, debug, segment and x87 registers. */
  | "regNumber"
  | "rmNumber";
/** `vvvv` is VEX's own register. */
export type SlotName = "reg" | "rm" | "base" | "index" | "segment" | "vvvv";

/** Where operand numbers come from: a record's fields, or constants. */
export interface Numbers {
  slot(ir: Builder, name: SlotName): Slot;
  value(ir: Builder, type: Type, name: NumberName): Value;
}

/** How an effective address becomes a linear one. */
export type Addressing =
  /** 64-bit mode, 64-bit addresses. */
  | "long"
  /** 64-bit mode, 32-bit addresses. */
  | "long32"
  /** Everything else: bases, limits and types count. */
  | "legacy";

/** What is fixed when an instruction's IR is made: one form of it. */
export interface Form {
  readonly operandSize: 16 | 32 | 64;
  readonly addressing: Addressing;
  /** The address size of a string instruction or of JCXZ and LOOP, in a legacy mode. */
  readonly addressSize: 16 | 32 | 64;
  readonly lock: boolean;
  readonly repeat: "none" | "rep" | "repne";
  /** The low bits of an opcode that a row spans: condition code or register number. */
  readonly low: number;
  /** A memory operand, where the row allows either. */
  readonly memory: boolean;
}

type FlagFunctions = { readonly [Name in FlagForm]: (...operands: Value[]) => void };

/** The IR builder with what x86 instructions have in common. */
export class Semantics extends Builder {
  readonly form: Form;
  readonly numbers: Numbers;
  /** Sets the status flags by form; the last thing that an instruction does. */
  readonly flags: FlagFunctions;

  constructor(form: Form, numbers: Numbers) {
    super();
    this.form = form;
    this.numbers = numbers;
    this.flags = Object.fromEntries(
      Object.keys(flagForms).map((name) => [
        name,
        (...operands: Value[]) => this.#setFlags(name as FlagForm, operands),
      ]),
    ) as FlagFunctions;
  }

  #setFlags(form: FlagForm, operands: readonly Value[]): void {
    for (const operand of operands) this.hold(operand);
    const expansion = this.block(() => {
      const { result, aux } = flagForms[form](this, [...operands]);
      const [heldAux, heldResult] = [this.hold(aux), this.hold(result)];
      this.set(State.ccAux, heldAux);
      this.set(State.ccResult, heldResult);
    });
    this.push({ kind: "flags", form, operands, expansion });
  }

  get operandSize(): 16 | 32 | 64 {
    return this.form.operandSize;
  }
  /** The integer type of the operand size. */
  get operandType(): Type {
    return typeOf(this.form.operandSize);
  }
  get long(): boolean {
    return this.form.addressing !== "legacy";
  }

  /** A status flag as an i1. */
  flag(name: StatusFlag): Value {
    return statusFlag(this, name);
  }
  /** The condition in the low four bits of the opcode, or a given one. */
  condition(code = this.form.low): Value {
    return condition(this, code);
  }
  /** All status flags in their places, i32. */
  statusFlags(): Value {
    return materialise(this);
  }
  /** Changes CF alone. */
  setCarry(carry: Value): void {
    const overflow = this.hold(this.zext(this.flag("of"), "i64"));
    const cf = this.zext(carry, "i64");
    const rest = this.and(this.get("i64", State.ccAux), (1n << 62n) - 1n);
    this.set(State.ccAux, this.or(rest, this.or(this.shl(cf, 63), this.shl(this.xor(cf, overflow), 62))));
  }

  gpr(name: Gpr, type: Type = "i64"): Value {
    return this.get(type, gprSlot(Gpr[name]));
  }
  /** Writes a register as an instruction of that width does. */
  setGpr(name: Gpr, value: Value): void {
    this.set(gprSlot(Gpr[name]), value.type === "i32" ? this.zext(value, "i64") : value);
  }

  immediate(type: Type): Value {
    return this.resize(this.numbers.value(this, "i64", "immediate"), type);
  }

  /** Where a relative branch leads. */
  branchTarget(): Value {
    return this.add(this.get("i64", State.ripPage), this.numbers.value(this, "i64", "target"));
  }

  /** RIP of this instruction, and of the one behind it. */
  thisRip(): Value {
    return this.add(this.get("i64", State.ripPage), this.zext(this.numbers.value(this, "i32", "start"), "i64"));
  }
  nextRip(): Value {
    return this.add(this.get("i64", State.ripPage), this.zext(this.numbers.value(this, "i32", "next"), "i64"));
  }

  /** Goes on at `target`, an i64, cut to the operand size outside 64-bit mode and checked against CS's limit. */
  jump(target: Value): void {
    if (this.long) {
      this.set(State.rip, target);
    } else {
      const cut = this.hold(this.and(target, this.operandSize === 16 ? 0xffff : 0xffffffff));
      const limit = this.zext(this.get("i32", segmentSlot("cs") + 8), "i64");
      this.if(this.ltu(limit, cut), () => this.fault(Vector.GP, 0));
      this.set(State.rip, cut);
    }
    this.end("branch");
  }
  /** Goes on behind this instruction with mode, paging or interruptibility looked at anew. */
  resynchronise(): void {
    this.set(State.rip, this.nextRip());
    this.end("resynchronise");
  }
  /** Leaves to the hypervisor with an Exit reason, this instruction done. */
  exit(reason: number): void {
    this.set(State.exitReason, this.const("i32", reason));
    this.set(State.rip, this.nextRip());
    this.end("exit");
  }

  requirePrivilege(): void {
    this.if(this.ne(this.get("i32", State.cpl), 0), () => this.fault(Vector.GP, 0));
  }
  isProtected(): Value {
    return this.and(
      this.trunc(this.get("i64", State.cr0), "i1"),
      this.eqz(this.and(this.get("i32", State.flags), 1 << 17)),
    );
  }

  /** x87 and MMX: CR0.EM and CR0.TS. Intel SDM Vol. 3A, "Control Registers". */
  requireX87(kind: "x87" | "mmx"): void {
    this.if(this.ne(this.get("i32", State.fpuTrap), 0), () => {
      const cr0 = this.get("i64", State.cr0);
      const emulated = this.ne(this.and(cr0, 4), 0);
      if (kind === "mmx") this.if(emulated, () => this.fault(Vector.UD));
      this.if(this.ne(this.and(cr0, kind === "mmx" ? 8 : 12), 0), () => this.fault(Vector.NM));
    });
  }
  /** SSE: CR0.EM, CR4.OSFXSR and CR0.TS. */
  requireSse(): void {
    this.if(this.ne(this.get("i32", State.fpuTrap), 0), () => {
      const cr0 = this.get("i64", State.cr0);
      const off = this.or(this.ne(this.and(cr0, 4), 0), this.eqz(this.and(this.get("i64", State.cr4), 1 << 9)));
      this.if(off, () => this.fault(Vector.UD));
      this.if(this.ne(this.and(cr0, 8), 0), () => this.fault(Vector.NM));
    });
  }

  /** The linear address of `offset` in the segment whose slot is given, checked in legacy modes. */
  linear(segment: Slot, offset: Value, bytes: number, access: "read" | "write"): Value {
    if (this.long) return this.add(offset, this.get("i64", segment));
    const slot = typeof segment === "number" ? this.const("i32", segment) : segment;
    const size = this.const("i32", bytes);
    return this.call(segmentAddress, slot, offset, size, this.const("i32", access === "write" ? 1 : 0))[0]!;
  }
  /** The effective address that ModR/M describes. */
  effectiveAddress(): Value {
    const base = this.get("i64", this.numbers.slot(this, "base"));
    const index = this.get("i64", this.numbers.slot(this, "index"));
    const scaled = this.shl(index, this.zext(this.numbers.value(this, "i32", "scale"), "i64"));
    const sum = this.add(this.add(base, scaled), this.numbers.value(this, "i64", "displacement"));
    return this.form.addressing === "long" ? sum : this.and(sum, this.numbers.value(this, "i64", "addressMask"));
  }

  /** Stack addresses are cut to this: 64 bits in 64-bit mode, else what SS.B says. */
  #stackMask(): Value {
    const big = this.and(this.get("i16", segmentSlot("ss") + 14), 0x400);
    return this.select(this.ne(big, 0), this.const("i64", 0xffffffff), this.const("i64", 0xffff));
  }
  /** The linear address of the stack at `pointer` (an i64, cut as needed). */
  stackAddress(pointer: Value, bytes: number, access: "read" | "write"): Value {
    if (this.long) return pointer;
    return this.linear(segmentSlot("ss"), this.and(pointer, this.#stackMask()), bytes, access);
  }
  /** Makes `pointer` the stack pointer: only as much of it as the stack's width has. */
  setStackPointer(pointer: Value): void {
    if (this.long) {
      this.setGpr("rsp", pointer);
    } else {
      const mask = this.hold(this.#stackMask());
      this.setGpr("rsp", this.or(this.and(this.gpr("rsp"), this.not(mask)), this.and(pointer, mask)));
    }
  }
  /** Pushes a value of the width it has. The store comes first, so that a fault changes nothing. */
  pushValue(value: Value): void {
    const bytes = bitsOf[value.type] / 8;
    const pointer = this.hold(this.sub(this.gpr("rsp"), bytes));
    this.store(this.stackAddress(pointer, bytes, "write"), value, stack);
    this.setStackPointer(pointer);
  }
  /** Reads the value on the stack's top, `above` bytes above it; `drop` then takes it off. */
  top(type: Type, above = 0): Value {
    const pointer = this.add(this.gpr("rsp"), above);
    return this.load(type, this.stackAddress(pointer, bitsOf[type] / 8, "read"), stack);
  }
  /** Adds to the stack pointer. */
  drop(bytes: number | Value): void {
    this.setStackPointer(this.add(this.gpr("rsp"), bytes));
  }
  pop(type: Type): Value {
    const value = this.top(type);
    this.drop(bitsOf[type] / 8);
    return value;
  }

  segmentBase(segment: Segment): Value {
    return this.get("i64", segmentSlot(segment));
  }
}

const stack: Access = { stack: true };
