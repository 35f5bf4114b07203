import type { Value } from "../../ir/node.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { storedDouble, storedInteger, storedSingle, mayStore } from "../routines/x87-store.ts";
import {
  concluded,
  fill,
  isEmpty,
  isStackEmpty,
  physical,
  pop,
  push,
  readRegister,
  rounding,
  slotOf,
  stackSlot,
  underflowFlags,
} from "../routines/x87.ts";
import type { Semantics } from "../semantics.ts";
import { indefinite } from "../softfloat/extended.ts";
import { Rounding } from "../softfloat/format.ts";
import { beginX87, loadNumber, loadWide, setPointers, storeWide } from "../x87-operands.ts";
import type { MemoryKind } from "../x87-operands.ts";

/** Loads, stores and moves between registers. Intel SDM Vol. 1, "x87 FPU Data Transfer Instructions". */

const feature = "x87";

function load(kind: MemoryKind) {
  return (ir: Semantics, source: Operand): void => {
    beginX87(ir);
    const [{ significand, head }, flags] = loadNumber(ir, source, kind);
    setPointers(ir, source);
    ir.call(push, significand, head, flags);
  };
}

/** FLD. Intel SDM Vol. 2A, "FLD—Load Floating-Point Value". */
export const fld = instruction({
  mnemonic: "fld",
  encodings: ["D9 /0  Md", "DD /0  Mq"],
  feature,
  semantics: load("float"),
});
export const fldExtended = instruction({
  mnemonic: "fld",
  encodings: ["DB /5  Mt"],
  feature,
  semantics(ir, source) {
    beginX87(ir);
    const { significand, head } = loadWide(ir, source);
    setPointers(ir, source);
    ir.call(push, significand, head, ir.const("i32", 0));
  },
});
export const fldRegister = instruction({
  mnemonic: "fld",
  encodings: ["D9 /0  F"],
  feature,
  semantics(ir, source) {
    beginX87(ir);
    setPointers(ir);
    const number = physical(ir, source.read());
    const empty = ir.hold(isEmpty(ir, number));
    const nan = indefinite(ir);
    const { significand, head } = readRegister(ir, slotOf(ir, number));
    const value = [ir.select(empty, nan.significand, significand), ir.select(empty, nan.head, head)] as const;
    ir.call(push, ...value, ir.select(empty, ir.const("i32", underflowFlags), ir.const("i32", 0)));
  },
});
/** FILD. Intel SDM Vol. 2A, "FILD—Load Integer". */
export const fild = instruction({
  mnemonic: "fild",
  encodings: ["DF /0  Mw", "DB /0  Md", "DF /5  Mq"],
  feature,
  semantics: load("integer"),
});

type After = "keep" | "pop";

/** Stores what has been made of ST(0), unless it raised what keeps it back; memory has to be writable in any case. */
function finishStore(ir: Semantics, destination: Operand, value: Value, flags: Value, after: After): void {
  const storable = mayStore(ir, flags);
  const address = destination.address("write");
  ir.if(
    storable,
    () => ir.store(address, value),
    () => ir.probeWrite(address, destination.bits / 8),
  );
  setPointers(ir, destination);
  concluded(ir, flags);
  if (after === "pop") ir.if(storable, () => pop(ir));
}

function store(after: After) {
  return (ir: Semantics, destination: Operand): void => {
    beginX87(ir);
    const [bits, flags] = ir.call(destination.bits === 32 ? storedSingle : storedDouble) as [Value, Value];
    finishStore(ir, destination, bits, flags, after);
  };
}
/** ST(0) to another register, which may have been empty. */
function move(after: After) {
  return (ir: Semantics, destination: Operand): void => {
    beginX87(ir);
    setPointers(ir);
    const empty = ir.hold(isStackEmpty(ir, 0));
    const slot = stackSlot(ir, destination.read());
    const { significand, head } = readRegister(ir, stackSlot(ir, 0));
    const nan = indefinite(ir);
    const value = {
      significand: ir.select(empty, nan.significand, significand),
      head: ir.select(empty, nan.head, head),
    };
    ir.if(concluded(ir, ir.select(empty, ir.const("i32", underflowFlags), ir.const("i32", 0))), () => {
      fill(ir, slot, value);
      if (after === "pop") pop(ir);
    });
  };
}

