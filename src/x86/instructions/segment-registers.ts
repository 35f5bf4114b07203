import type { Value } from "../../ir/node.ts";
import { segmentField, segmentSlotOf } from "../descriptors.ts";
import { Vector } from "../exceptions.ts";
import { readFarPointer } from "../far-pointer.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { loadSegment } from "../routines/load-segment.ts";
import type { Semantics } from "../semantics.ts";
import { Segment, State } from "../state.ts";

/** The selector of the register whose number the operand is, an i16. */
function selectorOf(ir: Semantics, number: Value): Value {
  return ir.get("i16", segmentField(ir, segmentSlotOf(ir, number), "selector"));
}

/** Holds interrupts off until the instruction behind this one is done: it sets the stack pointer. */
function shadowStackLoad(ir: Semantics): void {
  ir.set(State.shadow, ir.const("i32", 1));
  ir.resynchronise();
}

/** MOV from a segment register: memory gets 16 bits, a wider register is zero-extended. Intel SDM Vol. 2B, "MOV—Move". */
export const movFromSegment = instruction({
  mnemonic: "mov",
  encodings: ["8C  Mw,Sw", "8C  Rv,Sw"],
  semantics(ir, destination, source) {
    const number = source.read("i32");
    ir.if(ir.ltu(5, number), () => ir.fault(Vector.UD));
    destination.write(ir.resize(selectorOf(ir, number), destination.type));
  },
});

/** MOV to a segment register. Intel SDM Vol. 2B, "MOV—Move". */
export const movToSegment = instruction({
  mnemonic: "mov",
  encodings: ["8E  Sw,Ew  system"],
  semantics(ir, destination, source) {
    const number = destination.read("i32");
    ir.if(ir.or(ir.eq(number, Segment.cs), ir.ltu(5, number)), () => ir.fault(Vector.UD));
    ir.call(loadSegment, number, ir.zext(source.read("i16"), "i32"));
    ir.if(ir.eq(number, Segment.ss), () => shadowStackLoad(ir));
  },
});

/** PUSH of a segment register, zero-extended to the operand size. Intel SDM Vol. 2B, "PUSH". */
export const pushSegment = instruction({
  mnemonic: "push",
  encodings: [
    "06  ES  i64 osz",
    "0E  CS  i64 osz",
    "16  SS  i64 osz",
    "1E  DS  i64 osz",
    "0F A0  FS  d64",
    "0F A8  GS  d64",
  ],
  semantics(ir, source) {
    ir.pushValue(ir.resize(selectorOf(ir, source.read("i32")), ir.operandType));
  },
});

/** POP of a segment register. Intel SDM Vol. 2B, "POP—Pop a Value From the Stack". */
export const popSegment = instruction({
  mnemonic: "pop",
  encodings: ["07  ES  i64 osz system", "1F  DS  i64 osz system", "0F A1  FS  d64 system", "0F A9  GS  d64 system"],
  semantics(ir, destination) {
    const value = ir.top(ir.operandType);
    ir.call(loadSegment, destination.read("i32"), ir.zext(ir.trunc(value, "i16"), "i32"));
    ir.drop(ir.operandSize / 8);
  },
});

/** POP SS: the stack pointer moves by the width that the old SS gave it. */
export const popStackSegment = instruction({
  mnemonic: "pop",
  encodings: ["17  SS  i64 osz system"],
  semantics(ir, destination) {
    const value = ir.top(ir.operandType);
    const before = ir.gpr("rsp");
    ir.drop(ir.operandSize / 8);
    const after = ir.gpr("rsp");
    // A load that faults must leave the stack pointer alone.
    ir.setGpr("rsp", before);
    ir.call(loadSegment, destination.read("i32"), ir.zext(ir.trunc(value, "i16"), "i32"));
    ir.setGpr("rsp", after);
    shadowStackLoad(ir);
  },
});

function loadFar(ir: Semantics, segment: Segment, destination: Operand, source: Operand): void {
  const { offset, selector } = readFarPointer(ir, source);
  ir.call(loadSegment, ir.const("i32", Segment[segment]), selector);
  destination.write(offset);
}

/** LDS, LES, LFS, LGS, LSS — load a far pointer. Intel SDM Vol. 2A, "LDS/LES/LFS/LGS/LSS—Load Far Pointer". */
export const les = instruction({
  mnemonic: "les",
  encodings: ["C4  Gv,Mp  i64 system"],
  semantics: (ir, destination, source) => loadFar(ir, "es", destination, source),
});
export const lds = instruction({
  mnemonic: "lds",
  encodings: ["C5  Gv,Mp  i64 system"],
  semantics: (ir, destination, source) => loadFar(ir, "ds", destination, source),
});
export const lss = instruction({
  mnemonic: "lss",
  encodings: ["0F B2  Gv,Mp  system"],
  semantics: (ir, destination, source) => loadFar(ir, "ss", destination, source),
});
export const lfs = instruction({
  mnemonic: "lfs",
  encodings: ["0F B4  Gv,Mp  system"],
  semantics: (ir, destination, source) => loadFar(ir, "fs", destination, source),
});
export const lgs = instruction({
  mnemonic: "lgs",
  encodings: ["0F B5  Gv,Mp  system"],
  semantics: (ir, destination, source) => loadFar(ir, "gs", destination, source),
});
