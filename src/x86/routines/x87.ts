import { Builder, routine } from "../../ir/builder.ts";
import type { Routine, Value } from "../../ir/node.ts";
import { extendedArithmetic } from "../softfloat/extended-arithmetic.ts";
import { ExtendedControl, indefinite } from "../softfloat/extended.ts";
import type { Extended } from "../softfloat/extended.ts";
import { Control, Exception, allExceptions } from "../softfloat/format.ts";
import { when } from "../softfloat/round.ts";
import { SegmentField, State, segmentSlot } from "../state.ts";

/** The x87 register stack and status word around the soft-float routines. Intel SDM Vol. 1, "x87 FPU Execution Environment". */

const builder = () => new Builder();

/** The status word, beside the exception flags in the low six bits. */
export const Status = {
  stackFault: 0x40,
  summary: 0x8080,
  c0: 0x100,
  c1: 0x200,
  c2: 0x400,
  c3: 0x4000,
  top: 0x3800,
} as const;
/** An operand's register is empty: invalid, and a fault of the stack. */
export const underflowFlags = Exception.invalid | Status.stackFault;
export const overflowFlags = underflowFlags | Status.c1;
/** Exceptions of operands: where one is not masked there is no result. */
const ofOperands = Exception.invalid | Exception.denormal | Exception.zeroDivide;

/** Bytes of a register in the state; where its sign and exponent are. */
const headOffset = 8;

/** Physical number of the register on top of the stack. */
export function stackTop(ir: Builder): Value {
  return ir.and(ir.shr(ir.get("i32", State.fsw), 11), 7);
}
/** Physical number of ST(index). */
export function physical(ir: Builder, index: Value | number): Value {
  return ir.hold(ir.and(ir.add(stackTop(ir), index), 7));
}
/** The state slot of a register by physical number. */
export function slotOf(ir: Builder, number: Value): Value {
  return ir.hold(ir.add(ir.shl(number, 4), State.x87));
}
/** The state slot of ST(index). */
export function stackSlot(ir: Builder, index: Value | number): Value {
  return slotOf(ir, physical(ir, index));
}
/** Whether a register, by physical number, is empty. */
export function isEmpty(ir: Builder, number: Value): Value {
  return ir.eqz(ir.and(ir.shr(ir.get("i32", State.ftw), number), 1));
}
/** Whether ST(index) is empty. */
export function isStackEmpty(ir: Builder, index: Value | number): Value {
  return isEmpty(ir, physical(ir, index));
}
export function readRegister(ir: Builder, slot: Value): Extended {
  return { significand: ir.get("i64", slot), head: ir.zext(ir.get("i16", ir.add(slot, headOffset)), "i32") };
}
export function writeRegister(ir: Builder, slot: Value, { significand, head }: Extended): void {
  ir.set(slot, significand);
  ir.set(ir.add(slot, headOffset), ir.trunc(head, "i16"));
}
/** Says that a register, by physical number, holds something. */
export function tagValid(ir: Builder, number: Value): void {
  ir.set(State.ftw, ir.or(ir.get("i32", State.ftw), ir.shl(ir.const("i32", 1), number)));
}
export function tagEmpty(ir: Builder, number: Value): void {
  ir.set(State.ftw, ir.and(ir.get("i32", State.ftw), ir.not(ir.shl(ir.const("i32", 1), number))));
}
export function setTop(ir: Builder, number: Value): void {
  ir.set(State.fsw, ir.or(ir.and(ir.get("i32", State.fsw), ~Status.top), ir.shl(number, 11)));
}
/** Takes ST(0) off the stack. */
export function pop(ir: Builder): void {
  const top = ir.hold(stackTop(ir));
  tagEmpty(ir, top);
  setTop(ir, ir.and(ir.add(top, 1), 7));
}

/** Precision by the control word's PC field, a byte each; the reserved value is taken for full precision. */
const precisions = 0x40354018;

