import type { Value } from "../../ir/node.ts";
import {
  Attribute,
  SystemType,
  attributesOf,
  baseOf,
  has,
  isCanonical,
  isLongModeActive,
  limitOf,
  selectorOf,
  setNull,
  setSegment,
} from "../descriptors.ts";
import { Vector } from "../exceptions.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { requireProtected, requireUmip } from "../privilege.ts";
import { findDescriptor, isNullSelector, readDescriptor, selectorError } from "../routines/descriptor.ts";
import type { FoundDescriptor } from "../routines/descriptor.ts";
import type { Semantics } from "../semantics.ts";
import { State, segmentSlot } from "../state.ts";

type Table = { readonly base: number; readonly limit: number };
const gdtr: Table = { base: State.gdtrBase, limit: State.gdtrLimit };
const idtr: Table = { base: State.idtrBase, limit: State.idtrLimit };

/** The linear address of a limit and base in memory. */
function pseudoDescriptor(ir: Semantics, operand: Operand, access: "read" | "write"): Value {
  return ir.hold(ir.linear(ir.numbers.slot(ir, "segment"), operand.offset(), ir.long ? 10 : 6, access));
}

/** Loads GDTR or IDTR; with 16-bit operands the base has 24 bits. */
function load(ir: Semantics, table: Table, source: Operand): void {
  const address = pseudoDescriptor(ir, source, "read");
  const limit = ir.load("i16", address);
  const at = ir.add(address, 2);
  const base = ir.long ? ir.load("i64", at) : ir.zext(ir.load("i32", at), "i64");
  if (ir.long) ir.if(ir.eqz(isCanonical(ir, base)), () => ir.fault(Vector.GP, 0));
  ir.set(table.base, !ir.long && ir.operandSize === 16 ? ir.and(base, 0xffffff) : base);
  ir.set(table.limit, ir.zext(limit, "i32"));
}

/** Stores GDTR or IDTR: the limit, then 32 or 64 bits of base. */
function store(ir: Semantics, table: Table, destination: Operand): void {
  requireUmip(ir);
  const address = pseudoDescriptor(ir, destination, "write");
  ir.probeWrite(address, ir.long ? 10 : 6);
  const base = ir.get("i64", table.base);
  ir.store(address, ir.trunc(ir.get("i32", table.limit), "i16"));
  ir.store(ir.add(address, 2), ir.long ? base : ir.trunc(base, "i32"));
}

/** LGDT, LIDT — Intel SDM Vol. 2A, "LGDT/LIDT—Load Global/Interrupt Descriptor Table Register". */
export const lgdt = instruction({
  mnemonic: "lgdt",
  encodings: ["0F 01 /2  M  osz cpl0"],
  semantics: (ir, source) => load(ir, gdtr, source),
});
export const lidt = instruction({
  mnemonic: "lidt",
  encodings: ["0F 01 /3  M  osz cpl0"],
  semantics: (ir, source) => load(ir, idtr, source),
});
/** SGDT, SIDT — Intel SDM Vol. 2B, "SGDT—Store Global Descriptor Table Register". */
export const sgdt = instruction({
  mnemonic: "sgdt",
  encodings: ["0F 01 /0  M  system"],
  semantics: (ir, destination) => store(ir, gdtr, destination),
});
export const sidt = instruction({
  mnemonic: "sidt",
  encodings: ["0F 01 /1  M  system"],
  semantics: (ir, destination) => store(ir, idtr, destination),
});

function storeSelector(ir: Semantics, segment: "ldtr" | "tr", destination: Operand): void {
  requireProtected(ir);
  requireUmip(ir);
  destination.write(ir.resize(selectorOf(ir, segment), destination.type));
}
/** SLDT, STR — Intel SDM Vol. 2B, "SLDT—Store Local Descriptor Table Register", "STR—Store Task Register". */
export const sldt = instruction({
  mnemonic: "sldt",
  encodings: ["0F 00 /0  Mw  system", "0F 00 /0  Rv  system"],
  semantics: (ir, destination) => storeSelector(ir, "ldtr", destination),
});
export const str = instruction({
  mnemonic: "str",
  encodings: ["0F 00 /1  Mw  system", "0F 00 /1  Rv  system"],
  semantics: (ir, destination) => storeSelector(ir, "tr", destination),
});

/** Finds the GDT descriptor of an LDT or TSS and checks its type; an i64 with bits 32–63 of the base in IA-32e mode. */
function findSystem(
  ir: Semantics,
  selector: Value,
  isType: (type: Value) => Value,
): FoundDescriptor & { base: Value; attributes: Value } {
  const refuse = () => ir.fault(Vector.GP, selectorError(ir, selector));
  ir.if(has(ir, selector, 4), refuse);
  const found = findDescriptor(ir, selector, refuse);
  const attributes = ir.hold(attributesOf(ir, found.descriptor));
  ir.if(ir.eqz(isType(ir.and(attributes, 0x1f))), refuse);
  ir.if(ir.eqz(has(ir, attributes, Attribute.present)), () => ir.fault(Vector.NP, selectorError(ir, selector)));
  const base = ir.variable(baseOf(ir, found.descriptor));
  ir.if(isLongModeActive(ir), () => {
    const [high, address] = ir.call(readDescriptor, ir.add(selector, 8)) as [Value, Value];
    // The upper half's type field must be 0.
    ir.if(ir.or(ir.eq(address, -1), has(ir, high, 0x1fn << 40n)), refuse);
    ir.assign(base, ir.or(ir.read(base), ir.shl(high, 32)));
    ir.if(ir.eqz(isCanonical(ir, ir.read(base))), refuse);
  });
  return { ...found, base: ir.read(base), attributes };
}

/** LLDT — Intel SDM Vol. 2A, "LLDT—Load Local Descriptor Table Register". */
export const lldt = instruction({
  mnemonic: "lldt",
  encodings: ["0F 00 /2  Ew  system"],
  semantics(ir, source) {
    requireProtected(ir);
    ir.requirePrivilege();
    const selector = ir.hold(ir.zext(source.read("i16"), "i32"));
    const slot = segmentSlot("ldtr");
    ir.if(
      isNullSelector(ir, selector),
      () => setNull(ir, slot, selector),
      () => {
        const { descriptor, base, attributes } = findSystem(ir, selector, (type) => ir.eq(type, SystemType.ldt));
        setSegment(ir, slot, { selector, base, limit: limitOf(ir, descriptor), attributes });
      },
    );
  },
});

/** LTR — loads the task register and marks the TSS busy. Intel SDM Vol. 2A, "LTR—Load Task Register". */
export const ltr = instruction({
  mnemonic: "ltr",
  encodings: ["0F 00 /3  Ew  system"],
  semantics(ir, source) {
    requireProtected(ir);
    ir.requirePrivilege();
    const selector = ir.hold(ir.zext(source.read("i16"), "i32"));
    ir.if(isNullSelector(ir, selector), () => ir.fault(Vector.GP, 0));
    const narrow = ir.eqz(isLongModeActive(ir));
    const isAvailable = (type: Value) =>
      ir.or(ir.eq(type, SystemType.tss32Available), ir.and(narrow, ir.eq(type, SystemType.tss16Available)));
    const { descriptor, address, base, attributes } = findSystem(ir, selector, isAvailable);
    const busy = ir.or(attributes, 2);
    ir.store(ir.add(address, 5), ir.trunc(busy, "i8"), { system: true });
    setSegment(ir, segmentSlot("tr"), { selector, base, limit: limitOf(ir, descriptor), attributes: busy });
  },
});