/** FST and FSTP. Intel SDM Vol. 2A, "FST/FSTP—Store Floating-Point Value". */
export const fst = instruction({
  mnemonic: "fst",
  encodings: ["D9 /2  Md", "DD /2  Mq"],
  feature,
  semantics: store("keep"),
});
export const fstp = instruction({
  mnemonic: "fstp",
  encodings: ["D9 /3  Md", "DD /3  Mq"],
  feature,
  semantics: store("pop"),
});
export const fstRegister = instruction({ mnemonic: "fst", encodings: ["DD /2  F"], feature, semantics: move("keep") });
/** The rows other than DD are undocumented aliases. */
export const fstpRegister = instruction({
  mnemonic: "fstp",
  encodings: ["DD /3  F", "DF /2  F", "DF /3  F"],
  feature,
  semantics: move("pop"),
});
/** An undocumented FSTP that takes nothing from an empty ST(0) and raises nothing, as processors do it. */
export const fstpnce = instruction({
  mnemonic: "fstpnce",
  encodings: ["D9 /3  F"],
  feature,
  semantics(ir, destination) {
    beginX87(ir);
    setPointers(ir);
    const slot = stackSlot(ir, destination.read());
    ir.if(ir.eqz(isStackEmpty(ir, 0)), () => fill(ir, slot, readRegister(ir, stackSlot(ir, 0))));
    concluded(ir, 0);
    pop(ir);
  },
});
export const fstpExtended = instruction({
  mnemonic: "fstp",
  encodings: ["DB /7  Mt"],
  feature,
  semantics(ir, destination) {
    beginX87(ir);
    const empty = ir.hold(isStackEmpty(ir, 0));
    const { significand, head } = readRegister(ir, stackSlot(ir, 0));
    const nan = indefinite(ir);
    const flags = ir.hold(ir.select(empty, ir.const("i32", underflowFlags), ir.const("i32", 0)));
    const storable = mayStore(ir, flags);
    const value = {
      significand: ir.select(empty, nan.significand, significand),
      head: ir.select(empty, nan.head, head),
    };
    storeWide(ir, destination, value, storable);
    setPointers(ir, destination);
    concluded(ir, flags);
    ir.if(storable, () => pop(ir));
  },
});

function storeInteger(after: After, mode: "control" | "truncate") {
  return (ir: Semantics, destination: Operand): void => {
    beginX87(ir);
    const how = mode === "truncate" ? ir.const("i32", Rounding.zero) : rounding(ir);
    const [integer, flags] = ir.call(storedInteger, ir.const("i32", destination.bits), how) as [Value, Value];
    finishStore(ir, destination, ir.trunc(integer, destination.type), flags, after);
  };
}
/** FIST and FISTP. Intel SDM Vol. 2A, "FIST/FISTP—Store Integer". */
export const fist = instruction({
  mnemonic: "fist",
  encodings: ["DF /2  Mw", "DB /2  Md"],
  feature,
  semantics: storeInteger("keep", "control"),
});
export const fistp = instruction({
  mnemonic: "fistp",
  encodings: ["DF /3  Mw", "DB /3  Md", "DF /7  Mq"],
  feature,
  semantics: storeInteger("pop", "control"),
});
/** FISTTP. Intel SDM Vol. 2A, "FISTTP—Store Integer With Truncation". */
export const fisttp = instruction({
  mnemonic: "fisttp",
  encodings: ["DF /1  Mw", "DB /1  Md", "DD /1  Mq"],
  feature: "SSE3",
  semantics: storeInteger("pop", "truncate"),
});

/** FXCH. Intel SDM Vol. 2A, "FXCH—Exchange Register Contents". The rows other than D9 are undocumented aliases. */
export const fxch = instruction({
  mnemonic: "fxch",
  encodings: ["D9 /1  F", "DD /1  F", "DF /1  F"],
  feature,
  semantics(ir, other) {
    beginX87(ir);
    setPointers(ir);
    const numbers = [physical(ir, 0), physical(ir, other.read())] as const;
    const nan = indefinite(ir);
    const empties = numbers.map((number) => ir.hold(isEmpty(ir, number)));
    const values = numbers.map((number, index) => {
      const { significand, head } = readRegister(ir, slotOf(ir, number));
      const empty = empties[index]!;
      return { significand: ir.select(empty, nan.significand, significand), head: ir.select(empty, nan.head, head) };
    });
    const flags = ir.select(ir.or(empties[0]!, empties[1]!), ir.const("i32", underflowFlags), ir.const("i32", 0));
    for (const { significand, head } of values) for (const value of [significand, head]) ir.hold(value);
    ir.if(concluded(ir, flags), () =>
      numbers.forEach((number, index) => fill(ir, slotOf(ir, number), values[1 - index]!)),
    );
  },
});