/** The control word as soft-float routines have it. @param precision Bits that are to be rounded to, if PC does not matter. */
export function floatControl(ir: Builder, precision?: number): Value {
  const fcw = ir.get("i32", State.fcw);
  const field = ir.and(ir.shr(ir.const("i32", precisions), ir.and(ir.shr(fcw, 5), 0x18)), 0x7f);
  const bits = precision === undefined ? field : ir.const("i32", precision);
  const masks = ir.shl(ir.and(fcw, allExceptions), Control.maskShift);
  const rounding = ir.shl(ir.and(fcw, 0xc00), Control.roundingShift - 10);
  return ir.hold(ir.or(ir.or(masks, rounding), ir.shl(bits, ExtendedControl.precisionShift)));
}
/** The rounding mode, as an i32. */
export function rounding(ir: Builder): Value {
  return ir.and(ir.shr(ir.get("i32", State.fcw), 10), 3);
}

/** Exceptions among `flags` that are not masked, of those in `which`: whether there is one. */
export function raisesUnmasked(ir: Builder, flags: Value, which: number): Value {
  return ir.ne(ir.and(ir.and(flags, which), ir.not(ir.get("i32", State.fcw))), 0);
}

/** A status word with ES and B as its flags and a control word's masks want them. */
export function summarised(ir: Builder, status: Value, control: Value): Value {
  const unmasked = ir.and(ir.and(status, ir.not(control)), allExceptions);
  return ir.or(ir.and(status, ~Status.summary), when(ir, ir.ne(unmasked, 0), Status.summary));
}

/**
 * recordOpcode(): the opcode of the instruction at FIP, which has an unmasked exception; for others FOP is not defined. Intel
 * SDM Vol. 1, "Fopcode Compatibility Sub-mode". No prefix is like the opcodes D8 to DF.
 */
const recordOpcode = routine("x87.recordOpcode", { parameters: [], results: [], faults: true }, builder, (ir) => {
  const wide = ir.eq(ir.and(ir.get("i32", State.mode), 3), 2);
  const base = ir.select(wide, ir.const("i64", 0), ir.get("i64", segmentSlot("cs") + SegmentField.base));
  const at = ir.variable(ir.add(base, ir.get("i64", State.fip)));
  const left = ir.variable(ir.const("i32", 15));
  ir.loop((loop) => {
    const address = ir.read(at);
    const byte = ir.hold(ir.zext(ir.load("i8", address), "i32"));
    ir.if(ir.eq(ir.and(byte, 0xf8), 0xd8), () => {
      const modrm = ir.zext(ir.load("i8", ir.add(address, 1)), "i32");
      ir.set(State.fop, ir.or(ir.shl(ir.and(byte, 7), 8), modrm));
      ir.break(loop);
    });
    ir.assign(at, ir.add(address, 1));
    ir.assign(left, ir.sub(ir.read(left), 1));
    ir.if(ir.eqz(ir.read(left)), () => ir.break(loop));
  });
  ir.return();
});

/**
 * conclude(flags: i32) → i32: notes exceptions, the stack fault and C1 in the status word. 0 where an exception of the operands
 * is not masked: nothing is to be changed then. FIP is that of this instruction already.
 */
export const conclude = routine(
  "x87.conclude",
  { parameters: ["i32"], results: ["i32"], faults: true },
  builder,
  (ir, flags) => {
    const stays = ir.hold(raisesUnmasked(ir, flags, ofOperands));
    const status = ir.or(ir.and(ir.get("i32", State.fsw), ~Status.c1), flags);
    const unmasked = ir.hold(raisesUnmasked(ir, flags, allExceptions));
    ir.if(unmasked, () => ir.call(recordOpcode));
    ir.set(State.fsw, ir.or(status, when(ir, unmasked, Status.summary)));
    ir.return(ir.zext(ir.eqz(stays), "i32"));
  },
);

/** As {@link conclude}; the answer as an i1. */
export function concluded(ir: Builder, flags: Value | number): Value {
  const [stored] = ir.call(conclude, typeof flags === "number" ? ir.const("i32", flags) : flags) as [Value];
  return ir.ne(stored, 0);
}

/** Writes a register, by slot, that may have been empty. */
export function fill(ir: Builder, slot: Value, number: Extended): void {
  writeRegister(ir, slot, number);
  tagValid(ir, ir.shr(ir.sub(slot, State.x87), 4));
}

