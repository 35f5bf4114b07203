import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import {
  Status,
  isStackEmpty,
  physical,
  pop,
  readRegister,
  setTop,
  stackSlot,
  stackTop,
  stackUnderflow,
  tagEmpty,
  writeRegister,
} from "../routines/x87.ts";
import type { Semantics } from "../semantics.ts";
import { State } from "../state.ts";
import { beginX87, setPointers } from "../x87-operands.ts";

/** The register stack itself, and conditional moves. */

const feature = "x87";

/** FNOP. Intel SDM Vol. 2A, "FNOP—No Operation". */
export const fnop = instruction({ mnemonic: "fnop", encodings: ["D9 =D0"], feature, semantics: beginX87 });

function clearC1(ir: Semantics): void {
  ir.set(State.fsw, ir.and(ir.get("i32", State.fsw), ~Status.c1));
}

/** TOP moves; tags and registers stay. */
function move(by: number) {
  return (ir: Semantics): void => {
    beginX87(ir);
    setTop(ir, ir.and(ir.add(stackTop(ir), by), 7));
    clearC1(ir);
  };
}
/** FINCSTP. Intel SDM Vol. 2A, "FINCSTP—Increment Stack-Top Pointer". */
export const fincstp = instruction({ mnemonic: "fincstp", encodings: ["D9 =F7"], feature, semantics: move(1) });
/** FDECSTP. Intel SDM Vol. 2A, "FDECSTP—Decrement Stack-Top Pointer". */
export const fdecstp = instruction({ mnemonic: "fdecstp", encodings: ["D9 =F6"], feature, semantics: move(7) });

/** FFREE. Intel SDM Vol. 2A, "FFREE—Free Floating-Point Register". */
export const ffree = instruction({
  mnemonic: "ffree",
  encodings: ["DD /0  F"],
  feature,
  semantics(ir, register) {
    beginX87(ir);
    tagEmpty(ir, physical(ir, register.read()));
    clearC1(ir);
  },
});
/** FFREE, then a pop: undocumented. */
export const ffreep = instruction({
  mnemonic: "ffreep",
  encodings: ["DF /0  F"],
  feature,
  semantics(ir, register) {
    beginX87(ir);
    tagEmpty(ir, physical(ir, register.read()));
    clearC1(ir);
    pop(ir);
  },
});

/** FCMOVcc. Both registers must hold something, whether the condition does or not. */
function conditional(condition: (ir: Semantics) => Value) {
  return (ir: Semantics, source: Operand): void => {
    beginX87(ir);
    setPointers(ir);
    const index = source.read();
    const [top, from] = [stackSlot(ir, 0), stackSlot(ir, index)];
    ir.if(
      ir.or(isStackEmpty(ir, 0), isStackEmpty(ir, index)),
      () => ir.call(stackUnderflow, top),
      () => ir.if(condition(ir), () => writeRegister(ir, top, readRegister(ir, from))),
    );
  };
}
/** B, E, BE and U are the condition codes 2, 4, 6 and 10; the negations are one more. */
const below = (ir: Semantics) => ir.condition(2);
const equal = (ir: Semantics) => ir.condition(4);
const belowOrEqual = (ir: Semantics) => ir.condition(6);
const unordered = (ir: Semantics) => ir.condition(10);
const not = (condition: (ir: Semantics) => Value) => (ir: Semantics) => ir.eqz(condition(ir));

/** FCMOVcc. Intel SDM Vol. 2A, "FCMOVcc—Floating-Point Conditional Move". */
export const fcmovb = instruction({
  mnemonic: "fcmovb",
  encodings: ["DA /0  F"],
  feature,
  semantics: conditional(below),
});
export const fcmove = instruction({
  mnemonic: "fcmove",
  encodings: ["DA /1  F"],
  feature,
  semantics: conditional(equal),
});
export const fcmovbe = instruction({
  mnemonic: "fcmovbe",
  encodings: ["DA /2  F"],
  feature,
  semantics: conditional(belowOrEqual),
});
export const fcmovu = instruction({
  mnemonic: "fcmovu",
  encodings: ["DA /3  F"],
  feature,
  semantics: conditional(unordered),
});
export const fcmovnb = instruction({
  mnemonic: "fcmovnb",
  encodings: ["DB /0  F"],
  feature,
  semantics: conditional(not(below)),
});
export const fcmovne = instruction({
  mnemonic: "fcmovne",
  encodings: ["DB /1  F"],
  feature,
  semantics: conditional(not(equal)),
});
export const fcmovnbe = instruction({
  mnemonic: "fcmovnbe",
  encodings: ["DB /2  F"],
  feature,
  semantics: conditional(not(belowOrEqual)),
});
export const fcmovnu = instruction({
  mnemonic: "fcmovnu",
  encodings: ["DB /3  F"],
  feature,
  semantics: conditional(not(unordered)),
});