/** What an arithmetic routine is told of its operands. */
export const Hint = {
  /** One of their registers is empty. */
  empty: 1,
  /** The second one was denormal in memory. */
  denormal: ExtendedControl.denormalOperand,
} as const;

/** underflow(destination: i32) → i32: an operand's register is empty; where that is masked the destination becomes indefinite. */
export const stackUnderflow = routine(
  "x87.underflow",
  { parameters: ["i32"], results: ["i32"], faults: true },
  builder,
  (ir, destination) => {
    const [stored] = ir.call(conclude, ir.const("i32", underflowFlags)) as [Value];
    ir.if(ir.ne(stored, 0), () => fill(ir, destination, indefinite(ir)));
    ir.return(stored);
  },
);

/** Makes of an extended routine of two numbers one of slots: (destination, a, b, hints) → i32, whether there is a result. */
export function ofSlots(soft: Routine): Routine {
  const parameters = ["i32", "i32", "i32", "i32"] as const;
  return routine(
    `x87.${soft.name}`,
    { parameters, results: ["i32"], faults: true },
    builder,
    (ir, destination, a, b, hints) => {
      ir.if(ir.ne(ir.and(hints, Hint.empty), 0), () => ir.return(ir.call(stackUnderflow, destination)[0]!));
      const [first, second] = [readRegister(ir, a), readRegister(ir, b)];
      const control = ir.or(floatControl(ir), ir.and(hints, Hint.denormal));
      const operands = [first.significand, first.head, second.significand, second.head, control];
      const [significand, head, flags] = ir.call(soft, ...operands) as [Value, Value, Value];
      const [stored] = ir.call(conclude, flags) as [Value];
      ir.if(ir.ne(stored, 0), () => writeRegister(ir, destination, { significand, head }));
      ir.return(stored);
    },
  );
}

/** Arithmetic on registers by slot; a memory operand is put into State.scratch before. */
export const x87Arithmetic = {
  add: ofSlots(extendedArithmetic.add),
  sub: ofSlots(extendedArithmetic.sub),
  mul: ofSlots(extendedArithmetic.mul),
  div: ofSlots(extendedArithmetic.div),
};

/** Makes of an extended routine of one number one that changes ST(0): () → i32, whether there is a result. */
export function ofTop(soft: Routine): Routine {
  return routine(`x87.${soft.name}`, { parameters: [], results: ["i32"], faults: true }, builder, (ir) => {
    const slot = stackSlot(ir, 0);
    ir.if(isStackEmpty(ir, 0), () => ir.return(ir.call(stackUnderflow, slot)[0]!));
    const { significand: operand, head: operandHead } = readRegister(ir, slot);
    const [significand, head, flags] = ir.call(soft, operand, operandHead, floatControl(ir)) as [Value, Value, Value];
    const [stored] = ir.call(conclude, flags) as [Value];
    ir.if(ir.ne(stored, 0), () => writeRegister(ir, slot, { significand, head }));
    ir.return(stored);
  });
}

export const x87Unary = { sqrt: ofTop(extendedArithmetic.sqrt) };

/**
 * push(significand: i64, head: i32, flags: i32): puts a number on the stack, what made it having raised `flags`. Onto a
 * register that is not empty: indefinite. An empty source counts before that.
 */
export const push = routine(
  "x87.push",
  { parameters: ["i64", "i32", "i32"], results: [], faults: true },
  builder,
  (ir, significand, head, flags) => {
    const number = physical(ir, 7);
    const full = ir.hold(ir.eqz(isEmpty(ir, number)));
    const underflow = ir.ne(ir.and(flags, Status.stackFault), 0);
    const raised = ir.select(ir.and(full, ir.eqz(underflow)), ir.const("i32", overflowFlags), flags);
    // A denormal is loaded even where its exception is not masked: only an invalid operation leaves the stack alone.
    const refused = ir.hold(raisesUnmasked(ir, raised, Exception.invalid));
    ir.call(conclude, raised);
    ir.if(ir.eqz(refused), () => {
      const nan = indefinite(ir);
      setTop(ir, number);
      tagValid(ir, number);
      writeRegister(ir, slotOf(ir, number), {
        significand: ir.select(full, nan.significand, significand),
        head: ir.select(full, nan.head, head),
      });
    });
    ir.return();
  },
);
